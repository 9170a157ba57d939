//! A challenger against the champion: better by a margin somewhere, and worse nowhere.
//!
//! The rule in force since May 2026 (affine-cortex, `affine/src/scorer/comparator.py` at c2d7ec8, with the settings that
//! `affine/src/scheduler/flow.py` gives it). It knows no intervals: with 200 tasks a margin of 0.03 is less than one standard
//! error of a difference between two success rates of a half. [`compare`](super::super::compare) says what a difference is worth.
//!
//! Not here: upstream's derived environment TOKEN-EFFICIENCY, which its scheduler may add as one more environment with a score per
//! model.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::engine::{Error, Result};

/// What a comparison with a threshold forgives.
const SLACK: f64 = 1e-9;

/// The environment whose score crosses 0, so that a share of it is no tolerance.
const ADDITIVE: &str = "DISTILL-V2";
const ADDITIVE_MARGIN: f64 = 0.1;

/// How one environment is compared. What is left out is as upstream has it for the environment's name.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EnvironmentRule {
    /// By how much, on the score's own scale, the challenger must be above the champion to be dominant.
    pub margin: f64,
    /// With fewer scores the challenger is worse. Upstream asks for as many as it samples, and for at least 1.
    pub min_tasks: u64,
    pub not_worse: NotWorse,
}

/// How far the challenger may fall behind the champion without being worse.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotWorse {
    /// By this share of the champion's mean: for scores of at least 0.
    Share(f64),
    /// By this much on the score's own scale: for scores of either sign.
    Amount(f64),
}

impl NotWorse {
    fn threshold(self, champion: f64) -> f64 {
        match self {
            NotWorse::Share(share) => champion * (1.0 - share),
            NotWorse::Amount(amount) => champion - amount,
        }
    }
}

impl Default for EnvironmentRule {
    fn default() -> Self {
        EnvironmentRule { margin: 0.03, min_tasks: 1, not_worse: NotWorse::Share(0.02) }
    }
}

impl EnvironmentRule {
    /// Upstream's own for this environment.
    pub fn of(environment: &str) -> Self {
        match environment {
            ADDITIVE => EnvironmentRule {
                margin: ADDITIVE_MARGIN,
                not_worse: NotWorse::Amount(ADDITIVE_MARGIN),
                ..EnvironmentRule::default()
            },
            _ => EnvironmentRule::default(),
        }
    }
}

/// One environment to compare: its rule and both models' scores.
///
/// Upstream's scheduler compares on the task ids that both models have scores for: give only those.
#[derive(Debug, Clone, PartialEq)]
pub struct Environment {
    pub name: String,
    pub rule: EnvironmentRule,
    pub champion: Vec<f64>,
    pub challenger: Vec<f64>,
}

/// Upstream's: the challenger must be dominant on one environment.
pub const MIN_DOMINANT: u64 = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    Dominant,
    NotWorse,
    Worse,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    ChallengerBetter,
    TieWithinTolerance,
    RegressedBeyondTolerance,
    InsufficientChallengerSamples,
}

/// How the challenger stands on one environment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EnvironmentVerdict {
    /// `None` without scores; it then counts as 0.
    pub champion_mean: Option<f64>,
    pub challenger_mean: Option<f64>,
    pub champion_n: u64,
    pub challenger_n: u64,
    /// Challenger − champion; `None` with too few scores of the challenger.
    pub delta: Option<f64>,
    pub verdict: Standing,
    pub reason: Reason,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// Whether the challenger takes the champion's place.
    pub dethrone: bool,
    /// Upstream's own words.
    pub reason: String,
    pub dominant: u64,
    /// Dominant ones included, as upstream counts.
    pub not_worse: u64,
    pub worse: u64,
    pub environments: BTreeMap<String, EnvironmentVerdict>,
}

