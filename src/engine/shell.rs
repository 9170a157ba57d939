//! A command of the shell's, waited for as the C library's `system` waits, but so that Ctrl-C ends the wait.

use std::process::{Child, Command, ExitStatus};
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

fn end(child: &mut Child) {
    // SAFETY: the number is that of our own child, which nobody has waited for.
    unsafe { libc::kill(child.id() as libc::pid_t, libc::SIGTERM) };
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
