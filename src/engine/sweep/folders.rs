//! The folders of trials, below one beside the journal: where each may keep its checkpoints, and which of them are removed when it is over.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

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

/// The name of a new trial's folder, which is not there yet. No two trials of a journal have the same id, but the folders of a journal that
/// was deleted may be there still.
pub fn new_name(journal: &Path, id: usize) -> String {
    let name = |count: u32| if count == 1 { format!("{id:04}") } else { format!("{id:04}-{count}") };
    let mut count = 1;
    while path(journal, &name(count)).exists() {
        count += 1;
    }
    name(count)
}

pub fn path(journal: &Path, name: &str) -> PathBuf {
    all(journal).join(name)
}

/// Whether a checkpoint lay in the folder of a trial and was removed with it.
pub fn was_removed(journal: &Path, checkpoint: &str) -> bool {
    let checkpoint = Path::new(checkpoint);
    checkpoint.starts_with(all(journal)) && !checkpoint.exists()
}

/// Where a journal's trials have theirs.
pub fn all(journal: &Path) -> PathBuf {
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

/// Gives a checkpoint a second name, file by file: none of its files is ever written again. Copies where the disk has no second names. `to` is
/// not there yet.
pub fn link(from: &Path, to: &Path) -> Result<()> {
    file::create_folder(to)?;
    for entry in fs::read_dir(from).map_err(|error| Error::file(from, error))? {
        let entry = entry.map_err(|error| Error::file(from, error))?;
        let (own, other) = (entry.path(), to.join(entry.file_name()));
        match own.is_dir() {
            true => link(&own, &other)?,
            false => link_file(&own, &other).map_err(|error| Error::file(&other, error))?,
        }
    }
    Ok(())
}

fn link_file(own: &Path, other: &Path) -> io::Result<()> {
    match fs::hard_link(own, other) {
        // What is there may be a second name of the same file: to copy over it would empty both.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        Err(_) => fs::copy(own, other).map(|_| ()),
        Ok(()) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_link_of_a_checkpoint_leaves_it_whole() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::create_dir_all(from.join("inner")).unwrap();
        fs::write(from.join("inner/weights"), "whole").unwrap();
        link(&from, &to).unwrap();
        assert!(link(&from, &to).is_err());
        for place in [&from, &to] {
            assert_eq!(fs::read_to_string(place.join("inner/weights")).unwrap(), "whole");
        }
    }

    #[test]
    fn a_new_folder_is_nobodys() {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("x.log");
        assert_eq!(new_name(&journal, 7), "0007");
        fs::create_dir_all(path(&journal, "0007")).unwrap();
        assert_eq!(new_name(&journal, 7), "0007-2");
        let gone = path(&journal, "0007").join("checkpoint-1");
        assert!(was_removed(&journal, &gone.to_string_lossy()));
        assert!(!was_removed(&journal, "epoch 3") && !was_removed(&journal, "/elsewhere/checkpoint-1"));
    }
}
