//! `ast.literal_eval`: Python's literals, without complex numbers.

use super::text::MAX_INT_DIGITS;
use super::value::{Value, insert};

const MAX_DEPTH: usize = 90;

/// The value of a whole text; a sentence on what is wrong and where (in characters, from 0) otherwise.
pub fn parse(text: &str) -> Result<Value, String> {
    let mut reader = Reader { chars: text.chars().collect(), at: 0 };
    reader.blanks();
    let value = reader.value(0)?;
    reader.blanks();
    match reader.peek() {
        None => Ok(value),
        Some(_) => Err(reader.wrong("the end")),
    }
}

/// The literal that a text begins with; what follows it is not looked at.
pub fn parse_prefix(text: &str) -> Result<Value, String> {
    let mut reader = Reader { chars: text.chars().collect(), at: 0 };
    reader.blanks();
    reader.value(0)
}

struct Reader {
    chars: Vec<char>,
    at: usize,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn peek_after(&self, count: usize) -> Option<char> {
        self.chars.get(self.at + count).copied()
    }

    fn eat(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        self.at += usize::from(found);
        found
    }

    fn wrong(&self, expected: &str) -> String {
        match self.peek() {
            Some(c) => format!("expected {expected} at character {}, got {c:?}", self.at),
            None => format!("expected {expected}, but the text ends at character {}", self.at),
        }
    }

