//! The numbers of a run, stage by stage: how far each is, and a curve for every key.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::engine::track::row_step::RowStep;

/// Rows of which the pace is taken.
const RECENT: usize = 20;

/// What says where a row belongs, and no curve.
const NO_CURVES: [&str; 6] = ["stage", "step", "iteration", "total", "time", "epoch"];

/// A stage of a run, as far as it is logged.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    pub name: String,
    pub unit: &'static str,
    /// How many steps are planned, where the rows say.
    pub total: Option<u64>,
    /// By key, `score_mean.sat` for what is inside of another: step and value.
    pub curves: BTreeMap<String, Vec<(f64, f64)>>,
    rows: Vec<Row>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Row {
    step: u64,
    /// When it was written, in seconds since 1970.
    time: Option<f64>,
    /// That the step took.
    seconds: f64,
}

impl Stage {
    pub fn new(place: &RowStep) -> Self {
        Stage { name: place.stage.clone(), unit: place.unit, total: None, curves: BTreeMap::new(), rows: Vec::new() }
    }

    /// Adds a row. One about a step before the last one takes the place of all from that step on, and several about one step are
    /// one.
    pub fn add(&mut self, row: &Map<String, Value>, step: u64) {
        if self.done() > step {
            self.forget(step);
        }
        let number = |key: &str| row.get(key).and_then(Value::as_f64);
        self.total = row.get("total").and_then(Value::as_u64).or(self.total);
        let (time, seconds) = (number("time"), number("seconds").unwrap_or(0.0));
        match self.rows.last_mut().filter(|last| last.step == step) {
            Some(same) => (same.time, same.seconds) = (time.or(same.time), same.seconds.max(seconds)),
            None => self.rows.push(Row { step, time, seconds }),
        }
        let told = row.iter().filter(|(key, _)| !NO_CURVES.contains(&key.as_str()));
        for (key, value) in told {
            match value {
                Value::Object(inner) => {
                    inner.iter().for_each(|(name, value)| self.add_point(format!("{key}.{name}"), step, value));
                }
                value => self.add_point(key.clone(), step, value),
            }
        }
    }

    fn add_point(&mut self, key: String, step: u64, value: &Value) {
        let Some(value) = value.as_f64() else { return };
        let (step, curve) = (step as f64, self.curves.entry(key).or_default());
        match curve.last_mut().filter(|last| last.0 == step) {
            Some(same) => same.1 = value,
            None => curve.push((step, value)),
        }
    }

    fn forget(&mut self, from: u64) {
        self.rows.retain(|row| row.step < from);
        self.curves.values_mut().for_each(|curve| curve.retain(|(step, _)| *step < from as f64));
        self.curves.retain(|_, curve| !curve.is_empty());
    }

    /// The last step that was logged.
    pub fn done(&self) -> u64 {
        self.rows.last().map_or(0, |row| row.step)
    }

    pub fn is_over(&self) -> bool {
        self.total.is_some_and(|total| self.done() >= total)
    }

    pub fn last(&self, key: &str) -> Option<f64> {
        self.curves.get(key)?.last().map(|(_, value)| *value)
    }

    /// Seconds per step, of the last ones. Where a run was left and went on, the time between is no step's.
    pub fn pace(&self) -> Option<f64> {
        let recent = &self.rows[self.rows.len().saturating_sub(RECENT + 1)..];
        let mut gaps: Vec<f64> = recent
            .windows(2)
            .filter_map(|pair| Some((pair[1].time? - pair[0].time?) / (pair[1].step - pair[0].step) as f64))
            .collect();
        gaps.sort_by(f64::total_cmp);
        let Some(median) = gaps.get(gaps.len() / 2) else {
            return self.rows.last().map(|row| row.seconds).filter(|seconds| *seconds > 0.0);
        };
        let usual: Vec<f64> = gaps.iter().copied().filter(|gap| *gap <= 10.0 * median).collect();
        (!usual.is_empty()).then(|| usual.iter().sum::<f64>() / usual.len() as f64)
    }

    /// Seconds until its last step, at `now`.
    pub fn left(&self, now: f64) -> Option<f64> {
        let pace = self.pace()?;
        let under_way = self.ended().map_or(0.0, |ended| (now - ended).clamp(0.0, pace));
        Some((self.total?.saturating_sub(self.done()) as f64 * pace - under_way).max(0.0))
    }

    /// When its first step began, and its last one ended, in seconds since 1970.
    pub fn began(&self) -> Option<f64> {
        let first = self.rows.first()?;
        Some(first.time? - first.seconds)
    }

    pub fn ended(&self) -> Option<f64> {
        self.rows.last()?.time
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stage(rows: &[Value]) -> Stage {
        let mut stage = Stage::new(&RowStep { stage: "rl".into(), unit: "iteration", step: 1 });
        for row in rows {
            let row = row.as_object().unwrap();
            stage.add(row, RowStep::of(row).unwrap().step);
        }
        stage
    }

    fn row(iteration: u64, time: f64, score: f64) -> Value {
        json!({ "stage": "rl", "iteration": iteration, "time": time, "seconds": 9, "total": 10, "kl": null,
                "score_mean": { "sat": score } })
    }

    #[test]
    fn progress_comes_from_the_times_of_the_rows() {
        let found = stage(&[row(1, 100.0, 0.1), row(2, 110.0, 0.2), row(3, 130.0, 0.3)]);
        assert_eq!((found.done(), found.pace(), found.is_over()), (3, Some(15.0), false));
        assert_eq!([130.0, 134.0, 500.0].map(|now| found.left(now)), [Some(105.0), Some(101.0), Some(90.0)]);
        let resumed = stage(&[row(1, 100.0, 0.1), row(2, 110.0, 0.2), row(3, 120.0, 0.2), row(4, 9000.0, 0.3)]);
        assert_eq!(resumed.pace(), Some(10.0));
        assert_eq!((found.began(), found.ended()), (Some(91.0), Some(130.0)));
        assert_eq!(found.curves["score_mean.sat"], [(1.0, 0.1), (2.0, 0.2), (3.0, 0.3)]);
        assert!(!found.curves.contains_key("kl") && !found.curves.contains_key("total"));
        let first = stage(&[json!({ "iteration": 1, "seconds": 9 })]);
        assert_eq!((first.pace(), first.left(0.0), first.began()), (Some(9.0), None, None));
        assert_eq!(stage(&[]).pace(), None);
    }

    #[test]
    fn several_rows_about_a_step_are_one() {
        let eval = json!({ "stage": "rl", "iteration": 2, "time": 111.0, "eval_loss": 0.7, "seconds": 1 });
        let found = stage(&[row(1, 100.0, 0.1), row(2, 110.0, 0.2), eval, row(3, 120.0, 0.3)]);
        assert_eq!((found.done(), found.pace()), (3, Some(10.0)));
        assert_eq!(found.curves["score_mean.sat"], [(1.0, 0.1), (2.0, 0.2), (3.0, 0.3)]);
        assert_eq!(found.curves["eval_loss"], [(2.0, 0.7)]);
    }

    #[test]
    fn a_step_that_is_taken_again_replaces_what_came_from_it_on() {
        let found = stage(&[row(1, 1.0, 0.1), row(2, 2.0, 0.2), row(3, 3.0, 0.3), row(2, 9.0, 0.5)]);
        assert_eq!(found.curves["score_mean.sat"], [(1.0, 0.1), (2.0, 0.5)]);
        assert_eq!((found.done(), found.ended()), (2, Some(9.0)));
    }
}
