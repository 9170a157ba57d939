//! One environment on the server: what its client was last told, and how each original words it.

use std::time::Instant;

use serde_json::{Map, Value, json};

use super::arguments::Arguments;
use crate::engine::env::agentgym::Kind;
use crate::engine::env::{Environment, EpisodeState, Facts, Step};

/// An environment of a client's.
pub struct Seat {
    pub environment: Option<Box<dyn Environment>>,
    /// How its episode stands, once one has begun.
    episode: Option<EpisodeState>,
    /// What was last said, in upstream's order of keys.
    pub info: Map<String, Value>,
    /// The task that was last begun.
    pub task: u64,
    /// BabyAI: the line with the goal, which precedes every observation that is asked for.
    pub goal: String,
    /// BabyAI: it was closed once, before it had begun.
    pub crossed_out: bool,
    /// When its client was last heard.
    pub used: Instant,
}

impl Default for Seat {
    fn default() -> Self {
        Seat {
            environment: None,
            episode: None,
            info: Map::new(),
            task: 0,
            goal: String::new(),
            crossed_out: false,
            used: Instant::now(),
        }
    }
}

/// How a request fails.
pub enum Failure {
    /// `{"error": …}` under status 200.
    Said(String),
    /// As said, by servers too that wrap no errors.
    Full(String),
    /// 500.
    Crash,
}

pub type Answer = Result<Value, Failure>;

impl From<crate::engine::Error> for Failure {
    fn from(error: crate::engine::Error) -> Self {
        Failure::Said(error.to_string())
    }
}

pub fn said<T>(text: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Said(text.into()))
}

impl Seat {
    pub fn begin(&mut self, task: u64) -> Result<String, Failure> {
        let environment = self.environment.as_mut().ok_or(Failure::Crash)?;
        let observation = environment.reset(task)?;
        self.episode = Some(EpisodeState::new(environment.describe()));
        self.task = task;
        Ok(observation)
    }

    /// The reply to a reset.
    pub fn begun(&mut self, kind: Option<Kind>, id: i128, observation: String, arguments: &Arguments) -> Answer {
        let state = self.state();
        match kind {
            Some(Kind::TextCraft) => {
                let begun = json!({ "observation": observation, "done": false, "reward": 0 });
                self.update(&begun);
                self.update(&json!({ "deleted": false }));
                let mut reply = json!({ "id": id as i64 });
                merge(&mut reply, &begun);
                Ok(reply)
            }
            Some(Kind::WebShop) => {
                self.update(&json!({ "observation": observation }));
                Ok(json!([observation, null]))
            }
            Some(Kind::AlfWorld) => {
                let observation = observation.split("\nAVAILABLE ACTIONS: ").next().unwrap_or_default();
                let actions = told(&state, "admissible", "available_actions")?;
                self.info.clear();
                self.update(&json!({
                    "world_type": arguments.text("world_type"),
                    "game": arguments.integer("game").map(|game| game as i64),
                    "observation": observation,
                    "available_actions": actions,
                    "done": false,
                    "reward": 0,
                    "deleted": false,
                }));
                let task_type = told(&state, "task_type", "task_type")?;
                Ok(json!({
                    "id": id as i64, "observation": observation, "available_actions": actions, "task_type": task_type
                }))
            }
            Some(Kind::SciWorld) => {
                let description = told(&state, "task_description", "task_description")?;
                let described = format!("{}\n", description.as_str().unwrap_or_default());
                let begun = json!({
                    "task_name": told(&state, "task_name", "task_name")?,
                    "var_num": told(&state, "var_num", "var_num")?,
                    "task_description": description,
                    "observation": observation.strip_prefix(&described).unwrap_or(&observation),
                    "reward": 0,
                    "score": 0,
                    "deleted": false,
                    "done": false,
                });
                self.update(&begun);
                Ok(begun)
            }
            Some(Kind::BabyAi) | None => {
                if kind.is_some() {
                    self.goal = observation.split_inclusive('\n').next().unwrap_or_default().to_string();
                }
                let score = short(self.episode.as_ref().map_or(0.0, EpisodeState::score));
                let begun = json!({
                    "observation": observation, "reward": 0, "score": score, "deleted": false, "done": false
                });
                self.update(&begun);
                Ok(begun)
            }
        }
    }

