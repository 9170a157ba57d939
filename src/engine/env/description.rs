//! What an environment says of itself.

use serde::{Deserialize, Serialize};

/// What an environment says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// The name in tables and files: `sat`, `grid`.
    pub name: String,
    /// How many task ids exist (ids are `0..num_tasks`); `None` when every non-negative integer is one.
    pub num_tasks: Option<u64>,
    /// The lowest and the highest score on the environment's own scale.
    pub score_range: (f64, f64),
    /// An episode is a success when its score is at least this.
    pub success_threshold: f64,
    /// Turns after which an episode is over.
    pub max_turns: usize,
    /// What the end by `max_turns` is.
    #[serde(default)]
    pub turn_limit: TurnLimit,
    /// What the end by a limit is that a step reports ([`Step::truncated`]), such as one of moves.
    #[serde(default)]
    pub move_limit: TurnLimit,
}

/// What a limit on an episode is. It decides what the end is worth to training: where a limit is part of the task nothing
/// comes after it, and a policy that stalls until then gets what it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TurnLimit {
    /// A deadline that the score counts: what is not achieved by then is not achieved.
    #[default]
    Task,
    /// A cut from outside: the task would have gone on.
    Outside,
}

impl TurnLimit {
    /// A limit that is part of the task where the environment sets it, at `own`. A caller who asks for less cuts episodes of
    /// a task which has more time.
    pub fn of_task(own: usize, asked: usize) -> Self {
        if asked < own { TurnLimit::Outside } else { TurnLimit::Task }
    }

    pub fn named(name: &str) -> Option<Self> {
        [TurnLimit::Task, TurnLimit::Outside].into_iter().find(|limit| limit.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            TurnLimit::Task => "task",
            TurnLimit::Outside => "outside",
        }
    }
}

impl Description {
    /// The score on 0..1, clamped.
    pub fn normalise(&self, score: f64) -> f64 {
        let (low, high) = self.score_range;
        ((score - low) / (high - low)).clamp(0.0, 1.0)
    }

    /// Takes a caller's number of turns in place of the environment's own.
    pub fn limit_turns(&mut self, asked: usize) {
        if TurnLimit::of_task(self.max_turns, asked) == TurnLimit::Outside {
            self.turn_limit = TurnLimit::Outside;
        }
        self.max_turns = asked;
    }

    /// What one unit of reward in training is on the environment's own scale: the width of its range of scores.
    pub fn reward_unit(&self) -> f64 {
        self.score_range.1 - self.score_range.0
    }
}
