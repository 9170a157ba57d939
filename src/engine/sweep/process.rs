//! Which process runs a trial, and whether it still does.
//!
//! On this machine the system is asked. Of a process elsewhere (another machine, another container) only its heartbeat tells: the time,
//! written into the journal again and again while it runs the trial.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, MutexGuard};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::record::TrialRecord;

/// The attributes of a running trial.
pub const PROCESS: &str = "affine:process";
pub const HEARTBEAT: &str = "affine:heartbeat";

/// How often a heart beats, and after which silence its process counts as dead. Clocks of machines that share a disk may differ by a minute.
pub const BEAT: Duration = Duration::from_secs(60);
const SILENCE: f64 = 300.0;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    pid: u32,
    /// When it began, in the system's ticks: numbers of processes are used again.
    started: u64,
    /// What tells this start of this machine from others, and its processes' numbers from those of another container.
    boot: String,
    namespace: String,
    /// For people.
    host: String,
}

static THIS: LazyLock<Process> = LazyLock::new(Process::read);

impl Process {
    pub fn this() -> &'static Self {
        &THIS
    }

    fn read() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_string();
        let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        let pid = std::process::id();
        Process {
            pid,
            started: start_of(pid).unwrap_or(0),
            boot: read("/proc/sys/kernel/random/boot_id"),
            namespace: namespace.to_string_lossy().into_owned(),
            host: read("/proc/sys/kernel/hostname"),
        }
    }

    pub fn to_value(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    fn is_here(&self) -> bool {
        let this = Process::this();
        (&self.boot, &self.namespace) == (&this.boot, &this.namespace)
    }

    /// As messages name it.
    pub fn title(&self) -> String {
        format!("process {} on {}", self.pid, self.host)
    }
}

/// A number for this start of this machine and this container: only here a process's number says which one it is.
pub fn here() -> u32 {
    let this = Process::this();
    crc32fast::hash(format!("{} {}", this.boot, this.namespace).as_bytes())
}

/// Whether there is a process of that number here.
pub fn runs(pid: u32) -> bool {
    start_of(pid).is_some()
}

/// When a process began; nothing where there is none of that number, or only its remains.
fn start_of(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Behind the name, which may hold anything: the state, and 18 fields later the start.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    match fields.next()? {
        "Z" | "X" => None,
        _ => fields.nth(18)?.parse().ok(),
    }
}

/// Seconds since 1970.
pub fn now() -> f64 {
    chrono::Utc::now().timestamp_millis() as f64 / 1000.0
}

/// The process that runs a trial; nothing where another program does, which does not tell.
pub fn of_trial(record: &TrialRecord) -> Option<Process> {
    serde_json::from_value(record.system_attrs.get(PROCESS)?.clone()).ok()
}

/// Why a trial's process is known to run it no more; nothing where it may.
pub fn why_dead(record: &TrialRecord, journal: &Path) -> Option<String> {
    let process = of_trial(record)?;
    let title = process.title();
    if process.is_here() {
        return match start_of(process.pid) == Some(process.started) {
            true if process.pid != std::process::id() => None,
            true if active().contains(&(journal.to_path_buf(), record.id)) => None,
            true => Some("it was interrupted".to_string()),
            false => Some(format!("{title} ended")),
        };
    }
    let silent = now() - record.system_attrs.get(HEARTBEAT).and_then(Value::as_f64).unwrap_or(0.0);
    (silent > SILENCE).then(|| format!("{title} has not been heard of for {silent:.0} s"))
}

/// The trials that this process is at work on.
static ACTIVE: LazyLock<Mutex<HashSet<(PathBuf, usize)>>> = LazyLock::new(Mutex::default);

fn active() -> MutexGuard<'static, HashSet<(PathBuf, usize)>> {
    ACTIVE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// While it lives, this process is at work on a trial.
#[derive(Debug)]
pub struct Working(PathBuf, usize);

impl Working {
    pub fn on(journal: &Path, trial: usize) -> Self {
        active().insert((journal.to_path_buf(), trial));
        Working(journal.to_path_buf(), trial)
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        active().remove(&(self.0.clone(), self.1));
    }
}

/// The trials of a journal that this process is at work on.
pub fn working_on(journal: &Path) -> Vec<usize> {
    active().iter().filter(|(path, _)| path == journal).map(|(_, trial)| *trial).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_start() {
        let this = Process::this();
        assert!(this.is_here() && this.started > 0);
        assert_eq!(&serde_json::from_value::<Process>(this.to_value()).unwrap(), this);
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        assert_eq!(start_of(child.id()), None);
    }
}
