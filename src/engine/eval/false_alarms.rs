//! How often two equal models would look different: what a verdict is worth beside the chance of a false one.
//!
//! On one environment both models have the same chance of a success p, and play n₁ and n₂ episodes: their counts of successes
//! are independent binomials, and each interval follows from its count ([`interval`](super::interval)). The probability b that
//! the first one's interval lies wholly above the other's, and w that it lies below, are then sums over all pairs of counts,
//! computed exactly. Environments are independent, so over k of them
//!
//! ```text
//! some intervals are disjoint:   1 − Π(1 − bᵢ − wᵢ)
//! the first one dominates:       Π(1 − wᵢ) − Π(1 − bᵢ − wᵢ)        worse on none, better on at least one
//! ```
//!
//! p is what both models' episodes together show, with the intervals' own prior: (x + ½) / (n + 1). A score between 0 and 1
//! that is no mere success varies less than a binomial of the same mean, so the true rates are then lower.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use statrs::distribution::{Binomial, Discrete};
use statrs::function::beta::beta_reg;

use super::{EnvironmentScore, interval};

/// The rates for two equal models, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FalseAlarms {
    /// Some environment's intervals are disjoint.
    pub disjoint: f64,
    /// One given model of the two dominates the other.
    pub dominates: f64,
}

/// Counts further from the mean than this many standard deviations come less often than once in 10¹⁴ times.
const DEVIATIONS: f64 = 8.0;

/// For models that were judged as these two were, on the environments of the first one that the second has too.
pub fn false_alarms(
    candidate: &BTreeMap<String, EnvironmentScore>,
    baseline: &BTreeMap<String, EnvironmentScore>,
) -> FalseAlarms {
    let pairs = candidate.iter().filter_map(|(name, score)| Some((score, baseline.get(name)?)));
    let (mut no_worse, mut all_tie) = (1.0, 1.0);
    for (score, other) in pairs {
        let (better, worse) = apart(score, other);
        no_worse *= 1.0 - worse;
        all_tie *= 1.0 - better - worse;
    }
    FalseAlarms { disjoint: 1.0 - all_tie, dominates: no_worse - all_tie }
}

/// How often the first of two equal models has the interval above, and how often below.
fn apart(a: &EnvironmentScore, b: &EnvironmentScore) -> (f64, f64) {
    if a.n == 0 || b.n == 0 {
        return (0.0, 0.0);
    }
    let successes = a.mean * a.n as f64 + b.mean * b.n as f64;
    let chance = (successes + 0.5) / ((a.n + b.n) as f64 + 1.0);
    let (a, b) = (outcomes(a.n, chance, level(a)), outcomes(b.n, chance, level(b)));
    (above(&a, &b), above(&b, &a))
}

/// The level at which a row's interval was made.
fn level(score: &EnvironmentScore) -> f64 {
    let n = score.n as f64;
    let successes = (score.mean * n).clamp(0.0, n);
    let below = |x: f64| beta_reg(0.5 + successes, 0.5 + n - successes, x.clamp(0.0, 1.0));
    below(score.upper) - below(score.lower)
}

/// A count of successes: how likely it is, and its interval.
struct Outcome {
    probability: f64,
    lower: f64,
    upper: f64,
}

/// All counts that are not too unlikely, in ascending order.
fn outcomes(n: u64, chance: f64, level: f64) -> Vec<Outcome> {
    let Ok(binomial) = Binomial::new(chance.clamp(0.0, 1.0), n) else { return Vec::new() };
    let mean = n as f64 * chance;
    // A small mean has a long upper tail.
    let width = DEVIATIONS * (n as f64 * chance * (1.0 - chance)).sqrt() + DEVIATIONS;
    let (first, last) = ((mean - width).max(0.0) as u64, ((mean + width) as u64).min(n));
    let outcome = |x: u64| {
        let (lower, upper) = interval(x as f64, n, level);
        Outcome { probability: binomial.pmf(x), lower, upper }
    };
    (first..=last).map(outcome).collect()
}

