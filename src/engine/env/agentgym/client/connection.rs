//! Calls to a server: time-outs, retries where a call may be repeated, and one sentence for everything that goes wrong.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::Method;
use reqwest::blocking::{Client, RequestBuilder};
use serde_json::Value;

use crate::engine::env::agentgym::key::{ApiKey, VARIABLE};
use crate::engine::{Error, Result, cancel};

/// The first pause before a call is repeated; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// How long closing an environment may take: nobody waits for it.
const CLOSING: Duration = Duration::from_secs(5);

/// Connections are used again within this time. Our server ends those on which nothing comes, later.
const IDLE: Duration = Duration::from_secs(15);

/// Longer replies are quoted up to here.
const QUOTED: usize = 200;

/// A server that many environments share.
pub struct Connection {
    http: Client,
    base: String,
    /// The environment's, for errors.
    pub name: String,
    key: Option<ApiKey>,
    timeout: Duration,
    retries: u32,
    /// How often the server was lost. An environment that was made before the last loss is gone, even where the server
    /// is back and knows its number: it may be another client's.
    losses: AtomicU64,
}

/// Whether a call that may have reached the server can be made again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Repeat {
    Safe,
    /// The server may have acted: an error is final.
    Never,
}

/// What came of one attempt.
enum Attempt {
    Answered(Value),
    /// Sent or not, no answer; the server may come back.
    Lost(String),
    /// 502, 503 or 504: a server that is starting or overloaded, so the call was not carried out.
    Busy(String),
    /// The server does not know an id that it gave out: it was restarted.
    Forgotten(String),
    Refused(String),
}

impl Connection {
    pub fn new(base: &str, name: &str, key: Option<ApiKey>, timeout: Duration, retries: u32) -> Result<Self> {
        let http = Client::builder().timeout(timeout).pool_idle_timeout(IDLE).build();
        let http = http.map_err(|error| Error::environment(name, format!("no HTTP client: {}", reason(&error))))?;
        let base = base.trim_end_matches('/').to_string();
        Ok(Connection { http, base, name: name.to_string(), key, timeout, retries, losses: AtomicU64::new(0) })
    }

    pub fn losses(&self) -> u64 {
        self.losses.load(Ordering::SeqCst)
    }

    /// The server has forgotten what it was told.
    fn lose(&self) {
        self.losses.fetch_add(1, Ordering::SeqCst);
    }

    /// An error of this server's.
    pub fn error(&self, problem: impl std::fmt::Display) -> Error {
        Error::environment(&self.name, format!("server {}: {problem}", self.base))
    }

    /// The server's greeting, whatever it is. Not repeated: where there is no server, the user should hear it at once.
    pub fn greeting(&self) -> Result<Value> {
        match self.attempt(Method::GET, "/", None) {
            Attempt::Answered(greeting) => Ok(greeting),
            Attempt::Lost(problem)
            | Attempt::Busy(problem)
            | Attempt::Forgotten(problem)
            | Attempt::Refused(problem) => Err(self.error(problem)),
        }
    }

    pub fn get(&self, path: &str) -> Result<Value> {
        self.call(Method::GET, path, None, Repeat::Safe)
    }

    pub fn post(&self, path: &str, body: &Value, repeat: Repeat) -> Result<Value> {
        self.call(Method::POST, path, Some(body), repeat)
    }

    /// Best effort.
    pub fn post_in_passing(&self, path: &str, body: &Value) {
        let request = self.request(Method::POST, path).timeout(CLOSING).json(body);
        if let Err(error) = request.send() {
            tracing::debug!("{}{path}: {error}", self.base);
        }
    }

