//! Chat templates: the Jinja text in a model's folder that turns messages into one string.
//!
//! Rendered by minijinja, set up as transformers sets up Jinja2, so that the text is the same byte for byte. Where
//! minijinja differs from Jinja2 (`tojson`, `iterable`) or transformers adds to it (`raise_exception`,
//! `strftime_now`, `{% generation %}`), the difference is made good here.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Mutex, PoisonError};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Serde, Value};
use minijinja::{Environment, Error as JinjaError, ErrorKind};
use minijinja_contrib::pycompat::unknown_method_callback;
use regex::Regex;
use serde_json::{Map, Value as Json, json};

use super::Message;
use crate::engine::{Error, Result};

/// A compiled chat template.
pub struct ChatTemplate {
    environment: Environment<'static>,
    /// `eos_token`, `pad_token`, …: templates of some models print them.
    special_tokens: Map<String, Json>,
    /// Variables that it was given and never looks at, once they are told.
    unused: Mutex<BTreeSet<String>>,
}

impl ChatTemplate {
    /// Compiles `source`. `special_tokens` maps `eos_token` and its like to their text.
    pub fn new(source: &str, special_tokens: Map<String, Json>) -> Result<Self> {
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(describe)?);
        environment.set_unknown_method_callback(unknown_method_callback);
        environment.add_filter("tojson", tojson);
        environment.add_test("iterable", is_iterable);
        environment.add_function("raise_exception", raise_exception);
        environment.add_function("strftime_now", strftime_now);
        environment.add_template_owned(NAME, without_generation_tags(source)?).map_err(describe)?;
        Ok(ChatTemplate { environment, special_tokens, unused: Mutex::default() })
    }

    /// The text of `messages`, followed by the head of an assistant turn when `add_generation_prompt` is set.
    /// `options` are further variables of the template (`enable_thinking`, `tools`).
    pub fn render(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
        options: &Map<String, Json>,
    ) -> Result<String> {
        let messages: Vec<Json> = messages.iter().map(|m| json!({ "role": m.role, "content": m.content })).collect();
        self.render_json(&messages, add_generation_prompt, options)
    }

    /// [`ChatTemplate::render`] for messages with more in them than role and content (`tool_calls`,
    /// `reasoning_content`). The order of keys is kept: `tojson` prints it.
    pub fn render_json(
        &self,
        messages: &[Json],
        add_generation_prompt: bool,
        options: &Map<String, Json>,
    ) -> Result<String> {
        let mut context = self.special_tokens.clone();
        context.extend(options.clone());
        context.insert("messages".into(), messages.into());
        context.insert("add_generation_prompt".into(), add_generation_prompt.into());
        let template = self.environment.get_template(NAME).map_err(describe)?;
        if !options.is_empty() {
            self.tell_unused(options, &template.undeclared_variables(false));
        }
        template.render(Value::from(Serde(&context))).map_err(describe)
    }

    /// Says once of each variable that the template never looks at it: what was asked for with it is not done.
    fn tell_unused(&self, options: &Map<String, Json>, used: &HashSet<String>) {
        let mut told = self.unused.lock().unwrap_or_else(PoisonError::into_inner);
        for name in options.keys().filter(|name| !used.contains(*name)) {
            if told.insert(name.clone()) {
                tracing::warn!("the chat template has no variable `{name}`: giving it one changes nothing");
            }
        }
    }
}

/// Checks variables that a user gives a template (`chat_template_kwargs`); a sentence on the one that cannot be given.
pub fn check_kwargs(kwargs: &Map<String, Json>) -> Result<(), String> {
    for (name, instead) in [
        ("messages", "the conversation itself is what is rendered"),
        ("add_generation_prompt", "it is set where a reply follows"),
        ("tools", TOOLS),
        ("documents", "documents are not supported"),
    ] {
        if kwargs.contains_key(name) {
            return Err(format!("`{name}` cannot be given here: {instead}"));
        }
    }
    Ok(())
}

/// Why there are no tools yet.
pub const TOOLS: &str = "tools and their calls are not supported yet";

/// Has no extension: minijinja escapes HTML in templates whose names end in one.
const NAME: &str = "chat_template";

