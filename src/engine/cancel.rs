//! One flag that long work polls: set by the first Ctrl-C, read once per micro-batch, decode step and turn.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use super::{Error, Result};

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Ask all long work to stop at its next clean point. Safe to call from a signal handler.
pub fn request() {
    REQUESTED.store(true, Ordering::SeqCst);
}

/// The work has stopped, and other work may begin: what an interactive session does behind each line.
pub fn clear() {
    REQUESTED.store(false, Ordering::SeqCst);
}

pub fn requested() -> bool {
    REQUESTED.load(Ordering::SeqCst)
}

/// `Err(Error::Interrupted)` once [`request`] was called.
pub fn check() -> Result<()> {
    if requested() { Err(Error::Interrupted) } else { Ok(()) }
}

/// How long a wait may overlook Ctrl-C.
const SLICE: Duration = Duration::from_millis(20);

/// Waits for another thread's message, or for Ctrl-C. `None` when that thread ended without one, which only a panic
/// explains.
pub fn receive<T>(messages: &Receiver<T>) -> Result<Option<T>> {
    loop {
        match messages.recv_timeout(SLICE) {
            Ok(message) => return Ok(Some(message)),
            Err(RecvTimeoutError::Timeout) => check()?,
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
        }
    }
}
