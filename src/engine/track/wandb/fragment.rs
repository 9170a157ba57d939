//! The folders of a run. A run that goes on gets a further one under the same id: W&B marks a `.wandb` file as uploaded when
//! it was (`.synced`) and never looks at it again, and would upload all of it again where it is told to. Of several
//! folders of one id it uploads each once, in the order of their start.

use std::io;
use std::path::{Path, PathBuf};

use super::log::{self, Log};
use super::record::{Exit, Kind};
use crate::engine::file::{create_folder, reason, unreadable};
use crate::engine::{Error, Result};

const PREFIX: &str = "offline-run-";

/// One folder `offline-run-<YYYYMMDD>_<HHMMSS>-<id>`.
#[derive(Debug, Clone, PartialEq)]
pub struct Fragment {
    pub path: PathBuf,
    pub id: String,
}

impl Fragment {
    /// Makes a new one below `folder`, named by `time`, or the first second after it that is free.
    pub fn create(folder: &Path, id: &str, time: f64) -> Result<Fragment> {
        create_folder(folder)?;
        for second in 0.. {
            let path = folder.join(format!("{PREFIX}{}-{id}", stamp(time + f64::from(second))));
            match std::fs::create_dir(&path) {
                Ok(()) => {
                    create_folder(path.join("files"))?;
                    return Ok(Fragment { path, id: id.to_string() });
                }
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(Error::file(&path, format!("cannot be created: {}", reason(&e)))),
            }
        }
        unreachable!("some second is free")
    }

    pub fn log(&self) -> PathBuf {
        self.path.join(format!("run-{}.wandb", self.id))
    }

    pub fn files(&self) -> PathBuf {
        self.path.join("files")
    }

    /// Whether all of it was uploaded.
    pub fn is_synced(&self) -> bool {
        self.path.join(format!("run-{}.wandb.synced", self.id)).exists()
    }

    fn of(path: PathBuf) -> Option<Fragment> {
        let name = path.file_name()?.to_str()?.strip_prefix(PREFIX)?;
        let id = name.get("YYYYMMDD_HHMMSS-".len()..)?.to_string();
        let fragment = Fragment { path, id };
        fragment.log().is_file().then_some(fragment)
    }
}

/// The fragments below a folder, the oldest first.
pub fn fragments(folder: &Path) -> Result<Vec<Fragment>> {
    let entries = match std::fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|e| unreadable(folder, &e))?,
    };
    let mut fragments: Vec<Fragment> = entries.filter_map(|entry| Fragment::of(entry.ok()?.path())).collect();
    fragments.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(fragments)
}

/// Ends the runs below a folder whose processes were killed: `wandb beta sync --live` waits for an end for ever. Says how
/// many there were.
pub fn close_abandoned(folder: &Path) -> Result<usize> {
    let mut closed = 0;
    for fragment in fragments(folder)? {
        closed += usize::from(close(&fragment)? == Closed::Now);
    }
    Ok(closed)
}

#[derive(Debug, PartialEq)]
pub enum Closed {
    /// It had an end.
    Before,
    Now,
    /// A process is at work on it.
    Not,
}

/// Ends a fragment that has no end: its run failed.
pub fn close(fragment: &Fragment) -> Result<Closed> {
    let is_end = |kind: &Kind| matches!(kind, Kind::Exit(_));
    if log::read(&fragment.log())?.records.iter().any(is_end) {
        return Ok(Closed::Before);
    }
    let Some(mut log) = Log::reopen(&fragment.log())? else { return Ok(Closed::Not) };
    log.append([Kind::Exit(Exit { exit_code: 1, runtime: 0 })])?;
    Ok(Closed::Now)
}

fn stamp(time: f64) -> String {
    let time = chrono::DateTime::from_timestamp(time as i64, 0).unwrap_or_default();
    time.with_timezone(&chrono::Local).format("%Y%m%d_%H%M%S").to_string()
}
