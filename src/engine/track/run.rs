//! The run folder `runs/<YYYYMMDD-HHMMSS>-<name>/`, one per execution, with `runs/latest` pointing at the newest.
//!
//! | file            | written                          | holds                                          |
//! |-----------------|----------------------------------|------------------------------------------------|
//! | `config.json`   | at the start                     | the resolved configuration                     |
//! | `versions.json` | at the start                     | versions, seeds and the machine                |
//! | `metrics.jsonl` | a line per [`Run::log`], at once | one JSON object per line; NaN is `null`; `time`  |
//! |                 |                                  | in seconds since 1970 is when it was written     |
//! | `summary.json`  | whole, by [`Run::summary`]       | the results                                    |

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::engine::file::{create_folder, reason, write_atomic};
use crate::engine::native::kernels;
use crate::engine::{Error, Result, machine};

const LATEST: &str = "latest";
const METRICS: &str = "metrics.jsonl";

/// An execution with its folder.
#[derive(Debug)]
pub struct Run {
    path: PathBuf,
    metrics: File,
}

impl Run {
    /// Makes the folder below `root` (`runs`), which is created when needed. `name` is one path component. Two runs of
    /// the same name in the same second get different folders.
    pub fn create(root: impl AsRef<Path>, name: &str, config: &Value) -> Result<Run> {
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\', '\0']) {
            return Err(Error::option(
                "name",
                "a folder name without / and not beginning with a dot",
                format!("{name:?}"),
            ));
        }
        let root = root.as_ref();
        let path = folder(root, name)?;
        write_json(&path.join("config.json"), config)?;
        write_json(&path.join("versions.json"), &versions(config))?;
        let metrics = path.join(METRICS);
        let metrics = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&metrics)
            .map_err(|e| Error::file(&metrics, format!("cannot be created: {}", reason(&e))))?;
        point_latest_at(root, &path)?;
        Ok(Run { path, metrics })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a line to `metrics.jsonl`. The line reaches the system in one piece, so a reader never sees half a
    /// line of a run that goes on.
    pub fn log(&self, record: &Map<String, Value>) -> Result<()> {
        let mut record = record.clone();
        record.entry("time").or_insert_with(|| json!(chrono::Utc::now().timestamp_millis() as f64 / 1000.0));
        let mut line = to_text(serde_json::to_string(&record));
        line.push('\n');
        (&self.metrics)
            .write_all(line.as_bytes())
            .map_err(|e| Error::file(self.path.join(METRICS), format!("cannot be written: {}", reason(&e))))
    }

    /// Replaces `summary.json`.
    pub fn summary(&self, summary: &Value) -> Result<()> {
        write_json(&self.path.join("summary.json"), summary)
    }
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
fn versions(config: &Value) -> Value {
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
        // What decides the last bits of every number computed on the CPU.
        "kernels": kernels::resolved().name(),
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
