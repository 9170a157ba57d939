//! Run folders as they lie on the disk.
//!
//! A file that is absent is `None`; one that is there and cannot be understood is an error with its name and line.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::summary::Summary;
use crate::engine::secrets::without_secrets;
use crate::engine::track::episodes::Episodes;
use crate::engine::track::frames::Lines;
use crate::engine::track::row_step::RowStep;
use crate::engine::{Error, Result, file};

/// A run, read whole.
#[derive(Debug)]
pub struct RunFolder {
    pub path: PathBuf,
    /// The folder's own name; its path where another run has the same.
    pub name: String,
    pub metrics: Vec<MetricRow>,
    pub summary: Option<Summary>,
    /// Without what gives access to something: a report is for others.
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
    /// `step` or `iteration`; `line` where the record does not say of which it is.
    pub unit: &'static str,
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
        let results = path.join("summary.json");
        let (summary, config) = (summary(&results, &mut remarks)?, json::<Value>(&path.join("config.json"))?);
        if metrics.is_empty() && config.is_none() && !results.exists() {
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
            config: config.map(without_secrets),
            episodes,
            remarks,
        })
    }

    /// A path that a file of the run tells relative to the folder that affine worked in: two above the run, or else here, where
    /// another run's file may have the same name.
    pub fn worked_on(&self, path: &Path) -> Option<PathBuf> {
        let above = self.path.parent().and_then(Path::parent).map(|folder| folder.join(path));
        [above, Some(path.to_path_buf())].into_iter().flatten().find(|path| path.exists())
    }
}

/// `None` also for the summary of a script, which is no evaluation.
fn summary(path: &Path, remarks: &mut Vec<String>) -> Result<Option<Summary>> {
    let Some(found) = json::<Value>(path)? else { return Ok(None) };
    if Summary::KEYS.iter().all(|key| found.get(key).is_some()) {
        return json(path);
    }
    remarks.push("summary.json is not an evaluation’s".to_string());
    Ok(None)
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
        let stage = record.get("stage").and_then(Value::as_str).filter(|stage| !stage.is_empty()).unwrap_or("run");
        let stage = stage.to_string();
        let (unit, place) =
            RowStep::of(&record).map_or(("line", number), |row_step| (row_step.unit, row_step.step as f64));
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
        MetricRow { stage, unit, place, values }
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
    fn a_summary_of_ones_own_is_no_evaluation() {
        for summary in ["{\"best\": 0.5, \"order\": 3}", "[]", "{}"] {
            let run = run(&[("summary.json", summary)]).unwrap();
            assert!(run.summary.is_none());
            assert_eq!(run.remarks, ["summary.json is not an evaluation’s"]);
        }
    }

    #[test]
    fn what_gives_access_is_not_read() {
        let config = "{\"hf_token\": \"abc\", \"url\": \"http://u:p@host/x\", \"seed\": 3}";
        let run = run(&[("config.json", config)]).unwrap();
        assert_eq!(run.config.unwrap().to_string(), "{\"hf_token\":\"…\",\"url\":\"http://host/x\",\"seed\":3}");
    }

    #[test]
    fn a_file_beside_the_run_goes_before_one_in_the_current_folder() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("runs/a");
        std::fs::create_dir_all(&run).unwrap();
        std::fs::write(run.join("config.json"), "{}").unwrap();
        // The tests run in the package's folder, which has one.
        std::fs::write(folder.path().join("Cargo.toml"), "").unwrap();
        let run = RunFolder::read(&run).unwrap();
        let above = folder.path().canonicalize().unwrap().join("Cargo.toml");
        assert_eq!(run.worked_on(Path::new("Cargo.toml")), Some(above));
        assert_eq!(run.worked_on(Path::new("Cargo.lock")), Some(PathBuf::from("Cargo.lock")));
    }

    #[test]
    fn what_cannot_be_understood_is_named_with_its_line() {
        let error = run(&[("metrics.jsonl", "{}\n[1]\n")]).unwrap_err().to_string();
        assert!(error.contains("metrics.jsonl: line 2: expected a JSON object"), "{error}");
        let broken = "{\"environments\": [], \"models\": {},\n\"order\": 1}";
        let error = run(&[("summary.json", broken)]).unwrap_err().to_string();
        assert!(error.contains("summary.json") && error.contains("line 2"), "{error}");
        let error = run(&[]).unwrap_err().to_string();
        assert!(error.contains("expected the folder of a run"), "{error}");
    }
}
