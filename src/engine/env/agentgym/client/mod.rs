//! An environment that is played on an AgentGym server, as the servers of its five kinds are, or on our own server of any
//! other environment, which describes itself and reads the action out of the whole reply.
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
use serde_json::{Value, json};

use self::connection::{Connection, Repeat};
use super::{ApiKey, Kind, opening};
use crate::engine::env::begun::Begun;
use crate::engine::env::{Description, Environment, Identity, Parsed, Step};
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
    /// What the server asks for; without it `AFFINE_API_KEY` in the environment.
    #[serde(skip_serializing)]
    pub api_key: Option<ApiKey>,
}

impl Default for AgentGymOptions {
    fn default() -> Self {
        AgentGymOptions {
            kind: None,
            timeout: 300.0,
            retries: 5,
            max_turns: None,
            num_tasks: None,
            instructions: None,
            api_key: None,
        }
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
    /// Which of AgentGym's; none of them is served by us.
    kind: Option<Kind>,
    instructions: String,
    description: Description,
}

/// One environment on a server.
pub struct AgentGymClient {
    shared: Arc<Shared>,
    seat: Option<Seat>,
    episode: Begun<Episode>,
}

struct Episode {
    /// Where it is played.
    seat: Seat,
    opening: Vec<Message>,
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
        let (key, timeout) =
            (ApiKey::given_or_set(options.api_key.as_ref())?, Duration::from_secs_f64(options.timeout));
        let mut connection = Connection::new(base, name, key, timeout, options.retries)?;
        let (kind, mut description) = recognise(&connection, options.kind)?;
        connection.name.clone_from(&description.name);
        description.num_tasks = options.num_tasks.or(description.num_tasks);
        if let Some(asked) = options.max_turns {
            description.limit_turns(asked);
        }
        let instructions = match (kind, &options.instructions) {
            (Some(kind), given) => kind.instructions(given.as_deref())?,
            (None, None) => String::new(),
            (None, Some(_)) => {
                let expected = format!("nothing, because environment {} brings its own", description.name);
                return Err(Error::option("instructions", expected, "a text"));
            }
        };
        Ok(Self::sharing(Arc::new(Shared { connection, kind, instructions, description })))
    }

    fn sharing(shared: Arc<Shared>) -> Self {
        let episode = Begun::none(&shared.description.name);
        AgentGymClient { shared, seat: None, episode }
    }

    /// The environment on the server, made anew where there is none or it is lost.
    fn seat(&mut self) -> Result<Seat> {
        if let Some(seat) = self.seat.filter(|seat| !self.is_lost(*seat)) {
            return Ok(seat);
        }
        let reply = self.shared.connection.post("/create", &json!({}), Repeat::Safe)?;
        let id = if self.shared.kind == Some(Kind::WebShop) { reply.as_i64() } else { reply["id"].as_i64() };
        let id = id.ok_or_else(|| self.odd("POST /create", "an id", &reply))?;
        // The server may have been lost and found while it was called.
        let seat = Seat { id, losses: self.shared.connection.losses() };
        self.seat = Some(seat);
        Ok(seat)
    }

    /// Begins the episode on the server and gives the first observation as the model sees it.
    fn begin(&mut self, task_id: u64) -> Result<String> {
        let seat = self.seat()?;
        let observation = self.begin_with(seat, task_id)?;
        let Shared { connection, kind, instructions, .. } = &*self.shared;
        let opening = match kind {
            Some(kind) => opening(*kind, instructions, &observation),
            None => {
                let told = connection.get(&format!("/messages?id={}", seat.id))?;
                serde_json::from_value(told.clone())
                    .map_err(|_| self.odd("GET /messages", "the opening turns", &told))?
            }
        };
        self.episode.begin(Episode { seat, opening });
        Ok(observation)
    }

