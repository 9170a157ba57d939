//! The nested lists that PDDL is written in, read as Fast Downward reads them: lower case, comments from `;` to the end
//! of the line, a `?` begins a word.

use std::fmt;

/// Lists nested deeper than this are no problem file; the limit keeps the recursion within the stack.
const MAX_DEPTH: usize = 100;

#[derive(Debug, Clone, PartialEq)]
pub enum Expression {
    Word(String),
    List(Vec<Expression>),
}

impl Expression {
    pub fn word(&self) -> Option<&str> {
        match self {
            Expression::Word(word) => Some(word),
            Expression::List(_) => None,
        }
    }

    pub fn list(&self) -> Option<&[Expression]> {
        match self {
            Expression::List(items) => Some(items),
            Expression::Word(_) => None,
        }
    }

    /// A list's first word and the rest: `(and a b)` gives `and` and `[a, b]`.
    pub fn headed(&self) -> Option<(&str, &[Expression])> {
        let (head, rest) = self.list()?.split_first()?;
        Some((head.word()?, rest))
    }
}

/// With single spaces, so that two texts that differ in layout alone come out the same.
impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Expression::Word(word) => f.write_str(word),
            Expression::List(items) => {
                f.write_str("(")?;
                for (index, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if index == 0 { "" } else { " " })?;
                }
                f.write_str(")")
            }
        }
    }
}

/// The one list that `text` holds.
pub fn read(text: &str) -> Result<Expression, String> {
    let mut open: Vec<Vec<Expression>> = Vec::new();
    let mut whole = None;
    for (number, line) in text.lines().enumerate() {
        let place = || format!("line {}", number + 1);
        let line = line.split(';').next().unwrap_or_default();
        if !line.is_ascii() {
            return Err(format!("{}: a character that is not ASCII", place()));
        }
        for token in tokens(line) {
            if whole.is_some() {
                return Err(format!("{}: \"{token}\" after the last closing parenthesis", place()));
            }
            match token {
                "(" if open.len() == MAX_DEPTH => return Err(format!("{}: nested deeper than {MAX_DEPTH}", place())),
                "(" => open.push(Vec::new()),
                ")" => {
                    let list = Expression::List(open.pop().ok_or_else(|| unopened(&place(), token))?);
                    match open.last_mut() {
                        Some(outer) => outer.push(list),
                        None => whole = Some(list),
                    }
                }
                word => {
                    let list = open.last_mut().ok_or_else(|| unopened(&place(), token))?;
                    list.push(Expression::Word(word.to_ascii_lowercase()));
                }
            }
        }
    }
    whole.ok_or_else(|| match open.len() {
        0 => "it is empty".to_string(),
        missing => format!("it ends where {missing} closing parentheses are still to come"),
    })
}

fn unopened(place: &str, token: &str) -> String {
    format!("{place}: expected an opening parenthesis, got \"{token}\"")
}

/// Parentheses and words; a `?` begins a new word even without a space before it.
fn tokens(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = line;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        let first = rest.chars().next()?;
        let ends = |c: char| c.is_whitespace() || matches!(c, '(' | ')' | '?');
        let end = match first {
            '(' | ')' => 1,
            _ => rest[1..].find(ends).map_or(rest.len(), |end| end + 1),
        };
        let (token, after) = rest.split_at(end);
        rest = after;
        Some(token)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout_case_and_comments_do_not_matter() {
        let tidy = read("(a (b ?c) d)").unwrap();
        assert_eq!(read("( A\n\t(B?c);e)\nd) ; (").unwrap(), tidy);
        assert_eq!(read("(A ; x)\n(b\t?C)d\n)").unwrap(), tidy);
        assert_eq!(tidy.to_string(), "(a (b ?c) d)");
        assert_eq!(tidy.headed().map(|(head, rest)| (head, rest.len())), Some(("a", 2)));
    }

    #[test]
    fn what_is_no_list_is_refused_with_its_line() {
        for (text, problem) in [
            ("", "it is empty"),
            ("\n)", "line 2: expected an opening parenthesis, got \")\""),
            ("a", "line 1: expected an opening parenthesis, got \"a\""),
            ("(a)\n(b)", "line 2: \"(\" after the last closing parenthesis"),
            ("(é)", "line 1: a character that is not ASCII"),
        ] {
            assert_eq!(read(text).unwrap_err(), problem);
        }
        assert_eq!(read(&"(".repeat(100_000)).unwrap_err(), "line 1: nested deeper than 100");
    }
}
