//! The normal form of a program: names renamed in the order in which they appear, constants masked. Two programs that
//! differ in nothing else are one program to the splits.
//!
//! It reads the Python that the families are written in, not all of Python: no comments, no doc strings, no triple
//! quotes, no nested quotes in f-strings. `scripts/dev/peer/programs.py` holds it against CPython's `ast`.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

/// Names that are part of the language or of its library, and so are kept.
const KEPT: &[&str] = &[
    "and",
    "as",
    "break",
    "continue",
    "def",
    "del",
    "elif",
    "else",
    "for",
    "from",
    "global",
    "if",
    "import",
    "in",
    "is",
    "lambda",
    "nonlocal",
    "not",
    "or",
    "pass",
    "return",
    "while",
    "with",
    "yield",
    "try",
    "except",
    "finally",
    "raise",
    "assert",
    "abs",
    "all",
    "any",
    "bin",
    "bool",
    "chr",
    "dict",
    "divmod",
    "enumerate",
    "filter",
    "float",
    "int",
    "input",
    "isinstance",
    "iter",
    "len",
    "list",
    "map",
    "max",
    "min",
    "next",
    "ord",
    "pow",
    "print",
    "range",
    "reversed",
    "round",
    "set",
    "sorted",
    "str",
    "sum",
    "tuple",
    "zip",
    "__name__",
    "sys",
    "math",
    "heapq",
    "bisect",
    "collections",
    "itertools",
    "Counter",
    "defaultdict",
    "deque",
    "gcd",
    "lcm",
    "bisect_left",
    "bisect_right",
    "combinations",
    "accumulate",
    "groupby",
    "ValueError",
    "IndexError",
];

/// Names of arguments in calls, where `=` follows.
const KEYWORD_ARGUMENTS: &[&str] = &["key", "reverse", "end", "sep", "default", "maxlen", "start"];

/// The program's tokens, one space between two, a line feed and the indentation before each line.
pub fn normal_form(code: &str) -> String {
    let mut names = HashMap::new();
    let mut out = String::new();
    for line in code.lines().filter(|line| !line.trim().is_empty()) {
        let body = line.trim_start();
        out.push('\n');
        out.push_str(&line[..line.len() - body.len()]);
        tokens(body, &mut names, &mut out);
    }
    out
}

/// A number that is the same for programs of one normal form, uniform over all programs.
pub fn fingerprint(code: &str) -> u64 {
    let hash: [u8; 32] = Sha256::digest(normal_form(code).as_bytes()).into();
    u64::from_be_bytes([hash[0], hash[1], hash[2], hash[3], hash[4], hash[5], hash[6], hash[7]])
}

fn tokens(text: &str, names: &mut HashMap<String, usize>, out: &mut String) {
    let characters: Vec<char> = text.chars().collect();
    let (mut at, mut after_dot, mut depth) = (0, false, 0i32);
    while let Some(&c) = characters.get(at) {
        if c == ' ' {
            at += 1;
            continue;
        }
        if c == '"' || (c == 'f' && characters.get(at + 1) == Some(&'"')) {
            let begin = if c == 'f' { at + 2 } else { at + 1 };
            let end = closing(&characters, begin);
            let content: String = characters[begin..end].iter().collect();
            if c == 'f' {
                formatted(&content, names, out)
            } else {
                out.push_str("C ")
            }
            at = (end + 1).min(characters.len());
        } else if c.is_ascii_digit() {
            at = end_of(&characters, at, |c| c.is_ascii_alphanumeric() || c == '.' || c == '_');
            out.push_str("C ");
        } else if c.is_alphabetic() || c == '_' {
            let end = end_of(&characters, at, |c| c.is_alphanumeric() || c == '_');
            let name: String = characters[at..end].iter().collect();
            let is_argument = depth > 0 && characters.get(end) == Some(&'=') && characters.get(end + 1) != Some(&'=');
            out.push_str(&renamed(&name, after_dot || (is_argument && KEYWORD_ARGUMENTS.contains(&&*name)), names));
            out.push(' ');
            at = end;
        } else {
            depth += i32::from("([{".contains(c)) - i32::from(")]}".contains(c));
            out.push(c);
            out.push(' ');
            at += 1;
        }
        after_dot = c == '.';
    }
}

fn renamed(name: &str, is_kept: bool, names: &mut HashMap<String, usize>) -> String {
    if ["True", "False", "None"].contains(&name) {
        return "C".to_string();
    }
    if is_kept || KEPT.contains(&name) {
        return name.to_string();
    }
    let next = names.len();
    format!("v{}", names.entry(name.to_string()).or_insert(next))
}

/// The parts of an f-string in order: `C` for a text, the tokens of an expression.
fn formatted(content: &str, names: &mut HashMap<String, usize>, out: &mut String) {
    out.push_str("f( ");
    for (index, part) in content.split('{').enumerate() {
        let (expression, text) = if index == 0 { ("", part) } else { part.split_once('}').unwrap_or((part, "")) };
        if index > 0 {
            let (expression, format) = expression.split_once(':').unwrap_or((expression, ""));
            out.push_str("{ ");
            tokens(expression, names, out);
            out.push_str(if format.is_empty() { "} " } else { ": C } " });
        }
        if !text.is_empty() {
            out.push_str("C ");
        }
    }
    out.push_str(") ");
}

/// Where the quote that closes a text stands.
fn closing(characters: &[char], begin: usize) -> usize {
    let mut at = begin;
    while let Some(&c) = characters.get(at) {
        match c {
            '\\' => at += 2,
            '"' => return at,
            _ => at += 1,
        }
    }
    characters.len()
}

fn end_of(characters: &[char], begin: usize, belongs: impl Fn(char) -> bool) -> usize {
    characters[begin..].iter().position(|&c| !belongs(c)).map_or(characters.len(), |length| begin + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_constants_do_not_count() {
        let one = "def f(numbers):\n    return sorted(numbers, key=len)[:3]\nprint(f\"{f(3):.2f} is\", \"a\\\"b\")";
        let two = "def g(xs):\n    return sorted(xs, key=len)[:77]\n\nprint(f\"{g(1):.3f} are\", \"\")";
        assert_eq!(normal_form(one), normal_form(two));
        assert_eq!(fingerprint(one), fingerprint(two));
    }

    #[test]
    fn operators_methods_and_the_order_of_names_do_count() {
        for (one, two) in
            [("a + b", "a - b"), ("a.pop()", "a.sort()"), ("a - a", "a - b"), ("f\"{a} {b}\"", "f\"{a}{b}\"")]
        {
            assert_ne!(normal_form(one), normal_form(two), "{one} and {two}");
        }
    }
}
