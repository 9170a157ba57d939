//! An environment that is played on an AgentGym server, as the servers of its five kinds are.
//!
//! One server-side environment per instance, made when its first episode begins and closed when it is dropped. What goes
//! wrong ends the episode with an error that names the server, so that the caller marks it failed and it is judged by
//! nobody; the next `reset` makes a new environment and carries on, as soon as the server is back. Beginning an episode is
//! repeated with growing pauses while the server does not answer; an action never is, because it may have been carried
//! out.

mod connection;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use self::connection::{Connection, Repeat};
use super::{Kind, opening};
use crate::engine::env::{Description, Environment, Instructions, Parsed, Step, TurnLimit};
use crate::engine::text::Message;
use crate::engine::{Error, Result};

const NAME: &str = "agentgym";

/// A day: a longer time-out is a slip of the pen.
const LONGEST_TIMEOUT: f64 = 86_400.0;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AgentGymOptions {
    /// Which of AgentGym's environments the server serves; without it the server is asked.
    pub kind: Option<Kind>,
    /// Seconds that any answer may take, above 0.
    pub timeout: f64,
    /// How often the beginning of an episode is repeated when the server does not answer, from 0 to 20.
    pub retries: u32,
    /// Turns after which an episode is over, at least 1; by default AgentGym's for the kind.
    pub max_turns: Option<usize>,
    /// How many tasks the server has, at least 1, where the kind does not fix it.
    pub num_tasks: Option<u64>,
    /// Instructions in place of the built-in ones: a text, or the path of a file with it.
    pub instructions: Option<String>,
}

impl Default for AgentGymOptions {
    fn default() -> Self {
        AgentGymOptions { kind: None, timeout: 300.0, retries: 5, max_turns: None, num_tasks: None, instructions: None }
    }
}

impl AgentGymOptions {
    pub fn validate(&self) -> Result<()> {
        if !(self.timeout > 0.0 && self.timeout <= LONGEST_TIMEOUT) {
            let expected = format!("seconds above 0, at most {LONGEST_TIMEOUT}");
            return Err(Error::option("timeout", expected, self.timeout));
        }
        if self.retries > 20 {
            return Err(Error::option("retries", "from 0 to 20", self.retries));
        }
        if self.max_turns == Some(0) {
            return Err(Error::option("max_turns", "at least 1 turn", 0));
        }
        if self.num_tasks == Some(0) {
            return Err(Error::option("num_tasks", "at least 1 task", 0));
        }
        Ok(())
    }
}

/// What all instances for one server share.
struct Shared {
    connection: Connection,
    kind: Kind,
    instructions: String,
    description: Description,
}

/// One environment on a server.
pub struct AgentGymClient {
    shared: Arc<Shared>,
    seat: Option<Seat>,
    /// The observation that the running episode began with.
    opening: Option<String>,
}

/// The environment's number on the server, and how often the server had been lost when it was made.
#[derive(Clone, Copy)]
struct Seat {
    id: i64,
    losses: u64,
}

impl AgentGymClient {
    /// `base` is the server's address, `http://host:port`. The server is asked at once what it is.
    pub fn new(base: &str, options: &AgentGymOptions) -> Result<Self> {
        options.validate()?;
        let name = options.kind.map_or(NAME, Kind::name);
        let mut connection = Connection::new(base, name, Duration::from_secs_f64(options.timeout), options.retries)?;
        let kind = recognise(&connection, options.kind)?;
        connection.name = kind.name();
        let max_turns = options.max_turns.unwrap_or(kind.max_turns());
        let description = Description {
            name: kind.name().to_string(),
            num_tasks: options.num_tasks.or(kind.num_tasks()),
            score_range: kind.score_range(),
            success_threshold: kind.success_threshold(),
            max_turns,
            turn_limit: TurnLimit::of_task(kind.max_turns(), max_turns),
            // A server tells an end, not what made it.
            move_limit: TurnLimit::Task,
        };
        let instructions = kind.instructions(options.instructions.as_deref())?;
        Ok(Self::sharing(Arc::new(Shared { connection, kind, instructions, description })))
    }