    fn call(&self, method: Method, path: &str, body: Option<&Value>, repeat: Repeat) -> Result<Value> {
        let mut pause = FIRST_PAUSE;
        for left in (0..=self.retries).rev() {
            let problem = match self.attempt(method.clone(), path, body) {
                Attempt::Answered(value) => return Ok(value),
                Attempt::Refused(problem) => return Err(self.error(problem)),
                Attempt::Forgotten(problem) => {
                    self.lose();
                    return Err(self.error(problem));
                }
                Attempt::Lost(problem) => {
                    self.lose();
                    if repeat == Repeat::Never {
                        return Err(self.error(problem));
                    }
                    problem
                }
                Attempt::Busy(problem) => problem,
            };
            if left == 0 {
                return Err(self.error(problem));
            }
            tracing::debug!("{}: {problem}; {left} attempts left", self.base);
            sleep(pause)?;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        unreachable!("the last attempt returns")
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.key {
            Some(key) => request.bearer_auth(key.secret()),
            None => request,
        }
    }

    fn attempt(&self, method: Method, path: &str, body: Option<&Value>) -> Attempt {
        let what = format!("{method} {}", path.split('?').next().unwrap_or(path));
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.json(body);
        }
        let (status, text) = match request.send().and_then(|reply| Ok((reply.status().as_u16(), reply.text()?))) {
            Ok(answer) => answer,
            Err(error) if error.is_timeout() => {
                return Attempt::Refused(format!("no answer to {what} within {} s", self.timeout.as_secs_f64()));
            }
            Err(error) if error.is_builder() => return Attempt::Refused(format!("{what}: {}", reason(&error))),
            Err(error) if error.is_connect() => {
                return Attempt::Lost(format!("nothing answers there ({}): is the server running?", reason(&error)));
            }
            Err(error) => return Attempt::Lost(format!("the connection broke during {what}: {}", reason(&error))),
        };
        match status {
            200 => match serde_json::from_str::<Value>(&text) {
                Ok(value) => match value.get("error") {
                    Some(error) if is_unknown_id(&plain(error)) => {
                        Attempt::Forgotten(format!("{what}: {}", plain(error)))
                    }
                    Some(error) => Attempt::Refused(format!("{what}: {}", plain(error))),
                    None => Attempt::Answered(value),
                },
                Err(_) => Attempt::Refused(format!("{what}: expected JSON, got {}", quoted(&text))),
            },
            422 => Attempt::Refused(format!("{what}: {} (status 422)", complaints(&text))),
            401 | 403 => Attempt::Refused(match self.key {
                Some(_) => format!("{what}: it does not take the key that it was shown (status {status})"),
                None => {
                    format!("{what}: it asks for a key (status {status}): set {VARIABLE}, or give the option api_key")
                }
            }),
            404 => Attempt::Refused(format!("it has no {what} (status 404): is it an AgentGym server of this kind?")),
            502..=504 => Attempt::Busy(format!("{what}: status {status}, {}", quoted(&text))),
            _ => Attempt::Refused(format!("{what}: status {status}, {}", quoted(&text))),
        }
    }
}

fn sleep(pause: Duration) -> Result<()> {
    let end = Instant::now() + pause;
    while Instant::now() < end {
        cancel::check()?;
        std::thread::sleep(Duration::from_millis(50).min(end.saturating_duration_since(Instant::now())));
    }
    cancel::check()
}

/// `The id 3 is not valid.`
fn is_unknown_id(text: &str) -> bool {
    text.starts_with("The id ") && text.ends_with(" is not valid.")
}

/// The innermost cause, which says most.
fn reason(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_string)
}

fn quoted(text: &str) -> String {
    let short: String = text.chars().take(QUOTED).collect();
    let more = if short.len() < text.len() { "…" } else { "" };
    format!("\"{short}{more}\"")
}

/// What a 422 complains of: `body.action: Field required`.
fn complaints(text: &str) -> String {
    let reply: Value = serde_json::from_str(text).unwrap_or_default();
    let complaint = |detail: &Value| {
        let place: Vec<String> = detail["loc"].as_array()?.iter().map(plain).collect();
        Some(format!("{}: {}", place.join("."), plain(&detail["msg"])))
    };
    let all = reply["detail"].as_array().map(|details| details.iter().filter_map(complaint).collect::<Vec<_>>());
    all.filter(|all| !all.is_empty()).map_or_else(|| quoted(text), |all| all.join("; "))
}
