//! One flag that long work polls: set by the first Ctrl-C, read once per micro-batch, decode step and turn.

use std::sync::atomic::{AtomicBool, Ordering};

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
