//! Python's `str`: blanks, lines, digits.

use std::sync::LazyLock;

use regex::Regex;

/// The most digits that `int` reads from a text (`sys.int_info.default_max_str_digits`).
pub const MAX_INT_DIGITS: usize = 4300;

/// `str.isspace` for one character: Unicode's white space and the four information separators.
pub fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

/// `text.strip()`.
pub fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// `text.rstrip()`.
pub fn rstrip(text: &str) -> &str {
    text.trim_end_matches(is_space)
}

/// Whether `text.strip()` is empty.
pub fn is_blank(text: &str) -> bool {
    text.chars().all(is_space)
}

/// `text.splitlines()`: also at form feeds, U+2028 and the like, and no empty line after a last line end.
pub fn lines(text: &str) -> Vec<&str> {
    let (mut lines, mut start) = (Vec::new(), 0);
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if !matches!(c, '\n' | '\r' | '\x0b' | '\x0c' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}') {
            continue;
        }
        lines.push(&text[start..at]);
        start = at + c.len_utf8();
        if c == '\r' && chars.next_if(|&(_, next)| next == '\n').is_some() {
            start += 1;
        }
    }
    if start < text.len() {
        lines.push(&text[start..]);
    }
    lines
}

/// The lines, each without its trailing blanks, joined by newlines.
pub fn rstrip_lines(text: &str) -> String {
    lines(text).into_iter().map(rstrip).collect::<Vec<_>>().join("\n")
}

/// The text as a file in text mode gives it: every `\r\n` and every lone `\r` is a `\n`.
pub fn universal_newlines(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// `text.isdigit()`: decimal digits of every script, and also superscripts, circled digits and the like, which `int`
/// refuses.
pub fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| is_decimal(c) || is_odd_digit(c))
}

/// The digits that are no decimal digits (Numeric_Type=Digit).
fn is_odd_digit(c: char) -> bool {
    const RANGES: [(u32, u32); 20] = [
        (0xb2, 0xb3),
        (0xb9, 0xb9),
        (0x1369, 0x1371),
        (0x19da, 0x19da),
        (0x2070, 0x2070),
        (0x2074, 0x2079),
        (0x2080, 0x2089),
        (0x2460, 0x2468),
        (0x2474, 0x247c),
        (0x2488, 0x2490),
        (0x24ea, 0x24ea),
        (0x24f5, 0x24fd),
        (0x24ff, 0x24ff),
        (0x2776, 0x277e),
        (0x2780, 0x2788),
        (0x278a, 0x2792),
        (0x10a40, 0x10a43),
        (0x10e60, 0x10e68),
        (0x11052, 0x1105a),
        (0x1f100, 0x1f10a),
    ];
    RANGES.iter().any(|&(first, last)| (first..=last).contains(&(c as u32)))
}

/// A decimal digit of any script: what `\d` matches.
pub fn is_decimal(c: char) -> bool {
    static DIGIT: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^\d$").expect("the pattern is valid"));
    c.is_ascii_digit() || (!c.is_ascii() && DIGIT.is_match(c.encode_utf8(&mut [0; 4])))
}

/// The number in a run of decimal digits of any script, which is what Python's `\d` and `int` read; `None` when it
/// does not fit.
pub fn decimal(digits: &str) -> Option<usize> {
    digits.chars().try_fold(0usize, |number, c| number.checked_mul(10)?.checked_add(digit_value(c)))
}

/// Unicode keeps the ten decimal digits of a script together, zero first, and runs of such tens begin with a zero.
/// So the digits in an unbroken row before `c` tell its value.
fn digit_value(c: char) -> usize {
    if let Some(value) = c.to_digit(10) {
        return value as usize;
    }
    (0..c as u32).rev().take_while(|&code| char::from_u32(code).is_some_and(is_decimal)).count() % 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_of_every_script_have_their_value() {
        for (text, number) in [("10", 10), ("０９", 9), ("٣", 3), ("०१२", 12), ("𝟘𝟡", 9), ("𝟬𝟯", 3), ("𝟿", 9)]
        {
            assert_eq!(decimal(text), Some(number), "{text}");
            assert!(is_digits(text));
        }
        assert_eq!(decimal("99999999999999999999999"), None);
        assert!(is_digits("²") && is_digits("1②") && !is_digits("") && !is_digits("½") && !is_digits("-1"));
    }

    #[test]
    fn lines_end_where_python_ends_them() {
        // "a\r\nb\rc\x0cd\u2028e\x1ff\n\n".splitlines()
        assert_eq!(lines("a\r\nb\rc\x0cd\u{2028}e\x1ff\n\n"), ["a", "b", "c", "d", "e\x1ff", ""]);
        assert_eq!(lines(""), Vec::<&str>::new());
        assert_eq!(lines("\r"), [""]);
        assert_eq!(rstrip_lines("a \x1f\nb\u{a0}"), "a\nb");
    }

    #[test]
    fn strip_takes_separators_and_white_space() {
        assert_eq!(strip("\x1c\u{a0}\u{2028} a b \x1f\u{85}"), "a b");
        assert_eq!(strip("\u{200b}a"), "\u{200b}a");
    }
}
