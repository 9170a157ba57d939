//! `json.loads`: JSON with Python's extensions (NaN, infinities, integers of any size).
//!
//! A lone surrogate escape, which Python keeps, becomes U+FFFD.

use super::text::MAX_INT_DIGITS;
use super::value::{Value, insert};

/// Deeper nesting is refused: Python gives up near 1,000 levels, a thread with a stack of 2 MiB in a debug build before
/// 900, and no test case comes near either.
const MAX_DEPTH: usize = 200;

/// The value of a whole text; a sentence on what is wrong and where (in characters, from 0) otherwise.
pub fn parse(text: &str) -> Result<Value, String> {
    let mut reader = Reader::new(text);
    reader.blanks();
    let value = reader.value(0)?;
    reader.blanks();
    if reader.at < reader.chars.len() {
        return Err(reader.wrong("the end"));
    }
    Ok(value)
}

/// The items of a JSON list up to where the text breaks off or goes wrong, with what was wrong there.
pub fn parse_list_prefix(text: &str) -> (Vec<Value>, Option<String>) {
    let (mut reader, mut items) = (Reader::new(text), Vec::new());
    let mut read = || -> Result<(), String> {
        reader.blanks();
        reader.expect('[')?;
        reader.blanks();
        if reader.eat(']') {
            return Ok(());
        }
        loop {
            reader.blanks();
            items.push(reader.value(1)?);
            reader.blanks();
            if reader.eat(']') {
                return Ok(());
            }
            reader.expect(',')?;
        }
    };
    let problem = read().err();
    (items, problem)
}

struct Reader {
    chars: Vec<char>,
    at: usize,
}

