//! Scores by task: what a trial reported of each task at a step, kept as an attribute of the trial.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::python_json::{as_number, number};
use super::record::TrialRecord;

/// The attribute's name before the step.
const TASKS: &str = "affine:tasks:";

/// The name of the attribute of a step, and its value.
pub fn attr(step: i64, scores: &BTreeMap<i64, f64>) -> (String, Value) {
    let scores: Map<String, Value> = scores.iter().map(|(task, score)| (task.to_string(), number(*score))).collect();
    (format!("{TASKS}{step}"), Value::Object(scores))
}

/// The scores of a step.
pub fn at(record: &TrialRecord, step: i64) -> Option<BTreeMap<i64, f64>> {
    let scores = record.system_attrs.get(&format!("{TASKS}{step}"))?.as_object()?;
    scores.iter().map(|(task, score)| Some((task.parse().ok()?, as_number(score)?))).collect()
}

/// The last step that has scores by task, and those.
pub fn last(record: &TrialRecord) -> Option<(i64, BTreeMap<i64, f64>)> {
    let steps = record.system_attrs.keys().filter_map(|name| name.strip_prefix(TASKS)?.parse().ok());
    let step = steps.max()?;
    Some((step, at(record, step)?))
}
