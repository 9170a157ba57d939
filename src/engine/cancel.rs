//! One flag that long work polls: set by the first Ctrl-C, read once per micro-batch, decode step and turn.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::{Error, Result};

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Whether the main thread has noticed. What it is inside of otherwise may be a call that polls nothing.
static HEARD: AtomicBool = AtomicBool::new(false);

/// How many [`Unfinished`] there are.
static UNFINISHED: AtomicUsize = AtomicUsize::new(0);

/// Ask all long work to stop at its next clean point.
pub fn request() {
    REQUESTED.store(true, Ordering::SeqCst);
}

/// The work has stopped, and other work may begin: what an interactive session does behind each line.
pub fn clear() {
    REQUESTED.store(false, Ordering::SeqCst);
    HEARD.store(false, Ordering::SeqCst);
}

pub fn requested() -> bool {
    REQUESTED.load(Ordering::SeqCst)
}

/// `Err(Error::Interrupted)` once [`request`] was called.
pub fn check() -> Result<()> {
    if requested() {
        hear();
        return Err(Error::Interrupted);
    }
    Ok(())
}

/// What runs on this thread stops now.
pub fn hear() {
    // SAFETY: both only ask. The main thread's number is the process's.
    if unsafe { libc::gettid() == libc::getpid() } {
        HEARD.store(true, Ordering::SeqCst);
    }
}

/// Whether the main thread has heard of the interruption.
pub fn heard() -> bool {
    HEARD.load(Ordering::SeqCst)
}

/// Whether work would be lost if the process ended now.
pub fn is_unfinished() -> bool {
    UNFINISHED.load(Ordering::SeqCst) > 0
}

/// Work that is lost when it is cut off, while this lives: files that are being written, training that has a step to
/// save.
#[derive(Debug)]
pub struct Unfinished(());

pub fn unfinished() -> Unfinished {
    UNFINISHED.fetch_add(1, Ordering::SeqCst);
    Unfinished(())
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        UNFINISHED.fetch_sub(1, Ordering::SeqCst);
    }
}

/// How long a wait may overlook Ctrl-C.
const SLICE: Duration = Duration::from_millis(20);

/// Waits for another thread's message, or for Ctrl-C. `None` when that thread ended without one, which only a panic
/// explains.
pub fn receive<T>(messages: &Receiver<T>) -> Result<Option<T>> {
    receive_within(messages, Duration::MAX)
}

/// [`receive`], with `None` as well once `patience` has passed.
pub fn receive_within<T>(messages: &Receiver<T>, patience: Duration) -> Result<Option<T>> {
    let begun = Instant::now();
    loop {
        match messages.recv_timeout(SLICE) {
            Ok(message) => return Ok(Some(message)),
            Err(RecvTimeoutError::Timeout) if begun.elapsed() > patience => return Ok(None),
            Err(RecvTimeoutError::Timeout) => check()?,
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
        }
    }
}
