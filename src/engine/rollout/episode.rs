//! An episode as it was played, and how it ended.

use std::ops::Range;

use crate::engine::env::{Description, Step, TurnLimit};
use crate::engine::text::Message;
use crate::engine::{Error, Result};

/// How an episode ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The task came to its own end, which may be a deadline.
    Terminated,
    /// It was cut from outside, by the context or by a limit that is no part of the task.
    Truncated,
    /// The environment broke, for this reason: the episode is neither trained on nor judged.
    Failed(String),
}

impl Ending {
    fn by_limit(limit: TurnLimit) -> Self {
        match limit {
            TurnLimit::Task => Ending::Terminated,
            TurnLimit::Outside => Ending::Truncated,
        }
    }

    /// How an episode ends with a step after so many turns, if it does.
    pub(super) fn after(step: &Step, turns: usize, description: &Description) -> Option<Self> {
        match step {
            Step { done: true, truncated: true, .. } => Some(Ending::by_limit(description.move_limit)),
            Step { done: true, .. } => Some(Ending::Terminated),
            _ if turns >= description.max_turns => Some(Ending::by_limit(description.turn_limit)),
            _ => None,
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            Ending::Terminated => "terminated",
            Ending::Truncated => "truncated",
            Ending::Failed(_) => "failed",
        }
    }
}

/// One reply of the model and what it earned.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// Where the reply lies in the episode's ids, its end token included.
    pub tokens: Range<usize>,
    pub reward: f64,
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
    /// Of an episode that was cut: the ids of the observation that it was cut at, with what opens the reply to it.
    pub unanswered: Vec<i64>,
    /// On the environment's own scale, as are the turns' rewards.
    pub score: f64,
    /// On 0..1.
    pub normalised_score: f64,
    /// [`Description::reward_unit`].
    pub reward_unit: f64,
    pub success: bool,
    pub ending: Ending,
    /// The conversation as text, for people.
    pub messages: Vec<Message>,
}

impl Episode {
    pub fn failed(&self) -> bool {
        matches!(self.ending, Ending::Failed(_))
    }

    /// The sum of all turns' rewards.
    pub fn total_reward(&self) -> f64 {
        self.turns.iter().map(|turn| turn.reward).sum()
    }
}

/// The ending of an episode whose environment broke; Ctrl-C stays an error.
pub(super) fn failure(name: &str, task_id: u64, error: &Error) -> Result<Ending> {
    if error.is_interrupted() {
        return Err(Error::Interrupted);
    }
    tracing::warn!("environment {name}, task {task_id}: the episode failed: {error}");
    Ok(Ending::Failed(error.to_string()))
}

/// Refuses to go on when more than 5 % of the episodes failed: the environment is broken, not unlucky. One failure among
/// several episodes is bad luck, however few they are.
pub fn check_failures<'a>(endings: impl IntoIterator<Item = &'a Ending>) -> Result<()> {
    let (mut played, mut failed, mut first) = (0, 0, "");
    for ending in endings {
        played += 1;
        if let Ending::Failed(reason) = ending {
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
