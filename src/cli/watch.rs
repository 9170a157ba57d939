//! `affine watch`: how a run stands, from another process, by its files alone.

mod charts;
mod keys;
mod plain;
mod screen;
mod terminal;
mod view;

use std::io::IsTerminal;
use std::path::PathBuf;

use super::failure::Failure;
use super::files::run_folder;
use super::output::put;
use crate::engine::track::follow::{Followed, Life};
use crate::engine::{Error, Result};
use crate::lua::report::Report;

/// Watch a run: progress, curves, the last episodes and alarms
///
/// It may be another process's, and over ssh: only files are read. On a terminal the view is live, and ? lists its keys;
/// elsewhere, and with --once, it is a short text.
#[derive(clap::Args)]
pub struct Options {
    /// Its folder, or the name of one in runs/; runs/latest is followed to newer runs
    #[arg(default_value = "runs/latest")]
    run: PathBuf,
    /// Print how it stands and end
    #[arg(long)]
    once: bool,
}

pub fn run(options: &Options) -> std::result::Result<(), Failure> {
    watch(options).map_err(|error| Failure::Script(Report::of(&error)))
}

fn watch(options: &Options) -> Result<()> {
    let mut run = Followed::new(&run_folder(&options.run));
    if !options.once && std::io::stdout().is_terminal() {
        return terminal::watch(&mut run);
    }
    if run.life == Life::Absent {
        let hint = "a run's folder is made as it begins; runs/ has those of this working folder";
        return Err(Error::hinted(format!("{}: there is no such run", run.asked().display()), hint));
    }
    put(plain::summary(&run, now()));
    Ok(())
}

/// Seconds since 1970.
fn now() -> f64 {
    chrono::Utc::now().timestamp_millis() as f64 / 1000.0
}

#[cfg(test)]
mod tests;
