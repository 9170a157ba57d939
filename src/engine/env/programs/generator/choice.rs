//! Which families a program may be built around, by its difficulty.

use super::compose;
use super::draw::Draw;
use super::families::{self, TOPICS};
use super::piece::Family;

/// How often a program without a given difficulty has difficulty 1 to 5.
const DIFFICULTIES: [u64; 5] = [10, 20, 25, 25, 20];

/// Whether a family can be that hard is tried so often: parts are put around it at random.
const TRIES: u64 = 40;

type Topic = (&'static str, Vec<&'static Family>);

/// For each difficulty the topics that have a family of it, with these families.
#[derive(Clone)]
pub struct Choice {
    topics: [Vec<Topic>; 5],
}

impl std::fmt::Debug for Choice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Choice({:?})", self.topics.each_ref().map(Vec::len))
    }
}

impl Choice {
    /// All families of a level that fits.
    pub fn all() -> Self {
        Choice::made(families::fits)
    }

    /// Those named, where they can be that hard.
    pub fn of(names: &[String]) -> Self {
        Choice::made(|family, difficulty| {
            let is_named = names.iter().any(|name| name == family.name);
            let can_be = |index| {
                let mut draw = Draw::new(0, "programs/families", index);
                compose::plan(&mut draw, family, difficulty - family.level).is_some()
            };
            is_named && families::fits(family, difficulty) && (0..TRIES).any(can_be)
        })
    }

    fn made(is_wanted: impl Fn(&'static Family, u8) -> bool) -> Self {
        let topics = [1, 2, 3, 4, 5].map(|difficulty| {
            let wanted = |families: &'static [Family]| {
                families.iter().filter(|family| is_wanted(family, difficulty)).collect::<Vec<_>>()
            };
            let topics = TOPICS.iter().map(|(topic, families)| (*topic, wanted(families)));
            topics.filter(|(_, families)| !families.is_empty()).collect()
        });
        Choice { topics }
    }

    /// How often each difficulty comes, or the one that is asked for; 0 where there is no family of it.
    pub fn weights(&self, difficulty: Option<u8>) -> [u64; 5] {
        std::array::from_fn(|index| {
            let is_asked = difficulty.is_none_or(|difficulty| usize::from(difficulty) == index + 1);
            if is_asked && !self.topics[index].is_empty() { DIFFICULTIES[index] } else { 0 }
        })
    }

    /// A family that a program of this difficulty may be built around. All topics that have one are equally likely.
    pub fn pick(&self, draw: &mut Draw, difficulty: u8) -> (&'static str, &'static Family) {
        let topics = &self.topics[usize::from(difficulty) - 1];
        let (topic, families) = &topics[draw.index(topics.len())];
        (topic, families[draw.index(families.len())])
    }
}
