//! The run folder `runs/<YYYYMMDD-HHMMSS>-<name>/`, one per execution, with `runs/latest` pointing at the newest.
//!
//! | file            | written                          | holds                                          |
//! |-----------------|----------------------------------|------------------------------------------------|
//! | `config.json`   | at the start                     | the resolved configuration                     |
//! | `versions.json` | at the start                     | versions, seeds and the machine                |
//! | `metrics.jsonl` | a line per [`Run::log`], at once | one JSON object per line; NaN is `null`; `time`  |
//! |                 |                                  | in seconds since 1970 is when it was written     |
//! | `summary.json`  | whole, by [`Run::summary`]       | the results                                    |
//! | `wandb/`        | as `metrics.jsonl`, where asked  | a run of Weights & Biases, see [`wandb`](super::wandb) |
//! | `tensorboard/`  | as `metrics.jsonl`, where asked  | event files of TensorBoard                     |
//! | `unfinished`    | until [`Run::finish`]            | nothing: [`Run::resume`] goes on with this run |
//!
//! While a process is at work on a run it has `metrics.jsonl` locked.
//!
//! A run that goes on takes steps again that came after its last checkpoint. The first line about a step (`step` or
//! `iteration`) of a stage (`stage`) therefore replaces what was logged of that stage from that step on before the run
//! was left, and every step is in `metrics.jsonl` once.
//!
//! What has a step goes to the run's [`Tracker`]s, too.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde_json::{Map, Value, json};

use super::alarms::Alarms;
use super::frames::Lines;
use super::metric::{Metric, Metrics};
use super::row_step::RowStep;
use super::tensorboard::TensorBoard;
use super::tracker::{Place, Tracker};
use super::wandb::{self, Wandb};
use crate::engine::file::{create_folder, reason, remove, unreadable, write_atomic};
use crate::engine::secrets::table_without_secrets;
use crate::engine::system::machine;
use crate::engine::{Error, Result};

const LATEST: &str = "latest";
const CONFIG: &str = "config.json";
const METRICS: &str = "metrics.jsonl";
const WANDB: &str = "wandb";
const UNFINISHED: &str = "unfinished";

/// An execution with its folder.
#[derive(Debug)]
pub struct Run {
    path: PathBuf,
    trackers: RefCell<Vec<Box<dyn Tracker>>>,
    alarms: RefCell<Alarms>,
    metrics: RefCell<File>,
    /// The last step of each stage that was logged before the run was left.
    before: RefCell<HashMap<String, u64>>,
    /// Locked while this process is at work on a run that can be resumed.
    unfinished: Option<File>,
}