    /// Blanks, line ends and comments.
    fn blanks(&mut self) {
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t' | '\n' | '\r' | '\x0c' => self.at += 1,
                '\\' if self.peek_after(1) == Some('\n') => self.at += 2,
                '#' => {
                    while self.peek().is_some_and(|c| c != '\n') {
                        self.at += 1;
                    }
                }
                _ => return,
            }
        }
    }

    fn word(&mut self) -> String {
        let start = self.at;
        while self.peek().is_some_and(|c| c.is_alphanumeric() || c == '_') {
            self.at += 1;
        }
        self.chars[start..self.at].iter().collect()
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        if depth > MAX_DEPTH {
            return Err(format!("nested deeper than {MAX_DEPTH} levels"));
        }
        match self.peek() {
            Some('[') => Ok(Value::List(self.items(']', depth)?.0)),
            Some('(') => match self.items(')', depth)? {
                (mut items, false) if items.len() == 1 => Ok(items.remove(0)),
                (items, _) => Ok(Value::Tuple(items)),
            },
            Some('{') => self.braces(depth),
            Some('+' | '-') => self.signed(depth),
            Some('0'..='9' | '.') => self.number(),
            Some('"' | '\'') => self.strings(),
            Some(c) if c.is_alphabetic() || c == '_' => self.named(),
            _ => Err(self.wrong("a literal")),
        }
    }

    /// The items up to `close`, and whether a comma stood after the last.
    fn items(&mut self, close: char, depth: usize) -> Result<(Vec<Value>, bool), String> {
        self.at += 1;
        let (mut items, mut comma) = (Vec::new(), false);
        loop {
            self.blanks();
            if self.eat(close) {
                return Ok((items, comma));
            }
            if !items.is_empty() && !comma {
                return Err(self.wrong(&format!("\",\" or \"{close}\"")));
            }
            items.push(self.value(depth + 1)?);
            self.blanks();
            comma = self.eat(',');
        }
    }

    /// A dictionary, or a set where the first item is followed by no colon.
    fn braces(&mut self, depth: usize) -> Result<Value, String> {
        let start = self.at;
        self.at += 1;
        self.blanks();
        if self.eat('}') {
            return Ok(Value::Dict(Vec::new()));
        }
        let mut entries = Vec::new();
        loop {
            self.blanks();
            if !entries.is_empty() && self.eat('}') {
                return Ok(Value::Dict(entries));
            }
            let key = self.value(depth + 1)?;
            self.blanks();
            if !self.eat(':') {
                if entries.is_empty() {
                    self.at = start;
                    return self.set(depth);
                }
                return Err(self.wrong("\":\""));
            }
            hashable(&key)?;
            self.blanks();
            let value = self.value(depth + 1)?;
            insert(&mut entries, key, value);
            self.blanks();
            if self.eat('}') {
                return Ok(Value::Dict(entries));
            }
            if !self.eat(',') {
                return Err(self.wrong("\",\" or \"}\""));
            }
        }
    }

    fn set(&mut self, depth: usize) -> Result<Value, String> {
        let mut distinct = Vec::new();
        for item in self.items('}', depth)?.0 {
            hashable(&item)?;
            if !distinct.contains(&item) {
                distinct.push(item);
            }
        }
        Ok(Value::Set(distinct))
    }

    /// A sign before a number, and only there.
    fn signed(&mut self, depth: usize) -> Result<Value, String> {
        let minus = self.peek() == Some('-');
        self.at += 1;
        self.blanks();
        if !matches!(self.peek(), Some('0'..='9' | '.' | '+' | '-' | '(')) {
            return Err(self.wrong("a number"));
        }
        match self.value(depth + 1)? {
            Value::Int(digits) if minus => Ok(Value::Int(match digits.strip_prefix('-') {
                Some(positive) => positive.to_string(),
                None if digits == "0" => digits,
                None => format!("-{digits}"),
            })),
            Value::Float(number) if minus => Ok(Value::Float(-number)),
            number @ (Value::Int(_) | Value::Float(_)) => Ok(number),
            other => Err(format!("a sign before {}", other.kind())),
        }
    }

    fn named(&mut self) -> Result<Value, String> {
        let start = self.at;
        let word = self.word();
        match word.as_str() {
            "None" => return Ok(Value::None),
            "True" => return Ok(Value::Bool(true)),
            "False" => return Ok(Value::Bool(false)),
            "set" => {
                self.blanks();
                if self.eat('(') {
                    self.blanks();
                    if self.eat(')') {
                        return Ok(Value::Set(Vec::new()));
                    }
                }
            }
            _ if matches!(self.peek(), Some('"' | '\'')) => {
                self.at = start;
                return self.strings();
            }
            _ => {}
        }
        Err(format!("the name {word} at character {start} is no literal"))
    }

    fn number(&mut self) -> Result<Value, String> {
        let start = self.at;
        let radix = match (self.peek(), self.peek_after(1).map(|c| c.to_ascii_lowercase())) {
            (Some('0'), Some('x')) => 16,
            (Some('0'), Some('o')) => 8,
            (Some('0'), Some('b')) => 2,
            _ => 10,
        };
        while let Some(c) = self.peek() {
            let exponent_sign = radix == 10
                && matches!(c, '+' | '-')
                && self.at > start
                && matches!(self.chars[self.at - 1], 'e' | 'E');
            if !(c.is_ascii_alphanumeric() || c == '_' || c == '.' || exponent_sign) {
                break;
            }
            self.at += 1;
        }
        let text: String = self.chars[start..self.at].iter().collect();
        number_value(&text, radix).ok_or_else(|| format!("{text} at character {start} is no number"))
    }

    /// One or more string literals, which stand for their concatenation.
    fn strings(&mut self) -> Result<Value, String> {
        let mut whole = self.string()?;
        loop {
            let mark = self.at;
            self.blanks();
            let prefixed = {
                let before = self.at;
                let word = self.word();
                let string = word.len() <= 2 && matches!(self.peek(), Some('"' | '\''));
                self.at = before;
                string
            };
            if !prefixed {
                self.at = mark;
                return Ok(whole);
            }
            whole = match (whole, self.string()?) {
                (Value::Text(a), Value::Text(b)) => Value::Text(a + &b),
                (Value::Bytes(a), Value::Bytes(b)) => Value::Bytes([a, b].concat()),
                _ => return Err("text and bytes stand side by side".to_string()),
            };
        }
    }

    fn string(&mut self) -> Result<Value, String> {
        let prefix = self.word().to_ascii_lowercase();
        if !matches!(prefix.as_str(), "" | "u" | "r" | "b" | "br" | "rb") {
            return Err(format!("the string prefix {prefix} at character {}", self.at));
        }
        let (raw, bytes) = (prefix.contains('r'), prefix.contains('b'));
        let Some(quote @ ('"' | '\'')) = self.peek() else {
            return Err(self.wrong("a string"));
        };
        let triple = self.peek_after(1) == Some(quote) && self.peek_after(2) == Some(quote);
        self.at += if triple { 3 } else { 1 };
        let mut text = String::new();
        loop {
            let Some(c) = self.peek() else {
                return Err(self.wrong("the end of a string"));
            };
            let ends =
                c == quote && (!triple || (self.peek_after(1) == Some(quote) && self.peek_after(2) == Some(quote)));
            if ends {
                self.at += if triple { 3 } else { 1 };
                break;
            }
            self.at += 1;
            match c {
                '\\' if raw => {
                    text.push('\\');
                    if let Some(next) = self.peek() {
                        text.push(next);
                        self.at += 1;
                    }
                }
                '\\' => self.escape(bytes, &mut text)?,
                '\n' if !triple => return Err(format!("a line end in a string at character {}", self.at - 1)),
                c if bytes && !c.is_ascii() => return Err(format!("{c:?} in bytes at character {}", self.at - 1)),
                c => text.push(c),
            }
        }
        // Bytes were collected as the characters of the same number.
        Ok(if bytes { Value::Bytes(text.chars().map(|c| c as u32 as u8).collect()) } else { Value::Text(text) })
    }

    fn escape(&mut self, bytes: bool, text: &mut String) -> Result<(), String> {
        let Some(c) = self.peek() else {
            return Err(self.wrong("an escape"));
        };
        self.at += 1;
        let code = match c {
            '\n' => return Ok(()),
            '\\' | '\'' | '"' => c as u32,
            'a' => 7,
            'b' => 8,
            'f' => 12,
            'n' => 10,
            'r' => 13,
            't' => 9,
            'v' => 11,
            '0'..='7' => {
                let mut code = c as u32 - '0' as u32;
                for _ in 0..2 {
                    let Some(digit) = self.peek().and_then(|c| c.to_digit(8)) else { break };
                    code = code * 8 + digit;
                    self.at += 1;
                }
                if bytes { code & 0xff } else { code }
            }
            'x' => self.hex(2)?,
            'u' if !bytes => self.hex(4)?,
            'U' if !bytes => self.hex(8)?,
            'N' if !bytes => return Err(format!("a named character at character {} is not read here", self.at)),
            other => {
                text.extend(['\\', other]);
                return Ok(());
            }
        };
        text.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
        Ok(())
    }

    fn hex(&mut self, count: usize) -> Result<u32, String> {
        let digits: Option<String> = self.chars.get(self.at..self.at + count).map(|digits| digits.iter().collect());
        let code = digits.filter(|digits| digits.chars().all(|c| c.is_ascii_hexdigit()));
        let code = code.and_then(|digits| u32::from_str_radix(&digits, 16).ok()).filter(|&code| code < 0x11_0000);
        let code = code.ok_or_else(|| self.wrong(&format!("{count} hexadecimal digits")))?;
        self.at += count;
        Ok(code)
    }
}