    fn sharing(shared: Arc<Shared>) -> Self {
        AgentGymClient { shared, seat: None, opening: None }
    }

    /// The environment on the server, made anew where there is none or it is lost.
    fn seat(&mut self) -> Result<Seat> {
        if let Some(seat) = self.seat.filter(|seat| !self.is_lost(*seat)) {
            return Ok(seat);
        }
        let reply = self.shared.connection.post("/create", &json!({}), Repeat::Safe)?;
        let id = if self.shared.kind == Kind::WebShop { reply.as_i64() } else { reply["id"].as_i64() };
        let id = id.ok_or_else(|| self.odd("POST /create", "an id", &reply))?;
        // The server may have been lost and found while it was called.
        let seat = Seat { id, losses: self.shared.connection.losses() };
        self.seat = Some(seat);
        Ok(seat)
    }

    /// Begins the episode on the server; the first observation as the model sees it.
    fn begin(&mut self, task_id: u64) -> Result<String> {
        let seat = self.seat()?;
        let Shared { connection, kind, .. } = &*self.shared;
        let body = match kind {
            Kind::WebShop => json!({ "env_idx": seat.id, "session_id": task_id }),
            Kind::AlfWorld => json!({ "id": seat.id, "game": task_id, "world_type": "Text" }),
            _ => json!({ "id": seat.id, "data_idx": task_id }),
        };
        let reply = connection.post("/reset", &body, Repeat::Safe)?;
        let text = |key: &str| self.text("POST /reset", &reply, key);
        match kind {
            Kind::WebShop => {
                let page = connection.get(&format!("/observation?env_idx={}", seat.id))?;
                let text = page.as_str().map(str::to_string);
                text.ok_or_else(|| self.odd("GET /observation", "a text", &page))
            }
            Kind::AlfWorld => {
                let actions =
                    self.actions(&reply).ok_or_else(|| self.odd("POST /reset", "available_actions", &reply))?;
                Ok(format!("{}\nAVAILABLE ACTIONS: {}", text("observation")?, actions.join(",")))
            }
            Kind::SciWorld => Ok(format!("{}\n{}", text("task_description")?, text("observation")?)),
            Kind::BabyAi | Kind::TextCraft => text("observation"),
        }
    }

    fn actions<'a>(&self, reply: &'a Value) -> Option<Vec<&'a str>> {
        reply["available_actions"].as_array()?.iter().map(Value::as_str).collect()
    }

    fn text(&self, call: &str, reply: &Value, key: &str) -> Result<String> {
        let text = reply[key].as_str().map(str::to_string);
        text.ok_or_else(|| self.odd(call, &format!("\"{key}\" as a text"), reply))
    }

    fn number(&self, reply: &Value, key: &str) -> Result<f64> {
        reply[key].as_f64().ok_or_else(|| self.odd("POST /step", &format!("\"{key}\" as a number"), reply))
    }

    fn odd(&self, call: &str, expected: &str, got: &Value) -> Error {
        self.shared.connection.error(format!("{call}: expected {expected}, got {got}"))
    }

    fn outcome(&self, reply: &Value) -> Result<Step> {
        let kind = self.shared.kind;
        let observation =
            self.text("POST /step", reply, if kind == Kind::WebShop { "state" } else { "observation" })?;
        let reward = self.number(reply, "reward")?;
        let score = match kind {
            Kind::BabyAi | Kind::SciWorld => self.number(reply, "score")?,
            _ => reward,
        };
        let done = reply["done"].as_bool().ok_or_else(|| self.odd("POST /step", "\"done\" as true or false", reply))?;
        let mut info = Map::new();
        if let Some(actions) = self.actions(reply) {
            info.insert("admissible".to_string(), json!(actions));
        }
        Ok(Step { observation, reward, done, score: Some(score), truncated: false, info })
    }

    /// Gives the environment up: after an error nobody knows what state it is in.
    fn release(&mut self) {
        self.opening = None;
        if let Some(seat) = self.seat.take().filter(|seat| !self.is_lost(*seat)) {
            let body = json!({ self.shared.kind.id_key(): seat.id });
            self.shared.connection.post_in_passing("/close", &body);
        }
    }

    fn is_lost(&self, seat: Seat) -> bool {
        seat.losses != self.shared.connection.losses()
    }

    fn not_begun(&self) -> Error {
        Error::environment(self.shared.kind.name(), "no episode has begun; call reset first")
    }
}

