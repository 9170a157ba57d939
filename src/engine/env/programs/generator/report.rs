//! What a range of ids holds: how many different programs, of which families, how long, how hard.

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;

use super::row::{self, Problem, Runner};
use super::{Generator, fingerprint};
use crate::engine::{Result, cancel};

/// The distribution of a length.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Spread {
    pub least: usize,
    pub tenth: usize,
    pub median: usize,
    pub nine_tenths: usize,
    pub most: usize,
}

impl Spread {
    fn of(mut lengths: Vec<usize>) -> Self {
        lengths.sort_unstable();
        let at = |share: usize| lengths.get(lengths.len().saturating_sub(1) * share / 10).copied().unwrap_or(0);
        Spread { least: at(0), tenth: at(1), median: at(5), nine_tenths: at(9), most: at(10) }
    }
}

/// A summary of programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    pub programs: usize,
    /// Programs that differ in more than names and constants.
    pub distinct: usize,
    /// Programs by difficulty, topic and family.
    pub difficulties: BTreeMap<u8, usize>,
    pub topics: BTreeMap<&'static str, usize>,
    pub families: BTreeMap<&'static str, usize>,
    pub code_lines: Spread,
    pub code_characters: Spread,
    pub description_characters: Spread,
    /// Programs that do not work, by reason, where they were run.
    pub rejected: BTreeMap<Problem, usize>,
}

impl Generator {
    /// Looks at the first program of each id; with a runner it also runs them.
    pub fn report(&self, ids: impl Iterator<Item = u64>, runner: Option<&dyn Runner>) -> Result<Report> {
        let (mut seen, mut programs) = (HashSet::new(), 0);
        let (mut lines, mut characters, mut descriptions) = (Vec::new(), Vec::new(), Vec::new());
        let (mut difficulties, mut topics, mut families) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut rejected = BTreeMap::new();
        for task_id in ids {
            cancel::check()?;
            let program = self.program(task_id)?;
            programs += 1;
            seen.insert(fingerprint(&program.code));
            lines.push(program.code.lines().count());
            characters.push(program.code.chars().count());
            descriptions.push(program.description.chars().count());
            *difficulties.entry(program.difficulty).or_default() += 1;
            *topics.entry(program.topic).or_default() += 1;
            *families.entry(program.family).or_default() += 1;
            if let Some(runner) = runner
                && let Err(problem) = row::tests(&program, runner)?
            {
                *rejected.entry(problem).or_default() += 1;
            }
        }
        Ok(Report {
            programs,
            distinct: seen.len(),
            difficulties,
            topics,
            families,
            code_lines: Spread::of(lines),
            code_characters: Spread::of(characters),
            description_characters: Spread::of(descriptions),
            rejected,
        })
    }
}
