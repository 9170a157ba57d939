//! Asynchronous successive halving (ASHA): at rungs that lie ever farther apart only the best of those that reached them go on.
//!
//! Li and others, "A system for massively parallel hyperparameter tuning" (2020), in Optuna's form: a trial is never paused, it goes on or
//! ends as it reaches a rung, judged by those that were there before.

use serde::Deserialize;

use super::{Pruner, Verdict, kept};
use crate::engine::sweep::history::{History, Placed};
use crate::engine::sweep::python_json::{as_number, number};
use crate::engine::{Error, Result};

/// The attribute of a study that keeps the resource its first complete trial decided.
const MIN_RESOURCE: &str = "affine:min_resource";

#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HalvingOptions {
    /// The step of the first rung; without it a hundredth of the last step of the first complete trials.
    pub min_resource: Option<u64>,
    /// One of so many goes on, and rungs are so many times farther apart.
    pub reduction_factor: u64,
    /// So many rungs are left out.
    pub min_early_stopping_rate: u32,
    /// So many trials end at a rung before one may pass it.
    pub bootstrap_count: usize,
}

impl Default for HalvingOptions {
    fn default() -> Self {
        HalvingOptions { min_resource: None, reduction_factor: 4, min_early_stopping_rate: 0, bootstrap_count: 0 }
    }
}

pub struct Halving(HalvingOptions);

impl Halving {
    pub fn new(options: HalvingOptions) -> Result<Self> {
        if options.min_resource == Some(0) {
            return Err(Error::option("pruner.min_resource", "at least 1", 0));
        }
        if options.reduction_factor < 2 {
            return Err(Error::option("pruner.reduction_factor", "at least 2", options.reduction_factor));
        }
        if options.bootstrap_count > 0 && options.min_resource.is_none() {
            return Err(Error::option(
                "pruner.bootstrap_count",
                "0 where no min_resource is given",
                options.bootstrap_count,
            ));
        }
        Ok(Halving(options))
    }

    fn min_resource(&self, history: &History, verdict: &mut Verdict) -> Option<u64> {
        self.0.min_resource.or_else(|| kept(history, MIN_RESOURCE, verdict, |last| (last / 100).max(1)))
    }
}

fn rung_name(rung: u32) -> String {
    format!("completed_rung_{rung}")
}

impl Pruner for Halving {
    fn judge(&self, history: &History, trial: &Placed) -> Result<Verdict> {
        let mut verdict = Verdict::default();
        let Some((step, value)) = trial.record.last_report() else { return Ok(verdict) };
        let Some(min_resource) = self.min_resource(history, &mut verdict) else { return Ok(verdict) };
        let passed = |rung: &u32| trial.record.system_attrs.contains_key(&rung_name(*rung));
        let first = (0..).find(|rung| !passed(rung)).unwrap_or(0);
        let direction = history.direction();
        for rung in first.. {
            let apart = self.0.reduction_factor.saturating_pow(self.0.min_early_stopping_rate.saturating_add(rung));
            if u64::try_from(step).unwrap_or(0) < min_resource.saturating_mul(apart) {
                return Ok(verdict);
            }
            if value.is_nan() {
                verdict.prune = true;
                return Ok(verdict);
            }
            let name = rung_name(rung);
            verdict.marks.insert(name.clone(), number(value));
            let others = history.trials.iter().filter(|other| other.record.number != trial.record.number);
            let reached = others.filter_map(|other| as_number(other.record.system_attrs.get(&name)?));
            let mut losses: Vec<f64> = reached.chain([value]).map(|value| direction.loss(value)).collect();
            losses.sort_by(f64::total_cmp);
            // Before there are enough of them, only the best goes on.
            let last = (losses.len() / self.0.reduction_factor as usize).saturating_sub(1);
            if losses.len() <= self.0.bootstrap_count || direction.loss(value) > losses[last] {
                verdict.prune = true;
                return Ok(verdict);
            }
        }
        Ok(verdict)
    }
}
