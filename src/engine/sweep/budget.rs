//! What a study may cost, and why a run of it ends.

use std::fmt;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;

use super::abandoned::is_abandoned;
use super::clones::is_replaced;
use super::history::{History, Placed};
use super::record::{State, TrialRecord};
use crate::engine::{Error, Result};

/// The attribute of a trial that counts the tokens it used.
pub const TOKENS: &str = "tokens";

/// All may be left out.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Budget {
    /// Of one run, in seconds of the clock; the trial that it ends in comes to its end.
    pub timeout_seconds: Option<f64>,
    /// Of the study, whoever ran them.
    pub max_trials: Option<u64>,
    /// Of the study: what its trials counted.
    pub max_tokens: Option<u64>,
    /// What the folders of its trials may hold, once those are gone that can be spared.
    pub max_bytes: Option<u64>,
}

/// Why no further trial is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    Trials(u64),
    Time(Duration),
    Tokens(u64),
    Bytes(u64),
    /// Every combination of a grid has its trial.
    Grid,
}

impl Budget {
    pub fn check(&self) -> Result<()> {
        match self.timeout_seconds {
            Some(seconds) if !(seconds > 0.0 && seconds <= 1e9) => {
                Err(Error::option("timeout_seconds", "a positive number of seconds", seconds))
            }
            _ => Ok(()),
        }
    }

    /// Why a run that began then, and wants so many trials, begins no further one.
    pub fn spent(&self, history: &History, wanted: Option<u64>, begun: Instant) -> Option<Done> {
        let most = [wanted, self.max_trials].into_iter().flatten().min();
        let trials = most.filter(|most| counted(history) >= *most).map(Done::Trials);
        let time = self.timeout_seconds.map(Duration::from_secs_f64).filter(|most| begun.elapsed() >= *most);
        let tokens = self.max_tokens.filter(|most| tokens(history) >= *most);
        trials.or(time.map(Done::Time)).or(tokens.map(Done::Tokens))
    }
}

/// How many trials there are or were, without those that wait, those that ended with their process and those that a better one took the
/// place of.
fn counted(history: &History) -> u64 {
    let is_over = |record: &TrialRecord| is_abandoned(record) || is_replaced(record);
    let counts = |trial: &&Placed| trial.record.state != State::Waiting && !is_over(&trial.record);
    history.trials.iter().filter(counts).count() as u64
}

/// What all trials counted.
pub fn tokens(history: &History) -> u64 {
    let of = |trial: &Placed| trial.record.user_attrs.get(TOKENS).and_then(Value::as_u64);
    history.trials.iter().filter_map(of).sum()
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Done::Trials(most) => write!(f, "the study has its {most} trials"),
            Done::Time(most) => write!(f, "the time of {} s is used up", most.as_secs_f64()),
            Done::Tokens(most) => write!(f, "the {most} tokens are used up"),
            Done::Bytes(most) => write!(f, "the folders of its trials hold the {most} bytes that they may"),
            Done::Grid => write!(f, "every combination of the grid has its trial"),
        }
    }
}
