//! Wilcoxon's signed-rank test against the best trial: stops what is worse on the same tasks with the same luck.
//!
//! Where a trial reported scores by task, those of its last such step are paired with the best trial's of the same step, task by task.
//! Otherwise the reports themselves are paired by step, as Optuna's `WilcoxonPruner` does, which has a step for each task.

use std::collections::BTreeMap;

use serde::Deserialize;
use statrs::function::erf::erfc;

use super::{Pruner, Verdict};
use crate::engine::sweep::history::{History, Placed};
use crate::engine::sweep::tasks;
use crate::engine::{Error, Result};

/// Up to so many differences all assignments of signs are counted; with equal or no differences among them up to [`EXACT_WITH_TIES`], as
/// SciPy does.
const EXACT: usize = 50;
const EXACT_WITH_TIES: usize = 13;

#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WilcoxonOptions {
    /// How rare the difference would be by luck alone, at most.
    pub p_threshold: f64,
    /// So many tasks have been played before a trial is stopped.
    pub n_startup_steps: usize,
}

impl Default for WilcoxonOptions {
    fn default() -> Self {
        WilcoxonOptions { p_threshold: 0.1, n_startup_steps: 2 }
    }
}

pub struct Wilcoxon(WilcoxonOptions);

impl Wilcoxon {
    pub fn new(options: WilcoxonOptions) -> Result<Self> {
        match (0.0..=1.0).contains(&options.p_threshold) {
            true => Ok(Wilcoxon(options)),
            false => Err(Error::option("pruner.p_threshold", "0 to 1", options.p_threshold)),
        }
    }
}

impl Pruner for Wilcoxon {
    fn judge(&self, history: &History, trial: &Placed) -> Result<Verdict> {
        let Some((own, best)) = history.best().and_then(|best| pairs(trial, best)) else {
            return Ok(Verdict::default());
        };
        if own.values().chain(best.values()).any(|value| !value.is_finite()) {
            return Ok(Verdict::default());
        }
        let direction = history.direction();
        let worse: Vec<f64> =
            own.iter().filter_map(|(key, value)| Some(direction.loss(value - best.get(key)?))).collect();
        if worse.len() < self.0.n_startup_steps.max(2) {
            return Ok(Verdict::default());
        }
        // The best trial is best by its value; where this one's mean is no worse, the test has been misled by the order of the tasks.
        let mean = |values: &BTreeMap<i64, f64>| direction.loss(values.values().sum::<f64>() / values.len() as f64);
        Ok(Verdict::of(p_greater(&worse) < self.0.p_threshold && mean(&best) < mean(&own)))
    }
}

type Scores = BTreeMap<i64, f64>;

/// What is compared, of this trial and of the best one; nothing where they have nothing in common.
fn pairs(trial: &Placed, best: &Placed) -> Option<(Scores, Scores)> {
    match tasks::last(&trial.record) {
        Some((step, own)) => Some((own, tasks::at(&best.record, step)?)),
        None if trial.record.reports.is_empty() || best.record.reports.is_empty() => None,
        None => Some((trial.record.reports.clone(), best.record.reports.clone())),
    }
}

/// How often chance alone would give such a sum of the positive differences' ranks, or a greater one. Differences of 0 count half to either side
/// (`zero_method="zsplit"`).
fn p_greater(differences: &[f64]) -> f64 {
    let mut sizes: Vec<(f64, f64)> = differences.iter().map(|d| (d.abs(), *d)).collect();
    sizes.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut ranks, mut ties) = (Vec::with_capacity(sizes.len()), 0.0);
    for equal in sizes.chunk_by(|a, b| a.0 == b.0) {
        let (first, count) = (ranks.len() + 1, equal.len());
        // Twice the mean of the ranks that they share.
        ranks.extend(std::iter::repeat_n(2 * first + count - 1, count));
        ties += (count as f64).powi(3) - count as f64;
    }
    let has_zeros = sizes[0].0 == 0.0;
    let exact = differences.len() <= if ties > 0.0 || has_zeros { EXACT_WITH_TIES } else { EXACT };
    let of_sign = |is: fn(f64) -> bool| {
        ranks.iter().zip(&sizes).filter(move |(_, (_, d))| is(*d)).map(|(rank, _)| *rank).collect::<Vec<usize>>()
    };
    let positive: usize = of_sign(|d| d > 0.0).iter().sum();
    if exact {
        return share_of_signs(&of_sign(|d| d != 0.0), positive);
    }
    let n = differences.len() as f64;
    let zeros: usize = of_sign(|d| d == 0.0).iter().sum();
    let sum = positive as f64 / 2.0 + zeros as f64 / 4.0;
    let deviation = ((n * (n + 1.0) * (2.0 * n + 1.0) - ties / 2.0) / 24.0).sqrt();
    let z = (sum - n * (n + 1.0) / 4.0) / deviation;
    0.5 * erfc(z / std::f64::consts::SQRT_2)
}

