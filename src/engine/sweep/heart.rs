//! The heartbeat of the trials that this process runs: a thread that writes the time into the journal now and then, whatever the trials are
//! busy with.

use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};

use super::journal::{append_line, operation};
use super::process;

/// Beats while it lives.
#[derive(Debug)]
pub struct Heart {
    _stop: Sender<()>,
}

impl Heart {
    pub fn of(journal: &Path) -> Self {
        let (stop, stopped) = channel();
        let journal = journal.to_path_buf();
        let beat = move || {
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(process::BEAT) {
                for trial in process::working_on(&journal) {
                    let beat = operation::system_attr(trial, process::HEARTBEAT, process::now().into());
                    if let Err(error) = append_line(&journal, "affine-heartbeat", beat) {
                        tracing::debug!("no heartbeat: {error}");
                    }
                }
            }
        };
        if let Err(error) = std::thread::Builder::new().name("heartbeat".to_string()).spawn(beat) {
            tracing::debug!("no heartbeat: {error}");
        }
        Heart { _stop: stop }
    }
}
