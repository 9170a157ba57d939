//! What others say as part of a sentence of ours.

/// A text of unknown length and content in one line of at most 300 characters, without a full stop at its end.
pub fn one_line(text: &str) -> String {
    const LONGEST: usize = 300;
    let readable = |c: char| if c.is_control() || c == char::REPLACEMENT_CHARACTER { ' ' } else { c };
    let words = text.chars().map(readable).collect::<String>();
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    let words = words.trim_end_matches('.');
    match words.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words.to_string(),
    }
}
