//! The cache of the Hub on this machine, laid out and found as Python's `huggingface_hub` does it, and what is whole in it.
//!
//! ```text
//! models--acme--tiny/
//!     blobs/<hash>                     content, by its SHA-256 or git's SHA-1;  <hash>.incomplete while it comes
//!     snapshots/<commit>/<path>        links to blobs
//!     refs/<branch>                    the commit of a branch or tag when it was last asked for
//! .locks/models--acme--tiny/<hash>.lock
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::client::RemoteFile;
use super::repository::{Kind, Repository};
use crate::engine::{Error, Result, file};

/// A repository's part of a cache.
#[derive(Debug, Clone)]
pub struct Cached {
    folder: PathBuf,
    locks: PathBuf,
}

impl Cached {
    pub fn new(cache: &Path, repository: &Repository) -> Self {
        let name = repository.folder_name();
        Cached { folder: cache.join(&name), locks: cache.join(".locks").join(name) }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn blob(&self, file: &RemoteFile) -> PathBuf {
        self.folder.join("blobs").join(file.content.name())
    }

    /// Where its content is while it comes.
    pub fn incomplete(&self, file: &RemoteFile) -> PathBuf {
        self.folder.join("blobs").join(format!("{}.incomplete", file.content.name()))
    }

    pub fn snapshot(&self, commit: &str) -> PathBuf {
        self.folder.join("snapshots").join(commit)
    }

    /// Whether a snapshot has a file, whole.
    pub fn has(&self, commit: &str, file: &RemoteFile) -> bool {
        fs::metadata(self.snapshot(commit).join(&file.path)).is_ok_and(|there| there.len() == file.size)
    }

    /// Puts a file whose blob is whole into a snapshot.
    pub fn link(&self, commit: &str, file: &RemoteFile) -> Result<()> {
        if self.has(commit, file) {
            return Ok(());
        }
        let link = self.snapshot(commit).join(&file.path);
        file::create_folder(link.parent().expect("it is below the snapshot"))?;
        let up = "../".repeat(2 + file.path.matches('/').count());
        file::symlink_atomic(Path::new(&format!("{up}blobs/{}", file.content.name())), &link)
    }

    /// Notes the commit of a branch or tag.
    pub fn note(&self, revision: &str, commit: &str) -> Result<()> {
        let path = self.folder.join("refs").join(revision);
        if is_commit(revision) || fs::read_to_string(&path).is_ok_and(|noted| noted == commit) {
            return Ok(());
        }
        file::create_folder(path.parent().expect("it is below refs"))?;
        file::write_atomic(&path, commit.as_bytes())
    }

    /// Waits until nobody else, of affine or Python, fetches this content. Without locks on this file system there is none;
    /// what comes is checked all the same.
    pub async fn lock(&self, content: &str) -> Result<Option<File>> {
        const PAUSE: Duration = Duration::from_millis(100);
        let path = self.locks.join(format!("{content}.lock"));
        file::create_folder(&self.locks)?;
        let mut said = false;
        loop {
            let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
            let lock = opened.map_err(|e| Error::file(&path, format!("cannot be created: {}", file::reason(&e))))?;
            match lock.try_lock() {
                Ok(()) if file::is_at(&lock, &path) => return Ok(Some(lock)),
                // Whoever held it has removed it.
                Ok(()) => continue,
                Err(TryLockError::Error(_)) => return Ok(None),
                Err(TryLockError::WouldBlock) => {}
            }
            if !said {
                tracing::info!("another process fetches {content}; waiting for it");
                said = true;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Whether a revision is a commit, which no branch or tag may be called like.
pub fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && revision.chars().all(|c| c.is_ascii_hexdigit())
}

/// The folder of what the cache holds whole of a model, or of rows; else what it lacks, in words.
pub fn snapshot(cache: &Path, of: &Repository, revision: &str) -> Result<PathBuf, String> {
    let snapshot = find(cache, of, revision)?;
    let missing = match of.kind {
        Kind::Model => missing_of_model(&snapshot),
        Kind::DataSet => broken_links(&snapshot),
    };
    match missing.as_slice() {
        [] => Ok(snapshot),
        missing => Err(format!("{} lacks {} (an unfinished download?)", snapshot.display(), missing.join(", "))),
    }
}

/// The folder of a snapshot that has files of each of these patterns. Whether it has all of them only the Hub knows.
pub fn holds(cache: &Path, of: &Repository, revision: &str, patterns: &[String]) -> Result<PathBuf, String> {
    let snapshot = find(cache, of, revision)?;
    let files = files(&snapshot, "");
    let matches = |pattern: &&String| {
        let glob = globset::Glob::new(pattern).map(|glob| glob.compile_matcher());
        glob.is_ok_and(|glob| files.iter().any(|file| glob.is_match(file)))
    };
    match patterns.iter().find(|pattern| !matches(pattern)) {
        None => Ok(snapshot),
        Some(pattern) => Err(format!("{} holds no {pattern}", snapshot.display())),
    }
}

/// The files below a folder whose content is there.
fn files(folder: &Path, above: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .flat_map(|entry| {
            let name = format!("{above}{}", entry.file_name().to_string_lossy());
            match entry.path() {
                path if path.is_dir() => files(&path, &format!("{name}/")),
                path if path.exists() => vec![name],
                _ => Vec::new(),
            }
        })
        .collect()
}

fn find(cache: &Path, of: &Repository, revision: &str) -> Result<PathBuf, String> {
    let repository = cache.join(of.folder_name());
    if !repository.is_dir() {
        return Err(format!("the cache {} holds nothing of it", cache.display()));
    }
    let commit = commit(&repository, revision).ok_or_else(|| {
        format!("the cache {} does not know its revision {revision}{}", repository.display(), others(&repository))
    })?;
    let snapshot = repository.join("snapshots").join(&commit);
    match snapshot.is_dir() {
        true => Ok(snapshot),
        false => Err(format!("the cache does not hold its commit {commit}{}", others(&repository))),
    }
}

/// The commit that a revision names: itself, or what its ref says.
fn commit(repository: &Path, revision: &str) -> Option<String> {
    if is_commit(revision) {
        return Some(revision.to_string());
    }
    let text = fs::read_to_string(repository.join("refs").join(revision)).ok()?;
    Some(text.trim().to_string()).filter(|commit| !commit.is_empty())
}

/// What else of a repository is there, to be loaded by its path.
fn others(repository: &Path) -> String {
    let found = names(&repository.join("snapshots"));
    match found.is_empty() {
        true => String::new(),
        false => format!("; its folder snapshots holds {}", found.join(", ")),
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Files that a model, or an adapter, needs and that are not there. Which others its repository has only the Hub knows.
fn missing_of_model(snapshot: &Path) -> Vec<String> {
    let there = |name: &str| snapshot.join(name).exists();
    let mut needed: Vec<String> = Vec::new();
    if there("adapter_config.json") && !there("config.json") {
        needed.push("adapter_model.safetensors".to_string());
    } else {
        needed.push("config.json".to_string());
        match shards(snapshot) {
            Some(shards) if !there("model.safetensors") => needed.extend(shards),
            _ => needed.push("model.safetensors".to_string()),
        }
        if there("tokenizer_config.json") {
            needed.push("tokenizer.json".to_string());
        }
    }
    needed.retain(|name| !there(name));
    needed.extend(broken_links(snapshot));
    needed.sort();
    needed.dedup();
    needed
}

/// The files that an index of shards names.
fn shards(snapshot: &Path) -> Option<Vec<String>> {
    let text = fs::read(snapshot.join("model.safetensors.index.json")).ok()?;
    let index: serde_json::Value = serde_json::from_slice(&text).ok()?;
    let names = index.get("weight_map")?.as_object()?.values();
    Some(names.filter_map(|name| name.as_str().map(str::to_string)).collect())
}

/// Files whose content is gone, or was never there.
fn broken_links(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut broken = Vec::new();
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if !path.exists() {
            broken.push(name);
        } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            broken.extend(broken_links(&path).into_iter().map(|below| format!("{name}/{below}")));
        }
    }
    broken.sort();
    broken
}
