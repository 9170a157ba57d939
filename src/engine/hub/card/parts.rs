//! A card's text in its parts: the front matter between its two lines `---`, and in the body the measured block between its
//! two marker lines.

use std::ops::Range;

use crate::engine::file::sha256;

/// What begins a measured block; its marker may carry the hash of a front matter.
const BEGIN: &str = "<!-- affine:measured";
pub const BARE_BEGIN: &str = "<!-- affine:measured -->";
pub const END: &str = "<!-- /affine:measured -->";
const HASH: &str = "front-matter=";

/// A line that cannot be what it should, counted from 1.
#[derive(Debug, PartialEq)]
pub struct Fault {
    pub line: usize,
    pub problem: String,
}

/// The front matter of a card and where it stands, as `huggingface_hub` finds it: without the lines `---` around it.
#[derive(Debug, PartialEq)]
pub struct FrontMatterText<'a> {
    pub text: &'a str,
    /// The line of its first character.
    pub line: usize,
    /// Where it stands with the lines around it.
    pub range: Range<usize>,
}

pub fn front_matter(card: &str) -> Option<FrontMatterText<'_>> {
    let mut begins: Option<(usize, Range<usize>)> = None;
    for (number, range) in lines(card) {
        let line = card[range.clone()].trim_end_matches(['\r', '\n']);
        match &begins {
            None if line.trim_start_matches('\u{feff}').trim().is_empty() => {}
            None if line.trim_start_matches('\u{feff}').trim_start() == "---" => begins = Some((number + 1, range)),
            None => return None,
            Some((first, begin)) if line.trim_end_matches([' ', '\t']) == "---" => {
                let start = begin.end - card[begin.clone()].trim_start_matches('\u{feff}').trim_start().len();
                let text = &card[begin.end..range.start];
                return Some(FrontMatterText { text, line: *first, range: start..range.end });
            }
            Some(_) => {}
        }
    }
    None
}

/// The measured block of a card.
#[derive(Debug, PartialEq)]
pub struct Block {
    /// Its text with both marker lines, the line end behind it left out.
    pub range: Range<usize>,
    /// Of the front matter that was written with it.
    pub hash: Option<String>,
}

/// The measured block in the body, if there is one.
pub fn block(card: &str) -> Result<Option<Block>, Fault> {
    let mut begin: Option<(usize, usize, Option<String>)> = None;
    let mut end: Option<(usize, usize)> = None;
    let body = front_matter(card).map_or(0, |found| found.range.end);
    for (number, range) in lines(card).filter(|(_, range)| range.start >= body) {
        let line = card[range.clone()].trim();
        let fault = |problem: String| Err(Fault { line: number, problem });
        if line.starts_with(BEGIN) {
            if let Some((first, ..)) = begin {
                return fault(format!("a second `{BARE_BEGIN}`; the first one is line {first}"));
            }
            let Some(hash) = hash_of(line) else {
                return fault(format!("expected `{BARE_BEGIN}`, got `{line}`"));
            };
            begin = Some((number, range.start, hash));
        } else if line == END {
            if let Some((first, _)) = end {
                return fault(format!("a second `{END}`; the first one is line {first}"));
            } else if begin.is_none() {
                return fault(format!("`{END}` without `{BARE_BEGIN}` before it"));
            }
            end = Some((number, range.start + card[range].trim_end_matches(['\r', '\n']).len()));
        }
    }
    match (begin, end) {
        (Some((_, start, hash)), Some((_, end))) => Ok(Some(Block { range: start..end, hash })),
        (Some((line, ..)), None) => Err(Fault { line, problem: format!("`{BARE_BEGIN}` without `{END}` behind it") }),
        _ => Ok(None),
    }
}

/// The marker that begins a block, for a front matter.
pub fn begin(front_matter: &str) -> String {
    format!("{BEGIN} {HASH}{} -->", hash(front_matter))
}

/// What tells a front matter from an edited one; the ends of its lines do not count.
pub fn hash(front_matter: &str) -> String {
    sha256(front_matter.replace("\r\n", "\n").as_bytes())[..12].to_string()
}

/// The hash in a marker, or that there is none; nothing where it is no marker.
fn hash_of(line: &str) -> Option<Option<String>> {
    let inside = line.strip_prefix(BEGIN)?.strip_suffix("-->")?.trim();
    if inside.is_empty() {
        return Some(None);
    }
    let hash = inside.strip_prefix(HASH)?;
    hash.chars().all(|c| c.is_ascii_hexdigit()).then(|| Some(hash.to_string()))
}

/// Every line with its number from 1 and where it stands, its end included.
fn lines(text: &str) -> impl Iterator<Item = (usize, Range<usize>)> {
    let mut start = 0;
    text.split_inclusive('\n').enumerate().map(move |(index, line)| {
        let range = start..start + line.len();
        start = range.end;
        (index + 1, range)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(card: &str) -> Option<(&str, usize, &str)> {
        front_matter(card).map(|found| (found.text, found.line, &card[found.range.end..]))
    }

    #[test]
    fn the_front_matter_is_what_huggingface_hub_takes_for_it() {
        assert_eq!(found("---\na: 1\n---\nb\n"), Some(("a: 1\n", 2, "b\n")));
        assert_eq!(found("\u{feff}\n ---\r\na: 1\r\n--- \r\nb"), Some(("a: 1\r\n", 3, "b")));
        assert_eq!(found("---\na: 1\n---"), Some(("a: 1\n", 2, "")));
        for none in ["", "a\n---\nb: 1\n---\n", "---\na: 1\n", "--- \na: 1\n---\n", "----\n---\n"] {
            assert_eq!(found(none), None, "{none:?}");
        }
    }

    #[test]
    fn a_block_is_between_its_markers() {
        let card = "a\n<!-- affine:measured front-matter=0a1b -->\nb\n<!-- /affine:measured -->\r\nc";
        let block = block(card).unwrap().unwrap();
        let inside = "<!-- affine:measured front-matter=0a1b -->\nb\n<!-- /affine:measured -->";
        assert_eq!((&card[block.range], block.hash.as_deref()), (inside, Some("0a1b")));
        for none in ["a\n`<!-- affine:measured -->`\n", "---\n<!-- affine:measured -->\n---\n"] {
            assert_eq!(super::block(none), Ok(None));
        }
    }

    #[test]
    fn broken_markers_are_named_with_their_line() {
        for (card, line, words) in [
            ("a\n<!-- affine:measured -->\n", 2, "without `<!-- /affine:measured -->` behind it"),
            (
                "<!-- /affine:measured -->\n<!-- affine:measured -->\n",
                1,
                "without `<!-- affine:measured -->` before it",
            ),
            ("<!-- affine:measured -->\n<!-- affine:measured -->\n", 2, "a second `<!-- affine:measured -->`"),
            (
                "<!-- affine:measured -->\n<!-- /affine:measured -->\n<!-- /affine:measured -->",
                3,
                "the first one is line 2",
            ),
            ("\n<!-- affine:measured frontmatter=12 -->\n", 2, "expected `<!-- affine:measured -->`, got"),
        ] {
            let fault = block(card).unwrap_err();
            assert!(fault.line == line && fault.problem.contains(words), "{card:?}: {fault:?}");
        }
    }

    #[test]
    fn a_hash_does_not_depend_on_the_ends_of_lines() {
        assert_eq!(hash("a: 1\nb: 2\n"), hash("a: 1\r\nb: 2\r\n"));
        assert_ne!(hash("a: 1\n"), hash("a: 2\n"));
        assert_eq!(hash_of(&begin("a: 1\n")), Some(Some(hash("a: 1\n"))));
    }
}