impl Reader {
    fn new(text: &str) -> Self {
        Reader { chars: text.chars().collect(), at: 0 }
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn eat(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        self.at += usize::from(found);
        found
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let length = word.chars().count();
        let found = self.chars.get(self.at..self.at + length).is_some_and(|have| have.iter().copied().eq(word.chars()));
        self.at += if found { length } else { 0 };
        found
    }

    fn expect(&mut self, c: char) -> Result<(), String> {
        if self.eat(c) { Ok(()) } else { Err(self.wrong(&format!("\"{c}\""))) }
    }

    fn wrong(&self, expected: &str) -> String {
        match self.peek() {
            Some(c) => format!("expected {expected} at character {}, got {c:?}", self.at),
            None => format!("expected {expected}, but the text ends at character {}", self.at),
        }
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t' | '\n' | '\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        if depth > MAX_DEPTH {
            return Err(format!("nested deeper than {MAX_DEPTH} levels"));
        }
        for (word, value) in [
            ("null", Value::None),
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
            ("NaN", Value::Float(f64::NAN)),
            ("Infinity", Value::Float(f64::INFINITY)),
            ("-Infinity", Value::Float(f64::NEG_INFINITY)),
        ] {
            if self.eat_word(word) {
                return Ok(value);
            }
        }
        match self.peek() {
            Some('"') => Ok(Value::Text(self.text()?)),
            Some('[') => self.list(depth),
            Some('{') => self.dict(depth),
            Some('-' | '0'..='9') => self.number(),
            _ => Err(self.wrong("a value")),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value, String> {
        self.expect('[')?;
        let mut items = Vec::new();
        self.blanks();
        if self.eat(']') {
            return Ok(Value::List(items));
        }
        loop {
            self.blanks();
            items.push(self.value(depth + 1)?);
            self.blanks();
            if self.eat(']') {
                return Ok(Value::List(items));
            }
            self.expect(',')?;
        }
    }

    fn dict(&mut self, depth: usize) -> Result<Value, String> {
        self.expect('{')?;
        let mut entries = Vec::new();
        self.blanks();
        if self.eat('}') {
            return Ok(Value::Dict(entries));
        }
        loop {
            self.blanks();
            let key = self.text()?;
            self.blanks();
            self.expect(':')?;
            self.blanks();
            let value = self.value(depth + 1)?;
            insert(&mut entries, Value::Text(key), value);
            self.blanks();
            if self.eat('}') {
                return Ok(Value::Dict(entries));
            }
            self.expect(',')?;
        }
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while matches!(self.peek(), Some('0'..='9')) {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self) -> Result<Value, String> {
        let start = self.at;
        self.eat('-');
        let leading_zero = self.peek() == Some('0');
        let whole = if leading_zero {
            self.at += 1;
            1
        } else {
            self.digits()
        };
        if whole == 0 {
            return Err(self.wrong("a digit"));
        }
        let mut end = self.at;
        if self.eat('.') && self.digits() > 0 {
            end = self.at;
        }
        self.at = end;
        if matches!(self.peek(), Some('e' | 'E')) {
            self.at += 1;
            if matches!(self.peek(), Some('+' | '-')) {
                self.at += 1;
            }
            end = if self.digits() > 0 { self.at } else { end };
        }
        self.at = end;
        let text: String = self.chars[start..end].iter().collect();
        if text.contains(['.', 'e', 'E']) {
            return text.parse().map(Value::Float).map_err(|_| format!("{text} is no number"));
        }
        if whole > MAX_INT_DIGITS {
            return Err(format!("an integer of {whole} digits, of which Python reads {MAX_INT_DIGITS} at most"));
        }
        Ok(Value::Int(if text == "-0" { "0".to_string() } else { text }))
    }

    fn text(&mut self) -> Result<String, String> {
        self.expect('"')?;
        let mut text = String::new();
        loop {
            let Some(c) = self.peek() else {
                return Err(self.wrong("the end of a string"));
            };
            self.at += 1;
            match c {
                '"' => return Ok(text),
                '\\' => text.push(self.escape()?),
                c if c < ' ' => return Err(format!("a control character in a string at character {}", self.at - 1)),
                c => text.push(c),
            }
        }
    }

    fn escape(&mut self) -> Result<char, String> {
        let Some(c) = self.peek() else {
            return Err(self.wrong("an escape"));
        };
        self.at += 1;
        Ok(match c {
            '"' | '\\' | '/' => c,
            'b' => '\x08',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => self.unicode_escape()?,
            _ => return Err(format!("unknown escape \\{c} at character {}", self.at - 2)),
        })
    }

    fn unicode_escape(&mut self) -> Result<char, String> {
        let first = self.hex4()?;
        if (0xd800..0xdc00).contains(&first) {
            let mark = self.at;
            if self.eat('\\')
                && self.eat('u')
                && let Ok(second @ 0xdc00..=0xdfff) = self.hex4()
            {
                let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = mark;
        }
        Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex4(&mut self) -> Result<u32, String> {
        let digits: Option<String> = self.chars.get(self.at..self.at + 4).map(|digits| digits.iter().collect());
        let code = digits.filter(|digits| digits.chars().all(|c| c.is_ascii_hexdigit()));
        let code = code.and_then(|digits| u32::from_str_radix(&digits, 16).ok());
        let code = code.ok_or_else(|| self.wrong("four hexadecimal digits"))?;
        self.at += 4;
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pythons_extensions_are_read() {
        let value =
            parse(" [NaN, -Infinity, 1e999, 123456789012345678901234567890, -0, \"\\ud83d\\ude00\\u00e9\"] ").unwrap();
        assert_eq!(value.repr(), "[nan, -inf, inf, 123456789012345678901234567890, 0, '\\U0001f600\\xe9']");
        assert_eq!(parse("{\"a\": 1, \"b\": 2, \"a\": 3}").unwrap().repr(), "{'a': 3, 'b': 2}");
    }

    #[test]
    fn what_python_refuses_is_refused() {
        for text in ["", "\u{feff}1", "01", "1.", "[1,]", "{'a': 1}", "\"a\nb\"", "tru", "1 2", "[", "\"\\x\"", "-"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(parse(&"[".repeat(100_000)).unwrap_err(), "nested deeper than 200 levels");
        assert_eq!(parse("[1, 2").unwrap_err(), "expected \",\", but the text ends at character 5");
    }

    #[test]
    fn a_list_that_breaks_off_gives_its_whole_items() {
        let (items, problem) = parse_list_prefix("[{\"a\": 1}, {\"a\": 2}, {\"a");
        assert_eq!(items.len(), 2);
        assert!(problem.unwrap().contains("the text ends"));
        assert_eq!(parse_list_prefix("[1]"), (vec![Value::Int("1".into())], None));
    }
}
