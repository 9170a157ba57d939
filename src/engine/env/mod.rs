//! Environments: numbered tasks that a policy plays turn by turn.
//!
//! The engine knows an environment only as the [`Environment`] trait; `lua/environment.rs` implements it for a Lua table.

pub mod abd;
pub mod agentgym;
pub mod alfworld;
pub mod babyai;
pub mod ded;
pub mod label;
mod one_turn;
pub mod programs;
pub mod python;
pub mod sat;
pub mod sciworld;
pub mod sciworld_mini;
pub mod setup;
pub mod textcraft;
pub mod webshop;

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::text::Message;
use super::{Error, Result, utf8};

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

/// Which instructions a conversation begins with: an evaluation says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Instructions {
    /// `affine` for our own words, the original's name for its text (`agentgym`; `upstream` for the Affine subnet's),
    /// else `custom`.
    pub source: &'static str,
    /// Of the text, in hex.
    pub sha256: String,
}

impl Instructions {
    /// The text that an option `instructions` gives: it, or that in the file which it names. One line that ends like a
    /// text file's name, or is one, is read.
    pub fn given(option: &str) -> Result<String> {
        let path = Path::new(option);
        let looks_like_a_file = path.extension().is_some_and(|extension| extension == "txt" || extension == "md");
        if option.contains('\n') || !(looks_like_a_file || path.is_file()) {
            return Ok(option.to_string());
        }
        let bytes = std::fs::read(path).map_err(|error| Error::file(path, format!("instructions: {error}")))?;
        let text = utf8::text(&bytes).map_err(|problem| Error::file(path, format!("instructions: {problem}")))?;
        Ok(text.to_string())
    }
}

/// Options as [`Environment::settings`] gives them, but those of these names, which decide no episode or are told otherwise.
fn settings_but<T: Serialize>(options: &T, names: &[&str]) -> serde_json::Value {
    let mut settings = serde_json::to_value(options).unwrap_or_default();
    if let Some(settings) = settings.as_object_mut() {
        settings.retain(|name, _| !names.contains(&name.as_str()));
    }
    settings
}

/// What an environment reads out of a model's reply.
#[derive(Debug, Clone, PartialEq)]
pub enum Parsed {
    /// The action, as [`Environment::step`] takes it.
    Action(String),
    /// No action in the reply: this observation goes back to the model, and the turn counts.
    Complaint(String),
}

/// What an expert does and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    pub action: String,
    /// In plain sentences, true of the moment at which the action is taken.
    pub thought: Option<String>,
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
    pub info: serde_json::Map<String, serde_json::Value>,
}

impl Step {
    /// What a reply leads to in which no action was found: nothing happens but the complaint.
    pub fn complaint(observation: String, score: f64) -> Self {
        Step { observation, reward: 0.0, done: false, score, truncated: false, info: Default::default() }
    }
}

/// One environment instance: `reset` begins an episode, `step` plays it. Every method may fail; the caller marks
/// the episode failed and goes on.
pub trait Environment {
    fn describe(&self) -> Description;

    /// What results, metrics and settings call it: its name, or what tells it from another of that name ([`label`]).
    fn label(&self) -> String {
        self.describe().name
    }

    /// Begins the episode of `task_id` and returns the first observation. The same id gives the same episode.
    fn reset(&mut self, task_id: u64) -> Result<String>;

    /// Begins an episode that is named otherwise than by a number, where the environment has such names.
    fn reset_to(&mut self, task: &serde_json::Map<String, serde_json::Value>) -> Result<String> {
        let _ = task;
        let name = self.describe().name;
        Err(Error::option("task_id", format!("an integer of at least 0, as environment {name} takes it"), "a table"))
    }

    /// The opening turns of the conversation: instructions and the first observation.
    fn messages(&self) -> Result<Vec<Message>>;

    /// The instructions in [`messages`](Self::messages), where there is more than one text that they could be.
    fn instructions(&self) -> Option<Instructions> {
        None
    }

    /// The version of the generator that the tasks come from, where they come from one.
    fn generator(&self) -> Option<u32> {
        None
    }

    /// What else decides its episodes, by name: the options that it was made with. A run that goes on compares them.
    fn settings(&self) -> serde_json::Value {
        serde_json::Value::Null
    }

    /// The action in a reply. Single-turn environments take the whole reply.
    fn parse(&self, reply: &str) -> Result<Parsed> {
        Ok(Parsed::Action(reply.trim().to_string()))
    }

    fn step(&mut self, action: &str) -> Result<Step>;

    /// A demonstrator's next action, or `None` where there is no expert or it is stuck.
    fn expert(&mut self) -> Result<Option<String>> {
        Ok(None)
    }

    /// The expert's next action with the reason for it, where it can give one. The action may be another than
    /// [`expert`](Self::expert)'s, if another is easier to explain; it is as good.
    fn explain(&mut self) -> Result<Option<Explained>> {
        Ok(self.expert()?.map(|action| Explained { action, thought: None }))
    }

    /// The reply that says an action, which [`parse`](Self::parse) reads, after a thought where the format has a place
    /// for one.
    fn reply(&self, action: &str, thought: Option<&str>) -> Result<String> {
        let _ = thought;
        Ok(action.to_string())
    }

    /// A uniformly random action, drawn from `random` (calls give integers in `0..n`): the random-play baseline.
    fn random_action(&mut self, random: &mut dyn FnMut(u64) -> u64) -> Result<Option<String>> {
        let _ = random;
        Ok(None)
    }

    /// Replies that ignore the observation, each repeated at every turn: candidates for the constant baseline.
    fn constant_actions(&self) -> Vec<String> {
        Vec::new()
    }

    /// The action of a one-line rule, where a simple one is known: shown beside a model's score.
    fn rule(&mut self) -> Result<Option<String>> {
        Ok(None)
    }

    /// What else the episode as it stands has to tell, by the names of a step's `info`: for a server's clients and for
    /// scripts. See `agentgym::server` for the names that each of AgentGym's environments must give.
    fn state(&self) -> serde_json::Map<String, serde_json::Value> {
        serde_json::Map::new()
    }

    /// One thing that the episode has to tell: what [`state`](Environment::state) says under this name, or what is only
    /// told when it is asked for, because finding out costs something. `None` where there is no such thing.
    fn fact(&self, name: &str) -> Result<Option<serde_json::Value>> {
        Ok(self.state().remove(name))
    }

    /// Another instance of the same environment with the same options, for episodes played side by side.
    fn fresh(&self) -> Result<Box<dyn Environment>>;
}
