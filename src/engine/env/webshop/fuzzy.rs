//! How alike two names are: `thefuzz.fuzz.token_set_ratio` of thefuzz 0.22.1, which is rapidfuzz's behind a clean-up.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use super::python;

/// 0 to 100. Words common to both count in full, whatever their order; the rest by the edits between them.
pub fn token_set_ratio(a: &str, b: &str) -> u32 {
    let (a, b) = (clean(a), clean(b));
    // The score is at least 0, so this rounds as Python does: halves go to the even number.
    score(&a.split(' ').filter(|t| !t.is_empty()).collect(), &b.split(' ').filter(|t| !t.is_empty()).collect())
        .round_ties_even() as u32
}

/// Latin-1's upper half is dropped, every other character that is neither letter nor number becomes a blank, letters
/// become small.
fn clean(text: &str) -> String {
    static LETTER_OR_NUMBER: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^[\p{L}\p{N}]$").expect("the pattern is valid"));
    let is_kept = |c: char| match c.is_ascii() {
        true => c.is_ascii_alphanumeric(),
        false => LETTER_OR_NUMBER.is_match(c.encode_utf8(&mut [0; 4])),
    };
    text.chars()
        .filter(|c| !('\u{80}'..='\u{ff}').contains(c))
        // One character becomes one: only the first of İ's two small ones.
        .map(|c| if is_kept(c) { c.to_lowercase().next().unwrap_or(c) } else { ' ' })
        .collect()
}

fn score(a: &BTreeSet<&str>, b: &BTreeSet<&str>) -> f64 {
    if a.is_empty() || b.is_empty() {
        return 0.0;
    }
    let join = |tokens: Vec<&str>| -> Vec<char> { tokens.join(" ").chars().collect() };
    let common = join(a.intersection(b).copied().collect()).len();
    let only_a = join(a.difference(b).copied().collect());
    let only_b = join(b.difference(a).copied().collect());
    if common > 0 && (only_a.is_empty() || only_b.is_empty()) {
        return 100.0;
    }
    // Compared are the common words with those and with each side's own words behind them.
    let blank = usize::from(common > 0);
    let (with_a, with_b) = (common + blank + only_a.len(), common + blank + only_b.len());
    let whole = similarity(edits(&only_a, &only_b), with_a + with_b);
    if common == 0 {
        return whole;
    }
    let part_a = similarity(blank + only_a.len(), common + with_a);
    let part_b = similarity(blank + only_b.len(), common + with_b);
    whole.max(part_a).max(part_b)
}

fn similarity(edits: usize, length: usize) -> f64 {
    100.0 - 100.0 * edits as f64 / length as f64
}

/// The insertions and deletions that turn one text into the other.
fn edits(a: &[char], b: &[char]) -> usize {
    // The longest common subsequence, row by row.
    let mut row = vec![0usize; b.len() + 1];
    for x in a {
        let mut diagonal = 0;
        for (j, y) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = if x == y { diagonal + 1 } else { above.max(row[j]) };
            diagonal = above;
        }
    }
    a.len() + b.len() - 2 * row[b.len()]
}

/// The first colour of the original's list that `text` contains; else the text itself.
pub fn normalise_colour(text: &str) -> &str {
    COLOURS.iter().find(|colour| text.contains(**colour)).copied().unwrap_or(text)
}

/// As [`normalise_colour`] does to a name and value pair: there, Python's `in` asks for an element that is the colour.
/// What is no colour is the pair as Python prints it.
pub fn normalise_colour_pair(name: &str, value: &str) -> String {
    match COLOURS.iter().find(|colour| **colour == name || **colour == value) {
        Some(colour) => colour.to_string(),
        None => format!("({}, {})", python::repr(name), python::repr(value)),
    }
}

/// The colours that the original knows, in its order (`web_agent_site/engine/normalize.py`), which is the alphabet's.
#[rustfmt::skip]
const COLOURS: [&str; 102] = [
    "alabaster", "apricot", "aqua", "ash", "asphalt", "azure", "banana", "beige", "black", "blue", "blush", "bordeaux",
    "bronze", "brown", "burgundy", "camel", "camo", "caramel", "champagne", "charcoal", "cheetah", "chestnut",
    "chocolate", "christmas", "coffee", "cognac", "copper", "coral", "cranberry", "cream", "crystal", "dark", "denim",
    "eggplant", "elephant", "espresso", "fuchsia", "gold", "granite", "grape", "graphite", "grass", "gray", "green",
    "grey", "heather", "indigo", "ivory", "ivy", "khaki", "lavender", "lemon", "leopard", "light", "lilac", "lime",
    "magenta", "maroon", "mauve", "merlot", "midnight", "mint", "mocha", "multicolor", "mushroom", "mustard", "natural",
    "navy", "nude", "olive", "orange", "peach", "pewter", "pink", "plum", "purple", "rainbow", "red", "rose", "royal",
    "rust", "sand", "sapphire", "seashell", "silver", "skull", "slate", "steel", "stone", "stonewash", "sunflower",
    "tan", "taupe", "teal", "tiger", "turquoise", "violet", "walnut", "wheat", "white", "wine", "yellow",
];