impl Environment for AgentGymClient {
    fn describe(&self) -> Description {
        self.shared.description.clone()
    }

    /// An environment from an earlier episode may have been lost with its server: then a new one is tried.
    fn reset(&mut self, task_id: u64) -> Result<String> {
        self.opening = None;
        let is_old = self.seat.is_some();
        let begun = match self.begin(task_id) {
            Err(error) if is_old && !error.is_interrupted() => {
                tracing::debug!("{error}; with a new environment once more");
                self.release();
                self.begin(task_id)
            }
            begun => begun,
        };
        match begun {
            Ok(observation) => {
                self.opening = Some(observation.clone());
                Ok(observation)
            }
            Err(error) => {
                self.release();
                Err(error)
            }
        }
    }

    fn messages(&self) -> Result<Vec<Message>> {
        let Shared { kind, instructions, .. } = &*self.shared;
        let observation = self.opening.as_ref().ok_or_else(|| self.not_begun())?;
        Ok(opening(*kind, instructions, observation))
    }

    fn reply(&self, action: &str, thought: Option<&str>) -> String {
        self.shared.kind.reply(action, thought)
    }

    fn instructions(&self) -> Option<Instructions> {
        Some(self.shared.kind.which_instructions(&self.shared.instructions))
    }

    fn parse(&self, reply: &str) -> Result<Parsed> {
        Ok(self.shared.kind.parse(reply))
    }

    fn step(&mut self, action: &str) -> Result<Step> {
        let Shared { connection, kind, .. } = &*self.shared;
        let (Some(seat), Some(_)) = (self.seat, &self.opening) else {
            return Err(self.not_begun());
        };
        let stepped = if self.is_lost(seat) {
            Err(connection.error("it was lost during this episode, and the episode with it"))
        } else {
            let body = json!({ kind.id_key(): seat.id, "action": action });
            connection.post("/step", &body, Repeat::Never).and_then(|reply| self.outcome(&reply))
        };
        if stepped.is_err() {
            self.release();
        }
        stepped
    }

    /// The same server, another environment on it.
    fn fresh(&self) -> Result<Box<dyn Environment>> {
        Ok(Box::new(Self::sharing(self.shared.clone())))
    }
}

impl Drop for AgentGymClient {
    fn drop(&mut self) {
        self.release();
    }
}

/// The kind of server behind an address, by its greeting.
fn recognise(connection: &Connection, expected: Option<Kind>) -> Result<Kind> {
    let greeting = connection.greeting()?;
    let found = Kind::ALL.into_iter().find(|kind| greeting == kind.greeting());
    match (found, expected) {
        (Some(found), None) => Ok(found),
        (Some(found), Some(expected)) if found == expected => Ok(found),
        (Some(found), Some(expected)) => {
            let (found, expected) = (found.name(), expected.name());
            Err(connection.error(format!("expected a server of kind \"{expected}\", got one of kind \"{found}\"")))
        }
        (None, _) => {
            let names = Kind::ALL.map(Kind::name).join(", ");
            Err(connection.error(format!("GET / answers {greeting}, as no AgentGym server does (known are {names})")))
        }
    }
}
