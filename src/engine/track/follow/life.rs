//! Whether a run goes on.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The file that a run which can be resumed has and locks until it comes to its end.
const UNFINISHED: &str = "unfinished";

/// The file that every run at work has locked.
const METRICS: &str = "metrics.jsonl";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// There is no folder.
    Absent,
    /// By the process of this number.
    AtWork(u32),
    /// It did not come to its end, and no process on this machine is at work on it.
    LeftBehind,
    /// It came to its end, or is a run that cannot go on after an interruption, and no process on this machine is at work on it.
    Over,
}

impl Life {
    /// Of a run's folder.
    pub fn of(folder: &Path) -> Self {
        let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
        match [UNFINISHED, METRICS].iter().find_map(|name| holder(&folder.join(name), &locks)) {
            Some(process) => Life::AtWork(process),
            None if folder.join(UNFINISHED).exists() => Life::LeftBehind,
            None => Life::Over,
        }
    }
}

/// The process that holds a lock on a file, by the system's list of locks. To try the lock would be to hold it for a moment,
/// in which a run that is about to go on would find it taken.
fn holder(path: &Path, locks: &str) -> Option<u32> {
    let about = fs::metadata(path).ok()?;
    let is_it = |process: u32, place: &str| {
        let mut parts = place.split(':');
        let mut number = |radix| u64::from_str_radix(parts.next()?, radix).ok();
        let (Some(major), Some(minor), Some(inode)) = (number(16), number(16), number(10)) else { return false };
        let device = (u64::from(libc::major(about.dev())), u64::from(libc::minor(about.dev())));
        // Some file systems have other numbers in the list than in what they tell of a file.
        inode == about.ino() && (device == (major, minor) || has_open(process, &about))
    };
    locks.lines().find_map(|line| {
        // `1: FLOCK  ADVISORY  WRITE 22099 fe:00:10183120 0 EOF`; who waits has an arrow behind the number.
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, "WRITE", process, place, ..] = words[..] else { return None };
        let process = process.parse().ok()?;
        is_it(process, place).then_some(process)
    })
}

fn has_open(process: u32, file: &fs::Metadata) -> bool {
    let open = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
    open.filter_map(|entry| fs::metadata(entry.path()).ok())
        .any(|open| (open.dev(), open.ino()) == (file.dev(), file.ino()))
}

#[cfg(test)]
mod tests {
    use rustix::fs::{FlockOperation, flock};
    use serde_json::json;

    use super::*;
    use crate::engine::track::Run;

    #[test]
    fn a_run_is_at_work_while_its_file_is_locked() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Life::of(folder.path()), Life::Over);
        let file = fs::File::create(folder.path().join(UNFINISHED)).unwrap();
        assert_eq!(Life::of(folder.path()), Life::LeftBehind);
        flock(&file, FlockOperation::NonBlockingLockExclusive).unwrap();
        assert_eq!(Life::of(folder.path()), Life::AtWork(std::process::id()));
        drop(file);
        assert_eq!(Life::of(folder.path()), Life::LeftBehind);
    }

    #[test]
    fn a_run_that_cannot_be_resumed_is_at_work_too() {
        let root = tempfile::tempdir().unwrap();
        let run = Run::create(root.path(), "x", &json!({}), "").unwrap();
        let folder = run.path().to_path_buf();
        assert_eq!(Life::of(&folder), Life::AtWork(std::process::id()));
        run.finish().unwrap();
        assert_eq!(Life::of(&folder), Life::Over);
        let run = Run::resume(root.path(), "y", &json!({}), "").unwrap();
        let folder = run.path().to_path_buf();
        drop(run);
        assert_eq!(Life::of(&folder), Life::LeftBehind);
        let run = Run::resume(root.path(), "y", &json!({}), "").unwrap();
        assert_eq!((run.path(), Life::of(&folder)), (folder.as_path(), Life::AtWork(std::process::id())));
        run.finish().unwrap();
        assert_eq!(Life::of(&folder), Life::Over);
    }

    #[test]
    fn a_list_of_locks_is_read_line_by_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        fs::write(&path, "").unwrap();
        let about = fs::metadata(&path).unwrap();
        let (major, minor, inode) = (libc::major(about.dev()), libc::minor(about.dev()), about.ino());
        let line = |kind: &str, inode: u64| format!("7: {kind} 12 {major:02x}:{minor:02x}:{inode} 0 EOF\n");
        assert_eq!(holder(&path, &line("FLOCK  ADVISORY  WRITE", inode)), Some(12));
        for other in ["-> FLOCK  ADVISORY  WRITE", "POSIX  ADVISORY  WRITE", "FLOCK  ADVISORY  READ"] {
            assert_eq!(holder(&path, &line(other, inode)), None);
        }
        assert_eq!(holder(&path, &line("FLOCK  ADVISORY  WRITE", inode + 1)), None);
        assert_eq!(holder(&path, "odd\n\n1: FLOCK ADVISORY WRITE x y\n"), None);
    }
}
