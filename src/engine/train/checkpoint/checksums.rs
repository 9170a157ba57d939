//! Whether a checkpoint is what was saved: the SHA-256 of every file is in the state, and the state's own beside it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{STATE, TrainerState};
use crate::engine::{Error, Result, file};

const CHECKSUM: &str = "checksum";

/// What a file was when it was saved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSum {
    pub size: u64,
    pub sha256: String,
}

/// Writes the state into a folder that holds everything else, with the checksums of all.
pub(super) fn write_state(folder: &Path, state: &TrainerState) -> Result<()> {
    write(folder, &TrainerState { files: of_files(folder)?, ..state.clone() })
}

/// Writes the state as it is, with its own checksum.
pub(super) fn write(folder: &Path, state: &TrainerState) -> Result<()> {
    let mut content = serde_json::to_value(state).map_err(|e| Error::file(folder, e))?;
    content[CHECKSUM] = Value::from(file::sha256(content.to_string().as_bytes()));
    let text = serde_json::to_string_pretty(&content).map_err(|e| Error::file(folder, e))?;
    file::write_atomic(folder.join(STATE), text.as_bytes())
}

/// Reads a checkpoint's state, after its own checksum where it has one.
pub(super) fn read_state(path: &Path) -> Result<TrainerState> {
    let file = path.join(STATE);
    let text = std::fs::read(&file).map_err(|e| file::unreadable(&file, &e))?;
    let broken = |e: serde_json::Error| Error::file(&file, format!("not a trainer's state: {e}"));
    let mut content: Value = serde_json::from_slice(&text).map_err(broken)?;
    let recorded = content.as_object_mut().and_then(|content| content.remove(CHECKSUM));
    let sound = match &recorded {
        Some(recorded) => recorded.as_str() == Some(file::sha256(content.to_string().as_bytes()).as_str()),
        // Of an affine that wrote none.
        None => content.get("format").is_none(),
    };
    if !sound {
        return Err(damaged(&file));
    }
    serde_json::from_value(content).map_err(broken)
}

/// An error that names the first file of a checkpoint that is not what was saved.
pub fn verify(path: &Path) -> Result<()> {
    let state = read_state(path)?;
    if state.files.is_empty() {
        tracing::info!("{} was written without checksums: whether it is whole is not checked", path.display());
    }
    let files: Vec<(PathBuf, &FileSum)> = state.files.iter().map(|(name, sum)| (path.join(name), sum)).collect();
    // Without a look inside, what was cut off or is missing is known at once.
    for (file, sum) in &files {
        match std::fs::metadata(file) {
            Ok(found) if found.len() != sum.size => return Err(damaged(file)),
            Ok(_) => {}
            Err(e) => return Err(file::unreadable(file, &e)),
        }
    }
    let found = hashed(files.iter().map(|(file, _)| file.as_path()))?;
    match files.iter().zip(found).find(|((_, sum), found)| sum.sha256 != *found) {
        Some(((file, _), _)) => Err(damaged(file)),
        None => Ok(()),
    }
}

fn damaged(file: &Path) -> Error {
    Error::file(file, "is damaged: it is not what was saved (its checksum differs)")
}

/// The checksums of a folder's files by name.
fn of_files(folder: &Path) -> Result<BTreeMap<String, FileSum>> {
    let entries = std::fs::read_dir(folder).map_err(|e| file::unreadable(folder, &e))?;
    let entries = entries.collect::<std::io::Result<Vec<_>>>().map_err(|e| file::unreadable(folder, &e))?;
    let paths: Vec<PathBuf> = entries.iter().map(|entry| entry.path()).collect();
    let sums = hashed(paths.iter().map(PathBuf::as_path))?;
    let sized = entries.iter().zip(&paths).zip(sums).map(|((entry, path), sha256)| {
        let size = entry.metadata().map_err(|e| file::unreadable(path, &e))?.len();
        Ok((entry.file_name().to_string_lossy().into_owned(), FileSum { size, sha256 }))
    });
    sized.collect()
}

/// SHA-256 of some files, side by side: a checkpoint has few, and one or two large ones.
fn hashed<'a>(files: impl Iterator<Item = &'a Path>) -> Result<Vec<String>> {
    std::thread::scope(|scope| {
        let at_work: Vec<_> = files.map(|path| scope.spawn(move || file::sha256_file(path))).collect();
        let done = at_work.into_iter().map(|worker| worker.join().expect("hashing a file does not panic"));
        done.collect()
    })
}
