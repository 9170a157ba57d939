//! Hyperband: successive halving with several first rungs side by side, so that none has to be chosen.
//!
//! Li and others, "Hyperband: a novel bandit-based approach to hyperparameter optimization" (2018). Which trial is in which bracket follows from
//! the study's name and the trial's place alone, as in Optuna.

use serde::Deserialize;

use super::halving::{Halving, HalvingOptions};
use super::{Pruner, Verdict, kept};
use crate::engine::sweep::history::{History, Placed};
use crate::engine::{Error, Result};

/// The attribute of a study that keeps the resource its first complete trials decided.
const MAX_RESOURCE: &str = "affine:max_resource";

#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HyperbandOptions {
    pub min_resource: u64,
    /// The last step of a whole trial; without it that of the first complete trials, until when none is stopped.
    pub max_resource: Option<u64>,
    pub reduction_factor: u64,
    pub bootstrap_count: usize,
}

impl Default for HyperbandOptions {
    fn default() -> Self {
        HyperbandOptions { min_resource: 1, max_resource: None, reduction_factor: 3, bootstrap_count: 0 }
    }
}

pub struct Hyperband(HyperbandOptions);

impl Hyperband {
    pub fn new(options: HyperbandOptions) -> Result<Self> {
        let HyperbandOptions { min_resource, max_resource, reduction_factor, bootstrap_count } = options;
        Halving::new(HalvingOptions {
            min_resource: Some(min_resource),
            reduction_factor,
            min_early_stopping_rate: 0,
            bootstrap_count: 0,
        })?;
        if let Some(most) = max_resource.filter(|most| *most < min_resource) {
            return Err(Error::option("pruner.max_resource", format!("at least min_resource ({min_resource})"), most));
        }
        if bootstrap_count > 0 && max_resource.is_none() {
            return Err(Error::option("pruner.bootstrap_count", "0 where no max_resource is given", bootstrap_count));
        }
        Ok(Hyperband(options))
    }

    fn max_resource(&self, history: &History, verdict: &mut Verdict) -> Option<u64> {
        self.0.max_resource.or_else(|| kept(history, MAX_RESOURCE, verdict, |last| last + 1))
    }

    /// How many trials of a round each bracket gets.
    fn shares(&self, max_resource: u64) -> Vec<u64> {
        let (most, least, factor) = (max_resource as f64, self.0.min_resource as f64, self.0.reduction_factor as f64);
        let brackets = ((most / least).ln() / factor.ln()).floor().max(0.0) as u64 + 1;
        let share = |bracket: u64| {
            let rungs = brackets - 1 - bracket;
            ((brackets as f64 * factor.powi(rungs as i32)) / (rungs + 1) as f64).ceil() as u64
        };
        (0..brackets).map(share).collect()
    }
}

/// The bracket of a trial, by the checksum of its study's name and its place.
fn bracket_of(study: &str, place: u64, shares: &[u64]) -> usize {
    let total: u64 = shares.iter().sum();
    let mut left = u64::from(crc32fast::hash(format!("{study}_{place}").as_bytes())) % total;
    for (bracket, share) in shares.iter().enumerate() {
        if left < *share {
            return bracket;
        }
        left -= share;
    }
    unreachable!("the rest of a division by the total is less than it")
}

fn of_bracket(history: &History, bracket: usize, shares: &[u64]) -> History {
    let is_in = |trial: &&Placed| bracket_of(&history.study, trial.place, shares) == bracket;
    History { trials: history.trials.iter().filter(is_in).cloned().collect(), ..history.clone() }
}

impl Pruner for Hyperband {
    fn judge(&self, history: &History, trial: &Placed) -> Result<Verdict> {
        let mut verdict = Verdict::default();
        let Some(max_resource) = self.max_resource(history, &mut verdict) else { return Ok(verdict) };
        let shares = self.shares(max_resource);
        let own = bracket_of(&history.study, trial.place, &shares);
        let halving = Halving::new(HalvingOptions {
            min_resource: Some(self.0.min_resource),
            reduction_factor: self.0.reduction_factor,
            min_early_stopping_rate: own as u32,
            bootstrap_count: self.0.bootstrap_count,
        })?;
        let judged = halving.judge(&of_bracket(history, own, &shares), trial)?;
        Ok(Verdict { study_marks: verdict.study_marks, ..judged })
    }

    fn peers(&self, history: &History, place: u64) -> Option<History> {
        let shares = self.shares(self.max_resource(history, &mut Verdict::default())?);
        Some(of_bracket(history, bracket_of(&history.study, place, &shares), &shares))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_are_optunas() {
        // Python: pruner = HyperbandPruner(max_resource=81, reduction_factor=3); pruner._try_initialization(study);
        // pruner._trial_allocation_budgets, [pruner._get_bracket_id(study, trial n) for n in range(12)] of the study "lr-rank".
        let pruner = Hyperband::new(HyperbandOptions { max_resource: Some(81), ..Default::default() }).unwrap();
        let shares = pruner.shares(81);
        assert_eq!(shares, [81, 34, 15, 8, 5]);
        let brackets: Vec<usize> = (0..12).map(|place| bracket_of("lr-rank", place, &shares)).collect();
        assert_eq!(brackets, [3, 0, 0, 0, 0, 2, 1, 1, 0, 3, 0, 1]);
    }
}
