//! YAML that every reader takes as it was meant.
//!
//! The Hub's Python reads YAML 1.1, where `no` is false, `2026-01-01` a date, `12:30` the number 750 and `1e-7` a text;
//! `yaml_serde` writes YAML 1.2, where they are not. So what is no plain word is quoted here, as JSON would do it.

use serde_json::{Map, Value};

/// What would be no text without quotes, in YAML 1.1 or 1.2, in lower case.
const RESERVED: &[&str] = &["y", "n", "yes", "no", "on", "off", "true", "false", "null"];

/// A mapping in block style, a line per value.
pub fn write(fields: &Map<String, Value>) -> String {
    let mut text = String::new();
    mapping(&mut text, fields, 0);
    text
}

fn mapping(text: &mut String, fields: &Map<String, Value>, indent: usize) {
    for (index, (key, value)) in fields.iter().enumerate() {
        // The first key of an item stands behind its dash.
        if index > 0 || !text.ends_with("- ") {
            text.push_str(&" ".repeat(indent));
        }
        text.push_str(&scalar(key));
        text.push(':');
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                text.push('\n');
                mapping(text, fields, indent + 2);
            }
            Value::Array(items) if !items.is_empty() => {
                text.push('\n');
                sequence(text, items, indent);
            }
            value => {
                text.push(' ');
                leaf(text, value);
            }
        }
    }
}

fn sequence(text: &mut String, items: &[Value], indent: usize) {
    for item in items {
        text.push_str(&" ".repeat(indent));
        text.push_str("- ");
        match item {
            Value::Object(fields) if !fields.is_empty() => mapping(text, fields, indent + 2),
            value => leaf(text, value),
        }
    }
}

/// A value on its line; a list in a list as JSON, which YAML contains.
fn leaf(text: &mut String, value: &Value) {
    match value {
        Value::String(value) => text.push_str(&scalar(value)),
        Value::Number(number) => text.push_str(&float(&number.to_string())),
        other => text.push_str(&other.to_string()),
    }
    text.push('\n');
}

/// `1e-7` as `1.0e-7`, `1e20` as `1.0e+20`: YAML 1.1 wants the point and the sign.
fn float(text: &str) -> String {
    let Some((mantissa, exponent)) = text.split_once('e') else { return text.to_string() };
    let point = if mantissa.contains('.') { "" } else { ".0" };
    let sign = if exponent.starts_with(['-', '+']) { "" } else { "+" };
    format!("{mantissa}{point}e{sign}{exponent}")
}

fn scalar(text: &str) -> String {
    if is_plain(text) { text.to_string() } else { quoted(text) }
}

/// Words of letters, digits and what means nothing in YAML, a letter first: no number, no date.
fn is_plain(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || " -_./+()=,%".contains(c))
        && !text.ends_with(' ')
        && !RESERVED.contains(&text.to_ascii_lowercase().as_str())
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            ' '..='~' | '\u{a0}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}' if !['\u{2028}', '\u{2029}'].contains(&c) => {
                quoted.push(c);
            }
            '\u{10000}'.. => quoted.push(c),
            // What YAML does not print, or takes for the end of a line.
            other => quoted.push_str(&format!("\\u{:04x}", other as u32)),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn written(value: Value) -> String {
        write(value.as_object().unwrap())
    }

    #[test]
    fn lists_and_tables_stand_in_block_style() {
        let text = written(json!({
            "tags": ["affine", "no"],
            "model-index": [{ "name": "a", "results": [{ "task": { "type": "b" }, "metrics": [{ "value": 0.5 }] }] }],
            "nothing": [],
            "args": { "deep": [[1, "2"], null] },
        }));
        let wanted = "\
tags:
- affine
- \"no\"
model-index:
- name: a
  results:
  - task:
      type: b
    metrics:
    - value: 0.5
nothing: []
args:
  deep:
  - [1,\"2\"]
  - null
";
        assert_eq!(text, wanted);
    }

    #[test]
    fn what_is_no_plain_word_is_quoted() {
        for text in ["apache-2.0", "Qwen/Qwen3-4B", "sat(m=10, n=4)", "mean score, 80 % interval .1 to .2", "nope"] {
            assert_eq!(scalar(text), text);
        }
        for text in ["", "no", "On", "NULL", "y", "1.0", "2026-01-01", "12:30", "1_000", "=", "<<", "~", ".inf", "a: b"]
        {
            assert_eq!(scalar(text), format!("\"{text}\""));
        }
        assert_eq!(
            scalar("a\n\"b\"\\\u{7f}é\u{2028}\u{feff}😀\t"),
            "\"a\\n\\\"b\\\"\\\\\\u007fé\\u2028\\ufeff😀\\u0009\""
        );
    }

    #[test]
    fn floats_have_a_point_and_a_sign() {
        for (value, text) in [(json!(1e-7), "1.0e-7"), (json!(1e20), "1.0e+20"), (json!(1.5e-7), "1.5e-7")] {
            assert_eq!(written(json!({ "a": value })), format!("a: {text}\n"));
        }
        assert_eq!(written(json!({ "a": 0.25, "b": -0.0, "c": 3 })), "a: 0.25\nb: -0.0\nc: 3\n");
    }

    #[test]
    fn another_reader_gets_back_what_was_written() {
        let awkward =
            ["no", "1.0", "null", "2026-01-01", "a: b", "# a", "\"", "'", "a\nb\n", "é😀", "@a", "*a", "&a", "- a"];
        let value = json!({
            "list": awkward,
            "names": awkward.iter().map(|text| (text.to_string(), json!(text))).collect::<Map<_, _>>(),
            "numbers": [0.1, 1e-7, 1e20, 3],
        });
        let read: Value = yaml_serde::from_str(&written(value.clone())).unwrap();
        assert_eq!(read, value);
    }
}