impl Run {
    /// Makes the folder below `root` (`runs`), which is created when needed. `name` is one path component. Two runs of
    /// the same name in the same second get different folders. `kernels`: the name of those that compute.
    pub fn create(root: impl AsRef<Path>, name: &str, config: &Value, kernels: &str) -> Result<Run> {
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\', '\0']) {
            return Err(Error::option(
                "name",
                "a folder name without / and not beginning with a dot",
                format!("{name:?}"),
            ));
        }
        let root = root.as_ref();
        let path = folder(root, name)?;
        write_json(&path.join(CONFIG), config)?;
        Run::open(root, path, config, kernels)
    }

    /// As [`create`](Self::create), but the newest run of that name goes on where it has the same configuration, did not
    /// come to its end and nobody is at work on it. So will this one.
    pub fn resume(root: impl AsRef<Path>, name: &str, config: &Value, kernels: &str) -> Result<Run> {
        let root = root.as_ref();
        if let Some(path) = newest(root, name).filter(|path| has_config(path, config))
            && let Some(lock) = lock(&path.join(UNFINISHED), false)
        {
            let run = Run { unfinished: Some(lock), ..Run::open(root, path, config, kernels)? };
            let logged = run.lines()?;
            run.rewrite(&logged.concat())?;
            for row in logged.iter().filter_map(|line| serde_json::from_str(line).ok()) {
                // What was normal in the beginning is normal now.
                run.alarms.borrow_mut().see(&row);
                if let Some(RowStep { stage, step, .. }) = RowStep::of(&row) {
                    let mut before = run.before.borrow_mut();
                    let last = before.entry(stage).or_insert(step);
                    *last = step.max(*last);
                }
            }
            return Ok(run);
        }
        let run = Run::create(root, name, config, kernels)?;
        let unfinished = lock(&run.path.join(UNFINISHED), true);
        Ok(Run { unfinished, ..run })
    }

    fn open(root: &Path, path: PathBuf, config: &Value, kernels: &str) -> Result<Run> {
        write_json(&path.join("versions.json"), &versions(config, kernels))?;
        let metrics = RefCell::new(append_to(&path.join(METRICS))?);
        point_latest_at(root, &path)?;
        let alarms = RefCell::default();
        Ok(Run { path, trackers: RefCell::default(), alarms, metrics, before: RefCell::default(), unfinished: None })
    }

    /// The run came to its end: it will not go on.
    pub fn finish(&self) -> Result<()> {
        self.tell(|tracker| tracker.finish(0))?;
        match self.unfinished {
            Some(_) => remove(self.path.join(UNFINISHED)),
            None => Ok(()),
        }?;
        // Nobody is at work on it any more, although the process may go on.
        let _ = flock(&*self.metrics.borrow(), FlockOperation::Unlock);
        Ok(())
    }

    /// From now on what is logged goes there, too.
    pub fn add_tracker(&self, tracker: Box<dyn Tracker>) {
        self.trackers.borrow_mut().push(tracker);
    }

    /// Adds a W&B run in the folder, or goes on with the one that is there. Those in other runs' folders whose processes were
    /// killed get their end.
    pub fn add_wandb(&self, options: &wandb::Options) -> Result<()> {
        let runs = self.path.parent().map(std::fs::read_dir).and_then(io::Result::ok);
        // Not by way of `latest`. What is wrong with another run's files is no reason not to begin this one.
        for run in runs.into_iter().flatten().flatten().filter(|run| run.file_type().is_ok_and(|kind| kind.is_dir())) {
            if let Err(error) = wandb::close_abandoned(&run.path().join(WANDB)) {
                tracing::warn!("{error}");
            }
        }
        let config = serde_json::from_str(&read(&self.path.join(CONFIG))?);
        let config = config.map_err(|error| Error::file(self.path.join(CONFIG), error))?;
        let config = table_without_secrets(config);
        self.add_tracker(Box::new(Wandb::begin(&self.path.join(WANDB), options, &config)?));
        Ok(())
    }

    /// Adds TensorBoard's event files in the folder.
    pub fn add_tensorboard(&self) {
        self.add_tracker(Box::new(TensorBoard::begin(&self.path.join("tensorboard"))));
    }

    /// Tells every tracker something. One that logs to its own run meanwhile is refused.
    pub fn tell(&self, mut what: impl FnMut(&mut dyn Tracker) -> Result<()>) -> Result<()> {
        let trackers = self.trackers.try_borrow_mut();
        let mut trackers = trackers.map_err(|_| Error::message("a tracker logs to the run that it is a tracker of"))?;
        trackers.iter_mut().try_for_each(|tracker| what(tracker.as_mut()))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a line to `metrics.jsonl`, says which alarms it raises or ends, and tells the trackers. The line reaches the system in one piece, so a reader never
    /// sees half a line of a run that goes on.
    pub fn log(&self, mut record: Metrics) -> Result<()> {
        let now = chrono::Utc::now().timestamp_millis() as f64 / 1000.0;
        if !record.iter().any(|(name, _)| name == "time") {
            record.push(("time".to_string(), Metric::Float(now)));
        }
        let row = record.iter().map(|(name, value)| (name.clone(), value.to_value())).collect();
        self.write(&row)?;
        for alarm in self.alarms.borrow_mut().see(&row) {
            match alarm.begins {
                true => tracing::warn!("{alarm}"),
                false => tracing::info!("{alarm}"),
            }
        }
        match Place::take(&mut record, now) {
            Some(place) => self.tell(|tracker| tracker.log(&place, &record)),
            None => Ok(()),
        }
    }

    fn write(&self, record: &Map<String, Value>) -> Result<()> {
        if let Some(RowStep { stage, step, .. }) = RowStep::of(record)
            && self.before.borrow().get(&stage).is_some_and(|&last| last >= step)
        {
            self.forget(&stage, step)?;
            self.alarms.borrow_mut().forget(&stage, step);
            self.before.borrow_mut().remove(&stage);
        }
        let mut line = to_text(serde_json::to_string(record));
        line.push('\n');
        let written = self.metrics.borrow_mut().write_all(line.as_bytes());
        written.map_err(|e| Error::file(self.path.join(METRICS), format!("cannot be written: {}", reason(&e))))
    }

    /// Removes what was logged of a stage from a step on.
    fn forget(&self, stage: &str, from: u64) -> Result<()> {
        let replaced = |line: &str| {
            let place = serde_json::from_str(line).ok().and_then(|row| RowStep::of(&row));
            place.is_some_and(|place| place.stage == stage && place.step >= from)
        };
        let kept: String = self.lines()?.into_iter().filter(|line| !replaced(line)).collect();
        self.rewrite(&kept)
    }

    fn rewrite(&self, text: &str) -> Result<()> {
        let path = self.path.join(METRICS);
        write_atomic(&path, text.as_bytes())?;
        self.metrics.replace(append_to(&path)?);
        Ok(())
    }

    /// The whole lines of `metrics.jsonl`; a full disk or the end of a process may have left a part of one.
    fn lines(&self) -> Result<Vec<String>> {
        let path = self.path.join(METRICS);
        let lines = Lines::of_plain(&path).map_err(|e| unreadable(&path, &e))?;
        Ok(lines.text.split_inclusive('\n').map(str::to_string).collect())
    }

    /// Replaces `summary.json`.
    pub fn summary(&self, summary: &Value) -> Result<()> {
        write_json(&self.path.join("summary.json"), summary)?;
        match Metric::from(summary) {
            Metric::Nested(results) => self.tell(|tracker| tracker.summary(&results)),
            _ => Ok(()),
        }
    }
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|e| unreadable(path, &e))
}