fn hashable(value: &Value) -> Result<(), String> {
    match value {
        Value::List(_) | Value::Set(_) | Value::Dict(_) => Err(format!("{} as a key or in a set", value.kind())),
        Value::Tuple(items) => items.iter().try_for_each(hashable),
        _ => Ok(()),
    }
}

/// A number as Python's source writes it; underscores stand between digits only.
fn number_value(text: &str, radix: u32) -> Option<Value> {
    let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_hexdigit());
    let chars: Vec<char> = text.chars().collect();
    for (i, _) in chars.iter().enumerate().filter(|(_, c)| **c == '_') {
        let before = i.checked_sub(1).and_then(|i| chars.get(i).copied());
        if !(digit(before) || matches!(before, Some('x' | 'X' | 'o' | 'O'))) || !digit(chars.get(i + 1).copied()) {
            return None;
        }
    }
    let plain = text.replace('_', "");
    if radix != 10 {
        return u128::from_str_radix(plain.get(2..)?, radix).ok().map(|number| Value::Int(number.to_string()));
    }
    if plain.chars().all(|c| c.is_ascii_digit()) {
        let digits = plain.trim_start_matches('0');
        let zeros_alone = digits.is_empty();
        if plain.len() > MAX_INT_DIGITS || (plain.starts_with('0') && !zeros_alone) {
            return None;
        }
        return Some(Value::Int(if zeros_alone { "0".to_string() } else { digits.to_string() }));
    }
    let float = plain.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'));
    plain.parse().ok().filter(|_| float).map(Value::Float)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_read_as_python_reads_them() {
        // repr(ast.literal_eval(text)) of each, Python 3.11.
        for (text, repr) in [
            ("{'a': (1, 2.5), \"b\": [None, True,],}", "{'a': (1, 2.5), 'b': [None, True]}"),
            (" ('x' 'y'\n r'\\n',) # end", "('xy\\\\n',)"),
            ("-1_000", "-1000"),
            ("[0x1f, 0b11, 0o17, 1e3, .5, +3, - -2]", "[31, 3, 15, 1000.0, 0.5, 3, 2]"),
            ("'''a\n\"b\"'''", "'a\\n\"b\"'"),
            ("'\\x41\\u00e9\\101\\q\\\n'", "'A\\xe9A\\\\q'"),
            ("{1, 2, 1}", "{1, 2}"),
            ("set()", "set()"),
            ("((1))", "1"),
            ("()", "()"),
            ("b'a' b'\\xff'", "b'\\x61\\xff'"),
        ] {
            assert_eq!(parse(text).map(|value| value.repr()), Ok(repr.to_string()), "{text}");
        }
    }

    #[test]
    fn what_is_no_literal_is_refused() {
        for text in
            ["{not a literal", "1 + x", "f'a'", "007", "1__0", "{[1]: 2}", "'a\nb'", "[1 2]", "-'a'", "", "print(1)"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse(&"(".repeat(10_000)).is_err());
    }
}
