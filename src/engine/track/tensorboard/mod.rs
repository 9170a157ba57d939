//! TensorBoard: event files that it, and whatever reads them, shows as they grow.
//!
//! Each stage is a run of TensorBoard's, a folder `<folder>/<stage>/`: its steps count by themselves, and charts of one name lie
//! over each other. A run that goes on writes a further file in it, which voids what the others hold from its first step on.

mod event;
mod file;
mod histogram;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::metric::{Metric, Metrics};
use super::tracker::{Place, Tracker};
use crate::engine::{Error, Result};
use event::{Event, Summary, Value, What};
use file::EventFile;

/// The event files of a run.
#[derive(Debug)]
pub struct TensorBoard {
    folder: PathBuf,
    stages: HashMap<String, EventFile>,
    is_finished: bool,
}

impl TensorBoard {
    /// `folder`: what `tensorboard --logdir` is given. What is in it already, this run goes on with.
    pub fn begin(folder: &Path) -> TensorBoard {
        TensorBoard { folder: folder.to_path_buf(), stages: HashMap::new(), is_finished: false }
    }

    fn write(&mut self, place: &Place, values: Vec<Value>) -> Result<()> {
        if self.is_finished {
            return Err(Error::message("the TensorBoard run was finished: nothing can be logged to it any more"));
        }
        if values.is_empty() {
            return Ok(());
        }
        let step = i64::try_from(place.step).unwrap_or(i64::MAX);
        let event = Event { wall_time: place.time, step, what: Some(What::Summary(Summary { values })) };
        if let Some(file) = self.stages.get_mut(&place.stage) {
            return file.append(&event);
        }
        let mut file = EventFile::create(&self.folder.join(folder_name(&place.stage)), step, place.time)?;
        let written = file.append(&event);
        self.stages.insert(place.stage.clone(), file);
        written
    }
}

impl Tracker for TensorBoard {
    /// Numbers and booleans become scalars, words texts; a nested one is under its names with slashes between them. A list has no
    /// chart.
    fn log(&mut self, place: &Place, metrics: &Metrics) -> Result<()> {
        let mut values = Vec::new();
        for (key, metric) in metrics {
            metric.leaves(&mut vec![key], &mut |path, leaf| values.extend(value(path.join("/"), leaf)));
        }
        self.write(place, values)
    }

    fn text(&mut self, place: &Place, name: &str, text: &str) -> Result<()> {
        self.write(place, vec![event::text(name.to_string(), text)])
    }

    fn histogram(&mut self, place: &Place, name: &str, values: &[f64]) -> Result<()> {
        let histogram = histogram::histogram(values);
        self.write(place, histogram.map(|h| event::histogram(name.to_string(), h)).into_iter().collect())
    }

    /// A text with a table in it: texts are shown as Markdown.
    fn table(&mut self, place: &Place, name: &str, columns: &[&str], rows: &[Vec<Metric>]) -> Result<()> {
        self.text(place, name, &markdown(columns, rows))
    }

    fn finish(&mut self, _exit_code: i32) -> Result<()> {
        self.is_finished = true;
        self.stages.drain().try_for_each(|(_, file)| file.sync())
    }
}

fn value(tag: String, metric: &Metric) -> Option<Value> {
    match metric {
        Metric::Bool(value) => Some(event::scalar(tag, f64::from(u8::from(*value)))),
        Metric::Int(value) => Some(event::scalar(tag, *value as f64)),
        Metric::Float(value) => Some(event::scalar(tag, *value)),
        Metric::Text(text) => Some(event::text(tag, text)),
        Metric::Null | Metric::List(_) | Metric::Nested(_) => None,
    }
}

/// A stage's folder, below the run's whatever the stage is called.
fn folder_name(stage: &str) -> PathBuf {
    stage.split('/').filter(|part| !matches!(*part, "" | "." | "..")).collect()
}

fn markdown(columns: &[&str], rows: &[Vec<Metric>]) -> String {
    let cell = |text: &str| text.replace('|', r"\|").replace('\n', "<br>");
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let shown = |metric: &Metric| match metric {
        Metric::Text(text) => cell(text),
        other => cell(&other.to_json()),
    };
    let head = line(columns.iter().map(|column| cell(column)).collect());
    let rule = line(columns.iter().map(|_| "---".to_string()).collect());
    rows.iter().fold(head + &rule, |text, row| text + &line(row.iter().map(shown).collect()))
}