/// The newest run folder of that name.
fn newest(root: &Path, name: &str) -> Option<PathBuf> {
    let is_of_name = |folder: &str| {
        let label = folder.get(16..).and_then(|rest| rest.strip_prefix(name));
        label.is_some_and(|rest| rest.is_empty() || rest.strip_prefix('-').is_some_and(|n| n.parse::<u32>().is_ok()))
    };
    let entries = std::fs::read_dir(root).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    // Of one second, the longer name is the later one.
    entries
        .filter(|folder| is_of_name(folder))
        .max_by_key(|f| (f[..15].to_string(), f.len(), f.clone()))
        .map(|f| root.join(f))
}

fn has_config(path: &Path, config: &Value) -> bool {
    let text = std::fs::read_to_string(path.join(CONFIG)).unwrap_or_default();
    serde_json::from_str::<Value>(&text).is_ok_and(|written| written == *config)
}

/// Opens a file, or makes it, and locks it until this process ends; `None` where it is absent or another has locked it.
fn lock(path: &Path, create: bool) -> Option<File> {
    let file = OpenOptions::new().create(create).append(true).open(path).ok()?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
    Some(file)
}

/// By the lock others see that a process is at work on the run; where it cannot be had, the run goes on without.
fn append_to(path: &Path) -> Result<File> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    let file = file.map_err(|e| Error::file(path, format!("cannot be created: {}", reason(&e))))?;
    let _ = flock(&file, FlockOperation::NonBlockingLockExclusive);
    Ok(file)
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    let mut text = to_text(serde_json::to_string_pretty(value));
    text.push('\n');
    write_atomic(path, text.as_bytes())
}

