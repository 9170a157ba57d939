//! Weights & Biases: the offline run that the real `wandb sync` uploads, and `wandb beta sync --live` while it grows.
//!
//! `<folder>/offline-run-<time>-<id>/` holds `run-<id>.wandb`, a log of records, and `files/`. Nothing is uploaded from here,
//! and no key is read or written. Who finishes no run leaves its end to that of the process ([`end_all`]).

mod earlier;
mod fragment;
mod journal;
mod live;
mod log;
mod media;
mod open;
mod options;
mod record;
mod row;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::path::Path;

use serde_json::{Map, Value};

use super::metric::{Metric, Metrics};
use super::tracker::{Place, Tracker};
use crate::engine::{Error, Result};
use earlier::Earlier;
use fragment::{Closed, Fragment};
use journal::Journal;
use log::Log;
use record::{Config, Files, FilesItem, Header, Item, Kind, Output, Run, Summary, Version};
use row::Row;

pub use fragment::close_abandoned;
pub use journal::Closer;
pub use open::{INTERRUPTED, console, end_all, end_at_once};
pub use options::{Mode, Options};

/// A W&B run that is written.
#[derive(Debug)]
pub struct Wandb {
    journal: Journal,
    fragment: Fragment,
    unsynced: Vec<Fragment>,
    earlier: Earlier,
    /// The metrics that W&B knows the axis of.
    defined: HashSet<String>,
    /// The next `_step` at the earliest.
    next_row: u64,
}

impl Wandb {
    /// Begins a run in `folder`, or goes on with the newest one that is there (or the one of the id that the options name). The
    /// configuration is uploaded as it is: it has no secrets in it any more.
    pub fn begin(folder: &Path, options: &Options, config: &Map<String, Value>) -> Result<Wandb> {
        options.check()?;
        let uploader = open::uploader(options)?;
        open::end_in(folder);
        let mut fragments = fragment::fragments(folder)?;
        let newest = fragments.last().map(|fragment| fragment.id.clone());
        let id = Some(options.id.clone()).filter(|id| !id.is_empty()).or(newest).unwrap_or_else(options::new_id);
        fragments.retain(|fragment| fragment.id == id);
        // Who reads along with one that was killed would wait for ever.
        for fragment in &fragments {
            if fragment::close(fragment)? == Closed::Not {
                return Err(Error::file(&fragment.path, "is a W&B run that another process is writing"));
            }
        }
        let mut earlier = Earlier::read(&fragments)?;
        let start = earlier.start.map_or(now(), |start| now().max(start + 1.0));
        let fragment = Fragment::create(folder, &id, start)?;
        let mut first = vec![header(), Kind::Run(Box::new(run(&id, options, config, start, !fragments.is_empty())))];
        let defined = earlier.definitions.iter().map(|definition| definition.name.clone()).collect();
        first.extend(std::mem::take(&mut earlier.definitions).into_iter().map(Kind::Metric));
        if !earlier.summary.is_empty() {
            first.push(Kind::Summary(Summary { update: std::mem::take(&mut earlier.summary) }));
        }
        if !earlier.console.is_empty() {
            // W&B counts the lines of a fragment from the first one on and overwrites what is there.
            first.push(output(std::mem::take(&mut earlier.console)));
        }
        let wandb = Wandb {
            journal: Journal::new(Log::create(&fragment.log(), first)?, earlier.runtime),
            unsynced: fragments.into_iter().filter(|fragment| !fragment.is_synced()).collect(),
            next_row: earlier.row.map_or(0, |row| row + 1),
            fragment,
            earlier,
            defined,
        };
        open::add(&wandb, uploader.as_deref());
        Ok(wandb)
    }

    /// The run's id.
    pub fn id(&self) -> &str {
        &self.fragment.id
    }

    /// The folders that `wandb sync` is to be given, in this order: those of the run that were not uploaded yet.
    pub fn folders(&self) -> Vec<&Path> {
        self.unsynced.iter().chain([&self.fragment]).map(|fragment| fragment.path.as_path()).collect()
    }

    /// What ends the run from another thread, where this one will not come to it.
    pub fn closer(&self) -> Closer {
        self.journal.closer()
    }

