//! Which process runs a trial, and whether it still does.
//!
//! On this machine the system is asked. Of a process elsewhere (another machine, another container) only its heartbeat tells: the time,
//! written into the journal again and again while it runs the trial. What ran on this machine before it was started anew is no more.

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
    /// What tells this machine from others, whenever it was started; nothing where it does not tell.
    #[serde(default)]
    machine: String,
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
            machine: read("/etc/machine-id"),
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

    /// Whether it ran on this machine before that was started anew. `beat`: its last heartbeat. Machines may be alike in all that tells them
    /// apart, but of what runs elsewhere something was heard since.
    fn is_of_an_earlier_boot(&self, beat: f64) -> bool {
        let this = Process::this();
        let same = (&self.machine, &self.host) == (&this.machine, &this.host) && self.boot != this.boot;
        same && boot_time().is_some_and(|started| beat < started)
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

/// When this machine was started, in seconds since 1970.
fn boot_time() -> Option<f64> {
    let uptime = std::fs::read_to_string("/proc/uptime").ok()?;
    Some(now() - uptime.split_whitespace().next()?.parse::<f64>().ok()?)
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
    let (beat, silent) = (last_beat(record), now() - last_beat(record));
    if process.is_of_an_earlier_boot(beat) {
        return Some(format!("{title} ended with the machine, which was started anew"));
    }
    (silent > SILENCE).then(|| format!("{title} has not been heard of for {silent:.0} s"))
}

fn last_beat(record: &TrialRecord) -> f64 {
    record.system_attrs.get(HEARTBEAT).and_then(Value::as_f64).unwrap_or(0.0)
}

/// Who runs a trial elsewhere, where only the heartbeat tells whether anybody does, and since when nothing was heard.
pub fn elsewhere(record: &TrialRecord) -> Option<String> {
    let process = of_trial(record).filter(|process| !process.is_here())?;
    let silent = (now() - last_beat(record)).max(0.0);
    Some(format!("{} runs it, last heard of {silent:.0} s ago", process.title()))
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
    use crate::engine::sweep::history::tests::record;
    use crate::engine::sweep::record::State;

    #[test]
    fn a_process_is_known_by_its_start() {
        let this = Process::this();
        assert!(this.is_here() && this.started > 0);
        assert_eq!(&serde_json::from_value::<Process>(this.to_value()).unwrap(), this);
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        assert_eq!(start_of(child.id()), None);
    }

    #[test]
    fn what_ran_before_the_machine_was_started_is_dead_at_once() {
        let why = |change: fn(&mut Process), beat: f64| {
            let (mut trial, mut process) = (record(0, State::Running), Process::this().clone());
            process.boot = "another".to_string();
            change(&mut process);
            trial.system_attrs.insert(PROCESS.to_string(), process.to_value());
            trial.system_attrs.insert(HEARTBEAT.to_string(), beat.into());
            why_dead(&trial, Path::new("x"))
        };
        let before = boot_time().unwrap() - 10.0;
        assert!(why(|_| {}, before).unwrap().ends_with("ended with the machine, which was started anew"));
        assert_eq!(why(|_| {}, now()), None);
        let others: [fn(&mut Process); 2] =
            [|process| process.host = "another".to_string(), |process| process.machine = "another".to_string()];
        for other in others {
            assert!(!why(other, before).is_some_and(|why| why.contains("anew")));
        }
    }
}