    /// Plays a turn: AgentGym's clients send an action, those of other environments the whole reply.
    pub fn play(&mut self, kind: Option<Kind>, said: &str) -> Result<Step, Failure> {
        let environment = self.environment.as_mut().ok_or(Failure::Crash)?.as_mut();
        let episode = self.episode.get_or_insert_with(|| EpisodeState::new(environment.describe()));
        Ok(match kind {
            Some(_) => episode.act(environment, said)?,
            None => episode.hear(environment, said)?,
        })
    }

    /// The reply to a step.
    pub fn stepped(&mut self, kind: Option<Kind>, step: &Step) -> Answer {
        let said = match kind {
            Some(Kind::WebShop) => {
                let Step { observation, reward, done, .. } = step;
                self.update(&json!({ "observation": observation }));
                return Ok(json!({ "state": observation, "reward": reward, "done": done, "info": null }));
            }
            Some(Kind::TextCraft) => {
                json!({ "observation": step.observation, "reward": short(step.reward), "done": step.done })
            }
            Some(Kind::AlfWorld) => json!({
                "observation": step.observation,
                "reward": step.reward,
                "available_actions": told(&self.state(), "admissible", "available_actions")?,
                "done": step.done,
            }),
            Some(Kind::BabyAi | Kind::SciWorld) | None => {
                let number = if kind == Some(Kind::BabyAi) { zero_or_float } else { short };
                let mut said = json!({
                    "observation": step.observation,
                    "reward": number(step.reward),
                    "score": number(step.score),
                    "done": step.done,
                });
                if kind.is_none() && step.truncated {
                    said["truncated"] = true.into();
                }
                if kind.is_none() && !step.info.is_empty() {
                    said["info"] = step.info.clone().into();
                }
                said
            }
        };
        self.update(&said);
        Ok(said)
    }

    fn facts(&self) -> Option<&dyn Facts> {
        self.environment.as_ref()?.facts()
    }

    pub fn state(&self) -> Map<String, Value> {
        self.facts().map(Facts::state).unwrap_or_default()
    }

    /// One fact of the environment's; missing, the text of Python's KeyError.
    pub fn fact(&self, name: &str, original: &str) -> Answer {
        let told = self.facts().map(|facts| facts.fact(name)).transpose()?.flatten();
        told.map_or_else(|| said(format!("'{original}'")), Ok)
    }

    /// `dict.update`: known keys keep their place.
    pub fn update(&mut self, changes: &Value) {
        if let Value::Object(changes) = changes {
            changes.iter().for_each(|(key, value)| drop(self.info.insert(key.clone(), value.clone())));
        }
    }
}

pub fn merge(object: &mut Value, more: &Value) {
    if let (Value::Object(object), Value::Object(more)) = (object, more) {
        object.extend(more.iter().map(|(key, value)| (key.clone(), value.clone())));
    }
}

pub fn is_true(info: &Map<String, Value>, key: &str) -> bool {
    info.get(key) == Some(&Value::Bool(true))
}

/// A fact of an environment's state; missing, the text of Python's KeyError.
fn told(state: &Map<String, Value>, name: &str, original: &str) -> Answer {
    match state.get(name) {
        Some(value) => Ok(value.clone()),
        None => said(format!("'{original}'")),
    }
}

/// Whole numbers without a fraction.
fn short(number: f64) -> Value {
    let whole = number.fract() == 0.0 && number.abs() < 1e15;
    if whole { json!(number as i64) } else { json!(number) }
}

/// BabyAI's rewards are the integer 0 or a float.
fn zero_or_float(number: f64) -> Value {
    if number == 0.0 { json!(0) } else { json!(number) }
}
