//! Chat templates: the Jinja text in a model's folder that turns messages into one string.
//!
//! Rendered by minijinja, set up as transformers sets up Jinja2, so that the text is the same byte for byte. Where
//! minijinja differs from Jinja2 (`tojson`, `iterable`) or transformers adds to it (`raise_exception`,
//! `strftime_now`, `{% generation %}`), the difference is made good here.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::Duration;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value, ValueKind};
use minijinja::{Environment, Error as JinjaError, ErrorKind, Output, State, escape_formatter};
use minijinja_contrib::pycompat::unknown_method_callback;
use regex::Regex;
use serde_json::{Map, Value as Json, json};

use super::Message;
use crate::engine::file::reason;
use crate::engine::{Error, Result, cancel, refusal};

mod tojson;

/// Bytes of a template; those of published models have half of it. The work of compiling one grows with its square.
const MOST_BYTES: usize = 50_000;
/// The parser and the values that a template makes call themselves, as often as a template of that size can make them. A
/// thread of this stack holds the deepest; none of it is memory until it is used.
const STACK: usize = 256 << 20;
/// What a rendering may cost, in minijinja's unit: about an instruction, or 64 bytes. Published templates take some hundred a
/// message. Without an end nobody could stop it, not even with Ctrl-C.
const FUEL: u64 = 1_000_000;
const FUEL_PER_MESSAGE: u64 = 5_000;
/// How long a template may be compiled or rendered: what one operation of it costs is in no unit of [`FUEL`].
const PATIENCE: Duration = Duration::from_secs(20);
/// How deeply values may be nested that are written out, and how many are.
const MOST_DEPTH: usize = 128;
const MOST_VALUES: usize = 1_000_000;

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
        environment.set_formatter(write_value);
        environment.add_filter("tojson", tojson::tojson);
        environment.add_test("iterable", is_iterable);
        environment.add_function("raise_exception", raise_exception);
        environment.add_function("strftime_now", strftime_now);
        if source.len() > MOST_BYTES {
            let problem = format!("chat template: {} bytes are more than affine takes ({MOST_BYTES})", source.len());
            return Err(Error::message(problem));
        }
        let source = without_generation_tags(source)?;
        let environment = on_a_deep_stack(PATIENCE, move || match environment.add_template_owned(NAME, source) {
            Ok(()) => Ok(environment),
            Err(error) => Err(describe(error)),
        })?;
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
        let size = serde_json::to_string(&context).map_or(0, |text| text.len());
        let mut environment = self.environment.clone();
        environment.set_fuel(Some(FUEL + FUEL_PER_MESSAGE * messages.len() as u64 + size as u64));
        let asks = !options.is_empty();
        let (text, used) = on_a_deep_stack(PATIENCE, move || {
            let template = environment.get_template(NAME).map_err(describe)?;
            let used = if asks { template.undeclared_variables(false) } else { HashSet::new() };
            Ok((template.render(Value::from(Serde(&context))).map_err(describe), used))
        })?;
        self.tell_unused(options, &used);
        text
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

