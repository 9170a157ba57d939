//! The log of a run until its end, whichever thread comes to it.

use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use super::log::Log;
use super::record::{Exit, Kind, Summary};
use super::row::item;
use crate::engine::track::metric::Metric;
use crate::engine::{Error, Result};

#[derive(Debug)]
pub struct Journal {
    shared: Arc<Mutex<Shared>>,
    clock: Clock,
}

#[derive(Debug)]
struct Shared {
    log: Log,
    is_ended: bool,
}

#[derive(Debug, Clone, Copy)]
struct Clock {
    begun: Instant,
    /// How long the run ran before.
    before: f64,
}

impl Clock {
    fn runtime(&self) -> f64 {
        self.before + self.begun.elapsed().as_secs_f64()
    }
}

impl Journal {
    /// `before`: the seconds that the run ran before.
    pub fn new(log: Log, before: f64) -> Journal {
        let shared = Shared { log, is_ended: false };
        Journal { shared: Arc::new(Mutex::new(shared)), clock: Clock { begun: Instant::now(), before } }
    }

    /// How long the run has run, in seconds.
    pub fn runtime(&self) -> f64 {
        self.clock.runtime()
    }

    pub fn append(&self, kinds: impl IntoIterator<Item = Kind>) -> Result<()> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if shared.is_ended {
            return Err(Error::message("the W&B run was finished: nothing can be logged to it any more"));
        }
        shared.log.append(kinds)
    }

    /// Does nothing where the run has its end.
    pub fn end(&self, exit_code: i32) -> Result<()> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).end(exit_code, self.runtime())
    }

    pub fn closer(&self) -> Closer {
        Closer { shared: self.shared.clone(), clock: self.clock }
    }
}

impl Shared {
    fn end(&mut self, exit_code: i32, runtime: f64) -> Result<()> {
        if self.is_ended {
            return Ok(());
        }
        let update = vec![
            item(&["_runtime"], &Metric::Float(runtime)),
            item(&["_wandb", "runtime"], &Metric::Int(runtime as i64)),
        ];
        let exit = Exit { exit_code, runtime: runtime as i32 };
        self.log.append([Kind::Summary(Summary { update }), Kind::Exit(exit)])?;
        self.is_ended = true;
        Ok(())
    }
}

/// A run from wherever the process is: its log's lines, and its end at a second Ctrl-C.
#[derive(Debug, Clone)]
pub struct Closer {
    shared: Arc<Mutex<Shared>>,
    clock: Clock,
}

impl Closer {
    /// Does nothing where the run has its end.
    pub fn close(&self, exit_code: i32) -> Result<()> {
        self.soon(|shared| shared.end(exit_code, self.clock.runtime()))
    }

    /// Adds a record to a run that has no end.
    pub fn append(&self, kind: Kind) -> Result<()> {
        self.soon(|shared| if shared.is_ended { Ok(()) } else { shared.log.append([kind]) })
    }

    /// Where something is being written, waits a moment for it, not longer: its thread may be the one that calls.
    fn soon(&self, what: impl FnOnce(&mut Shared) -> Result<()>) -> Result<()> {
        for _ in 0..50 {
            match self.shared.try_lock() {
                Ok(mut shared) => return what(&mut shared),
                Err(TryLockError::Poisoned(shared)) => return what(&mut shared.into_inner()),
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(2)),
            }
        }
        Err(Error::message("something else was being written to the W&B run"))
    }
}
