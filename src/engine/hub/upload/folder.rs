//! The files of a folder as they would be sent: which they are, by what they are known, and whether they stay as they are.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use globset::GlobSet;
use sha2::{Digest, Sha256};

use super::secrets::Secrets;
use crate::engine::hub::client::Content;
use crate::engine::hub::hash::Hasher;
use crate::engine::hub::problem::Problem;
use crate::engine::hub::token::Token;
use crate::engine::{Error, Result, cancel, file};

/// Folders that tools keep beside a model's files.
const TOOLS: &[&str] = &[".git", ".cache", "__pycache__"];

/// From this size on a file travels by itself; below it, in the commit. The Hub draws the line there, too.
pub const LARGE: u64 = 10 << 20;

/// The first bytes, by which the Hub tells text from other content.
const SAMPLE: usize = 512;

/// A file of the folder.
#[derive(Debug, Clone)]
pub struct LocalFile {
    /// Below the folder, with `/` between its parts.
    pub name: String,
    pub path: PathBuf,
    pub size: u64,
    /// By which a store knows it, once somebody had to read all of it.
    sha256: OnceLock<String>,
    /// Git's name of the content, where a commit could hold it.
    git: Option<String>,
    pub sample: Vec<u8>,
    stamp: Stamp,
}

/// By what a change of a file is seen.
type Stamp = (u64, u64, i64, i64, i64, i64);

fn stamp(about: &Metadata) -> Stamp {
    (about.ino(), about.len(), about.mtime(), about.mtime_nsec(), about.ctime(), about.ctime_nsec())
}

impl LocalFile {
    /// Whether remote content is the same.
    pub fn is(&self, content: &Content) -> bool {
        match content {
            Content::Sha256(hash) => self.sha256.get() == Some(hash),
            Content::Git(hash) => self.git.as_ref() == Some(hash),
        }
    }

    /// Its SHA-256 in hex, where it was computed.
    pub fn known_sha256(&self) -> Option<&str> {
        self.sha256.get().map(String::as_str)
    }

    /// Its SHA-256 in hex, for which the file is read where it was not computed yet.
    pub fn sha256(&self) -> Result<&str> {
        if self.sha256.get().is_none() {
            let mut sha256 = Sha256::new();
            let open = File::open(&self.path).map_err(|error| file::unreadable(&self.path, &error))?;
            pieces(&self.path, open, |bytes| sha256.update(bytes))?;
            self.check_unchanged()?;
            self.note_sha256(file::hex(&sha256.finalize()));
        }
        Ok(self.sha256.get().expect("it was computed"))
    }

    /// The SHA-256 that somebody computed who read the file.
    pub fn note_sha256(&self, hash: String) {
        let _ = self.sha256.set(hash);
    }

    /// The content of a small file, as long as it is what was looked at.
    pub fn read(&self) -> Result<Vec<u8>> {
        let bytes = fs::read(&self.path).map_err(|error| file::unreadable(&self.path, &error))?;
        match file::sha256(&bytes) == self.sha256()? {
            true => Ok(bytes),
            false => Err(self.changed()),
        }
    }

    pub fn check_unchanged(&self) -> Result<()> {
        let about = fs::metadata(&self.path).map_err(|error| file::unreadable(&self.path, &error))?;
        if stamp(&about) == self.stamp { Ok(()) } else { Err(self.changed()) }
    }

    pub fn changed(&self) -> Error {
        let hint = "nothing was committed: run this again when nobody writes into the folder";
        Error::hinted(format!("{} changed while it was uploaded", self.path.display()), hint)
    }
}

