//! What goes into a run and what comes out.

use serde::{Deserialize, Serialize};

use crate::engine::{Error, Result};

/// A program and what it is run with.
#[derive(Debug, Clone, PartialEq)]
pub struct Program {
    /// Python source, in any bytes: what is no Python ends as it does in CPython, with a `SyntaxError`.
    pub code: Vec<u8>,
    /// All of its standard input.
    pub stdin: Vec<u8>,
    pub limits: Limits,
}

/// What a program may use up. The defaults are those of the subnet's validators.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Seconds until it is killed.
    pub wall: f64,
    /// Seconds of processor time over all its threads, rounded up to whole ones, which is what the kernel counts.
    pub cpu: f64,
    /// Bytes of address space, the interpreter's 30 MB included.
    pub memory: u64,
    /// Bytes on each of standard output and standard error.
    pub output: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { wall: 30.0, cpu: 10.0, memory: 512 << 20, output: 1_000_000 }
    }
}

/// Longer limits are a slip of the pen.
const MAX_SECONDS: f64 = 86_400.0;
/// Less, and the interpreter itself has no room.
const MIN_MEMORY: u64 = 64 << 20;
const MAX_BYTES: u64 = 1 << 40;
/// Output is held in memory.
const MAX_OUTPUT: u64 = 1 << 30;

impl Limits {
    pub fn validate(&self) -> Result<()> {
        for (name, seconds) in [("limits.wall", self.wall), ("limits.cpu", self.cpu)] {
            if !(seconds > 0.0 && seconds <= MAX_SECONDS) {
                return Err(Error::option(name, format!("seconds above 0 and up to {MAX_SECONDS}"), seconds));
            }
        }
        if !(MIN_MEMORY..=MAX_BYTES).contains(&self.memory) {
            let expected = format!("{MIN_MEMORY} to {MAX_BYTES} bytes");
            return Err(Error::option("limits.memory", expected, self.memory));
        }
        if self.output > MAX_OUTPUT {
            return Err(Error::option("limits.output", format!("up to {MAX_OUTPUT} bytes"), self.output));
        }
        Ok(())
    }

    pub(super) fn cpu_seconds(&self) -> u64 {
        self.cpu.ceil() as u64
    }
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// By itself, with exit code 0.
    Ok,
    /// By itself with another exit code, by a signal, or by having too many threads or files.
    Error,
    /// At one of the two limits on time.
    Timeout,
    /// By a `MemoryError` that it did not catch, or killed because the machine's memory was used up.
    Memory,
    /// At the limit on output.
    Output,
}

/// Which limit on time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Limit {
    Wall,
    Cpu,
}

/// What a program left behind.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    pub status: Status,
    /// With [`Status::Timeout`].
    pub limit: Option<Limit>,
    /// What it wrote until its end, cut at the limit.
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    /// Nothing where a signal ended it.
    pub exit_code: Option<i32>,
}

impl Outcome {
    /// The kernel's out-of-memory killer is the one who kills what we did not.
    pub(super) fn killed_from_outside() -> Self {
        Outcome { status: Status::Memory, limit: None, stdout: Vec::new(), stderr: Vec::new(), exit_code: None }
    }
}
