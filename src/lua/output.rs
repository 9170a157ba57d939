//! Standard output that fails: a reader that has gone ends a script quietly, a full disk with an error.
//!
//! What a script writes goes through C's stream, and a write that nobody looked at leaves its mark there.

use std::io;
use std::os::fd::AsFd;

use mlua::{Lua, Table};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::report;
use crate::engine::{Error, Result, file};

unsafe extern "C" {
    /// C's stream.
    static mut stdout: *mut libc::FILE;
}

/// How a script ends whose output is lost.
pub enum Lost {
    /// Whoever read it has gone.
    Quietly,
    /// The sentence.
    Because(String),
}

/// How the sentence begins.
const SENTENCE: &str = "standard output cannot be written";

pub fn lost(error: &io::Error) -> Lost {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Lost::Quietly,
        _ => Lost::Because(format!("{SENTENCE}: {}", file::reason(error))),
    }
}

/// Whether an error is that sentence: no line of the script is at fault.
pub fn is_lost(error: &Error) -> bool {
    matches!(error, Error::Message { message, .. } if message.starts_with(SENTENCE))
}

/// Puts `host.not_written(errno)` and `host.check_output()` into `host`, for `prelude.lua`.
pub fn install(lua: &Lua, host: &Table) -> mlua::Result<()> {
    host.set("not_written", lua.create_function(|_, errno: i32| not_written(errno).map_err(report::raise))?)?;
    host.set("check_output", lua.create_function(|_, ()| check().map_err(report::raise))?)
}

/// What a failed write comes to. One that Ctrl-C ended has said enough: the script stops at its next instruction.
fn not_written(errno: i32) -> Result<()> {
    match lost(&io::Error::from_raw_os_error(errno)) {
        _ if errno == libc::EINTR => Ok(()),
        Lost::Quietly => std::process::exit(0),
        Lost::Because(sentence) => Err(Error::message(sentence)),
    }
}

/// Writes what the stream still holds; an error where any of a script's output was lost.
pub fn check() -> Result<()> {
    // SAFETY: C's own stream, for its own functions; nobody sets it.
    let (flushed, failed) = unsafe { (libc::fflush(stdout), libc::ferror(stdout)) };
    if flushed != 0 {
        return not_written(io::Error::last_os_error().raw_os_error().unwrap_or_default());
    }
    match failed {
        0 => Ok(()),
        _ if has_no_reader() => std::process::exit(0),
        _ => Err(Error::message(format!("{SENTENCE}: a part of what was printed is lost"))),
    }
}

fn has_no_reader() -> bool {
    let stream = io::stdout();
    let mut descriptors = [PollFd::from_borrowed_fd(stream.as_fd(), PollFlags::OUT)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut descriptors, Some(&now)).is_ok() && descriptors[0].revents().contains(PollFlags::ERR)
}
