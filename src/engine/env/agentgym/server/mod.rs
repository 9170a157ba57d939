//! An AgentGym server over any environment: what the original servers answer, for their clients as they are.
//!
//! The five kinds of AgentGym are told by the environment's name; any other environment is served in the same style
//! (`/create` `/reset` `/step` `/observation` `/detail` `/close`, with `id`, `data_idx`, `observation`, `reward`,
//! `score`, `done`).
//!
//! Everything but these names is read off observation, reward, score and done. In [`Facts::state`] must stand, after `reset`
//! and after every `step`:
//!
//! - ALFWorld: `admissible` (list of strings), `task_type` (`pick_and_place…/trial_…`).
//! - ScienceWorld: `task_name`, `var_num`, `task_description`; for the hints `possible_actions`, `possible_objects`,
//!   `goals`, `object_tree`.
//! - WebShop: `has_search_bar`, `clickables`, `instruction_text`, `url`, `html`.
//!
//! Those clients send the bare action. For any other environment the server reads the action out of what it is sent, as the
//! environment itself does ([`Environment::parse`]), and tells two more things, by which our own client plays it as at home:
//! `GET /description` (our [`Description`]) and `GET /messages?id=…` (the opening turns); a step's reply has `truncated` and
//! `info` where there is something to tell.
//!
//! A step whose `info` has an `error` is answered with `{"error": …}`, as where upstream raises.
//!
//! ALFWorld's first observation may end with `\nAVAILABLE ACTIONS: …`, ScienceWorld's may begin with the task's
//! description: both are taken off. BabyAI's must begin with the line `Your goal: …`.
//!
//! [`Facts::state`]: crate::engine::env::Facts::state

mod app;
mod arguments;
mod http;
mod routes;
mod seat;

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use self::app::App;
use self::http::Door;
use crate::engine::env::agentgym::ApiKey;
use crate::engine::env::{Description, Environment};
use crate::engine::{Error, Result, cancel};

/// How soon Ctrl-C is noticed.
const PATIENCE: Duration = Duration::from_millis(100);

/// Takes the address; the error says what is wrong with it.
pub fn listen(host: &str, port: u16) -> Result<TcpListener> {
    TcpListener::bind((host, port)).map_err(|error| {
        let hint = "another program may use it already: choose another port, 0 takes any that is free";
        Error::hinted(format!("cannot listen on {host}, port {port}: {error}"), hint)
    })
}

/// Who may play, and how many environments at once.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// What every request must show; without one anybody may play.
    pub api_key: Option<ApiKey>,
    pub max_instances: usize,
    /// A client that was not heard for so long may be gone: where there is no room, its environment is given up.
    pub idle: Duration,
    /// What a request may take to arrive, its head and its body each. A connection on which nothing comes ends then, too.
    pub arrival: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        ServerOptions {
            api_key: None,
            max_instances: 1024,
            idle: Duration::from_secs(600),
            arrival: Duration::from_secs(30),
        }
    }
}

/// A server that listens. Its environments live on the thread that opened it.
pub struct Server<'a> {
    app: App<'a>,
    door: Door,
    address: SocketAddr,
}

impl<'a> Server<'a> {
    /// `make` gives one environment per client.
    pub fn open(
        listener: TcpListener,
        options: ServerOptions,
        make: impl FnMut() -> Result<Box<dyn Environment>> + 'a,
    ) -> Result<Self> {
        let app = App::new(Box::new(make), options.max_instances, options.idle)?;
        let address = listener.local_addr().map_err(|error| Error::message(format!("the HTTP server: {error}")))?;
        if options.api_key.is_none() && !address.ip().is_loopback() {
            tracing::warn!(
                "{address} is open to other machines: anyone who reaches it may play, on this machine's time; --api-key (the \
                 option api_key) asks for a key"
            );
        }
        Ok(Server { app, door: Door::open(listener, options.api_key, options.arrival)?, address })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it serves.
    pub fn description(&self) -> &Description {
        self.app.description()
    }

    /// Answers one request if one comes within `patience`.
    pub fn attend(&mut self, patience: Duration) -> Result<()> {
        self.door.answer(patience, |request| self.app.answer(request))
    }

    /// Serves until [`cancel`] is requested.
    pub fn run(mut self) -> Result<()> {
        while !cancel::requested() {
            self.attend(PATIENCE)?;
        }
        Ok(())
    }
}