fn to_text(json: serde_json::Result<String>) -> String {
    json.expect("JSON values, whose keys are strings, always serialise")
}

/// A new folder `root/<YYYYMMDD-HHMMSS>-<name>`.
pub fn folder(root: &Path, name: &str) -> Result<PathBuf> {
    create_folder(root)?;
    create_distinct(root, &format!("{}-{name}", chrono::Local::now().format("%Y%m%d-%H%M%S")))
}

/// `stem`, or `stem-2`, `stem-3`, … when the one before is taken.
fn create_distinct(root: &Path, stem: &str) -> Result<PathBuf> {
    let mut path = root.join(stem);
    for number in 2.. {
        match std::fs::create_dir(&path) {
            Ok(()) => break,
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => path = root.join(format!("{stem}-{number}")),
            Err(e) => return Err(Error::file(root, format!("no run folder can be created in it: {}", reason(&e)))),
        }
    }
    Ok(path)
}

/// `root/latest → <run folder>`, relative so that `runs` can be moved. A link cannot be overwritten, but a new one can
/// be renamed over it, so `latest` always exists.
fn point_latest_at(root: &Path, path: &Path) -> Result<()> {
    let name = path.file_name().expect("a run folder has a name");
    let mut fresh = std::ffi::OsString::from(".latest-");
    fresh.push(name);
    let (fresh, latest) = (root.join(fresh), root.join(LATEST));
    std::os::unix::fs::symlink(name, &fresh).and_then(|()| std::fs::rename(&fresh, &latest)).map_err(|e| {
        let _ = std::fs::remove_file(&fresh);
        Error::file(&latest, format!("cannot be made a link to the new run: {}", reason(&e)))
    })
}

/// What is needed to run this again, and to judge its times.
fn versions(config: &Value, kernels: &str) -> Value {
    let mut seeds = Map::new();
    collect_seeds(config, "", &mut seeds);
    json!({
        "affine": env!("CARGO_PKG_VERSION"),
        "git_revision": env!("AFFINE_GIT_REVISION"),
        "libtorch": machine::libtorch_version(),
        // What the `lua54` feature of the Lua bindings builds.
        "lua": "5.4",
        "target": format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
        "cpu_count": machine::cpu_count(),
        "cpu_model": machine::cpu_model(),
        "gpu_models": machine::gpu_models(),
        // What decides the last bits of every number computed on the CPU.
        "kernels": kernels,
        "seed": seeds,
    })
}

/// Every value named `seed` in the configuration, by its dotted path.
fn collect_seeds(config: &Value, prefix: &str, seeds: &mut Map<String, Value>) {
    for (key, value) in config.as_object().into_iter().flatten() {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        if key == "seed" {
            seeds.insert(path, value.clone());
        } else {
            collect_seeds(value, &path, seeds);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_last_line_that_ends_within_a_character_is_taken_away_as_the_run_goes_on() {
        let root = tempfile::tempdir().unwrap();
        let resumed = || Run::resume(root.path(), "x", &json!({}), "").unwrap();
        let path = resumed().path().join(METRICS);
        std::fs::write(&path, &"{\"step\":1}\n{\"step\":2,\"said\":\"é".as_bytes()[..30]).unwrap();
        assert!(String::from_utf8(std::fs::read(&path).unwrap()).is_err());
        let run = resumed();
        run.log(vec![("step".to_string(), Metric::Int(2)), ("time".to_string(), Metric::Int(0))]).unwrap();
        assert_eq!(
            std::fs::read_to_string(run.path().join(METRICS)).unwrap(),
            "{\"step\":1}\n{\"step\":2,\"time\":0}\n"
        );
    }
}
