//! How many tasks it would take to find a difference of the size that was seen.
//!
//! What was seen is itself uncertain, so the number is an order of magnitude: a plan for the next evaluation, no verdict on this
//! one. It is two-sided at the level asked for, so that a level of 0.80 stands for a test at α = 0.20.

use serde::{Deserialize, Serialize};
use statrs::distribution::{Binomial, Discrete, DiscreteCDF};

use super::bootstrap::{TIE, normal_quantile};

/// How often the difference should be found, the field's usual choice.
pub const DEFAULT_POWER: f64 = 0.8;

/// More tasks than this are not searched for exactly: the normal formula is then as good.
const MOST_SEARCHED: u64 = 100_000;

/// Counts further from the mean than this many standard deviations come less often than once in 10¹⁴ times.
const DEVIATIONS: f64 = 8.0;

/// Tasks for the tests of scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScoreTasks {
    /// For a paired t-test, and so for the interval of the mean difference.
    pub mean: u64,
    /// For Wilcoxon's signed ranks, were the differences normal: π/3 times as many (the asymptotic relative efficiency of Pitman).
    /// With long tails it needs fewer than the mean does, and never more than 1/0.864 times as many while they are symmetric.
    pub wilcoxon: u64,
}

/// Tasks for McNemar's test of successes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuccessTasks {
    /// By the normal formula of Connor 1987, "Sample size for testing differences in proportions for the paired-sample design".
    pub normal: u64,
    /// By the power of the exact test; `None` where the formula asks for more than 100,000.
    pub exact: Option<u64>,
}

/// For a mean `difference` with standard deviation `sd` over the tasks: n = ((z_{1−α/2} + z_power)·sd/difference)² + z²_{1−α/2}/2, rounded
/// up, at least 2. The last term (Guenther 1981) makes the normal formula that of the t-test within a task or two.
///
/// `None` where the difference is 0 but for rounding, and so no number would do, or where an argument is not a finite number.
/// `level` lies between 0 and 1, `power` from 0.5 to below 1.
pub fn for_scores(difference: f64, sd: f64, level: f64, power: f64) -> Option<ScoreTasks> {
    if difference.abs() <= TIE || !difference.is_finite() || !sd.is_finite() {
        return None;
    }
    let (z_level, z_power) = deviates(level, power);
    let n = ((z_level + z_power) * sd / difference).powi(2);
    let tasks = |n: f64| (n + z_level * z_level / 2.0).ceil().max(2.0) as u64;
    Some(ScoreTasks { mean: tasks(n), wilcoxon: tasks(n * std::f64::consts::PI / 3.0) })
}

/// For shares of tasks that one model alone solves as they were seen: `only_candidate` and `only_baseline` out of `n`.
///
/// `None` where the two are equal, or nothing was played. `level` and `power` as in [`for_scores`].
pub fn for_successes(only_candidate: u64, only_baseline: u64, n: u64, level: f64, power: f64) -> Option<SuccessTasks> {
    if only_candidate == only_baseline || n == 0 {
        return None;
    }
    let shares = (only_candidate as f64 / n as f64, only_baseline as f64 / n as f64);
    let (discordant, difference) = (shares.0 + shares.1, (shares.0 - shares.1).abs());
    let (z_level, z_power) = deviates(level, power);
    let spread = z_level * discordant.sqrt() + z_power * (discordant - difference * difference).max(0.0).sqrt();
    let normal = (spread / difference).powi(2).ceil() as u64;
    let exact = (normal <= MOST_SEARCHED).then(|| smallest(normal, shares, level, power));
    Some(SuccessTasks { normal, exact })
}

/// Both deviates of a two-sided test.
fn deviates(level: f64, power: f64) -> (f64, f64) {
    (normal_quantile((1.0 + level) / 2.0), normal_quantile(power))
}

/// The smallest n with that power, near the formula's. The power rises with n but for steps far smaller than a
/// task more or less would matter.
fn smallest(normal: u64, shares: (f64, f64), level: f64, power: f64) -> u64 {
    let enough = |n: u64| mcnemar_power(n, shares.0, shares.1, level) >= power;
    let (mut few, mut many) = (0, normal.max(1));
    while !enough(many) {
        (few, many) = (many, many + many / 4 + 1);
    }
    while many - few > 1 {
        let middle = few + (many - few) / 2;
        if enough(middle) { many = middle } else { few = middle }
    }
    many
}

