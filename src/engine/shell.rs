//! Commands of the shell's: waited for as the C library's `system` waits, but so that Ctrl-C ends the wait, or at the other
//! end of a pipe.

use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::signals::as_started;
use super::{Error, Result, cancel};

const SHELL: &str = "/bin/sh";

/// How long a wait may overlook the command's end or Ctrl-C.
const SLICE: Duration = Duration::from_millis(20);

/// How long a command that was told to end may take for it.
const PATIENCE: Duration = Duration::from_secs(1);

/// Whether there is a shell.
pub fn exists() -> bool {
    std::path::Path::new(SHELL).exists()
}

/// A program by its path, or by its name on the path.
pub fn find_program(name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(|path| path.is_file());
    }
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// Runs a command to its end, with this process's standard streams.
pub fn run(command: &std::ffi::OsStr) -> Result<ExitStatus> {
    let failed = |error: std::io::Error| Error::message(error.to_string()).within(SHELL);
    let mut shell = Command::new(SHELL);
    let mut child = as_started(|| shell.arg("-c").arg(command).spawn()).map_err(failed)?;
    // Most commands are short: look often at first.
    let mut pause = Duration::from_micros(100);
    loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            return Ok(status);
        }
        if let Err(error) = cancel::check() {
            end(&mut child);
            return Err(error);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(SLICE);
    }
}

/// The processes that [`beside`] saw begin.
static BESIDE: Mutex<Vec<libc::pid_t>> = Mutex::new(Vec::new());

/// Runs `start`, which starts a process that nobody waits for here (`popen`), and remembers it for [`end_all`].
pub fn beside<T>(start: impl FnOnce() -> T) -> T {
    let before = children();
    let started = as_started(start);
    let mut known = BESIDE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    known.extend(children().into_iter().filter(|child| !before.contains(child)));
    started
}

/// Tells all of them to end: closing a pipe waits for whoever is at its other end.
pub fn end_all() {
    let mut known = BESIDE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    // The number of one that has ended may be somebody else's now.
    let ours = |child: &libc::pid_t| {
        let status = std::fs::read_to_string(format!("/proc/{child}/status")).unwrap_or_default();
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"));
        parent.is_some_and(|parent| parent.trim() == std::process::id().to_string())
    };
    known.drain(..).filter(ours).for_each(ask_to_end);
}

/// Tells a child of ours to end, and what it started: a shell does not hand on what it is told.
fn ask_to_end(child: libc::pid_t) {
    let mut family = vec![child];
    let mut place = 0;
    while let Some(member) = family.get(place) {
        family.extend(children_in(&format!("/proc/{member}/task/{member}/children")));
        place += 1;
    }
    for member in family {
        // SAFETY: the numbers are those of our own child and of its descendants a moment ago.
        unsafe { libc::kill(member, libc::SIGTERM) };
    }
}

/// The children of this thread; none where the kernel does not tell.
fn children() -> Vec<libc::pid_t> {
    children_in("/proc/thread-self/children")
}

fn children_in(list: &str) -> Vec<libc::pid_t> {
    let text = std::fs::read_to_string(list).unwrap_or_default();
    text.split_whitespace().filter_map(|number| number.parse().ok()).collect()
}

fn end(child: &mut Child) {
    ask_to_end(child.id() as libc::pid_t);
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        std::thread::sleep(SLICE);
    }
    let _ = child.kill();
    let _ = child.wait();
}