/// The share of all assignments of signs to the ranks whose positive sum is at least `sum`.
fn share_of_signs(ranks: &[usize], sum: usize) -> f64 {
    let mut counts = vec![0.0; ranks.iter().sum::<usize>() + 1];
    counts[0] = 1.0;
    for &rank in ranks {
        for total in (rank..counts.len()).rev() {
            counts[total] += counts[total - rank];
        }
    }
    counts[sum..].iter().sum::<f64>() / 2f64.powi(ranks.len() as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cases() -> Vec<(Vec<f64>, f64)> {
        vec![
            (vec![0.1, 0.2, 0.3], 0.125),
            (vec![0.1, -0.1, 0.0], 0.75),
            (vec![0.0, 0.0, 0.0, 0.0, 0.0], 1.0),
            (
                vec![
                    0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0,
                ],
                0.5,
            ),
            (vec![0.326, 0.068, 0.84, 0.305, -0.336, 0.562, 1.504, 1.147, -0.504, -1.065, -0.423, 0.241], 0.2119140625),
            (
                vec![
                    -2.225, -0.119, -1.146, -0.632, -0.444, -0.216, 0.512, 1.143, -0.029, 1.466, -0.565, 0.452, 1.003,
                    0.194, -0.643, -0.822, -0.358, 0.32, -0.91, -0.109, -0.059, 0.641, 0.315, 0.455, -0.554, -0.03,
                    0.884, 1.593, -1.159, 1.614,
                ],
                0.5080832093954086,
            ),
            (
                vec![
                    1.6, 1.1, 0.6, -0.0, 1.8, 2.3, 2.1, 1.6, 0.7, -0.9, 0.3, 1.0, -1.0, 0.7, 0.7, 1.0, -0.9, -0.4,
                    -0.1, -0.9,
                ],
                0.019025104363525596,
            ),
            (
                vec![
                    1.84, -0.4, 0.43, -0.16, 1.68, 1.42, 0.73, -2.1, 0.15, 0.78, 1.1, -0.52, 1.92, -1.22, -0.56, 1.04,
                    0.15, 2.1, 0.29, -0.53, -0.28, -0.99, -1.18, 0.73, 0.68, 1.39, -0.65, 1.79, -0.19, 1.67, -0.33,
                    -0.64, 0.35, 1.13, 0.26, -0.49, -1.24, -1.3, 0.6, 1.09, -0.06, -0.97, 0.97, -1.18, -0.61, 0.72,
                    -2.15, 0.49, -0.48, 0.21, 0.02, 0.3, 0.79, -0.66, 1.52, 0.83, 0.94, 1.26, 0.89, 0.94,
                ],
                0.03312240834678079,
            ),
            (vec![0.1, -1.4, -0.1, -0.8, -1.4, 0.3, -0.6, -1.0, -1.0, 0.3, 0.4, 1.3, -0.0], 0.8740234375),
        ]
    }

    #[test]
    fn p_values_are_scipys() {
        // Python: scipy.stats.wilcoxon(d, alternative="greater", zero_method="zsplit").pvalue
        for (differences, wanted) in cases() {
            let p = p_greater(&differences);
            assert!((p - wanted).abs() < 1e-9, "{differences:?}: {p} {wanted}");
        }
    }
}
