//! What Python does to text and numbers where the original leaves that to Python: `strip`, `repr`, `json.dumps`.

use std::fmt::Write;

pub use crate::engine::env::python::{repr, strip};

/// `repr(number)` of a finite float: the shortest digits that read back as the same number.
pub fn float(number: f64) -> String {
    let text = format!("{number:?}");
    // Rust writes 1e-5 and 1e16 where Python writes 1e-05 and 1e+16.
    let Some((digits, exponent)) = text.split_once('e') else {
        return text;
    };
    match exponent.strip_prefix('-') {
        Some(exponent) => format!("{digits}e-{exponent:0>2}"),
        None => format!("{digits}e+{exponent:0>2}"),
    }
}

/// `repr(dict)` of strings.
pub fn dict_repr(pairs: &[(String, String)]) -> String {
    let parts: Vec<String> = pairs.iter().map(|(key, value)| format!("{}: {}", repr(key), repr(value))).collect();
    format!("{{{}}}", parts.join(", "))
}

/// `json.dumps(dict)` of strings: ASCII only, a blank after each comma and colon.
pub fn json_dumps(pairs: &[(String, String)]) -> String {
    let parts: Vec<String> =
        pairs.iter().map(|(key, value)| format!("{}: {}", json_string(key), json_string(value))).collect();
    format!("{{{}}}", parts.join(", "))
}

/// As [`json_dumps`], as Flask puts it into a page: keys sorted, and the characters of HTML escaped.
pub fn json_for_html(pairs: &[(String, String)]) -> String {
    let mut sorted = pairs.to_vec();
    sorted.sort();
    let mut out = json_dumps(&sorted);
    for (c, escaped) in [('<', "\\u003c"), ('>', "\\u003e"), ('&', "\\u0026"), ('\'', "\\u0027")] {
        out = out.replace(c, escaped);
    }
    out
}

fn json_string(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            // DEL stays as it is.
            ' '..='\u{7f}' => out.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing to a string cannot fail.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    // The expected texts were printed by CPython 3.11 and Flask 3.1.

    #[test]
    fn floats_are_written_as_python_writes_them() {
        for (number, text) in [
            (1.0, "1.0"),
            (12.5, "12.5"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e-5, "1e-05"),
            (0.0001, "0.0001"),
            (1e16, "1e+16"),
            (123456789012345.0, "123456789012345.0"),
            (1.5e300, "1.5e+300"),
        ] {
            assert_eq!(float(number), text);
        }
    }

    #[test]
    fn strings_are_quoted_as_python_quotes_them() {
        for (text, expected) in [
            ("xx-large", "'xx-large'"),
            ("women's", "\"women's\""),
            ("6' 2\"", "'6\\' 2\"'"),
            ("a\u{a0}b", "'a\\xa0b'"),
            ("a\u{200b}\u{e9}\t", "'a\\u200bé\\t'"),
            ("\u{1d173}\\", "'\\U0001d173\\\\'"),
        ] {
            assert_eq!(repr(text), expected);
        }
    }

    #[test]
    fn json_is_written_as_python_and_flask_write_it() {
        let pairs = [("size".to_string(), "women's <7> & up".to_string()), ("color".into(), "é\u{1f600}\u{7f}".into())];
        assert_eq!(json_dumps(&pairs), "{\"size\": \"women's <7> & up\", \"color\": \"\\u00e9\\ud83d\\ude00\u{7f}\"}");
        assert_eq!(
            json_for_html(&pairs),
            "{\"color\": \"\\u00e9\\ud83d\\ude00\u{7f}\", \"size\": \"women\\u0027s \\u003c7\\u003e \\u0026 up\"}"
        );
        assert_eq!(dict_repr(&pairs), "{'size': \"women's <7> & up\", 'color': 'é\u{1f600}\\x7f'}");
    }
}
