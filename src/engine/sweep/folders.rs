//! The folders of trials, below one beside the journal: where each may keep its checkpoints, and which of them are removed when it is over.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::history::{History, Placed};
use super::record::{State, TrialRecord};
use crate::engine::{Error, Result, file};

/// The attribute of a trial that has a folder: its name. The trial that goes on after a crash has the same.
pub const FOLDER: &str = "affine:folder";

/// Whose folders stay when a trial is over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    #[default]
    All,
    /// Of the complete and pruned ones, the best trial's, or those of the Pareto front.
    Best,
}

/// The name of a new trial's folder: no two trials of a journal have the same id.
pub fn name(id: usize) -> String {
    format!("{id:04}")
}

pub fn path(journal: &Path, name: &str) -> PathBuf {
    all(journal).join(name)
}

/// Where a journal's trials have theirs.
fn all(journal: &Path) -> PathBuf {
    let mut name = journal.as_os_str().to_os_string();
    name.push(".trials");
    name.into()
}

pub fn of(record: &TrialRecord) -> Option<&str> {
    record.system_attrs.get(FOLDER).and_then(Value::as_str)
}

/// Removes folders of trials that are over, the worst first: all but the best ones', or as many as it takes to hold no more than
/// `max_bytes`. Those of failed trials stay.
pub fn make_room(history: &History, best: &[u64], journal: &Path, keep: Keep, max_bytes: Option<u64>) -> Result<()> {
    let is_spare = |trial: &&Placed| {
        matches!(trial.record.state, State::Complete | State::Pruned) && !best.contains(&trial.record.number)
    };
    let mut spare: Vec<&Placed> = history.trials.iter().filter(is_spare).collect();
    let loss = |trial: &Placed| history.direction().loss(trial.record.value().unwrap_or(f64::NAN));
    let is_complete = |trial: &Placed| trial.record.state == State::Complete;
    spare.sort_by(|a, b| is_complete(a).cmp(&is_complete(b)).then(loss(b).total_cmp(&loss(a))));
    for trial in spare {
        let Some(folder) = of(&trial.record).map(|name| path(journal, name)).filter(|folder| folder.exists()) else {
            continue;
        };
        if keep == Keep::Best || max_bytes.is_some_and(|most| bytes(journal) > most) {
            fs::remove_dir_all(&folder).map_err(|error| Error::file(&folder, error))?;
        }
    }
    Ok(())
}

/// What the folders of a journal's trials hold; a file with several names once.
pub fn bytes(journal: &Path) -> u64 {
    fn of(folder: &Path, known: &mut HashSet<(u64, u64)>) -> u64 {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let size = |entry: fs::DirEntry, known: &mut HashSet<(u64, u64)>| match entry.metadata() {
            Ok(data) if data.is_dir() => of(&entry.path(), known),
            Ok(data) if known.insert((data.dev(), data.ino())) => data.len(),
            _ => 0,
        };
        entries.map(|entry| size(entry, known)).sum()
    }
    of(&all(journal), &mut HashSet::new())
}

/// Gives a checkpoint a second name, file by file: none of its files is ever written again. Copies where the disk has no second names.
pub fn link(from: &Path, to: &Path) -> Result<()> {
    file::create_folder(to)?;
    for entry in fs::read_dir(from).map_err(|error| Error::file(from, error))? {
        let entry = entry.map_err(|error| Error::file(from, error))?;
        let (own, other) = (entry.path(), to.join(entry.file_name()));
        match own.is_dir() {
            true => link(&own, &other)?,
            false => fs::hard_link(&own, &other)
                .or_else(|_| fs::copy(&own, &other).map(|_| ()))
                .map_err(|error| Error::file(&other, error))?,
        }
    }
    Ok(())
}