/// How often an outcome of `a` has its interval wholly above that of an outcome of `b`.
fn above(a: &[Outcome], b: &[Outcome]) -> f64 {
    let (mut passed, mut below, mut sum) = (0, 0.0, 0.0);
    for outcome in a {
        while passed < b.len() && b[passed].upper < outcome.lower {
            below += b[passed].probability;
            passed += 1;
        }
        sum += outcome.probability * below;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::eval::dominance::{Dominance, Outcome, verdict};
    use crate::engine::random;

    fn row(successes: u64, n: u64) -> EnvironmentScore {
        let episodes: Vec<(f64, bool)> = (0..n).map(|i| (f64::from(u8::from(i < successes)), i < successes)).collect();
        EnvironmentScore::of(&episodes, 0, 0.80)
    }

    fn rows(environments: usize, successes: u64, n: u64) -> BTreeMap<String, EnvironmentScore> {
        (0..environments).map(|i| (i.to_string(), row(successes, n))).collect()
    }

    fn rates(environments: usize, successes: u64, n: u64) -> FalseAlarms {
        false_alarms(&rows(environments, successes, n), &rows(environments, successes, n))
    }

    #[test]
    fn one_environment_gives_a_false_difference_in_some_6_percent_and_eight_in_some_40() {
        let one = rates(1, 100, 200);
        assert!((0.05..0.08).contains(&one.disjoint), "{one:?}");
        assert!((one.dominates - one.disjoint / 2.0).abs() < 1e-9, "{one:?}");
        let eight = rates(8, 100, 200);
        assert!((0.36..0.48).contains(&eight.disjoint), "{eight:?}");
        assert!((0.15..0.21).contains(&eight.dominates), "{eight:?}");
    }

    /// 20,000 pairs of equal models that play.
    #[test]
    fn the_rates_are_those_of_equal_models_that_play() {
        let (chances, n) = ([0.3, 0.55, 0.9], [200, 120, 60]);
        let mean = |n: u64, chance: f64| row((chance * n as f64).round() as u64, n);
        let expected: BTreeMap<_, _> = (0..3).map(|i| (i.to_string(), mean(n[i], chances[i]))).collect();
        let expected = false_alarms(&expected, &expected);
        let mut stream = random::stream(1, "equal models", 0);
        let mut play = || -> BTreeMap<String, EnvironmentScore> {
            let mut successes = |i: usize| (0..n[i]).filter(|_| random::unit(&mut stream) < chances[i]).count() as u64;
            (0..3).map(|i| (i.to_string(), row(successes(i), n[i]))).collect()
        };
        let (mut disjoint, mut dominates) = (0, 0);
        for _ in 0..20_000 {
            let verdict = verdict(&play(), &play()).unwrap();
            disjoint += u32::from(verdict.environments.values().any(|outcome| *outcome != Outcome::Tie));
            dominates += u32::from(verdict.symmetric == Dominance::Dominates);
        }
        for (count, rate) in [(disjoint, expected.disjoint), (dominates, expected.dominates)] {
            let got = f64::from(count) / 20_000.0;
            assert!((got - rate).abs() < 0.012, "{got} for {rate}");
        }
    }

    #[test]
    fn the_level_of_the_intervals_is_read_from_them() {
        for (successes, level) in [(0, 0.8), (60, 0.95), (200, 0.5)] {
            let episodes: Vec<(f64, bool)> = (0..200).map(|i| (f64::from(u8::from(i < successes)), true)).collect();
            assert!((super::level(&EnvironmentScore::of(&episodes, 0, level)) - level).abs() < 1e-9);
        }
    }

    #[test]
    fn extremes_and_nothing_are_no_trouble() {
        for rates in
            [rates(2, 0, 200), rates(2, 200, 200), rates(1, 0, 1), rates(1, 0, 0), rates(0, 0, 0), rates(3, 2500, 5000)]
        {
            assert!(
                (0.0..0.2).contains(&rates.disjoint) && (0.0..=rates.disjoint).contains(&rates.dominates),
                "{rates:?}"
            );
        }
    }
}