/// The names and paths of a folder's files that match; sorted.
pub fn list(folder: &Path, wanted: Option<&GlobSet>) -> Result<Vec<(String, PathBuf)>> {
    let root = folder.canonicalize().map_err(|error| file::unreadable(folder, &error))?;
    if !root.is_dir() {
        return Err(Error::file(folder, "it is a file: a folder is uploaded"));
    }
    let mut found = Vec::new();
    collect(&root, &root, &mut found)?;
    found.retain(|(name, _)| wanted.is_none_or(|wanted| wanted.is_match(name)));
    found.sort();
    Ok(found)
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<(String, PathBuf)>) -> Result<()> {
    let unreadable = |error: io::Error| file::unreadable(folder, &error);
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let path = entry.path();
        let below = path.strip_prefix(root).expect("it was found below");
        let Some(name) = below.to_str() else {
            return Err(Error::file(&path, "its name is no UTF-8, which a repository needs"));
        };
        let real = path.canonicalize().map_err(|_| Error::file(&path, "it is a link that leads nowhere"))?;
        if !real.starts_with(root) {
            let hint = "put the file itself there: what it leads to may be nothing to publish";
            let sentence = format!("{}: it is a link out of the folder, to {}", path.display(), real.display());
            return Err(Error::hinted(sentence, hint));
        }
        let is_link = entry.file_type().map_err(unreadable)?.is_symlink();
        match fs::metadata(&path).map_err(unreadable)? {
            about if about.is_dir() && is_link => {
                return Err(Error::file(&path, "it is a link to a folder, which would be sent twice"));
            }
            about if about.is_dir() && TOOLS.iter().any(|tool| path.ends_with(tool)) => {}
            about if about.is_dir() => collect(root, &path, found)?,
            about if about.is_file() => found.push((name.to_string(), path)),
            _ => return Err(Error::file(&path, "it is neither a file nor a folder")),
        }
    }
    Ok(())
}

/// What file systems tell times apart by, with room to spare.
const TICK: Duration = Duration::from_millis(50);

/// What is known of a file once any further change would show in its times.
fn settled(file: &File) -> io::Result<Metadata> {
    loop {
        let about = file.metadata()?;
        let changed = Duration::new(about.ctime().max(0) as u64, about.ctime_nsec().max(0) as u32);
        match SystemTime::now().duration_since(UNIX_EPOCH + changed) {
            Ok(age) if age < TICK => std::thread::sleep(TICK - age),
            _ => return Ok(about),
        }
    }
}

/// Reads a file once: its first bytes, whether it holds a secret, and its hashes. Those of a large file are computed now only
/// where `may_be_there`: who sends it computes them on the way.
pub fn look(name: String, path: PathBuf, token: Option<&Token>, may_be_there: bool) -> Result<LocalFile, Problem> {
    let unreadable = |error: io::Error| file::unreadable(&path, &error);
    let open = File::open(&path).map_err(unreadable)?;
    let about = settled(&open).map_err(unreadable)?;
    let is_small = about.len() < LARGE;
    let mut sha256 = (is_small || may_be_there).then(Sha256::new);
    let mut git = is_small.then(|| Hasher::git(about.len()));
    let mut secrets = Secrets::new(token, &name);
    let mut sample = Vec::new();
    let length = pieces(&path, open, |bytes| {
        sample.extend_from_slice(&bytes[..bytes.len().min(SAMPLE - sample.len())]);
        if let Some(sha256) = &mut sha256 {
            sha256.update(bytes);
        }
        if let Some(git) = &mut git {
            git.update(bytes);
        }
        secrets.look(bytes);
    })?;
    if let Some(secret) = secrets.found() {
        let sentence = format!("{}: it holds {secret}", path.display());
        let hint = "take it out, and have it replaced by a new one where anybody else has seen the file";
        return Err(Error::hinted(sentence, hint).into());
    }
    let file = LocalFile {
        size: about.len(),
        sha256: sha256.map(|hash| OnceLock::from(file::hex(&hash.finalize()))).unwrap_or_default(),
        git: git.map(Hasher::finish),
        sample,
        stamp: stamp(&about),
        name,
        path: path.clone(),
    };
    if length == file.size { Ok(file) } else { Err(file.changed().into()) }
}

/// Hands on what a file holds, piece by piece; how many bytes that was.
fn pieces(path: &Path, mut open: File, mut take: impl FnMut(&[u8])) -> Result<u64> {
    let (mut buffer, mut length) = (vec![0; 1 << 20], 0);
    loop {
        cancel::check()?;
        let read = open.read(&mut buffer).map_err(|error| file::unreadable(path, &error))?;
        if read == 0 {
            return Ok(length);
        }
        length += read as u64;
        take(&buffer[..read]);
    }
}
