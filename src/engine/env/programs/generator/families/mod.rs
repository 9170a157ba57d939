//! The families of programs, a file for each topic.

mod dictionaries;
mod dynamic;
mod graphs;
mod lists;
mod numbers;
mod parsing;
mod search;
mod simulation;
mod sorting;
mod strings;
#[cfg(test)]
mod wordings;

use super::draw::Draw;
use super::piece::Family;

/// Every topic with its families.
pub const TOPICS: &[(&str, &[Family])] = &[
    ("strings", strings::FAMILIES),
    ("numbers", numbers::FAMILIES),
    ("lists", lists::FAMILIES),
    ("dictionaries", dictionaries::FAMILIES),
    ("sorting", sorting::FAMILIES),
    ("search", search::FAMILIES),
    ("dynamic programming", dynamic::FAMILIES),
    ("simulation", simulation::FAMILIES),
    ("parsing", parsing::FAMILIES),
    ("graphs", graphs::FAMILIES),
];

/// A family that a program of this difficulty may be built around: of its level, or up to two below. All topics that
/// have one are equally likely.
pub fn pick(draw: &mut Draw, difficulty: u8) -> (&'static str, &'static Family) {
    let fits = |family: &Family| (difficulty.saturating_sub(2)..=difficulty).contains(&family.level);
    let topics: Vec<_> = TOPICS.iter().filter(|(_, families)| families.iter().any(fits)).collect();
    let (topic, families) = draw.pick(&topics);
    let families: Vec<&Family> = families.iter().filter(|family| fits(family)).collect();
    (topic, draw.pick(&families))
}
