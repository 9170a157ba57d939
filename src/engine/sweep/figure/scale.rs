//! Where values lie: of an objective, and of a parameter.

use serde_json::Value;

use super::{Axis, Shown};
use crate::engine::report::words;
use crate::engine::sweep::python_json::{as_number, to_line};
use crate::engine::sweep::record::TrialRecord;

/// What the vertical axis of an objective spans.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    low: f64,
    high: f64,
}

impl Span {
    /// Of the trials' values. A few that are far off, of trials that diverged, would flatten all others: they lie on the edge.
    pub fn of(shown: &Shown, objective: usize) -> Self {
        let mut values: Vec<f64> = shown.trials.iter().map(|trial| trial.record.values[objective]).collect();
        values.sort_by(f64::total_cmp);
        let at = |share: f64| values[((values.len() - 1) as f64 * share).round() as usize];
        let (first, last, middle) = (at(0.0), at(1.0), at(0.9) - at(0.1));
        let (low, high) = (first.max(at(0.1) - 2.0 * middle), last.min(at(0.9) + 2.0 * middle));
        match high > low {
            true => Span { low, high },
            false => Span { low: low - 0.5, high: low + 0.5 },
        }
    }

    /// From 0 at the bottom to 1.
    pub fn share(&self, value: f64) -> f64 {
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    /// The marks of an axis: their places and texts.
    pub fn marks(&self) -> [(f64, String); 3] {
        [0.0, 0.5, 1.0].map(|share| (share, words::brief(self.low + share * (self.high - self.low))))
    }
}

impl Axis {
    /// Where a trial lies on it, from 0 to 1; nothing where it had no such parameter.
    pub fn share(&self, record: &TrialRecord) -> Option<f64> {
        let parameter = record.parameter(&self.name)?;
        Some(self.distribution.share(parameter.value).clamp(0.0, 1.0))
    }

    /// The marks: the ends of a range, or every choice.
    pub fn marks(&self) -> Vec<(f64, String)> {
        match self.distribution.range() {
            Some((low, high)) => vec![(0.0, words::brief(low)), (1.0, words::brief(high))],
            None => (0..)
                .map(f64::from)
                .take_while(|place| self.distribution.contains(*place))
                .map(|place| (self.distribution.share(place), text(&self.distribution.external(place))))
                .collect(),
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().filter(|_| as_number(value).is_none()).map_or_else(|| to_line(value), str::to_string)
}
