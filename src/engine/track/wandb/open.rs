//! The W&B runs that this process has begun, until it ends: how it ends decides how those end that nobody finished.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::journal::Closer;
use super::live::Live;
use super::options::Mode;
use super::{Options, Wandb};
use crate::engine::{Error, Result, shell};

/// How long an upload is waited for that reads along; what is left then goes on by itself.
const PATIENCE: Duration = Duration::from_secs(60);

/// What W&B calls the end of a run that was interrupted.
pub const INTERRUPTED: i32 = 255;

static OPEN: Mutex<Vec<Open>> = Mutex::new(Vec::new());

struct Open {
    closer: Closer,
    live: Option<Live>,
    id: String,
    folders: Vec<PathBuf>,
}

fn open() -> MutexGuard<'static, Vec<Open>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has a run end when the process does, and uploaded meanwhile where there is a program to do it.
pub(super) fn add(wandb: &Wandb, uploader: Option<&Path>) {
    let live = uploader.map(|program| Live::start(program, &wandb.folders()));
    let folders = wandb.folders().into_iter().map(Path::to_path_buf).collect();
    open().push(Open { closer: wandb.closer(), live, id: wandb.id().to_string(), folders });
}

/// Ends the runs in a folder that goes on with one of them.
pub(super) fn end_in(folder: &Path) {
    open().retain(|run| {
        let goes_on = run.folders.iter().any(|own| own.parent() == Some(folder));
        if goes_on {
            // What has no end gets one when it is opened again.
            let _ = run.closer.close(1);
        }
        !goes_on
    });
}

/// The user's `wandb`, where it is wanted.
pub(super) fn uploader(options: &Options) -> Result<Option<PathBuf>> {
    if options.mode == Mode::Offline {
        return Ok(None);
    }
    let found = shell::find_program("wandb");
    found.map(Some).ok_or_else(|| {
        let sentence = "wandb.mode: there is no program wandb on the path, which uploads while a run goes on";
        Error::hinted(sentence, "pip install wandb, and `wandb login`; or leave the mode \"offline\"")
    })
}

/// A line that was shown to the user, for the consoles of all runs.
pub fn console(line: &str) {
    // Who holds the list begins or ends runs, and what is said of that is for the user alone.
    for run in OPEN.try_lock().iter().flat_map(|runs| runs.iter()) {
        // A log that cannot be written is heard of when numbers are.
        let _ = run.closer.append(super::output(format!("{line}\n")));
    }
}

/// Ends what has no end yet with the process's exit code, waits for uploads, and says how to upload the others.
pub fn end_all(exit_code: i32) {
    let runs = std::mem::take(&mut *open());
    for Open { closer, live, id, folders } in runs {
        if let Err(error) = closer.close(exit_code) {
            tracing::warn!("{error}");
        }
        let folders: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
        let command = format!("wandb sync {}", folders.join(" "));
        match live.map(|live| live.finish(PATIENCE)) {
            None => tracing::info!("W&B run {id}, not uploaded yet: {command}"),
            Some(Ok(true)) => tracing::info!("W&B run {id}: uploaded"),
            Some(Ok(false)) => tracing::warn!("W&B run {id}: its upload goes on, or failed; if so: {command}"),
            Some(Err(error)) => tracing::warn!("W&B run {id}: {error}; to upload it: {command}"),
        }
    }
}

/// Ends what has no end yet, and no more: the process ends now.
pub fn end_at_once(exit_code: i32) {
    for run in &*open() {
        // There is nobody left to be told.
        let _ = run.closer.close(exit_code);
    }
}
