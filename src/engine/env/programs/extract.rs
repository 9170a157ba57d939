//! The code and the input in a model's reply, found exactly where upstream's patterns find them.

use std::sync::LazyLock;

use regex::Regex;

use crate::engine::env::python::text::{lines, rstrip, strip};

/// `\s` of Python: Unicode's white space and the four information separators.
const SPACE: &str = r"[\s\x1c-\x1f]";

fn pattern(text: &str) -> Regex {
    Regex::new(&text.replace("SPACE", SPACE)).expect("the pattern is valid")
}

/// The program in a text: the last block fenced as `python`, else the last fenced block of any language, else what
/// follows the first fence on its own line, else the whole text. Outer blanks are stripped.
///
/// A block ends at the first three backticks, inside a string too, and reasoning counts like any other text.
pub fn code(text: &str) -> &str {
    static PYTHON: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?s)```pythonSPACE*\n(.*?)```"));
    static FENCED: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?s)```[\p{L}\p{N}_]*SPACE*\n(.*?)```"));
    static INLINE: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?si)```(?:python)?SPACE*(.*?)```"));
    let group = |found: regex::Captures<'_>| found.get(1).map(|code| code.range());
    let found = PYTHON.captures_iter(text).last().or_else(|| FENCED.captures_iter(text).last());
    let range = found.or_else(|| INLINE.captures(text)).and_then(group);
    strip(range.map_or(text, |range| &text[range]))
}

/// The letter I as Python ignores its case: with the dotless and the dotted one.
const INPUT_TAGS: &str = "(?si)<[iıİ]nput>(.*?)</[iıİ]nput>";

fn input_tags() -> &'static Regex {
    static TAGS: LazyLock<Regex> = LazyLock::new(|| pattern(INPUT_TAGS));
    &TAGS
}

/// Whether the tags stand anywhere in a reply, reasoning included.
pub fn has_input(reply: &str) -> bool {
    input_tags().is_match(reply)
}

/// The input between the last pair of tags after the reasoning is cut out: outer blanks and every line's trailing blanks
/// are stripped. Empty where there are no tags.
pub fn input(reply: &str) -> String {
    static THINK: LazyLock<Regex> = LazyLock::new(|| pattern("(?s)<think>.*?</think>"));
    static THINKING: LazyLock<Regex> = LazyLock::new(|| pattern("(?s)<thinking>.*?</thinking>"));
    let reply = THINK.replace_all(reply, "");
    let reply = THINKING.replace_all(&reply, "");
    let block = input_tags().captures_iter(&reply).last().and_then(|found| found.get(1));
    // The block is stripped before its lines are, so neither its first nor its last line is blank.
    block.map_or_else(String::new, |block| {
        lines(strip(block.as_str())).into_iter().map(rstrip).collect::<Vec<_>>().join("\n")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_python_block_is_the_program() {
        assert_eq!(code("```python\na\n```\n```\nb\n```"), "a");
        assert_eq!(code("```python\na\n```\nand\n```python  \n\n b\n\n```"), "b");
        assert_eq!(code("```text\na\n```\n```js\nb\n```"), "b");
        assert_eq!(code("say ```PYTHON x = 1``` or ```y```"), "x = 1");
        assert_eq!(code("\u{1c} x = 1 \n"), "x = 1");
        // An unclosed block is no block.
        assert_eq!(code("```python\nx = 1\n"), "```python\nx = 1");
    }

    #[test]
    fn the_input_is_what_the_last_tags_hold() {
        assert_eq!(input("<INPUT>1</INPUT> <ınput>\n 2 \n3\t\n\n</İNPUT>"), "2\n3");
        assert_eq!(input("<think><INPUT>1</INPUT></think>"), "");
        assert!(has_input("<think><INPUT>1</INPUT></think>") && !has_input("<INPUT>1"));
    }
}
