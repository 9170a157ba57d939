//! Runs CPython programs that nobody has read, such as those that a policy wrote, so that they can do no harm.
//!
//! What a program gets: the interpreter and its standard library to read, a fresh folder to write files in, standard
//! input and output. What it does not get: a network, any other file's contents, other processes, more time, memory or
//! disk than its [`Limits`]. Three walls stand around it, each alone enough for most of this:
//!
//! - Landlock ([`files`]) decides which files can be opened, seccomp ([`syscalls`]) which system calls exist at all.
//!   Without these two no program runs, unless [`SandboxOptions::accept_risk`] says so.
//! - Namespaces ([`launch`]) of users, processes, network, IPC and host name, where the kernel gives them to us.
//! - Resource limits of the kernel, and a [`watch`] from outside over time, output, threads and disk.
//!
//! Programs are forked off a warm interpreter inside these walls ([`server`], `server.py`), because starting an
//! interpreter costs ten times what a short program does. One server runs one program at a time; threads that call
//! [`Sandbox::run`] at once get a server each. A server whose program had to be killed is killed with it.
//!
//! What stays visible: the names, sizes and times of files (`stat`), the kernel's version, the processor.

mod files;
mod folder;
mod interpreter;
mod launch;
mod program;
mod server;
mod syscalls;
mod watch;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};

use serde::{Deserialize, Serialize};

use self::interpreter::Interpreter;
use self::launch::Walls;
use self::server::Server;
use self::watch::End;
use super::Result;

pub use self::program::{Limit, Limits, Outcome, Program, Status};

/// Which interpreter, and how strict.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SandboxOptions {
    /// The interpreter; without it the `python3` on the path.
    pub python: Option<PathBuf>,
    /// Run programs even where the kernel lacks Landlock or seccomp, behind the walls that are left.
    pub accept_risk: bool,
}

/// Runs programs, several at once when several threads ask.
pub struct Sandbox {
    interpreter: Interpreter,
    walls: Walls,
    idle: Mutex<Vec<Server>>,
}

/// A server that nobody uses costs some 10 MB; more than this many are let go.
const MAX_IDLE: usize = 64;

impl Sandbox {
    /// Finds the interpreter and starts one server, so that whatever is missing is told here and not at the first run.
    pub fn new(options: &SandboxOptions) -> Result<Self> {
        let walls = Walls::of_this_kernel(options.accept_risk)?;
        let interpreter = Interpreter::find(options.python.as_deref())?;
        let sandbox = Sandbox { interpreter, walls, idle: Mutex::new(Vec::new()) };
        let first = sandbox.start()?;
        sandbox.idle().push(first);
        Ok(sandbox)
    }

    /// The sandbox that everybody with the same options shares; it lasts as long as this process.
    pub fn shared(options: &SandboxOptions) -> Result<Arc<Self>> {
        static SHARED: LazyLock<Mutex<BTreeMap<SandboxOptions, Arc<Sandbox>>>> = LazyLock::new(Default::default);
        let mut shared = SHARED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(sandbox) = shared.get(options) {
            return Ok(sandbox.clone());
        }
        let sandbox = Arc::new(Sandbox::new(options)?);
        shared.insert(options.clone(), sandbox.clone());
        Ok(sandbox)
    }

    /// Runs a program to its end or to the first limit. An error means that the sandbox failed, not the program.
    pub fn run(&self, program: &Program) -> Result<Outcome> {
        program.limits.validate()?;
        // A server that died while it was idle says nothing about the program.
        while let Some(server) = self.take_idle() {
            if let End::Done(outcome) = self.run_on(server, program)? {
                return Ok(outcome);
            }
        }
        match self.run_on(self.start()?, program)? {
            End::Done(outcome) => Ok(outcome),
            End::ServerGone => Ok(Outcome::killed_from_outside()),
        }
    }

    /// One line on what stands between a program and this machine.
    pub fn describe(&self) -> String {
        format!("CPython {} behind {}", self.interpreter.version, self.walls)
    }

    fn run_on(&self, mut server: Server, program: &Program) -> Result<End> {
        let end = watch::run(&mut server, program)?;
        let mut idle = self.idle();
        if server.is_ready() && idle.len() < MAX_IDLE {
            idle.push(server);
        }
        Ok(end)
    }

    fn start(&self) -> Result<Server> {
        Server::start(&self.interpreter, &self.walls)
    }

    fn take_idle(&self) -> Option<Server> {
        self.idle().pop()
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Server>> {
        self.idle.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