/// transformers' `{% generation %}…{% endgeneration %}` marks what the assistant says; which tokens are trained is
/// decided in `conversation.rs`, so here the block is only a scope, which is what `with` is.
fn without_generation_tags(source: &str) -> Result<String> {
    let tag = Regex::new(r"\{%([-+]?)\s*(end)?generation\s*([-+]?)%\}").map_err(|e| Error::message(e.to_string()))?;
    Ok(tag.replace_all(source, "{%$1 ${2}with $3%}").into_owned())
}

fn describe(error: JinjaError) -> Error {
    let what = error.detail().map_or_else(|| error.kind().to_string(), str::to_string);
    match error.line() {
        Some(line) => Error::message(format!("chat template, line {line}: {what}")),
        None => Error::message(format!("chat template: {what}")),
    }
}

fn raise_exception(message: String) -> Result<Value, JinjaError> {
    Err(JinjaError::new(ErrorKind::InvalidOperation, message))
}

fn strftime_now(format: String) -> Result<String, JinjaError> {
    use std::fmt::Write;
    let mut text = String::new();
    // `to_string` would panic on a format that chrono does not know.
    write!(text, "{}", chrono::Local::now().format(&format)).map_err(|_| {
        JinjaError::new(ErrorKind::InvalidOperation, format!("strftime_now: `{format}` is not a date format"))
    })?;
    Ok(text)
}

/// minijinja takes `none` for an empty sequence, Jinja2 does not.
fn is_iterable(value: &Value) -> bool {
    !value.is_none() && value.try_iter().is_ok()
}

/// Python's `json.dumps(value, ensure_ascii=False)`, with the keyword arguments that transformers' filter has.
fn tojson(value: Value, options: Kwargs) -> Result<Value, JinjaError> {
    let indent: Option<usize> = options.get("indent")?;
    let separators: Option<Vec<String>> = options.get("separators")?;
    let style = Style {
        item: match (&separators, indent) {
            (Some(pair), _) => pair.first().cloned().unwrap_or_default(),
            (None, Some(_)) => ",".into(),
            (None, None) => ", ".into(),
        },
        key: separators.as_ref().and_then(|pair| pair.get(1).cloned()).unwrap_or_else(|| ": ".into()),
        indent,
        sort_keys: options.get::<Option<bool>>("sort_keys")?.unwrap_or(false),
        ascii: options.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false),
    };
    options.assert_all_used()?;
    let json = serde_json::to_value(&value)
        .map_err(|e| JinjaError::new(ErrorKind::BadSerialization, format!("tojson: {e}")))?;
    let mut text = String::new();
    style.write(&json, 0, &mut text);
    Ok(Value::from_safe_string(text))
}

struct Style {
    item: String,
    key: String,
    indent: Option<usize>,
    sort_keys: bool,
    ascii: bool,
}

impl Style {
    fn write(&self, value: &Json, depth: usize, out: &mut String) {
        match value {
            Json::Null => out.push_str("null"),
            Json::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
            Json::Number(n) => match n.as_f64() {
                Some(float) if n.is_f64() => out.push_str(&python_float(float)),
                _ => out.push_str(&n.to_string()),
            },
            Json::String(s) => self.write_string(s, out),
            Json::Array(items) => self.write_all(('[', ']'), items, depth, out, |item, out| {
                self.write(item, depth + 1, out);
            }),
            Json::Object(map) => {
                let sorted: BTreeMap<&String, &Json>;
                let pairs: Vec<(&String, &Json)> = if self.sort_keys {
                    sorted = map.iter().collect();
                    sorted.into_iter().collect()
                } else {
                    map.iter().collect()
                };
                self.write_all(('{', '}'), pairs, depth, out, |(key, item), out| {
                    self.write_string(key, out);
                    out.push_str(&self.key);
                    self.write(item, depth + 1, out);
                });
            }
        }
    }

    fn write_all<T>(
        &self,
        (open, close): (char, char),
        items: impl IntoIterator<Item = T>,
        depth: usize,
        out: &mut String,
        mut write: impl FnMut(T, &mut String),
    ) {
        out.push(open);
        let mut empty = true;
        for item in items {
            if !empty {
                out.push_str(&self.item);
            }
            empty = false;
            self.new_line(depth + 1, out);
            write(item, out);
        }
        if !empty {
            self.new_line(depth, out);
        }
        out.push(close);
    }

