//! Which step of which stage a row of `metrics.jsonl` is about.

use serde_json::{Map, Value};

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
        let unit = ["step", "iteration"].into_iter().find(|unit| row.contains_key(*unit))?;
        let stage = row.get("stage").and_then(Value::as_str).unwrap_or_default();
        // A script's whole numbers may be floats.
        let whole = |number: f64| (number.fract() == 0.0 && (0.0..9e15).contains(&number)).then_some(number as u64);
        let step = row[unit].as_u64().or_else(|| whole(row[unit].as_f64()?))?;
        Some(RowStep { stage: stage.to_string(), unit, step })
    }
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
    }
}
