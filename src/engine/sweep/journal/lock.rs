//! Optuna's lock around writing: a symbolic link beside the journal, which only one process can make, on network file systems too.
//!
//! It is held for some milliseconds. One that stays for longer than [`GRACE`] was left by a process that died in them, and is taken over, as
//! Optuna does. Optuna looks at the file that the link points at, so the link must point at one: the journal, by its whole path.
//!
//! A link made here also tells by its own time, which nobody else looks at, which process made it ([`sign`]); so that one of a dead process
//! of this machine is taken over at once.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

use crate::engine::sweep::process;
use crate::engine::{Error, Result, cancel, file};

/// As long as Optuna's own.
pub const GRACE: Duration = Duration::from_secs(30);

/// When a wait is said to be one.
const PATIENCE: Duration = Duration::from_secs(5);

const FIRST_PAUSE: Duration = Duration::from_millis(1);
/// Longer ones starve who waits beside processes that write one line after the other.
const LONGEST_PAUSE: Duration = Duration::from_millis(10);

/// A lock that is held; dropped, it is free.
#[derive(Debug)]
pub struct Lock {
    link: PathBuf,
    identity: Identity,
}

/// What tells a link from another one of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    inode: (u64, u64),
    /// Who made it, where it is signed.
    time: (i64, i64),
    /// When that was. A new name changes it.
    changed: (i64, i64),
}

