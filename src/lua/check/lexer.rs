//! Lua's words, one after the other, each with its line.
//!
//! The code has been through Lua's own compiler before it comes here, so nothing is refused: what this reader does not
//! understand cannot be there.

/// A word of a Lua program. Numbers and long strings are told apart from names; their values matter to nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// A name or a keyword.
    Word(String),
    /// A string's text, its escapes as they are written.
    Text(String),
    Number,
    /// `+`, `==`, `...`, `{` and the like.
    Symbol(&'static str),
    End,
}

/// The symbols, the longest first, so that `..` is not read as two dots.
const SYMBOLS: [&str; 33] = [
    "...", "<<", ">>", "//", "==", "~=", "<=", ">=", "::", "..", "+", "-", "*", "/", "%", "^", "#", "&", "~", "|", "<",
    ">", "=", "(", ")", "{", "}", "[", "]", ";", ":", ",", ".",
];

/// The tokens of `code` with their lines, counted from 1; the last is [`Token::End`].
pub fn tokens(code: &str) -> Vec<(Token, usize)> {
    let mut reader = Reader { code, at: 0, line: 1 };
    if code.starts_with('#') {
        reader.skip_line();
    }
    let mut tokens = Vec::new();
    loop {
        reader.skip_blank();
        let line = reader.line;
        let token = reader.token();
        let is_end = token == Token::End;
        tokens.push((token, line));
        if is_end {
            return tokens;
        }
    }
}

struct Reader<'a> {
    code: &'a str,
    at: usize,
    line: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.code[self.at..]
    }

    /// Passes over `length` bytes, counting lines.
    fn take(&mut self, length: usize) -> &'a str {
        let taken = &self.rest()[..length];
        self.line += taken.matches('\n').count();
        self.at += length;
        taken
    }

    fn skip_line(&mut self) {
        let length = self.rest().find('\n').unwrap_or(self.rest().len());
        self.take(length);
    }

    /// White space and comments.
    fn skip_blank(&mut self) {
        loop {
            let blank = self.rest().len()
                - self.rest().trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b').len();
            self.take(blank);
            if !self.rest().starts_with("--") {
                return;
            }
            self.take(2);
            match level(self.rest()) {
                Some(level) => drop(self.long(level)),
                None => self.skip_line(),
            }
        }
    }

    fn token(&mut self) -> Token {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return Token::End };
        let second = rest[first.len_utf8()..].chars().next();
        if first.is_ascii_alphabetic() || first == '_' {
            let length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
            return Token::Word(self.take(length).to_string());
        }
        if first.is_ascii_digit() || first == '.' && second.is_some_and(|c| c.is_ascii_digit()) {
            return self.number();
        }
        if first == '"' || first == '\'' {
            return self.short(first);
        }
        if let Some(level) = level(rest) {
            return Token::Text(self.long(level));
        }
        match SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            Some(symbol) => {
                self.take(symbol.len());
                Token::Symbol(symbol)
            }
            // No Lua program has this; passing over it ends the reading all the same.
            None => {
                self.take(first.len_utf8());
                Token::Number
            }
        }
    }

    /// Digits, hexadecimal ones, points, and exponents with their signs.
    fn number(&mut self) -> Token {
        let rest = self.rest();
        let exponent: &[char] =
            if rest.starts_with("0x") || rest.starts_with("0X") { &['p', 'P'] } else { &['e', 'E'] };
        let mut before = ' ';
        let part_of = |c: char| {
            let sign = (c == '+' || c == '-') && exponent.contains(&before);
            before = c;
            sign || c.is_ascii_alphanumeric() || c == '.'
        };
        let mut part_of = part_of;
        let length = rest.find(|c: char| !part_of(c)).unwrap_or(rest.len());
        self.take(length);
        Token::Number
    }

    /// A string in quotes, `\"` and a line end behind a backslash being parts of it.
    fn short(&mut self, quote: char) -> Token {
        let rest = self.rest();
        let mut escaped = false;
        let inside = rest[1..].find(|c: char| {
            let ends = c == quote && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        let length = inside.map_or(rest.len(), |inside| inside + 2);
        let text = self.take(length);
        Token::Text(text[1..text.len().max(2) - 1].to_string())
    }

    /// `[[…]]`, or with as many `=` as `level` says.
    fn long(&mut self, level: usize) -> String {
        let close = format!("]{}]", "=".repeat(level));
        let open = level + 2;
        let inside = self.rest()[open..].find(&close);
        let length = inside.map_or(self.rest().len(), |inside| open + inside + close.len());
        let text = self.take(length);
        text[open..].strip_suffix(close.as_str()).unwrap_or(&text[open..]).to_string()
    }
}

/// The number of `=` in a long bracket that opens here.
fn level(rest: &str) -> Option<usize> {
    let inner = rest.strip_prefix('[')?;
    let level = inner.len() - inner.trim_start_matches('=').len();
    inner[level..].starts_with('[').then_some(level)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(code: &str) -> Vec<Token> {
        tokens(code).into_iter().map(|(token, _)| token).collect()
    }

    #[test]
    fn comments_and_strings_of_every_kind_are_passed_over() {
        let code = "#!/usr/bin/env affine\n-- one\n--[[ two\n]] x --[==[ ]] ]==] = 'it\\'s' .. \"a\\\\\" .. [=[\n]]]=]";
        let tokens = tokens(code);
        assert_eq!(tokens[0], (Token::Word("x".into()), 4));
        assert_eq!(tokens[2], (Token::Text("it\\'s".into()), 4));
        assert_eq!(tokens[4].0, Token::Text("a\\\\".into()));
        assert_eq!(tokens[6].0, Token::Text("\n]]".into()));
        assert_eq!(tokens[7], (Token::End, 5));
    }

    #[test]
    fn numbers_end_where_they_end() {
        for number in ["3", "0x1p-4", "1e+5", ".5", "3.", "0xA.8", "1E5"] {
            assert_eq!(words(number), [Token::Number, Token::End], "{number}");
        }
        assert_eq!(words("1-2").len(), 4);
        assert_eq!(words("a..b")[1], Token::Symbol(".."));
        assert_eq!(words("0xe-1").len(), 4, "e is a digit here");
    }
}
