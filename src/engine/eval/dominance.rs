//! Which of two models is better, on one environment and on several.
//!
//! The rule of the Affine validators (affine-cortex, `affine/sampling.py` at 74b788c): a difference counts when the
//! intervals do not overlap, and who came earlier keeps the place until then. [`rank`](super::rank) builds on it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::EnvironmentScore;
use crate::engine::{Error, Result};

/// One model against another on one environment, seen from the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Better,
    Worse,
    Tie,
}

/// One model against another on several environments, seen from the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dominance {
    /// Worse on none and better on at least one.
    Dominates,
    /// Better on none and worse on at least one.
    Dominated,
    Neither,
}

/// What a comparison on one environment looks at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standing {
    pub lower: f64,
    pub upper: f64,
    pub n: u64,
    /// When the model was published; only the order counts.
    pub first_block: u64,
}

/// `a` against `b`. A model with fewer than `min_samples` loses against one that has them; two such tie. Otherwise the
/// earlier one is better unless the later one's interval lies wholly above. Published at once, the intervals decide:
/// overlapping ones tie.
pub fn compare(a: &Standing, b: &Standing, min_samples: u64) -> Outcome {
    let (a_above, b_above) = (a.lower > b.upper, b.lower > a.upper);
    match (a.n < min_samples, b.n < min_samples) {
        (true, true) => return Outcome::Tie,
        (true, false) => return Outcome::Worse,
        (false, true) => return Outcome::Better,
        (false, false) => {}
    }
    match a.first_block.cmp(&b.first_block) {
        std::cmp::Ordering::Less if b_above => Outcome::Worse,
        std::cmp::Ordering::Less => Outcome::Better,
        std::cmp::Ordering::Greater if a_above => Outcome::Better,
        std::cmp::Ordering::Greater => Outcome::Worse,
        std::cmp::Ordering::Equal if a_above => Outcome::Better,
        std::cmp::Ordering::Equal if b_above => Outcome::Worse,
        std::cmp::Ordering::Equal => Outcome::Tie,
    }
}

/// Pareto dominance over the environments of a subset.
pub fn dominance(outcomes: impl IntoIterator<Item = Outcome>) -> Dominance {
    let (mut better, mut worse) = (false, false);
    for outcome in outcomes {
        better |= outcome == Outcome::Better;
        worse |= outcome == Outcome::Worse;
    }
    match (better, worse) {
        (true, false) => Dominance::Dominates,
        (false, true) => Dominance::Dominated,
        _ => Dominance::Neither,
    }
}

/// How a candidate compares with its baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// Per environment, as if both were published at once: better or worse where the intervals are disjoint.
    pub environments: BTreeMap<String, Outcome>,
    /// Dominance by those outcomes.
    pub symmetric: Dominance,
    /// Dominance as a validator sees a newcomer: the baseline was there first, so the candidate dominates only when
    /// it is better on every environment, and is dominated when it is better on none.
    pub strict: Dominance,
}

/// Compares two models that were judged on the same environments.
pub fn verdict(
    candidate: &BTreeMap<String, EnvironmentScore>,
    baseline: &BTreeMap<String, EnvironmentScore>,
) -> Result<Verdict> {
    if candidate.is_empty() && baseline.is_empty() {
        return Err(Error::message("models cannot be compared without an environment that both were judged on"));
    }
    for (name, other) in [("candidate", candidate), ("baseline", baseline)] {
        if let Some(missing) = candidate.keys().chain(baseline.keys()).find(|key| !other.contains_key(*key)) {
            let message =
                format!("models are compared on the same environments, but the {name} has no score on {missing}");
            return Err(Error::message(message));
        }
    }
    let outcomes = |candidate_block: u64| {
        candidate.iter().map(move |(name, score)| {
            let (score, other) = (standing(score, candidate_block), standing(&baseline[name], 0));
            (name.clone(), compare(&score, &other, 0))
        })
    };
    let environments: BTreeMap<String, Outcome> = outcomes(0).collect();
    Ok(Verdict {
        symmetric: dominance(environments.values().copied()),
        strict: dominance(outcomes(1).map(|(_, outcome)| outcome)),
        environments,
    })
}

fn standing(score: &EnvironmentScore, first_block: u64) -> Standing {
    Standing { lower: score.lower, upper: score.upper, n: score.n, first_block }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(pairs: &[(&str, f64)]) -> BTreeMap<String, EnvironmentScore> {
        let score = |mean: f64| {
            let successes = (mean * 200.0).round() as usize;
            let episodes: Vec<(f64, bool)> = (0..200).map(|i| ((i < successes) as u8 as f64, i < successes)).collect();
            EnvironmentScore::of(&episodes, 0, 0.80)
        };
        pairs.iter().map(|&(name, mean)| (name.to_string(), score(mean))).collect()
    }

    #[test]
    fn a_candidate_better_everywhere_dominates_either_way() {
        let verdict =
            verdict(&scores(&[("sat", 0.475), ("grid", 0.685)]), &scores(&[("sat", 0.275), ("grid", 0.055)])).unwrap();
        assert_eq!(verdict.environments["sat"], Outcome::Better);
        assert_eq!((verdict.symmetric, verdict.strict), (Dominance::Dominates, Dominance::Dominates));
    }

    #[test]
    fn a_tie_on_one_environment_lets_only_the_symmetric_verdict_dominate() {
        let verdict =
            verdict(&scores(&[("sat", 0.30), ("grid", 0.42)]), &scores(&[("sat", 0.28), ("grid", 0.06)])).unwrap();
        assert_eq!((verdict.environments["sat"], verdict.environments["grid"]), (Outcome::Tie, Outcome::Better));
        assert_eq!((verdict.symmetric, verdict.strict), (Dominance::Dominates, Dominance::Neither));
    }

    #[test]
    fn equal_models_tie_and_the_newcomer_is_dominated() {
        let same = scores(&[("sat", 0.30), ("grid", 0.42)]);
        let verdict = verdict(&same, &same).unwrap();
        assert_eq!((verdict.symmetric, verdict.strict), (Dominance::Neither, Dominance::Dominated));
    }

    #[test]
    fn better_here_and_worse_there_is_neither() {
        let verdict =
            verdict(&scores(&[("sat", 0.8), ("grid", 0.2)]), &scores(&[("sat", 0.2), ("grid", 0.8)])).unwrap();
        assert_eq!((verdict.symmetric, verdict.strict), (Dominance::Neither, Dominance::Neither));
        assert_eq!(
            serde_json::to_string(&verdict).unwrap(),
            r#"{"environments":{"grid":"worse","sat":"better"},"symmetric":"neither","strict":"neither"}"#
        );
    }

    #[test]
    fn models_judged_on_different_environments_are_not_compared() {
        let error = verdict(&scores(&[("sat", 0.5)]), &scores(&[("sat", 0.5), ("grid", 0.5)])).unwrap_err();
        let expected = "models are compared on the same environments, but the candidate has no score on grid";
        assert_eq!(error.to_string(), expected);
        assert!(verdict(&scores(&[]), &scores(&[])).is_err());
    }
}
