//! What a tracker is.

use std::fmt::Debug;
use std::path::Path;

use super::metric::{Metric, Metrics};
use super::row_step::RowStep;
use crate::engine::Result;

/// Where in a run something was logged.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// The stage, whose steps count by themselves; empty in a run that has none.
    pub stage: String,
    pub step: u64,
    /// Seconds since 1970.
    pub time: f64,
}

impl Place {
    /// Takes what says where a record belongs (`stage`, `step` or `iteration`, `time`) out of it. Nothing, and the record
    /// as it was, where it has no step. `now` stands for a `time` that is absent.
    pub fn take(record: &mut Metrics, now: f64) -> Option<Place> {
        let is_of_place = |name: &str| ["stage", "step", "iteration"].contains(&name);
        let told = record.iter().filter(|(name, _)| is_of_place(name));
        let RowStep { stage, unit, step } =
            RowStep::of(&told.map(|(name, value)| (name.clone(), value.to_value())).collect())?;
        let time = match record.iter().find(|(name, _)| name == "time").map(|(_, value)| value) {
            Some(Metric::Float(time)) => *time,
            Some(Metric::Int(time)) => *time as f64,
            _ => now,
        };
        record.retain(|(name, _)| name != unit && name != "stage" && name != "time");
        Some(Place { stage, step, time })
    }
}

/// Takes what a run logs, at once: what was given to a tracker outlives a kill. A method that a tracker has no use for does
/// nothing.
pub trait Tracker: Debug {
    /// Numbers (and words) of a step. Within a stage steps never go back, save once after a resume.
    fn log(&mut self, place: &Place, metrics: &Metrics) -> Result<()>;

    /// Results of the whole run, each in place of the one of that name before.
    fn summary(&mut self, _results: &Metrics) -> Result<()> {
        Ok(())
    }

    fn text(&mut self, _place: &Place, _name: &str, _text: &str) -> Result<()> {
        Ok(())
    }

    /// Values that are not finite are left out.
    fn histogram(&mut self, _place: &Place, _name: &str, _values: &[f64]) -> Result<()> {
        Ok(())
    }

    /// Each row has a value for each column.
    fn table(&mut self, _place: &Place, _name: &str, _columns: &[&str], _rows: &[Vec<Metric>]) -> Result<()> {
        Ok(())
    }

    /// Keeps a file as it is now.
    fn file(&mut self, _path: &Path) -> Result<()> {
        Ok(())
    }

    /// The run came to its end: 0 where it did what it was asked, 255 where it was interrupted, another number where it
    /// failed. What comes after is refused.
    fn finish(&mut self, exit_code: i32) -> Result<()>;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(json: serde_json::Value) -> Metrics {
        match Metric::from(&json) {
            Metric::Nested(record) => record,
            other => panic!("{other:?} is no record"),
        }
    }

    #[test]
    fn a_records_place_is_taken_out_of_it() {
        let mut logged = record(json!({ "loss": 1.0, "stage": "rl", "iteration": 3, "time": 2.5 }));
        let place = Place { stage: "rl".to_string(), step: 3, time: 2.5 };
        assert_eq!(Place::take(&mut logged, 9.0), Some(place));
        assert_eq!(logged, record(json!({ "loss": 1.0 })));

        // Lua's numbers are often floats; of two counts the step is the one.
        let mut logged = record(json!({ "step": 4.0, "iteration": 2 }));
        assert_eq!(Place::take(&mut logged, 9.0), Some(Place { stage: String::new(), step: 4, time: 9.0 }));
        assert_eq!(logged, record(json!({ "iteration": 2 })));
    }

    #[test]
    fn a_record_without_a_step_stays_whole() {
        let mut logged = record(json!({ "step": -1, "stage": "rl" }));
        assert_eq!(Place::take(&mut logged, 9.0), None);
        assert_eq!(logged, record(json!({ "step": -1, "stage": "rl" })));
    }
}
