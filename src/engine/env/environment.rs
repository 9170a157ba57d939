//! The trait that every environment implements, and what goes in and out of it.

use serde_json::{Map, Value};

use super::{Baselines, Demonstrator, Description, Facts, Identity};
use crate::engine::text::Message;
use crate::engine::{Error, Result};

/// One environment instance: `reset` begins an episode, `step` plays it. Every method may fail; the caller marks
/// the episode failed and goes on.
///
/// What only some environments can do are traits of their own, each behind a method that gives it.
pub trait Environment {
    fn describe(&self) -> Description;

    /// What results, metrics and settings call it: its name, or what tells it from another of that name ([`label`]).
    ///
    /// [`label`]: super::label
    fn label(&self) -> String {
        self.describe().name
    }

    /// What else decides its episodes: a run that goes on compares it.
    fn identity(&self) -> Identity;

    /// Begins the episode of `task_id` and returns the first observation. The same id gives the same episode.
    fn reset(&mut self, task_id: u64) -> Result<String>;

    /// Begins an episode that is named otherwise than by a number, where the environment has such names.
    fn reset_to(&mut self, task: &Map<String, Value>) -> Result<String> {
        let _ = task;
        let name = self.describe().name;
        Err(Error::option("task_id", format!("an integer of at least 0, as environment {name} takes it"), "a table"))
    }

    /// The opening turns of the conversation: instructions and the first observation.
    fn messages(&self) -> Result<Vec<Message>>;

    /// The action in a reply. Single-turn environments take the whole reply.
    fn parse(&self, reply: &str) -> Result<Parsed> {
        Ok(Parsed::Action(reply.trim().to_string()))
    }

    /// The reply that says an action, which [`parse`](Self::parse) reads, after a thought where the format has a place
    /// for one.
    fn reply(&self, action: &str, thought: Option<&str>) -> Result<String> {
        let _ = thought;
        Ok(action.to_string())
    }

    fn step(&mut self, action: &str) -> Result<Step>;

    /// Another instance of the same environment with the same options, for episodes played side by side.
    fn fresh(&self) -> Result<Box<dyn Environment>>;

    fn demonstrator(&mut self) -> Option<&mut dyn Demonstrator> {
        None
    }

    fn baselines(&self) -> Option<&dyn Baselines> {
        None
    }

    fn facts(&self) -> Option<&dyn Facts> {
        None
    }
}

/// What an environment reads out of a model's reply.
#[derive(Debug, Clone, PartialEq)]
pub enum Parsed {
    /// The action, as [`Environment::step`] takes it.
    Action(String),
    /// No action in the reply: this observation goes back to the model, and the turn counts.
    Complaint(String),
}

/// The outcome of one action.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    pub observation: String,
    pub reward: f64,
    pub done: bool,
    /// The score so far on the environment's own scale.
    pub score: f64,
    /// `done` came from a limit of the environment's; [`Description::move_limit`] says what that is.
    pub truncated: bool,
    /// Whatever else the environment tells a script (`info` in Lua), as JSON.
    pub info: Map<String, Value>,
}

impl Step {
    /// What a reply leads to in which no action was found: nothing happens but the complaint.
    pub fn complaint(observation: String, score: f64) -> Self {
        Step { observation, reward: 0.0, done: false, score, truncated: false, info: Default::default() }
    }
}
