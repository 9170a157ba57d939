//! An episode as it was played.

use std::ops::Range;

use serde_json::{Map, Value};

use super::outcome::Outcome;
use crate::engine::env::Ending;
use crate::engine::text::Message;
use crate::engine::{Error, Result};

/// One reply of the model and what it earned.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// Where the reply lies in the episode's ids, its end token included.
    pub tokens: Range<usize>,
    pub reward: f64,
    /// What the environment told of it besides.
    pub info: Map<String, Value>,
    /// Whether the reply was given to a prompt of other ids than those before it in the episode (see
    /// [`PlayOptions::as_served`](super::PlayOptions)).
    pub prompt_differs: bool,
}

/// An episode as it was played.
#[derive(Debug, Clone)]
pub struct Episode {
    /// Its label.
    pub environment: String,
    pub task_id: u64,
    pub ids: Vec<i64>,
    /// True where the model produced the id.
    pub mask: Vec<bool>,
    /// The log-prob recorded while sampling; 0 where the model produced nothing. `[ids.len()]`
    pub logprobs: Vec<f32>,
    pub turns: Vec<Turn>,
    /// Turns in whose reply the environment found no action.
    pub invalid_actions: usize,
    /// Turns whose action was the one before it once more.
    pub repeated_actions: usize,
    /// Of an episode that was cut: the ids of the observation that it was cut at, with what opens the reply to it.
    pub unanswered: Vec<i64>,
    /// On the environment's own scale, as are the turns' rewards.
    pub score: f64,
    /// On 0..1.
    pub normalised_score: f64,
    /// [`Description::reward_unit`](crate::engine::env::Description::reward_unit).
    pub reward_unit: f64,
    pub success: bool,
    pub ending: Ending,
    /// The conversation as text, for people.
    pub messages: Vec<Message>,
    /// From its opening to its end, beside others that are played at the same time.
    pub seconds: f64,
}

impl Episode {
    pub fn failed(&self) -> bool {
        matches!(self.ending, Ending::Failed(_))
    }

    pub fn outcome(&self) -> Outcome {
        Outcome {
            environment: self.environment.clone(),
            task_id: self.task_id,
            turns: self.turns.len(),
            invalid_actions: self.invalid_actions,
            score: self.score,
            normalised_score: self.normalised_score,
            success: self.success,
            ending: self.ending.clone(),
            messages: self.messages.clone(),
            seconds: self.seconds,
        }
    }

    /// The sum of all turns' rewards.
    pub fn total_reward(&self) -> f64 {
        self.turns.iter().map(|turn| turn.reward).sum()
    }
}

/// Refuses to go on when more than 5 % of the episodes failed: the environment is broken, not unlucky. One failure among
/// several episodes is bad luck, however few they are.
///
/// `failures`: of each episode why it failed, or nothing.
pub fn check_failures<'a>(failures: impl IntoIterator<Item = Option<&'a str>>) -> Result<()> {
    let (mut played, mut failed, mut first) = (0, 0, "");
    for failure in failures {
        played += 1;
        if let Some(reason) = failure {
            failed += 1;
            first = if failed == 1 { reason } else { first };
        }
    }
    if failed * 20 <= played || (failed == 1 && played > 1) {
        return Ok(());
    }
    Err(Error::hinted(
        format!("{failed} of {played} episodes failed, more than 5 %"),
        format!("the first of them: {first}"),
    ))
}