/// Compares them. The challenger wins when it is dominant on at least `min_dominant` environments and worse on none; with
/// `min_dominant` 0 it must be dominant on every one. Without environments the champion stays.
///
/// The order of `environments` decides only which worse one the reason names. An error where a name is there twice, a score is not a
/// number, or a minimum of 0 lets a challenger without scores through, where upstream raises.
pub fn compare(environments: &[Environment], min_dominant: u64) -> Result<Verdict> {
    let mut verdicts = BTreeMap::new();
    let mut first_worse = None;
    for environment in environments {
        let verdict = environment.verdict()?;
        if verdict.verdict == Standing::Worse && first_worse.is_none() {
            first_worse = Some((&environment.name, verdict.reason));
        }
        if verdicts.insert(environment.name.clone(), verdict).is_some() {
            return Err(Error::message(format!("environment {} is there twice", environment.name)));
        }
    }
    let count = |standing: Standing| verdicts.values().filter(|verdict| verdict.verdict == standing).count() as u64;
    let (dominant, worse, total) = (count(Standing::Dominant), count(Standing::Worse), verdicts.len() as u64);
    let (dethrone, reason) = match (min_dominant, first_worse) {
        _ if total == 0 => (false, "no_envs_configured".to_string()),
        (0, _) if dominant == total => (true, "all_envs_dominant".to_string()),
        (0, _) => (false, "not_all_envs_dominant".to_string()),
        _ if dominant < min_dominant => (false, format!("insufficient_dominant_envs:{dominant}<{min_dominant}")),
        (_, Some((name, reason))) => (false, format!("regressed_in_env:{name}:{}", reason.word())),
        (_, None) => (true, format!("dominant_in_{dominant}_of_{total}_envs")),
    };
    Ok(Verdict { dethrone, reason, dominant, not_worse: total - worse, worse, environments: verdicts })
}

impl Reason {
    fn word(self) -> &'static str {
        match self {
            Reason::ChallengerBetter => "challenger_better",
            Reason::TieWithinTolerance => "tie_within_tolerance",
            Reason::RegressedBeyondTolerance => "regressed_beyond_tolerance",
            Reason::InsufficientChallengerSamples => "insufficient_challenger_samples",
        }
    }
}

impl Environment {
    fn verdict(&self) -> Result<EnvironmentVerdict> {
        if let Some(score) = self.champion.iter().chain(&self.challenger).find(|score| !score.is_finite()) {
            return Err(Error::option(format!("scores of {}", self.name), "numbers", score));
        }
        let (champion_mean, challenger_mean) = (mean(&self.champion), mean(&self.challenger));
        let verdict = |delta, (verdict, reason)| EnvironmentVerdict {
            champion_mean,
            challenger_mean,
            champion_n: self.champion.len() as u64,
            challenger_n: self.challenger.len() as u64,
            delta,
            verdict,
            reason,
        };
        if (self.challenger.len() as u64) < self.rule.min_tasks {
            return Ok(verdict(None, (Standing::Worse, Reason::InsufficientChallengerSamples)));
        }
        let challenger = challenger_mean.ok_or_else(|| {
            Error::message(format!("the challenger has no score on {}, and min_tasks asks for none", self.name))
        })?;
        let champion = champion_mean.unwrap_or(0.0);
        let standing = if challenger > champion + self.rule.margin + SLACK {
            (Standing::Dominant, Reason::ChallengerBetter)
        } else if challenger >= self.rule.not_worse.threshold(champion) - SLACK {
            (Standing::NotWorse, Reason::TieWithinTolerance)
        } else {
            (Standing::Worse, Reason::RegressedBeyondTolerance)
        };
        Ok(verdict(Some(challenger - champion), standing))
    }
}

fn mean(scores: &[f64]) -> Option<f64> {
    (!scores.is_empty()).then(|| scores.iter().sum::<f64>() / scores.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str, champion: f64, challenger: f64) -> Environment {
        let rule = EnvironmentRule::of(name);
        Environment { name: name.to_string(), rule, champion: vec![champion], challenger: vec![challenger] }
    }

    #[test]
    fn every_environment_must_be_dominant_where_no_number_is_asked_for() {
        let both = [environment("a", 0.5, 0.6), environment("b", 0.5, 0.5)];
        let verdict = compare(&both, 0).unwrap();
        assert_eq!((verdict.dethrone, verdict.reason.as_str()), (false, "not_all_envs_dominant"));
        assert!(compare(&both[..1], 0).unwrap().dethrone);
        assert!(compare(&both, MIN_DOMINANT).unwrap().dethrone);
    }

    #[test]
    fn nothing_to_compare_leaves_the_champion() {
        let verdict = compare(&[], MIN_DOMINANT).unwrap();
        assert_eq!((verdict.dethrone, verdict.reason.as_str()), (false, "no_envs_configured"));
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        assert!(compare(&[environment("a", 0.5, f64::NAN)], 1).is_err());
        assert!(compare(&[environment("a", 0.5, 0.5), environment("a", 0.5, 0.5)], 1).is_err());
    }

    #[test]
    fn a_score_that_crosses_zero_has_a_band_of_its_own() {
        let verdict = compare(&[environment(ADDITIVE, -0.1, -0.19), environment("a", 0.2, 0.3)], MIN_DOMINANT).unwrap();
        assert!(verdict.dethrone, "{verdict:?}");
        assert!(!compare(&[environment("b", 0.1, 0.09), environment("a", 0.2, 0.3)], MIN_DOMINANT).unwrap().dethrone);
    }
}
