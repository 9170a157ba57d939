//! What a program does with an input, found out by running it: what a thought of a demonstration may claim.

use serde::Deserialize;

use super::runner::Runner;
use crate::engine::Result;
use crate::engine::env::python::text::is_blank;

/// Runs a program and tells what its variables held.
const WATCH: &str = include_str!("watch.py");

/// A value with more characters is left out; so is a text in a thought.
pub const MOST_CHARACTERS: usize = 120;

/// Variables that a thought names; of more, the last.
const MOST_VARIABLES: usize = 8;

/// A run of a program.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Watched {
    /// Its standard output.
    pub prints: String,
    /// Variables and what they held in the end, as Python writes it, in the order in which their functions returned.
    /// A name stands here once: where functions differ on it, it is left out.
    ends: Vec<(String, String)>,
}

impl Runner {
    /// Runs a program under watch; `None` where it writes to stderr or breaks a limit.
    pub fn watch(&self, program: &str, stdin: &str) -> Result<Option<Watched>> {
        let source = serde_json::Value::from(self.code(program)).to_string(); // a literal of Python too
        let code = WATCH.replace("MOST", &MOST_CHARACTERS.to_string()).replace("SOURCE", &source);
        let written = self.run_plain(&code, stdin)?;
        if !is_blank(&written.stderr) {
            return Ok(None);
        }
        Ok(serde_json::from_str::<Watched>(&written.stdout).ok().map(Watched::once_each))
    }
}

impl Watched {
    fn once_each(mut self) -> Self {
        let all = std::mem::take(&mut self.ends);
        for (name, value) in &all {
            let differs = all.iter().any(|(other, held)| other == name && held != value);
            if !differs && !self.ends.iter().any(|(known, _)| known == name) {
                self.ends.push((name.clone(), value.clone()));
            }
        }
        let spare = self.ends.len().saturating_sub(MOST_VARIABLES);
        self.ends.drain(..spare);
        self
    }

    /// `data ends as [3, 1]`, in the order of the run.
    pub fn told(&self) -> Vec<String> {
        self.ends.iter().map(|(name, value)| format!("{name} ends as {value}")).collect()
    }
}

/// Whether a text is short enough for a thought.
pub fn is_short(text: &str) -> bool {
    text.chars().count() <= MOST_CHARACTERS
}
