//! Python programs with descriptions and tests, made without a network: what ABD and DED play when no data is named.
//!
//! A program is composed ([`compose`](self::compose)) of a reader, steps, a [family](families), steps and a printer, each
//! of which brings its Python and the sentence that says the same; so the description follows from the program. All
//! choices come from (`seed`, `task_id`). Programs that differ in names and constants only are one program to the splits.

mod choice;
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

use self::choice::Choice;
use self::draw::Draw;
use crate::engine::{Error, Result};

/// Which programs come for the same options and ids: records of tasks name it. A test holds it against the programs
/// themselves, so whoever changes what is made raises it.
pub const VERSION: u32 = 1;

/// How many candidates an id has. A candidate of the smallest split is met within 10 on average, and few that are run
/// are rejected.
const MAX_CANDIDATES: u64 = 400;

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
    /// The families that programs are built around; without it all.
    pub families: Option<Vec<String>>,
}

impl GeneratorOptions {
    pub fn validate(&self) -> Result<()> {
        match self.difficulty {
            Some(difficulty) if !(1..=5).contains(&difficulty) => {
                Err(Error::option("difficulty", "from 1 to 5", difficulty))
            }
            _ => self.choice().map(drop),
        }
    }

    /// What the programs are built around.
    fn choice(&self) -> Result<Choice> {
        let Some(names) = &self.families else { return Ok(Choice::all()) };
        if let Some(unknown) = names.iter().find(|name| !families::exists(name)) {
            return Err(Error::option("families", "names that env.generated tells", unknown));
        }
        let choice = Choice::of(names);
        if choice.weights(self.difficulty).iter().sum::<u64>() == 0 {
            let expected = match self.difficulty {
                Some(difficulty) => format!("one that can have difficulty {difficulty}"),
                None => "at least one".to_string(),
            };
            let got = if names.is_empty() { "none".to_string() } else { names.join(", ") };
            return Err(Error::option("families", expected, got));
        }
        Ok(choice)
    }
}

/// Makes programs by number.
#[derive(Debug, Clone)]
pub struct Generator {
    options: GeneratorOptions,
    choice: Choice,
}

impl Generator {
    pub fn new(options: &GeneratorOptions) -> Result<Self> {
        options.validate()?;
        Ok(Generator { options: options.clone(), choice: options.choice()? })
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
        let GeneratorOptions { seed, difficulty, split, .. } = self.options;
        let weights = self.choice.weights(None);
        let candidate = move |attempt: u64| {
            let mut draw = Draw::new(seed, &format!("programs/{attempt}"), task_id);
            let difficulty = difficulty.unwrap_or_else(|| draw.weighted(&weights) as u8 + 1);
            compose::compose(&mut draw, difficulty, &self.choice)
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
