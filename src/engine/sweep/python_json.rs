//! JSON as Python writes it: with `NaN`, `Infinity` and `-Infinity`, which JSON itself does not have, and with halves of letters (lone
//! surrogates) in texts, which no text of Rust can hold: they are read as U+FFFD.
//!
//! In a [`Value`] such a number is a text that nobody writes, [`number`] makes it and [`as_number`] reads it.

use std::ops::RangeInclusive;

use serde_json::{Number, Value};

/// What begins the text that stands for a number which JSON lacks.
const MARK: char = '\u{1}';

/// The numbers that JSON lacks, in Python's words.
const WORDS: [(&str, f64); 3] = [("-Infinity", f64::NEG_INFINITY), ("Infinity", f64::INFINITY), ("NaN", f64::NAN)];

/// A number as a value.
pub fn number(x: f64) -> Value {
    let word = || WORDS.iter().find(|(_, value)| value.total_cmp(&x).is_eq() || (value.is_nan() && x.is_nan()));
    match Number::from_f64(x) {
        Some(number) => Value::Number(number),
        None => Value::String(format!("{MARK}{}", word().map_or("NaN", |(word, _)| word))),
    }
}

/// The number that a value is.
pub fn as_number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => {
            let word = text.strip_prefix(MARK)?;
            WORDS.iter().find(|(known, _)| *known == word).map(|(_, value)| *value)
        }
        _ => None,
    }
}

/// A value as one line.
pub fn to_line(value: &Value) -> String {
    let text = value.to_string();
    if !text.contains("\\u0001") {
        return text;
    }
    WORDS.iter().fold(text, |text, (word, _)| text.replace(&format!("\"\\u0001{word}\""), word))
}

/// A line as a value.
pub fn parse(line: &str) -> serde_json::Result<Value> {
    serde_json::from_str(line).or_else(|_| serde_json::from_str(&marked(line)))
}

/// The line with Python's words for numbers in quotes, where they are no part of a text, and without halves of letters.
fn marked(line: &str) -> String {
    let (mut marked, mut rest, mut in_text) = (String::with_capacity(line.len() + 16), line, false);
    while let Some(next) = rest.chars().next() {
        let word = WORDS.iter().find(|(word, _)| !in_text && rest.starts_with(word));
        let taken = match (next, word) {
            (_, Some((word, _))) => {
                marked += &format!("\"\\u0001{word}\"");
                rest = &rest[word.len()..];
                continue;
            }
            ('\\', _) if is_whole(rest) => 12,
            ('\\', _) if escaped(rest).is_some_and(|unit| SURROGATES.contains(&unit)) => {
                marked += "\\ufffd";
                rest = &rest[6..];
                continue;
            }
            // What follows a backslash belongs to it.
            ('\\', _) => rest.chars().take(2).map(char::len_utf8).sum(),
            ('"', _) => {
                in_text = !in_text;
                1
            }
            _ => next.len_utf8(),
        };
        marked += &rest[..taken];
        rest = &rest[taken..];
    }
    marked
}

/// The halves of letters, of which the first ones come before the second ones.
const SURROGATES: RangeInclusive<u16> = 0xd800..=0xdfff;

/// The unit of UTF-16 that a text begins with, written as `\uXXXX`.
fn escaped(text: &str) -> Option<u16> {
    u16::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok()
}

/// Whether a text begins with both halves of a letter.
fn is_whole(text: &str) -> bool {
    let second = || text.get(6..).and_then(escaped);
    matches!(escaped(text), Some(0xd800..=0xdbff)) && matches!(second(), Some(0xdc00..=0xdfff))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_json_lacks_come_back() {
        // Python: json.dumps({"a": float("nan"), "b": [float("inf"), -float("inf")], "c": "NaN \" Infinity"})
        let line = r#"{"a": NaN, "b": [Infinity, -Infinity], "c": "NaN \" Infinity", "d": "é NaN"}"#;
        let value = parse(line).unwrap();
        assert!(as_number(&value["a"]).unwrap().is_nan());
        assert_eq!(
            [as_number(&value["b"][0]), as_number(&value["b"][1])],
            [Some(f64::INFINITY), Some(f64::NEG_INFINITY)]
        );
        assert_eq!((value["c"].as_str(), value["d"].as_str()), (Some("NaN \" Infinity"), Some("é NaN")));
        assert_eq!(to_line(&value), line.replace(": ", ":").replace(", ", ","));
        assert_eq!(as_number(&value["c"]), None);
    }

    #[test]
    fn halves_of_letters_are_read() {
        // Python: json.dumps({"a": "\ud800x", "b": "\udc00\ud800", "c": "\U0001f600 \\ud800", "d": [float("inf")]})
        let line = r#"{"a": "\ud800x", "b": "\udc00\ud800", "c": "\ud83d\ude00 \\ud800", "d": [Infinity]}"#;
        let value = parse(line).unwrap();
        assert_eq!(
            (value["a"].as_str(), value["b"].as_str(), value["c"].as_str()),
            (Some("\u{fffd}x"), Some("\u{fffd}\u{fffd}"), Some("😀 \\ud800"))
        );
        assert!(parse(r#"{"a": "\ud8"}"#).is_err() && parse(r#"{"a": \"#).is_err());
    }
}
