//! What the earlier fragments of a run hold: where the next one goes on.
//!
//! A run that goes on takes steps again that came after its last checkpoint. What W&B has it does not give back, and an
//! earlier fragment may be uploaded at any time. So the first that was logged of a step stays, and a metric is not
//! logged again up to its last step.

use std::collections::HashMap;

use super::fragment::Fragment;
use super::log;
use super::record::{Item, Kind, MetricDefinition, Timestamp};
use crate::engine::Result;

#[derive(Debug, Default)]
pub struct Earlier {
    /// The last step of each metric, counted within its stage.
    pub steps: HashMap<String, u64>,
    /// The last `_step`, which counts through all stages.
    pub row: Option<u64>,
    /// How long the run ran before, in seconds.
    pub runtime: f64,
    /// Along what the metrics are drawn. An upload replaces that, the results and the console's text.
    pub definitions: Vec<MetricDefinition>,
    /// The run's results so far.
    pub summary: Vec<Item>,
    /// What was shown, in one text.
    pub console: String,
    /// When the last fragment began; W&B orders them by it.
    pub start: Option<f64>,
}

impl Earlier {
    pub fn read(fragments: &[Fragment]) -> Result<Earlier> {
        let mut contents = Vec::new();
        for fragment in fragments {
            let content = log::read(&fragment.log())?;
            contents.push((start(&content.records), content.records));
        }
        contents.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (mut earlier, mut summary) = (Earlier::default(), Results::default());
        for (start, records) in contents {
            earlier.start = Some(start);
            // Each fragment begins with what the one before it held of these.
            earlier.console.clear();
            earlier.definitions.clear();
            for kind in records {
                match kind {
                    Kind::History(history) => earlier.add(&history.items),
                    Kind::Summary(changes) => changes.update.into_iter().for_each(|item| summary.set(item)),
                    Kind::Metric(definition) => earlier.definitions.push(definition),
                    Kind::Output(output) => earlier.console.push_str(&output.text),
                    _ => {}
                }
            }
        }
        earlier.summary = summary.items;
        Ok(earlier)
    }

    /// The first item of a row is the stage's step.
    fn add(&mut self, items: &[Item]) {
        let Some(step) = items.first().and_then(|item| item.json.parse().ok()) else { return };
        for item in items {
            match item.path.first().map(String::as_str) {
                Some("_step") => self.row = item.json.parse().ok().max(self.row),
                Some("_runtime") => self.runtime = item.json.parse().unwrap_or(self.runtime),
                Some("_timestamp") | None => {}
                Some(metric) => {
                    let last = self.steps.entry(metric.to_string()).or_insert(step);
                    *last = step.max(*last);
                }
            }
        }
    }
}

fn start(records: &[Kind]) -> f64 {
    let run = records.iter().find_map(|kind| if let Kind::Run(run) = kind { Some(run) } else { None });
    run.and_then(|run| run.start_time).map_or(0.0, Timestamp::into)
}

/// The last item of each name, in the order of their first.
#[derive(Default)]
struct Results {
    items: Vec<Item>,
    places: HashMap<Vec<String>, usize>,
}

impl Results {
    fn set(&mut self, mut item: Item) {
        if item.path.is_empty() {
            item.path.push(std::mem::take(&mut item.key));
        }
        match self.places.get(&item.path) {
            Some(&place) => self.items[place] = item,
            None => {
                self.places.insert(item.path.clone(), self.items.len());
                self.items.push(item);
            }
        }
    }
}
