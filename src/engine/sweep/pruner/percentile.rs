//! Stops what is not among the better trials at the same step: the median rule, and that of any percentile.

use serde::Deserialize;

use super::{Pruner, Verdict};
use crate::engine::sweep::history::{History, Placed};
use crate::engine::sweep::record::{Direction, State};
use crate::engine::{Error, Result};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PercentileOptions {
    /// So many trials complete before one is stopped.
    #[serde(default = "five")]
    pub n_startup_trials: usize,
    /// Before this step none is.
    #[serde(default)]
    pub n_warmup_steps: i64,
    /// Looked at once in so many steps.
    #[serde(default = "one")]
    pub interval_steps: i64,
    /// Where fewer trials reported the step, none is stopped.
    #[serde(default = "one")]
    pub n_min_trials: i64,
}

fn five() -> usize {
    5
}

fn one() -> i64 {
    1
}

pub struct Percentile {
    /// So many of a hundred trials go on.
    percentile: f64,
    options: PercentileOptions,
}

/// The percentile of the median rule.
pub const MEDIAN: f64 = 50.0;

impl Percentile {
    pub fn new(percentile: f64, options: PercentileOptions) -> Result<Self> {
        let at_least = |name: &str, value: i64, least: i64| match value >= least {
            true => Ok(()),
            false => Err(Error::option(format!("pruner.{name}"), format!("at least {least}"), value)),
        };
        if !(0.0..=100.0).contains(&percentile) {
            return Err(Error::option("pruner.percentile", "0 to 100", percentile));
        }
        at_least("n_warmup_steps", options.n_warmup_steps, 0)?;
        at_least("interval_steps", options.interval_steps, 1)?;
        at_least("n_min_trials", options.n_min_trials, 1)?;
        Ok(Percentile { percentile, options })
    }

    /// Whether this step is the first since the last multiple of the interval.
    fn is_due(&self, trial: &Placed, step: i64) -> bool {
        let (warmup, interval) = (self.options.n_warmup_steps, self.options.interval_steps);
        let due = (step - warmup).div_euclid(interval) * interval + warmup;
        let before = trial.record.reports.keys().copied().filter(|other| *other != step).max();
        before.unwrap_or(-1).max(-1) < due
    }
}

impl Pruner for Percentile {
    fn judge(&self, history: &History, trial: &Placed) -> Result<Verdict> {
        Ok(Verdict::of(self.is_behind(history, trial)))
    }
}

impl Percentile {
    fn is_behind(&self, history: &History, trial: &Placed) -> bool {
        let complete: Vec<&Placed> = history.of_state(State::Complete).collect();
        let Some((step, _)) = trial.record.last_report() else { return false };
        if complete.is_empty() || complete.len() < self.options.n_startup_trials || step < self.options.n_warmup_steps {
            return false;
        }
        if !self.is_due(trial, step) {
            return false;
        }
        let direction = history.direction();
        let values = trial.record.reports.values().map(|value| direction.loss(*value)).filter(|loss| !loss.is_nan());
        let Some(best) = values.reduce(f64::min) else { return true };
        let others: Vec<f64> = complete.iter().filter_map(|trial| trial.record.reports.get(&step).copied()).collect();
        if (others.len() as i64) < self.options.n_min_trials {
            return false;
        }
        let percentile = match direction {
            Direction::Minimize => self.percentile,
            Direction::Maximize => 100.0 - self.percentile,
        };
        percentile_of(&others, percentile).is_some_and(|bar| best > direction.loss(bar))
    }
}

/// The percentile of the values that are numbers, between two of them in proportion, as numpy's `nanpercentile`.
fn percentile_of(values: &[f64], percentile: f64) -> Option<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    let place = percentile / 100.0 * last as f64;
    let (below, share) = (place.floor() as usize, place.fract());
    let (low, high) = (sorted[below], sorted[(below + 1).min(last)]);
    // From the nearer end, as numpy does.
    Some(if share < 0.5 { low + (high - low) * share } else { high - (high - low) * (1.0 - share) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_lies_between_two_values() {
        // Python: numpy.nanpercentile([3, nan, 1, 2, 10], [0, 25, 50, 75, 90, 100])
        let values = [3.0, f64::NAN, 1.0, 2.0, 10.0];
        let found = [0.0, 25.0, 50.0, 75.0, 90.0, 100.0].map(|p| percentile_of(&values, p).unwrap());
        assert_eq!(found, [1.0, 1.75, 2.5, 4.75, 7.900000000000001, 10.0]);
        assert_eq!(percentile_of(&[f64::NAN], 50.0), None);
    }
}
