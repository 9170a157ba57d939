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

/// Whether a program of this difficulty may be built around a family: of its level, or up to two below.
pub fn fits(family: &Family, difficulty: u8) -> bool {
    (difficulty.saturating_sub(2)..=difficulty).contains(&family.level)
}

/// Whether there is a family of this name.
pub fn exists(name: &str) -> bool {
    TOPICS.iter().any(|(_, families)| families.iter().any(|family| family.name == name))
}
