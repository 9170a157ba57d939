//! The filter `tojson` as transformers has it: Python's `json.dumps`.

use std::collections::BTreeMap;

use minijinja::value::{Kwargs, Value};
use minijinja::{Error as JinjaError, ErrorKind};
use serde_json::Value as Json;

use super::check_size;

/// Python's `json.dumps(value, ensure_ascii=False)`, with the keyword arguments that transformers' filter has.
pub fn tojson(value: Value, options: Kwargs) -> Result<Value, JinjaError> {
    let indent: Option<usize> = options.get("indent")?;
    if indent.is_some_and(|indent| indent > 64) {
        return Err(JinjaError::new(ErrorKind::InvalidOperation, "tojson: expected an indent of at most 64"));
    }
    check_size("tojson", &value, 0, &mut 0)?;
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

    #[test]
    fn floats_look_as_python_prints_them() {
        let cases = [(0.0, "0.0"), (1e-4, "0.0001"), (9.9e-5, "9.9e-05"), (1e15, "1000000000000000.0")];
        let more = [(1e16, "1e+16"), (1.5e-7, "1.5e-07"), (-2e100, "-2e+100"), (0.1, "0.1")];
        for (x, text) in cases.into_iter().chain(more) {
            assert_eq!(python_float(x), text);
        }
    }
}