/// How often McNemar's exact test on `n` tasks finds a difference at α = 1 − `level`, where one model alone solves a task with probability
/// `candidate` and the other alone with `baseline`: the test's power given the number of discordant tasks, weighted by
/// how likely that number is. From 0 to 1; also 0 where the probabilities are none.
pub fn mcnemar_power(n: u64, candidate: f64, baseline: f64, level: f64) -> f64 {
    let discordant = candidate + baseline;
    let (Ok(counts), true) = (Binomial::new(discordant.min(1.0), n), discordant > 0.0) else { return 0.0 };
    let (mean, alpha) = (n as f64 * discordant, 1.0 - level);
    let width = DEVIATIONS * (mean * (1.0 - discordant).max(0.0)).sqrt() + DEVIATIONS;
    let (first, last) = ((mean - width).max(1.0) as u64, ((mean + width) as u64).min(n));
    let mut power = 0.0;
    // The critical count rises by 0 or 1 with each discordant task more.
    let mut critical = None;
    for count in first..=last {
        critical = critical_count(count, alpha, critical);
        let Some(critical) = critical else { continue };
        let side = |share: f64| {
            let coin = Binomial::new(share, count).expect("a share is a probability");
            coin.cdf(critical)
        };
        power += counts.pmf(count) * (side(candidate / discordant) + side(baseline / discordant));
    }
    power.min(1.0)
}

/// The largest smaller count at which the exact test rejects with `discordant` tasks; `None` where it never does. `before` is that
/// of one task fewer, from which the search goes up.
fn critical_count(discordant: u64, alpha: f64, before: Option<u64>) -> Option<u64> {
    let coin = Binomial::new(0.5, discordant).expect("a half is a probability");
    let rejects = |count: u64| 2.0 * coin.cdf(count) <= alpha && 2 * count < discordant;
    match before {
        Some(count) if rejects(count + 1) => Some(count + 1),
        Some(count) => Some(count),
        None => {
            let (mut fits, mut fails) = (None, discordant / 2 + 1);
            while fits.map_or(fails > 0, |fits| fails - fits > 1) {
                let middle = fits.map_or(fails / 2, |fits: u64| fits + (fails - fits) / 2);
                if rejects(middle) { fits = Some(middle) } else { fails = middle }
            }
            fits
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_difference_can_be_found_with_no_number() {
        assert_eq!(for_scores(0.0, 0.3, 0.8, 0.8), None);
        assert_eq!(for_scores(1e-17, 0.3, 0.8, 0.8), None);
        assert_eq!(for_scores(f64::NAN, 0.3, 0.8, 0.8), None);
        assert_eq!(for_successes(7, 7, 200, 0.8, 0.8), None);
        assert_eq!(for_successes(0, 0, 0, 0.8, 0.8), None);
    }

    #[test]
    fn a_difference_without_spread_needs_two_tasks() {
        assert_eq!(for_scores(0.2, 0.0, 0.8, 0.8), Some(ScoreTasks { mean: 2, wilcoxon: 2 }));
    }

    #[test]
    fn a_smaller_difference_a_higher_level_and_more_power_need_more() {
        let tasks = |difference, level, power| for_scores(difference, 0.4, level, power).unwrap().mean;
        let base = tasks(0.1, 0.8, 0.8);
        assert!(tasks(0.05, 0.8, 0.8) > 3 * base && tasks(0.1, 0.95, 0.8) > base && tasks(0.1, 0.8, 0.95) > base);
        let seen = for_successes(30, 20, 200, 0.8, 0.8).unwrap();
        assert!(for_successes(30, 25, 200, 0.8, 0.8).unwrap().normal > 3 * seen.normal);
    }

    #[test]
    fn one_model_that_solves_everything_needs_as_many_tasks_as_the_test_has_heads_to_see() {
        // 2·(1/2)⁴ = 0.125 is the first p-value below 0.2.
        assert_eq!(for_successes(1, 0, 1, 0.8, 0.8), Some(SuccessTasks { normal: 2, exact: Some(4) }));
        assert_eq!(for_successes(0, 9, 9, 0.95, 0.8).unwrap().exact, Some(6));
    }

    #[test]
    fn huge_numbers_keep_to_the_formula() {
        let tasks = for_successes(1001, 1000, 10_000, 0.95, 0.8).unwrap();
        assert!(tasks.normal > MOST_SEARCHED && tasks.exact.is_none(), "{tasks:?}");
    }
}
