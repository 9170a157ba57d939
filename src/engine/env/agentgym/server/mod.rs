//! An AgentGym server over any environment: what the original servers answer, for their clients as they are.
//!
//! The five kinds of AgentGym are told by the environment's name; any other environment is served in the same style
//! (`/create` `/reset` `/step` `/observation` `/detail` `/close`, with `id`, `data_idx`, `observation`, `reward`,
//! `score`, `done`).
//!
//! Everything but these names is read off observation, reward, score and done. In [`Environment::state`] must stand,
//! after `reset` and after every `step`:
//!
//! - ALFWorld: `admissible` (list of strings), `task_type` (`pick_and_place…/trial_…`).
//! - ScienceWorld: `task_name`, `var_num`, `task_description`; for the hints `possible_actions`, `possible_objects`,
//!   `goals`, `object_tree`.
//! - WebShop: `has_search_bar`, `clickables`, `instruction_text`, `url`, `html`.
//!
//! A step whose `info` has an `error` is answered with `{"error": …}`, as where upstream raises.
//!
//! ALFWorld's first observation may end with `\nAVAILABLE ACTIONS: …`, ScienceWorld's may begin with the task's
//! description: both are taken off. BabyAI's must begin with the line `Your goal: …`.

mod app;
mod arguments;
mod http;
mod routes;
mod seat;

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use self::app::App;
use self::http::Door;
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

/// A server that listens. Its environments live on the thread that opened it.
pub struct Server<'a> {
    app: App<'a>,
    door: Door,
    address: SocketAddr,
}

impl<'a> Server<'a> {
    /// `make` gives one environment per client.
    pub fn open(listener: TcpListener, make: impl FnMut() -> Result<Box<dyn Environment>> + 'a) -> Result<Self> {
        let app = App::new(Box::new(make))?;
        let address = listener.local_addr().map_err(|error| Error::message(format!("the HTTP server: {error}")))?;
        Ok(Server { app, door: Door::open(listener)?, address })
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
