//! Parameters as a file of settings that `--config` takes: a Lua table, in which the name `training.learning_rate` is a key of a table
//! of its own.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::python_json::as_number;
use crate::engine::{Error, Result};

/// The text of the file. `heading`: what its first line says.
pub fn config_text(heading: &str, settings: &[(String, Value)]) -> Result<String> {
    let mut root = Map::new();
    for (name, value) in settings {
        insert(&mut root, name, name, value.clone())?;
    }
    let mut text = String::new();
    for line in heading.lines() {
        let _ = writeln!(text, "-- {line}");
    }
    text += "return ";
    write_value(&mut text, &Value::Object(root), 0);
    text.push('\n');
    Ok(text)
}

fn insert(table: &mut Map<String, Value>, whole: &str, name: &str, value: Value) -> Result<()> {
    let clash = || Error::message(format!("{whole}: it is a setting and a section at once"));
    match name.split_once('.') {
        None if table.contains_key(name) => Err(clash()),
        None => {
            table.insert(name.to_string(), value);
            Ok(())
        }
        Some((section, rest)) => {
            let inner = table.entry(section).or_insert_with(|| Value::Object(Map::new()));
            insert(inner.as_object_mut().ok_or_else(clash)?, whole, rest, value)
        }
    }
}

fn write_value(text: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Null => text.push_str("nil"),
        // What stands for a number that JSON lacks; Lua reads these.
        Value::String(_) if let Some(x) = as_number(value) => text.push_str(match x {
            f64::INFINITY => "1e999",
            f64::NEG_INFINITY => "-1e999",
            _ => "0/0",
        }),
        Value::String(string) => text.push_str(&quoted(string)),
        Value::Object(fields) if fields.is_empty() => text.push_str("{}"),
        Value::Object(fields) => {
            text.push_str("{\n");
            for (name, value) in fields {
                let _ = write!(text, "{:indent$}{} = ", "", key(name), indent = 2 * (depth + 1));
                write_value(text, value, depth + 1);
                text.push_str(",\n");
            }
            let _ = write!(text, "{:indent$}}}", "", indent = 2 * depth);
        }
        other => {
            let _ = write!(text, "{other}");
        }
    }
}

/// Lua's own words are no names of fields.
const RESERVED: [&str; 22] = [
    "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in", "local", "nil",
    "not", "or", "repeat", "return", "then", "true", "until", "while",
];

fn key(name: &str) -> String {
    let is_name = |name: &str| {
        let mut letters = name.chars();
        letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
            && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
    };
    match is_name(name) && !RESERVED.contains(&name) {
        true => name.to_string(),
        false => format!("[{}]", quoted(name)),
    }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            '\n' => quoted.push_str("\\n"),
            control if control.is_control() => {
                let _ = write!(quoted, "\\u{{{:x}}}", u32::from(control));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn dotted_names_are_nested_tables() {
        let settings = [
            ("training.learning_rate", json!(1e-5)),
            ("seed", json!(3)),
            ("training.end", json!("a\"b")),
            ("a-b.c", json!(true)),
        ];
        let text = config_text("The best.\nOf 3.", &settings.map(|(name, value)| (name.to_string(), value))).unwrap();
        let wanted = "-- The best.\n-- Of 3.\nreturn {\n  training = {\n    learning_rate = 0.00001,\n    [\"end\"] = \"a\\\"b\",\n  },\n  seed = 3,\n  [\"a-b\"] = {\n    c = true,\n  },\n}\n";
        assert_eq!(text, wanted);
        // As a journal of Optuna's may have it.
        let endless = [("x".to_string(), crate::engine::sweep::python_json::number(f64::INFINITY))];
        assert_eq!(config_text("", &endless).unwrap(), "return {\n  x = 1e999,\n}\n");
        let clash = [("a", json!(1)), ("a.b", json!(2))].map(|(name, value)| (name.to_string(), value));
        assert_eq!(config_text("", &clash).unwrap_err().to_string(), "a.b: it is a setting and a section at once");
    }
}
