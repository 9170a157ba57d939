//! Which step of which stage a row of `metrics.jsonl` is about.

use serde_json::{Map, Value};

/// What a row may count by; of two counts the first is the one.
const UNITS: [&str; 2] = ["step", "iteration"];

/// Where a row belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowStep {
    pub stage: String,
    /// `step` or `iteration`.
    pub unit: &'static str,
    pub step: u64,
}

impl RowStep {
    /// `None` for a row about no step.
    pub fn of(row: &Map<String, Value>) -> Option<Self> {
        let (unit, step) = UNITS.into_iter().find_map(|unit| Some((unit, whole(row.get(unit)?)?)))?;
        let stage = row.get("stage").and_then(Value::as_str).unwrap_or_default();
        Some(RowStep { stage: stage.to_string(), unit, step })
    }
}

/// A whole number from 0 on. A script's may be floats.
fn whole(value: &Value) -> Option<u64> {
    let whole = |number: f64| (number.fract() == 0.0 && (0.0..9e15).contains(&number)).then_some(number as u64);
    value.as_u64().or_else(|| whole(value.as_f64()?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_about_no_step_has_no_place() {
        for row in
            [json!({ "stage": "rl" }), json!({ "step": -1 }), json!({ "step": "1" }), json!({ "iteration": null })]
        {
            assert_eq!(RowStep::of(row.as_object().unwrap()), None);
        }
        let row = json!({ "step": null, "iteration": 2.0 });
        let found = RowStep { stage: String::new(), unit: "iteration", step: 2 };
        assert_eq!(RowStep::of(row.as_object().unwrap()), Some(found));
    }
}