    fn begin_with(&self, seat: Seat, task_id: u64) -> Result<String> {
        let Shared { connection, kind, .. } = &*self.shared;
        let body = match kind {
            Some(Kind::WebShop) => json!({ "env_idx": seat.id, "session_id": task_id }),
            Some(Kind::AlfWorld) => json!({ "id": seat.id, "game": task_id, "world_type": "Text" }),
            _ => json!({ "id": seat.id, "data_idx": task_id }),
        };
        let reply = connection.post("/reset", &body, Repeat::Safe)?;
        let text = |key: &str| self.text("POST /reset", &reply, key);
        match kind {
            Some(Kind::WebShop) => {
                let page = connection.get(&format!("/observation?env_idx={}", seat.id))?;
                let text = page.as_str().map(str::to_string);
                text.ok_or_else(|| self.odd("GET /observation", "a text", &page))
            }
            Some(Kind::AlfWorld) => {
                let actions =
                    self.actions(&reply).ok_or_else(|| self.odd("POST /reset", "available_actions", &reply))?;
                Ok(format!("{}\nAVAILABLE ACTIONS: {}", text("observation")?, actions.join(",")))
            }
            Some(Kind::SciWorld) => Ok(format!("{}\n{}", text("task_description")?, text("observation")?)),
            Some(Kind::BabyAi | Kind::TextCraft) | None => text("observation"),
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
            self.text("POST /step", reply, if kind == Some(Kind::WebShop) { "state" } else { "observation" })?;
        let reward = self.number(reply, "reward")?;
        let score = match kind {
            Some(Kind::BabyAi | Kind::SciWorld) | None => self.number(reply, "score")?,
            _ => reward,
        };
        let done = reply["done"].as_bool().ok_or_else(|| self.odd("POST /step", "\"done\" as true or false", reply))?;
        let mut info = reply["info"].as_object().cloned().unwrap_or_default();
        if let Some(actions) = self.actions(reply) {
            info.insert("admissible".to_string(), json!(actions));
        }
        let truncated = reply["truncated"] == true;
        Ok(Step { observation, reward, done, score, truncated, info })
    }

    /// Gives the environment up: after an error nobody knows what state it is in.
    fn release(&mut self) {
        self.episode.leave();
        if let Some(seat) = self.seat.take().filter(|seat| !self.is_lost(*seat)) {
            let body = json!({ id_key(self.shared.kind): seat.id });
            self.shared.connection.post_in_passing("/close", &body);
        }
    }

    fn is_lost(&self, seat: Seat) -> bool {
        seat.losses != self.shared.connection.losses()
    }
}

impl Environment for AgentGymClient {
    fn describe(&self) -> Description {
        self.shared.description.clone()
    }

    fn identity(&self) -> Identity {
        Identity {
            instructions: self.shared.kind.map(|kind| kind.which_instructions(&self.shared.instructions)),
            ..Identity::default()
        }
    }

    /// An environment from an earlier episode may have been lost with its server: then a new one is tried.
    fn reset(&mut self, task_id: u64) -> Result<String> {
        self.episode.leave();
        let is_old = self.seat.is_some();
        let begun = match self.begin(task_id) {
            Err(error) if is_old && !error.is_interrupted() => {
                tracing::debug!("{error}; with a new environment once more");
                self.release();
                self.begin(task_id)
            }
            begun => begun,
        };
        if begun.is_err() {
            self.release();
        }
        begun
    }

    fn messages(&self) -> Result<Vec<Message>> {
        Ok(self.episode.get()?.opening.clone())
    }

    fn reply(&self, action: &str, thought: Option<&str>) -> Result<String> {
        Ok(self.shared.kind.map_or_else(|| action.to_string(), |kind| kind.reply(action, thought)))
    }

    fn parse(&self, reply: &str) -> Result<Parsed> {
        // Our server reads the action itself.
        Ok(self.shared.kind.map_or_else(|| Parsed::Action(reply.to_string()), |kind| kind.parse(reply)))
    }

    fn step(&mut self, action: &str) -> Result<Step> {
        let Shared { connection, kind, .. } = &*self.shared;
        let seat = self.episode.get()?.seat;
        let stepped = if self.is_lost(seat) {
            Err(connection.error("it was lost during this episode, and the episode with it"))
        } else {
            let body = json!({ id_key(*kind): seat.id, "action": action });
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

fn id_key(kind: Option<Kind>) -> &'static str {
    kind.map_or("id", Kind::id_key)
}

/// What is served behind an address: one of AgentGym's kinds, by its greeting, or what our own server of any other
/// environment says of it.
fn recognise(connection: &Connection, expected: Option<Kind>) -> Result<(Option<Kind>, Description)> {
    let greeting = connection.greeting()?;
    let found = Kind::ALL.into_iter().find(|kind| greeting == kind.greeting());
    let (found, description) = match found {
        Some(kind) => (Some(kind), kind.description()),
        None => match described(connection, &greeting) {
            Some(description) => (None, description?),
            None => {
                let names = Kind::ALL.map(Kind::name).join(", ");
                let problem = format!("GET / answers {greeting}, as no AgentGym server does (known are {names})");
                return Err(connection.error(problem));
            }
        },
    };
    match expected {
        Some(expected) if found != Some(expected) => {
            let (expected, name) = (expected.name(), &description.name);
            Err(connection.error(format!("expected a server of kind \"{expected}\", got one of kind \"{name}\"")))
        }
        _ => Ok((found, description)),
    }
}

/// What our own server says of its environment; nothing where the greeting is not ours.
fn described(connection: &Connection, greeting: &Value) -> Option<Result<Description>> {
    let name = greeting.as_str()?.strip_prefix("This is environment ")?.strip_suffix('.')?;
    let told = match connection.get("/description") {
        Ok(told) => told,
        Err(error) => return Some(Err(error)),
    };
    let is_named = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let read = serde_json::from_value::<Description>(told.clone()).ok().filter(|about| {
        let (low, high) = about.score_range;
        about.name == name
            && name.chars().all(is_named)
            && low < high
            && about.max_turns > 0
            && about.num_tasks != Some(0)
    });
    Some(read.ok_or_else(|| {
        connection.error(format!("GET /description: expected what affine's own server says of \"{name}\", got {told}"))
    }))
}
