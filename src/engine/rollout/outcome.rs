//! What became of an episode, whoever played it.

use crate::engine::env::{Ending, EpisodeState};
use crate::engine::text::Message;

#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The environment's label.
    pub environment: String,
    pub task_id: u64,
    pub turns: usize,
    /// Turns in whose reply the environment found no action.
    pub invalid_actions: usize,
    /// On the environment's own scale.
    pub score: f64,
    /// On 0..1.
    pub normalised_score: f64,
    pub success: bool,
    pub ending: Ending,
    pub messages: Vec<Message>,
    /// From its opening to its end, beside others that are played at the same time.
    pub seconds: f64,
}

impl Outcome {
    /// Of an episode that has been played to its end.
    pub fn of(state: &EpisodeState, environment: String, task_id: u64, messages: Vec<Message>, seconds: f64) -> Self {
        Outcome {
            environment,
            task_id,
            turns: state.turns(),
            invalid_actions: state.complaints(),
            score: state.score(),
            normalised_score: state.normalised_score(),
            success: state.is_success(),
            ending: state.ending().cloned().expect("the episode was played to its end"),
            messages,
            seconds,
        }
    }

    pub fn failed(&self) -> bool {
        self.ending.failure().is_some()
    }
}