    fn new_line(&self, depth: usize, out: &mut String) {
        if let Some(indent) = self.indent {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent * depth));
        }
    }

    fn write_string(&self, text: &str, out: &mut String) {
        let quoted = Json::from(text).to_string();
        if !self.ascii {
            return out.push_str(&quoted);
        }
        for c in quoted.chars() {
            if c.is_ascii() {
                out.push(c);
            } else {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
}

/// A float as Python's `repr` writes it: the shortest digits that read back, with an exponent below 1e-4 and from
/// 1e16 on, and never without a point or an exponent.
fn python_float(x: f64) -> String {
    let magnitude = x.abs();
    if magnitude != 0.0 && !(1e-4..1e16).contains(&magnitude) {
        let text = format!("{x:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = match exponent.strip_prefix('-') {
            Some(exponent) => ('-', exponent),
            None => ('+', exponent),
        };
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    let text = x.to_string();
    if text.contains('.') { text } else { text + ".0" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(source: &str, variables: Json) -> Result<String> {
        let Json::Object(variables) = variables else { panic!("an object") };
        ChatTemplate::new(source, Map::new())?.render(&[], false, &variables)
    }

    #[test]
    fn tojson_writes_what_python_writes() {
        let value =
            json!({ "b": [1, 2.0, 1e-5, 1e16, -0.5, 123456.75], "a": { "é<&>": "\u{1}\"\n" }, "e": [], "n": null });
        let text = |source: &str| render(source, json!({ "x": value })).unwrap();
        // Python 3: json.dumps(x, ensure_ascii=False) and the variants named.
        assert_eq!(
            text("{{ x | tojson }}"),
            r#"{"b": [1, 2.0, 1e-05, 1e+16, -0.5, 123456.75], "a": {"é<&>": "\u0001\"\n"}, "e": [], "n": null}"#
        );
        assert_eq!(
            text("{{ x.b | tojson(separators=[',', ':']) }} {{ x.a | tojson(ensure_ascii=true) }}"),
            r#"[1,2.0,1e-05,1e+16,-0.5,123456.75] {"\u00e9<&>": "\u0001\"\n"}"#
        );
        assert_eq!(text("{{ {'b': [1], 'a': []} | tojson(indent=2, sort_keys=true) }}"), {
            "{\n  \"a\": [],\n  \"b\": [\n    1\n  ]\n}"
        });
        assert!(render("{{ 1 | tojson(indnt=2) }}", json!({})).is_err());
    }

    #[test]
    fn floats_look_as_python_prints_them() {
        let cases = [(0.0, "0.0"), (1e-4, "0.0001"), (9.9e-5, "9.9e-05"), (1e15, "1000000000000000.0")];
        let more = [(1e16, "1e+16"), (1.5e-7, "1.5e-07"), (-2e100, "-2e+100"), (0.1, "0.1")];
        for (x, text) in cases.into_iter().chain(more) {
            assert_eq!(python_float(x), text);
        }
    }

    #[test]
    fn a_block_tag_takes_its_line_with_it() {
        assert_eq!(render("x\n  {% if true %}\n  a\n  {% endif %}\nb\n", json!({})).unwrap(), "x\n  a\nb");
    }

    #[test]
    fn none_is_not_iterable_but_a_list_is() {
        let source = "{{ x is iterable }} {{ none is iterable }} {{ 'a' is iterable }}";
        assert_eq!(render(source, json!({ "x": [] })).unwrap(), "True False True");
    }

    #[test]
    fn a_template_that_raises_gives_its_own_sentence() {
        let error = render("\n{{ raise_exception('System role not supported') }}", json!({})).unwrap_err();
        assert_eq!(error.to_string(), "chat template, line 2: System role not supported");
        let error = ChatTemplate::new("{% if %}", Map::new()).err().unwrap().to_string();
        assert!(error.starts_with("chat template, line 1: "), "{error}");
    }

    #[test]
    fn a_date_format_gives_the_date_or_an_error_but_never_a_panic() {
        assert_eq!(render("{{ strftime_now('%Y') | length }}", json!({})).unwrap(), "4");
        assert!(render("{{ strftime_now('%!') }}", json!({})).unwrap_err().to_string().contains("%!"));
    }

    #[test]
    fn generation_tags_leave_the_text_and_keep_their_whitespace_control() {
        let source = "a\n{%- generation %}\n b{% set c = 1 %}{% endgeneration -%}\n c{{ c }}";
        assert_eq!(render(source, json!({})).unwrap(), "a bc");
    }
}