    /// Whether an earlier fragment has this step of a metric.
    fn has(&self, metric: &str, step: u64) -> bool {
        self.earlier.steps.get(metric).is_some_and(|&last| step <= last)
    }

    /// Writes a row of metrics that have their names in the run.
    fn write(&mut self, place: &Place, mut metrics: Metrics, file: Option<String>) -> Result<()> {
        metrics.retain(|(name, _)| !self.has(name, place.step));
        if metrics.is_empty() {
            return Ok(());
        }
        // The step itself, where it is later than all there is: of one stage that logs once per step, always.
        let number = place.step.max(self.next_row);
        let row = Row::new(place, &metrics, number, self.journal.runtime());
        let new: Vec<String> = row.names.iter().filter(|name| !self.defined.contains(*name)).cloned().collect();
        let mut kinds: Vec<Kind> = new.iter().map(|name| Kind::Metric(row::definition(name, &place.stage))).collect();
        kinds.extend(file.map(files));
        let mut summary = row.summary();
        summary.update.push(row::item(&["_wandb", "runtime"], &Metric::Int(self.journal.runtime() as i64)));
        kinds.extend([Kind::Summary(summary), Kind::History(row.history())]);
        self.journal.append(kinds)?;
        self.defined.extend(new);
        self.next_row = number + 1;
        Ok(())
    }
}

impl Tracker for Wandb {
    fn log(&mut self, place: &Place, metrics: &Metrics) -> Result<()> {
        let named = metrics.iter().map(|(key, value)| (row::name(&place.stage, key), value.clone()));
        self.write(place, named.collect(), None)
    }

    fn summary(&mut self, results: &Metrics) -> Result<()> {
        let update = results.iter().map(|(key, value)| Item { key: key.clone(), path: vec![], json: value.to_json() });
        self.journal.append([Kind::Summary(Summary { update: update.collect() })])
    }

    fn text(&mut self, place: &Place, name: &str, text: &str) -> Result<()> {
        self.log(place, &vec![(name.to_string(), Metric::Text(text.to_string()))])
    }

    fn histogram(&mut self, place: &Place, name: &str, values: &[f64]) -> Result<()> {
        match media::histogram(values) {
            Some(histogram) => self.log(place, &vec![(name.to_string(), histogram)]),
            None => Ok(()),
        }
    }

    fn table(&mut self, place: &Place, name: &str, columns: &[&str], rows: &[Vec<Metric>]) -> Result<()> {
        let name = row::name(&place.stage, name);
        if self.has(&name, place.step) {
            return Ok(());
        }
        let (path, table) = media::table(&self.fragment, &name, place.step.max(self.next_row), columns, rows)?;
        self.write(place, vec![(name, table)], Some(path))
    }

    fn file(&mut self, path: &Path) -> Result<()> {
        let name = media::keep(&self.fragment, path)?;
        self.journal.append([files(name)])
    }

    fn finish(&mut self, exit_code: i32) -> Result<()> {
        self.journal.end(exit_code)
    }
}

fn header() -> Kind {
    let producer = format!("affine {}", env!("CARGO_PKG_VERSION"));
    Kind::Header(Header { version: Some(Version { producer, min_consumer: "0.70.0".to_string() }) })
}

fn run(id: &str, options: &Options, config: &Map<String, Value>, start: f64, resumed: bool) -> Run {
    let host = rustix::system::uname().nodename().to_string_lossy().to_string();
    let update = config.iter().map(|(key, value)| Item { key: key.clone(), path: vec![], json: value.to_string() });
    Run {
        run_id: id.to_string(),
        entity: options.entity.clone(),
        project: options.project.clone(),
        config: Some(Config { update: update.collect() }),
        group: options.group.clone(),
        job_type: options.job_type.clone(),
        name: options.name.clone(),
        notes: options.notes.clone(),
        tags: options.tags.clone(),
        host,
        start_time: Some(start.into()),
        resumed,
    }
}

fn files(path: String) -> Kind {
    Kind::Files(Files { files: vec![FilesItem { path }] })
}

fn output(text: String) -> Kind {
    Kind::Output(Output { stream: 1, time: Some(now().into()), text })
}

fn now() -> f64 {
    chrono::Utc::now().timestamp_micros() as f64 / 1e6
}
