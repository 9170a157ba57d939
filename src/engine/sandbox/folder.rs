//! The folder that a server's programs write in: one level of plain files, emptied after every program.
//!
//! A folder is locked while its owner lives. What a process that was killed left behind is removed by the next one.

use std::fs::{self, DirEntry, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use tempfile::{Builder, TempDir};

use crate::engine::{Error, Result};

/// How every such folder's name begins.
pub const PREFIX: &str = "affine-sandbox-";

const SOURCE: &str = "program.py";

/// What a file costs at least, so that empty files are not free.
const ENTRY_SIZE: u64 = 4096;

pub struct Folder {
    path: TempDir,
    /// Holds the lock.
    _handle: File,
}

impl Folder {
    pub fn new() -> Result<Self> {
        let parent = std::env::temp_dir();
        remove_abandoned(&parent);
        let failed = |error: io::Error| Error::file(&parent, error).within("a folder for programs");
        loop {
            let path = Builder::new().prefix(PREFIX).tempdir_in(&parent).map_err(failed)?;
            // Another process may take it for abandoned in the moment before it is locked.
            let Ok(handle) = File::open(path.path()) else { continue };
            flock(&handle, FlockOperation::LockExclusive).map_err(|error| failed(error.into()))?;
            if path.path().exists() {
                return Ok(Folder { path, _handle: handle });
            }
        }
    }

    pub fn path(&self) -> &Path {
        self.path.path()
    }

    /// Bytes on disk.
    pub fn size(&self) -> u64 {
        let size = |entry: DirEntry| entry.metadata().map_or(0, |metadata| metadata.blocks() * 512);
        entries(self.path()).map(|entry| size(entry) + ENTRY_SIZE).sum()
    }

    /// Where a program's source lies. Its file stays when the folder is emptied, because making a new one is slow.
    pub fn source(&self) -> PathBuf {
        self.path().join(SOURCE)
    }

    pub fn clear(&self) -> io::Result<()> {
        let mut left = entries(self.path()).filter(|entry| entry.file_name() != SOURCE);
        left.try_for_each(|entry| fs::remove_file(entry.path()))
    }
}

fn entries(folder: &Path) -> impl Iterator<Item = DirEntry> {
    fs::read_dir(folder).into_iter().flatten().flatten()
}

fn remove_abandoned(parent: &Path) {
    let ours = entries(parent).filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX));
    for path in ours.map(|entry| entry.path()) {
        if is_abandoned(&path) {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

fn is_abandoned(path: &PathBuf) -> bool {
    let handle = File::open(path);
    handle.is_ok_and(|handle| flock(&handle, FlockOperation::NonBlockingLockExclusive).is_ok())
}
