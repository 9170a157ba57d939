//! Python programs with descriptions and tests, made without a network: what ABD and DED play when no data is named.
//!
//! A program is composed ([`compose`](self::compose)) of a reader, steps, a [family](families), steps and a printer, each
//! of which brings its Python and the sentence that says the same; so the description follows from the program. All
//! choices come from (`seed`, `task_id`). Programs that differ in names and constants only are one program to the splits.

mod compose;
mod draw;
mod families;
mod normal;
mod piece;
mod printers;
mod readers;
mod report;
mod row;
mod steps;

use serde::{Deserialize, Serialize};

pub use self::compose::Program;
pub use self::normal::{fingerprint, normal_form};
pub use self::report::{Report, Spread};
pub use self::row::{Problem, Row, Runner, Test};

use self::draw::Draw;
use crate::engine::{Error, Result};

/// How many candidates an id has. A candidate of the smallest split is met within 10 on average, and few that are run
/// are rejected.
const MAX_CANDIDATES: u64 = 400;

/// How often a program without a given difficulty has difficulty 1 to 5.
const DIFFICULTIES: [u64; 5] = [10, 20, 25, 25, 20];

/// A part of all programs. No program is in two of them, whatever the seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Eight in ten.
    #[default]
    Train,
    /// One in ten.
    Validation,
    /// One in ten.
    Test,
}

impl Split {
    /// The split that a program belongs to, by its normal form.
    pub fn of(code: &str) -> Self {
        match fingerprint(code) % 10 {
            0..8 => Split::Train,
            8 => Split::Validation,
            _ => Split::Test,
        }
    }
}

/// Which programs the generator makes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GeneratorOptions {
    pub seed: u64,
    /// From 1 to 5; without it all, the middle ones more often.
    pub difficulty: Option<u8>,
    pub split: Split,
}

impl GeneratorOptions {
    pub fn validate(&self) -> Result<()> {
        match self.difficulty {
            Some(difficulty) if !(1..=5).contains(&difficulty) => {
                Err(Error::option("difficulty", "from 1 to 5", difficulty))
            }
            _ => Ok(()),
        }
    }
}

/// Makes programs by number.
#[derive(Debug, Clone)]
pub struct Generator {
    options: GeneratorOptions,
}

impl Generator {
    pub fn new(options: &GeneratorOptions) -> Result<Self> {
        options.validate()?;
        Ok(Generator { options: options.clone() })
    }

    pub fn options(&self) -> &GeneratorOptions {
        &self.options
    }

    /// The first program of an id that is in the split; nothing is run. [`row`](Self::row) may reject it for a later one.
    pub fn program(&self, task_id: u64) -> Result<Program> {
        self.candidates(task_id).next().ok_or_else(|| self.exhausted(task_id))
    }

    /// The programs that an id stands for, in order of preference.
    fn candidates(&self, task_id: u64) -> impl Iterator<Item = Program> {
        let GeneratorOptions { seed, difficulty, split } = self.options;
        let candidate = move |attempt: u64| {
            let mut draw = Draw::new(seed, &format!("programs/{attempt}"), task_id);
            let difficulty = difficulty.unwrap_or_else(|| draw.weighted(&DIFFICULTIES) as u8 + 1);
            compose::compose(&mut draw, difficulty)
        };
        (0..MAX_CANDIDATES).map(candidate).filter(move |program| Split::of(&program.code) == split)
    }

    fn exhausted(&self, task_id: u64) -> Error {
        Error::message(format!(
            "the generator found no usable program for task {task_id} in {MAX_CANDIDATES} candidates"
        ))
    }
}

/// The names of all families, by topic.
pub fn topics() -> Vec<(&'static str, Vec<&'static str>)> {
    let names =
        families::TOPICS.iter().map(|(topic, families)| (*topic, families.iter().map(|family| family.name).collect()));
    names.collect()
}
