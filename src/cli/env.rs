//! `affine env`: the environments that ship here or that a user wrote, listed, played, checked and served.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};

use super::failure::Failure;
use super::output::say;
use crate::engine::env::agentgym::server::ServerOptions;
use crate::engine::env::setup::{self, Wishes};
use crate::lua::report::Report;
use crate::lua::{self, Script};

/// List, play, check, serve and set up environments
#[derive(Args)]
pub struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// The environments that ship here: how many tasks, how many turns, where they come from
    List,
    /// Play a task yourself
    Play {
        #[command(flatten)]
        which: Which,
        /// The task's number
        #[arg(long, value_name = "ID", default_value_t = 0)]
        task: u32,
    },
    /// Play an environment to see whether it keeps its promises: same id same bytes, an expert that succeeds, no errors
    Check {
        #[command(flatten)]
        which: Which,
    },
    /// Serve an environment over HTTP as AgentGym's servers do, until Ctrl-C
    Serve {
        #[command(flatten)]
        which: Which,
        /// The address to listen on; 0.0.0.0 for every network of this machine
        #[arg(long, default_value = "127.0.0.1")]
        host: String,
        /// 0 takes one that is free
        #[arg(long, default_value_t = 8000)]
        port: u16,
        /// What clients must show as `Authorization: Bearer KEY`; by default AFFINE_API_KEY, which no list of processes
        /// shows, and without either anybody may play
        #[arg(long, value_name = "KEY", value_parser = NonEmptyStringValueParser::new())]
        api_key: Option<String>,
        /// Environments open at once; beyond them, one that was not used for ten minutes is given up
        #[arg(long, value_name = "N", default_value_t = ServerOptions::default().max_instances)]
        max_instances: usize,
    },
    /// Obtain what does not ship here: the simulator of sciworld, and instructions in their originals' own words
    Setup {
        /// sciworld; affine, for ABD and DED; or agentgym, for AgentGym's environments
        name: String,
        /// Install into this folder, in place of one below ~/.cache/affine
        #[arg(long)]
        folder: Option<PathBuf>,
        /// The Python whose pip obtains it, in place of python3
        #[arg(long)]
        python: Option<String>,
    },
}

#[derive(Args)]
struct Which {
    /// As env.make takes it: a name, custom:NAME, a .lua file, http://HOST:PORT
    name: String,
    /// One of the environment's options; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

pub fn run(options: Options) -> Result<(), Failure> {
    let mut words = Vec::new();
    match options.action {
        Action::List => words.push("list".to_string()),
        Action::Play { which, task } => {
            words.extend(["play".to_string(), which.name, task.to_string()]);
            words.extend(which.set);
        }
        Action::Check { which } => {
            words.extend(["check".to_string(), which.name]);
            words.extend(which.set);
        }
        Action::Serve { which, host, port, api_key, max_instances } => {
            let key = api_key.unwrap_or_default();
            words.extend(["serve".to_string(), which.name, host, port.to_string(), key, max_instances.to_string()]);
            words.extend(which.set);
        }
        Action::Setup { name, folder, python } => return set_up(&name, &Wishes { folder, python }),
    }
    let script = Script {
        code: b"require('affine.internal.env_command').main(...)".to_vec(),
        name: "=affine env".to_string(),
        folder: PathBuf::new(),
        args: std::iter::once("env".to_string()).chain(words).map(Into::into).collect(),
    };
    lua::run(&script).map_err(Failure::Script)
}

fn set_up(name: &str, wishes: &Wishes) -> Result<(), Failure> {
    match setup::run(name, wishes) {
        Ok(sentence) => say(sentence),
        Err(error) => return Err(Failure::Script(Report::of(&error))),
    }
    Ok(())
}
