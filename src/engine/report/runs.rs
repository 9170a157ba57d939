//! Run folders as they lie on the disk.
//!
//! A file that is absent is `None`; one that is there and cannot be understood is an error with its name and line.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::summary::Summary;
use crate::engine::track::episodes::Episodes;
use crate::engine::track::frames::Lines;
use crate::engine::{Error, Result, file};

/// A run, read whole.
#[derive(Debug)]
pub struct RunFolder {
    pub path: PathBuf,
    /// The folder's own name; its path where another run has the same.
    pub name: String,
    pub metrics: Vec<MetricRow>,
    pub summary: Option<Summary>,
    pub config: Option<Value>,
    pub versions: Option<Value>,
    pub episodes: Episodes,
    /// It has not come to its end.
    pub unfinished: bool,
    /// What was left out in reading, a sentence each.
    pub remarks: Vec<String>,
}

/// A line of `metrics.jsonl`.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricRow {
    pub stage: String,
    /// The step or the iteration.
    pub place: f64,
    /// Every number by its key; of a table of numbers `key.name`. What was `null` is not a number.
    pub values: BTreeMap<String, f64>,
}

impl RunFolder {
    pub fn read_all(paths: &[PathBuf]) -> Result<Vec<Self>> {
        let mut runs = paths.iter().map(|path| RunFolder::read(path)).collect::<Result<Vec<_>>>()?;
        let names: Vec<String> = runs.iter().map(|run| run.name.clone()).collect();
        for run in &mut runs {
            if names.iter().filter(|name| **name == run.name).count() > 1 {
                run.name = run.path.display().to_string();
            }
        }
        Ok(runs)
    }

    pub fn read(path: &Path) -> Result<Self> {
        // `runs/latest` is a link: the run is known by its own name.
        let path = path.canonicalize().map_err(|error| file::unreadable(path, &error))?;
        if !path.is_dir() {
            return Err(Error::hinted(
                format!("{}: expected the folder of a run", path.display()),
                "name a folder below runs/, such as runs/latest",
            ));
        }
        let mut remarks = Vec::new();
        let metrics = metrics(&path.join("metrics.jsonl"), &mut remarks)?;
        let (summary, config) = (json(&path.join("summary.json"))?, json::<Value>(&path.join("config.json"))?);
        if metrics.is_empty() && summary.is_none() && config.is_none() {
            return Err(Error::hinted(
                format!(
                    "{}: expected the folder of a run, which holds metrics.jsonl, summary.json or config.json",
                    path.display()
                ),
                "name a folder below runs/, such as runs/latest",
            ));
        }
        let episodes = Episodes::of_run(&path)?;
        if let Some(left_out) = episodes.left_out {
            remarks.push(format!("episodes.jsonl.zst: {left_out}"));
        }
        Ok(RunFolder {
            name: path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into()),
            versions: json(&path.join("versions.json"))?,
            unfinished: path.join("unfinished").exists(),
            path,
            metrics,
            summary,
            config,
            episodes,
            remarks,
        })
    }

    /// A path that a file of the run tells relative to the folder that affine worked in: here, or two above the run.
    pub fn worked_on(&self, path: &Path) -> Option<PathBuf> {
        let above = self.path.parent().and_then(Path::parent).map(|folder| folder.join(path));
        [Some(path.to_path_buf()), above].into_iter().flatten().find(|path| path.exists())
    }
}

/// A JSON file; `None` where there is none.
fn json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(file::unreadable(path, &error)),
    };
    serde_json::from_str(&text).map(Some).map_err(|error| Error::file(path, error))
}

fn metrics(path: &Path, remarks: &mut Vec<String>) -> Result<Vec<MetricRow>> {
    let lines = match Lines::of_plain(path) {
        Ok(lines) => lines,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(file::unreadable(path, &error)),
    };
    if let Some(left_out) = lines.left_out {
        remarks.push(format!("metrics.jsonl: {left_out}"));
    }
    let row = |(number, line): (usize, &str)| {
        let place = |problem: String| Error::file(path, format!("line {}: {problem}", number + 1));
        let record: Map<String, Value> =
            serde_json::from_str(line).map_err(|error| place(format!("expected a JSON object: {error}")))?;
        Ok(MetricRow::of(record, number as f64))
    };
    lines.text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(row).collect()
}

impl MetricRow {
    /// `number`: the line, where the record does not say of which step it is.
    fn of(record: Map<String, Value>, number: f64) -> Self {
        let stage = record.get("stage").and_then(Value::as_str).unwrap_or("run").to_string();
        let place = record.get("step").or(record.get("iteration")).and_then(Value::as_f64).unwrap_or(number);
        let mut values = BTreeMap::new();
        for (key, value) in record {
            match value {
                Value::Object(entries) => {
                    let named =
                        entries.iter().filter_map(|(name, value)| Some((format!("{key}.{name}"), number_of(value)?)));
                    values.extend(named);
                }
                value => values.extend(number_of(&value).map(|number| (key, number))),
            }
        }
        for bookkeeping in ["step", "iteration", "time"] {
            values.remove(bookkeeping);
        }
        MetricRow { stage, place, values }
    }
}

fn number_of(value: &Value) -> Option<f64> {
    if value.is_null() { Some(f64::NAN) } else { value.as_f64() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(files: &[(&str, &str)]) -> Result<RunFolder> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        RunFolder::read(folder.path())
    }

    #[test]
    fn metrics_are_read_flat_and_half_a_line_is_left_out() {
        let text = r#"{"stage":"rl","iteration":2,"score_mean":{"sat":0.5},"kl":null,"time":1}
{"stage":"rl","itera"#;
        let run = run(&[("metrics.jsonl", text)]).unwrap();
        assert_eq!(run.remarks, ["metrics.jsonl: its last line is cut short and left out"]);
        let row = &run.metrics[0];
        assert_eq!((row.stage.as_str(), row.place, row.values["score_mean.sat"]), ("rl", 2.0, 0.5));
        assert!(row.values["kl"].is_nan() && row.values.len() == 2);
    }

    #[test]
    fn what_cannot_be_understood_is_named_with_its_line() {
        let error = run(&[("metrics.jsonl", "{}\n[1]\n")]).unwrap_err().to_string();
        assert!(error.contains("metrics.jsonl: line 2: expected a JSON object"), "{error}");
        let error = run(&[("summary.json", "{\n\"order\": 1}")]).unwrap_err().to_string();
        assert!(error.contains("summary.json") && error.contains("line 2"), "{error}");
        let error = run(&[]).unwrap_err().to_string();
        assert!(error.contains("expected the folder of a run"), "{error}");
    }
}