/// Runs minijinja where it may call itself often; a panic of it is an error. Hears Ctrl-C, and gives up after
/// `patience`: the thread is left to itself then.
fn on_a_deep_stack<T: Send + 'static>(patience: Duration, f: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let file = Path::new("chat template");
    let (send, outcome) = mpsc::channel();
    let run = move || {
        // Nobody may be waiting any more.
        let _ = send.send(refusal::reading(file, f));
    };
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(run);
    thread.map_err(|error| Error::file(file, format!("no room for it: {}", reason(&error))))?;
    match cancel::receive_within(&outcome, patience)? {
        Some(outcome) => outcome,
        None => {
            Err(Error::message(format!("chat template: it did not come to an end within {} s", patience.as_secs())))
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
    if error.kind() == ErrorKind::OutOfFuel {
        return Error::message(
            "chat template: it does not come to an end, or needs far more work than messages like these ask for",
        );
    }
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

/// What `{{ value }}` writes.
fn write_value(out: &mut Output, state: &mut State, value: &Value) -> Result<(), JinjaError> {
    // Not those that are gone once they were looked at.
    if matches!(value.kind(), ValueKind::Seq | ValueKind::Map) {
        check_size("output", value, 0, &mut 0)?;
    }
    escape_formatter(out, state, value)
}

/// A template can make a small value that is endless when it is written out: one that holds itself twice, over and over.
fn check_size(writer: &str, value: &Value, depth: usize, seen: &mut usize) -> Result<(), JinjaError> {
    *seen += 1;
    if depth > MOST_DEPTH || *seen > MOST_VALUES {
        return Err(JinjaError::new(
            ErrorKind::BadSerialization,
            format!("{writer}: the value is nested too deeply, or too large"),
        ));
    }
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => {
            value.try_iter()?.try_for_each(|item| check_size(writer, &item, depth + 1, seen))
        }
        ValueKind::Map => {
            value.try_iter()?.try_for_each(|key| check_size(writer, &value.get_item(&key)?, depth + 1, seen))
        }
        _ => Ok(()),
    }
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
    fn no_template_is_too_deep_for_the_stack() {
        let chain = |part: &str, end: &str| {
            let count = (MOST_BYTES - 100) / part.len();
            format!("{}{}{end}", "{{ ", part.repeat(count))
        };
        let chains = [
            chain("-", "1 }}"),
            chain("not ", "1 }}"),
            chain("(", "1 }}"),
            chain("[", "1 }}"),
            chain("{1:", "1 }}"),
            chain("1+", "1 }}"),
            chain("1~", "1 }}"),
            chain("1**", "1 }}"),
            chain("1 if 0 else ", "1 }}"),
            chain("1 if 1 ", "}}"),
            chain("1<", "1 }}"),
            format!("{{{{ x{} }}}}", ".a".repeat(45_000)),
            format!("{{{{ x{} }}}}", "[0]".repeat(30_000)),
            format!("{{{{ x{} }}}}", "()".repeat(45_000)),
            format!("{{{{ x{} }}}}", "|e".repeat(45_000)),
            format!("{{{{ x{} }}}}", " is a".repeat(19_000)),
            format!("{{% set {}x", "(".repeat(90_000)),
            format!("{{% if 0 %}}{}{{% endif %}}", "{% elif 0 %}".repeat(8_000)),
            "{% if 1 %}".repeat(9_000),
            "{% macro m() %}".repeat(6_000),
        ];
        for source in chains {
            // Whether it is taken or refused: the process lives.
            let _ = render(&source, json!({ "x": {} }));
        }
        assert!(ChatTemplate::new(&" ".repeat(MOST_BYTES + 1), Map::new()).is_err());
    }

    #[test]
    fn a_template_without_an_end_ends() {
        let endless = "does not come to an end";
        let grow = "{% set n = namespace(x=[]) %}{% for i in range(90000) %}{% set n.x = [n.x] %}{% endfor %}";
        let double = "{% set n = namespace(x=[]) %}{% for i in range(60) %}{% set n.x = [n.x, n.x] %}{% endfor %}";
        for (source, words) in [
            ("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}".to_string(), endless),
            ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}".to_string(), ""),
            ("{% include 'chat_template' %}".to_string(), ""),
            ("{% extends 'chat_template' %}".to_string(), ""),
            ("{% for i in range(999) %}{{ 'x' * 99999999 }}{% endfor %}".to_string(), ""),
            ("{{ [1] | tojson(indent=99999999999) }}".to_string(), "an indent of at most 64"),
            (format!("{double}{{{{ n.x | tojson }}}}"), "too large"),
            (format!("{grow}{{{{ n.x | tojson }}}}"), "nested too deeply"),
            (format!("{double}{{{{ n.x }}}}"), "too large"),
        ] {
            let error = render(&source, json!({})).unwrap_err().to_string();
            assert!(error.contains(words), "{source}: {error}");
        }
        // However deep a value is, making it, writing it and letting it go are not the end of the process.
        for then in ["", "{{ n.x }}", "{{ n.x == n.x }}", "{{ n.x | string | length }}"] {
            let _ = render(&format!("{grow}{then}"), json!({}));
        }
        let long: Vec<Json> =
            (0..2000).map(|i| json!({ "role": "user", "content": i.to_string().repeat(100) })).collect();
        let source = "{% for m in messages %}{% for n in messages[:40] %}{{ m.content }}{% endfor %}{% endfor %}";
        let whole = ChatTemplate::new(source, Map::new()).unwrap().render_json(&long, false, &Map::new()).unwrap();
        assert!(whole.len() > 20_000_000);
    }

    #[test]
    fn what_no_unit_counts_is_given_up() {
        let slow = || {
            std::thread::sleep(Duration::from_secs(3));
            Ok(())
        };
        let error = on_a_deep_stack(Duration::from_millis(10), slow).unwrap_err().to_string();
        assert!(error.contains("did not come to an end within 0 s"), "{error}");
    }

    #[test]
    fn generation_tags_leave_the_text_and_keep_their_whitespace_control() {
        let source = "a\n{%- generation %}\n b{% set c = 1 %}{% endgeneration -%}\n c{{ c }}";
        assert_eq!(render(source, json!({})).unwrap(), "a bc");
    }
}
