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

const PREFIX: &str = "affine-sandbox-";

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
        let create = || -> io::Result<Folder> {
            let path = Builder::new().prefix(PREFIX).tempdir_in(&parent)?;
            let handle = File::open(path.path())?;
            flock(&handle, FlockOperation::LockExclusive)?;
            Ok(Folder { path, _handle: handle })
        };
        let folder = create().map_err(|error| Error::file(&parent, error).within("a folder for programs"))?;
        match folder.path().exists() {
            true => Ok(folder),
            // Another process took it for abandoned in the moment before it was locked.
            false => Folder::new(),
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

    pub fn clear(&self) -> io::Result<()> {
        entries(self.path()).try_for_each(|entry| fs::remove_file(entry.path()))
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
