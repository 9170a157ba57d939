//! A row of a run's history.

use super::record::{History, HistoryStep, Item, MetricDefinition, MetricOptions, Summary};
use crate::engine::track::metric::{Metric, Metrics};
use crate::engine::track::tracker::Place;

/// What W&B counts and measures itself: of that name a script's own number would break the charts.
const OWN: [&str; 3] = ["_step", "_timestamp", "_runtime"];

/// A metric's name in the run: the stages of a run share names such as `loss`.
pub fn name(stage: &str, name: &str) -> String {
    if stage.is_empty() { name.to_string() } else { format!("{stage}/{name}") }
}

/// A row: its metrics under their names in the run, the stage's step before them and W&B's own behind.
pub struct Row {
    items: Vec<Item>,
    row: u64,
    /// The names under which W&B draws the metrics.
    pub names: Vec<String>,
}

impl Row {
    /// `row` counts through all stages; `runtime`: seconds that the run ran before.
    pub fn new(place: &Place, metrics: &Metrics, row: u64, runtime: f64) -> Row {
        let step = Metric::Int(i64::try_from(place.step).unwrap_or(i64::MAX));
        let (mut items, mut names) = (vec![item(&[&name(&place.stage, "step")], &step)], Vec::new());
        for (key, metric) in metrics.iter().filter(|(key, _)| !OWN.contains(&key.as_str())) {
            metric.leaves(&mut vec![key], &mut |path, leaf| {
                items.push(item(path, leaf));
                names.push(if is_media(metric) { key.clone() } else { path.join(".") });
            });
        }
        names.dedup();
        items.push(item(&["_step"], &Metric::Int(row as i64)));
        items.push(item(&["_timestamp"], &Metric::Float(place.time)));
        items.push(item(&["_runtime"], &Metric::Float(runtime)));
        Row { items, row, names }
    }

    /// The row as the newest results of the run; what is absent does not replace what was there.
    pub fn summary(&self) -> Summary {
        Summary { update: self.items.iter().filter(|item| item.json != "null").cloned().collect() }
    }

    pub fn history(self) -> History {
        History { items: self.items, step: Some(HistoryStep { num: self.row as i64 }) }
    }
}

/// What W&B shows as one thing, a histogram or a table, says of which type it is.
fn is_media(metric: &Metric) -> bool {
    matches!(metric, Metric::Nested(items) if items.iter().any(|(key, _)| key == "_type"))
}

pub fn item(path: &[&str], value: &Metric) -> Item {
    Item { key: String::new(), path: path.iter().map(|name| name.to_string()).collect(), json: value.to_json() }
}

/// That a metric is drawn along its stage's step.
pub fn definition(metric: &str, stage: &str) -> MetricDefinition {
    MetricDefinition {
        name: metric.to_string(),
        step_metric: name(stage, "step"),
        options: Some(MetricOptions { step_sync: true, defined: true }),
    }
}