impl Lock {
    /// Locks a journal. Its path is whole.
    pub fn take(journal: &Path, grace: Duration) -> Result<Lock> {
        let link = with_ending(journal, ".lock");
        let (begun, mut pause, mut said) = (Instant::now(), FIRST_PAUSE, false);
        // The link that is in the way, and since when it has been seen there.
        let mut seen: Option<(Identity, Instant)> = None;
        loop {
            let Some(found) = identity(&link) else {
                match make(journal, &link) {
                    Ok(()) => return Lock::made(link),
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                    Err(error) => {
                        return Err(Error::file(link, format!("the lock cannot be made: {}", file::reason(&error))));
                    }
                }
            };
            let since = match seen {
                Some((known, since)) if known == found => since,
                _ => seen.insert((found, Instant::now())).1,
            };
            if found.is_of_the_dead() {
                take_away(&link, found, "left by a process that is no more");
                continue;
            }
            if since.elapsed() > grace {
                take_away(&link, found, &format!("it stayed for {:.0} s", since.elapsed().as_secs_f64()));
                continue;
            }
            // Before, a result that is only just in is worth more than a moment of Ctrl-C.
            if begun.elapsed() > PATIENCE {
                if !said {
                    let seconds = grace.as_secs();
                    tracing::warn!("{} is in the way; one that stays for {seconds} s is taken over", link.display());
                    said = true;
                }
                cancel::check()?;
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn made(link: PathBuf) -> Result<Lock> {
        match identity(&link) {
            Some(identity) => Ok(Lock { link, identity }),
            None => Err(Error::file(link, "the lock was taken away as it was made")),
        }
    }

    /// Whether it still is; no longer where this process stood still for so long that another took it over. It may have been away for a
    /// moment (see [`take_away`]).
    pub fn is_held(&self) -> bool {
        identity(&self.link).is_some_and(|found| found.is_it(self.identity))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Another's is not this one's to take away, nor that of another thread of this process, which is signed alike.
        if identity(&self.link) == Some(self.identity) {
            remove(&self.link);
        }
    }
}

/// Makes the link, where there is none. It is signed under another name before, so that no process dies between the two; where a file
/// system gives a link no second name, it has the name at once, and is not signed.
fn make(journal: &Path, link: &Path) -> io::Result<()> {
    let aside = aside(link);
    std::os::unix::fs::symlink(journal, &aside)?;
    sign(&aside);
    let made = std::fs::hard_link(&aside, link);
    let _ = std::fs::remove_file(&aside);
    match made {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => std::os::unix::fs::symlink(journal, link),
        made => made,
    }
}

/// Takes away a link that nobody works under any more, as `why` says. Of several processes that wait for it, one does.
fn take_away(link: &Path, stale: Identity, why: &str) {
    let aside = aside(link);
    if identity(link) != Some(stale) || std::fs::rename(link, &aside).is_err() {
        return;
    }
    // Another may have taken the stale one away and made its own between the look and the renaming: it gets its lock back.
    let put_back = !identity(&aside).is_some_and(|found| found.is_it(stale)) && std::fs::rename(&aside, link).is_ok();
    if !put_back {
        tracing::warn!("{}: {why}, and is taken over", link.display());
        let _ = std::fs::remove_file(&aside);
    }
}

/// Removes a link as Optuna does: under another name first, so that no second lock of the name is hit.
fn remove(link: &Path) {
    let aside = aside(link);
    if std::fs::rename(link, &aside).is_ok() {
        let _ = std::fs::remove_file(&aside);
    }
}

fn aside(link: &Path) -> PathBuf {
    with_ending(link, &format!("{}.rename", super::unique()))
}

fn identity(link: &Path) -> Option<Identity> {
    let of = |m: Metadata| Identity {
        inode: (m.dev(), m.ino()),
        time: (m.mtime(), m.mtime_nsec()),
        changed: (m.ctime(), m.ctime_nsec()),
    };
    std::fs::symlink_metadata(link).ok().map(of)
}

/// Seconds that stand for this machine since it was started, and for this container.
fn seconds_of_here() -> i64 {
    i64::from(process::here() >> 1)
}

/// Sets a link's own time: its seconds stand for where its maker runs, its nanoseconds for the maker's number. A file system that refuses
/// leaves the time as it is, and the link to [`GRACE`].
fn sign(link: &Path) {
    let time = Timespec { tv_sec: seconds_of_here(), tv_nsec: std::process::id().into() };
    let times = Timestamps { last_access: time, last_modification: time };
    let _ = utimensat(CWD, link, &times, AtFlags::SYMLINK_NOFOLLOW);
}

impl Identity {
    /// Whether it is the same link, whatever names it has had.
    fn is_it(self, other: Identity) -> bool {
        (self.inode, self.time) == (other.inode, other.time)
    }

    /// Whether it was made here by a process that is no more.
    fn is_of_the_dead(&self) -> bool {
        self.time.0 == seconds_of_here() && u32::try_from(self.time.1).is_ok_and(|pid| !process::runs(pid))
    }
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(ending);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(150);

    fn journal() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.log");
        std::fs::write(&path, "").unwrap();
        (folder, path)
    }

    #[test]
    fn a_lock_points_at_the_journal_and_goes_with_its_holder() {
        let (folder, path) = journal();
        let lock = Lock::take(&path, GRACE).unwrap();
        assert_eq!(std::fs::read_link(folder.path().join("x.log.lock")).unwrap(), path);
        drop(lock);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_lock_that_was_left_is_taken_over_and_one_that_changes_hands_is_not() {
        let (folder, path) = journal();
        std::mem::forget(Lock::take(&path, GRACE).unwrap());
        let begun = Instant::now();
        drop(Lock::take(&path, SHORT).unwrap());
        assert!(begun.elapsed() >= SHORT);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);

        let late = Lock::take(&path, GRACE).unwrap();
        let link = folder.path().join("x.log.lock");
        take_away(&link, identity(&link).unwrap(), "it stayed");
        assert!(!late.is_held());
        let _next = Lock::take(&path, GRACE).unwrap();
        drop(late);
        assert!(link.symlink_metadata().is_ok(), "the late one takes nothing away");
    }

    #[test]
    fn a_lock_of_a_dead_process_is_taken_over_at_once() {
        let (folder, path) = journal();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let link = folder.path().join("x.log.lock");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let time = Timespec { tv_sec: seconds_of_here(), tv_nsec: child.id().into() };
        let times = Timestamps { last_access: time, last_modification: time };
        utimensat(CWD, &link, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
        let begun = Instant::now();
        drop(Lock::take(&path, GRACE).unwrap());
        assert!(begun.elapsed() < PATIENCE);
    }

    #[test]
    fn threads_hold_it_one_after_the_other() {
        let (_folder, path) = journal();
        let add = |path: PathBuf| {
            for _ in 0..25 {
                let _lock = Lock::take(&path, GRACE).unwrap();
                let number: u32 = std::fs::read_to_string(&path).unwrap().parse().unwrap_or(0);
                std::fs::write(&path, (number + 1).to_string()).unwrap();
            }
        };
        std::thread::scope(|scope| {
            (0..4).for_each(|_| drop(scope.spawn(|| add(path.clone()))));
        });
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "100");
    }
}
