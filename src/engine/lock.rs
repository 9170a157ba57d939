//! Who writes where: a lock on a folder or a file, which says who holds it and ends with the process that does.
//!
//! The lock is the system's (flock) on a file beside what is locked, `.<name>.lock`, so that a folder can be emptied or
//! replaced under it and holds nothing of ours. What is written in it is for people; a file that a killed process leaves
//! locks nothing.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{Error, Result, cancel, file, plan};

/// How long a lock that another process holds is waited for: it may be saving its last checkpoint, told to end by the
/// scheduler that started this one.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(100);

/// A lock that is held; dropped, it is free.
#[derive(Debug)]
pub struct Lock {
    /// Nothing where the file system knows no locks, and in a plan.
    file: Option<File>,
    path: PathBuf,
}

/// The holder, as the file tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Holder {
    process: u32,
    host: String,
    since: String,
    command: String,
}

impl Lock {
    /// Locks `target`, which need not exist. Another process that holds it is named at once and waited for for a while; then,
    /// and at once where this process holds it, an error says who does.
    pub fn take(target: &Path) -> Result<Lock> {
        // A plan writes nothing that anybody else writes.
        if plan::active() {
            return Ok(Lock { file: None, path: target.to_path_buf() });
        }
        let path = beside(target)?;
        let (begun, mut said) = (Instant::now(), false);
        loop {
            let holder = match attempt(&path)? {
                Ok(lock) => return Ok(lock),
                Err(holder) => holder,
            };
            let own = holder.as_ref().is_some_and(|holder| holder.is_this_process());
            if own || begun.elapsed() >= PATIENCE {
                return Err(in_use(target, holder.as_ref()));
            }
            if !said {
                let by = holder.map_or("another process".to_string(), |holder| holder.to_string());
                let seconds = PATIENCE.as_secs();
                tracing::warn!("{} is in use by {by}; waiting for its end, at most {seconds} s", target.display());
                said = true;
            }
            cancel::check()?;
            std::thread::sleep(PAUSE);
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While it is still locked: whoever opened it meanwhile sees that it is not the file at its path any more.
        if self.file.is_some() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// One attempt: the lock, or who holds it.
fn attempt(path: &Path) -> Result<std::result::Result<Lock, Option<Holder>>> {
    loop {
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let mut file = opened.map_err(|e| Error::file(path, format!("cannot be created: {}", file::reason(&e))))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let read = file.read_to_string(&mut text);
                return Ok(Err(read.ok().and_then(|_| serde_json::from_str(&text).ok())));
            }
            Err(TryLockError::Error(error)) => {
                tracing::debug!("{}: this file system has no locks: {error}", path.display());
                let _ = std::fs::remove_file(path);
                return Ok(Ok(Lock { file: None, path: path.to_path_buf() }));
            }
        }
        // The holder before may have removed the file between its opening and its locking here.
        if !file::is_at(&file, path) {
            continue;
        }
        let text = serde_json::to_string(&Holder::this_process()).unwrap_or_default();
        let told =
            file.set_len(0).and_then(|()| file.seek(SeekFrom::Start(0))).and_then(|_| file.write_all(text.as_bytes()));
        if let Err(error) = told {
            // A full disk keeps nobody from holding it.
            tracing::debug!("{}: {}", path.display(), file::reason(&error));
        }
        return Ok(Ok(Lock { file: Some(file), path: path.to_path_buf() }));
    }
}

/// `.<name>.lock` in the folder that holds the target; in the target itself where nothing can be made there.
fn beside(target: &Path) -> Result<PathBuf> {
    let whole = std::path::absolute(target).map_err(|e| file::unreadable(target, &e))?;
    let whole = whole.canonicalize().unwrap_or(whole);
    if let (Some(folder), Some(name)) = (whole.parent(), whole.file_name()) {
        file::create_folder(folder)?;
        let path = folder.join(format!(".{}.lock", name.to_string_lossy()));
        if path.exists() || rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_ok() || !whole.is_dir() {
            return Ok(path);
        }
    }
    Ok(whole.join(".lock"))
}

fn in_use(target: &Path, holder: Option<&Holder>) -> Error {
    let by = holder.map_or("another process".to_string(), Holder::to_string);
    let hint = match holder {
        Some(holder) if holder.is_this_process() => "close it there first, or write somewhere else",
        _ => "wait until it ends, or write somewhere else: two runs in one folder spoil each other's files",
    };
    Error::hinted(format!("{} is in use by {by}", target.display()), hint)
}

impl Holder {
    fn this_process() -> Self {
        Holder {
            process: std::process::id(),
            host: host(),
            since: chrono::Local::now().format("%Y-%m-%d %H:%M:%S").to_string(),
            command: std::env::args().collect::<Vec<_>>().join(" "),
        }
    }

    fn is_this_process(&self) -> bool {
        self.process == std::process::id() && self.host == host()
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Holder { process, host, since, command } = self;
        match self.is_this_process() {
            true => write!(f, "this process, since {since}"),
            false => write!(f, "process {process} on {host} ({command}), since {since}"),
        }
    }
}

fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_string()
}

/// A claim to a folder by something of this process that lives as long as the script lets it, which may be longer than its
/// use: a later claim takes the folder over, and the earlier one finds out when it wants to write again.
#[derive(Debug)]
pub struct Claim {
    folder: PathBuf,
    number: u64,
}

/// The newest claim to a folder, and the lock that stands for all of them.
#[derive(Default)]
struct Claimed {
    newest: u64,
    lock: Option<Lock>,
}

static CLAIMS: LazyLock<Mutex<HashMap<PathBuf, Claimed>>> = LazyLock::new(Mutex::default);

fn claims() -> MutexGuard<'static, HashMap<PathBuf, Claimed>> {
    CLAIMS.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Claim {
    /// Claims a folder, which exists, for this process and within it for the newest who asks.
    pub fn to(folder: &Path) -> Result<Claim> {
        let folder = folder.canonicalize().map_err(|e| file::unreadable(folder, &e))?;
        let held = claims().get(&folder).is_some_and(|claimed| claimed.lock.is_some());
        // Not while the table is locked: it may take a while.
        let lock = if held { None } else { Some(Lock::take(&folder)?) };
        let mut claims = claims();
        let claimed = claims.entry(folder.clone()).or_default();
        claimed.newest += 1;
        claimed.lock = claimed.lock.take().or(lock);
        Ok(Claim { number: claimed.newest, folder })
    }

    /// An error where somebody else of this process claimed the folder since.
    pub fn check(&self) -> Result<()> {
        if claims().get(&self.folder).is_none_or(|claimed| claimed.newest == self.number) {
            return Ok(());
        }
        let folder = self.folder.display();
        Err(Error::hinted(
            format!("{folder} belongs to a trainer that this script made later: this one writes there no more"),
            "give every trainer an output_dir of its own",
        ))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut claims = claims();
        if let Some(claimed) = claims.get_mut(&self.folder)
            && claimed.newest == self.number
        {
            claimed.lock = None;
        }
    }
}
