//! The options of sciworld-mini.

use serde::{Deserialize, Serialize};

use crate::engine::{Error, Result};

/// What a task is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Topic {
    /// Melt, boil or freeze a substance.
    Change,
    /// Find a plant, an animal, something living or something that is not.
    Find,
    /// Measure a temperature and sort by it.
    Measure,
}

impl Topic {
    pub const ALL: [Topic; 3] = [Topic::Change, Topic::Find, Topic::Measure];
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SciWorldMiniOptions {
    /// The one topic of all tasks; by default the task's number decides.
    pub topic: Option<Topic>,
    /// Turns after which an episode is over, at least 1.
    pub max_turns: usize,
    /// Instructions in place of the built-in ones: a text, or the path of a file with it.
    pub instructions: Option<String>,
}

impl Default for SciWorldMiniOptions {
    fn default() -> Self {
        SciWorldMiniOptions { topic: None, max_turns: 40, instructions: None }
    }
}

impl SciWorldMiniOptions {
    pub fn validate(&self) -> Result<()> {
        match self.max_turns {
            0 => Err(Error::option("max_turns", "at least 1 turn", 0)),
            _ => Ok(()),
        }
    }
}
