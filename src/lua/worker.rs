//! Lua on other threads: one state per thread, source text and plain data across, nothing shared.
//!
//! mlua's states stay on their thread and so do tensors; a worker therefore gets its code as text and its arguments
//! copied. Its errors come back with their own traceback.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use mlua::{Function, Lua, MultiValue, Value};

use super::kind::kind;
use super::plain::Plain;
use super::{chunk, report};
use crate::engine::{Error, Result, cancel};

/// How a state is made for scripts in a folder.
pub type MakeState = fn(&Path) -> mlua::Result<Lua>;

/// What a state remembers for the workers that its script starts: where the script is, and how their states are made.
pub struct Origin {
    pub folder: PathBuf,
    pub make: MakeState,
}

/// What every worker of a pool runs: a chunk that returns a function.
#[derive(Clone)]
pub struct Program {
    /// How each worker's state is made.
    pub make: MakeState,
    pub code: Vec<u8>,
    /// A Lua chunk name, `@score.lua`.
    pub name: String,
    /// Where its own modules are.
    pub folder: PathBuf,
    /// What the chunk gets as `...`.
    pub args: Vec<Plain>,
}

/// Threads that wait for calls of their program's function.
pub struct Pool {
    calls: Sender<Call>,
    threads: usize,
}

struct Call {
    args: Vec<Plain>,
    results: Sender<Result<Vec<Plain>>>,
    /// Set when nobody waits for the results any more.
    abandoned: Arc<AtomicBool>,
}

/// A call on its way.
pub struct Job {
    results: Receiver<Result<Vec<Plain>>>,
    abandoned: Arc<AtomicBool>,
}

impl Pool {
    /// Starts the threads and waits until each has run the program's chunk.
    pub fn start(program: &Program, threads: usize) -> Result<Self> {
        let (calls, queue) = channel::<Call>();
        let queue = Arc::new(Mutex::new(queue));
        let (ready, begun) = channel();
        for number in 1..=threads {
            let (program, queue, ready) = (program.clone(), queue.clone(), ready.clone());
            let work = move || work(&program, &queue, &ready);
            let spawned = std::thread::Builder::new().name(format!("worker {number}")).spawn(work);
            spawned.map_err(|error| Error::message(format!("a worker's thread cannot be started: {error}")))?;
        }
        drop(ready);
        for _ in 0..threads {
            wait(&begun)??;
        }
        Ok(Pool { calls, threads })
    }

    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Queues a call; the first worker that is free takes it.
    pub fn submit(&self, args: Vec<Plain>) -> Job {
        let (results, receiver) = channel();
        let abandoned = Arc::new(AtomicBool::new(false));
        // The workers hold the other end for as long as this one exists.
        let _ = self.calls.send(Call { args, results, abandoned: abandoned.clone() });
        Job { results: receiver, abandoned }
    }
}

impl Job {
    /// Waits for the results of the call.
    pub fn wait(&self) -> Result<Vec<Plain>> {
        wait(&self.results)?
    }

    /// The results, if they are there.
    pub fn poll(&self) -> Option<Result<Vec<Plain>>> {
        self.results.try_recv().ok()
    }

    /// Nobody will ask for the results: a worker that has not begun leaves the call alone.
    pub fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }
}

/// Waits for a worker's message; Ctrl-C ends the wait.
fn wait<T>(messages: &Receiver<T>) -> Result<T> {
    match cancel::receive(messages)? {
        Some(message) => Ok(message),
        // The worker's panic was reported as it happened; it is a bug here as it was there.
        None => std::panic::resume_unwind(Box::new("a worker's thread panicked")),
    }
}

/// A worker's life: its own state, the program's chunk, then one call after the other until the pool is gone.
fn work(program: &Program, queue: &Mutex<Receiver<Call>>, ready: &Sender<Result<()>>) {
    let prepared = (program.make)(&program.folder).and_then(|lua| Ok((function(&lua, program)?, lua)));
    let (function, lua) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            let _ = ready.send(Err(report::lower(&error)));
            return;
        }
    };
    if ready.send(Ok(())).is_err() {
        return;
    }
    loop {
        let call = match queue.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).recv() {
            Ok(call) => call,
            Err(_) => return,
        };
        if !call.abandoned.load(Ordering::Relaxed) {
            let _ = call.results.send(answer(&lua, &function, call.args));
        }
    }
}

/// The function that the program's chunk returns.
fn function(lua: &Lua, program: &Program) -> mlua::Result<Function> {
    let args = program.args.iter().cloned().map(|arg| arg.into_lua(lua)).collect::<mlua::Result<MultiValue>>()?;
    match chunk::load(lua, &program.code, &program.name)?.into_function()?.call::<Value>(args)? {
        Value::Function(function) => Ok(function),
        other => {
            let name = program.name.trim_start_matches(['@', '=']);
            let message = format!("{name}: expected a chunk that returns a function, got {}", kind(&other));
            Err(report::raise(Error::hinted(message, "end it with: return function(...) ... end")))
        }
    }
}

fn answer(lua: &Lua, function: &Function, args: Vec<Plain>) -> Result<Vec<Plain>> {
    let called = args.into_iter().map(|arg| arg.into_lua(lua)).collect::<mlua::Result<MultiValue>>();
    let results = called.and_then(|args| function.call::<MultiValue>(args)).map_err(|error| report::lower(&error))?;
    let results = results.iter().enumerate();
    results.map(|(i, result)| Plain::from_lua(result, &format!("result {}", i + 1))).collect()
}
