//! The distance from the policy to the reference, per token, and its place in the reward.
//!
//! With Δ = log p(token | policy) − log p(token | reference), each estimator's mean over sampled tokens estimates
//! KL(policy ‖ reference), by verl's formulas (`verl/trainer/ppo/core_algos.py kl_penalty`). These are plain numbers:
//! the KL here is a cost inside the reward, no loss term with a gradient.

use serde::{Deserialize, Serialize};

use crate::engine::{Error, Result};

/// How one token's KL is estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KlEstimator {
    /// Δ: unbiased, of either sign.
    K1,
    /// Δ²/2: low variance, slightly biased, never negative.
    K2,
    /// e^(−Δ) − 1 + Δ: unbiased, never negative. verl limits the exponent to ±20 and the result to ±10.
    K3,
}

impl KlEstimator {
    /// The estimate at one token, from the log-probabilities (natural logarithm) that policy and reference give it.
    pub fn estimate(self, logprob: f64, reference: f64) -> f64 {
        let delta = logprob - reference;
        match self {
            KlEstimator::K1 => delta,
            KlEstimator::K2 => 0.5 * delta * delta,
            KlEstimator::K3 => {
                let exponent = (-delta).clamp(-20.0, 20.0);
                (exponent.exp() - 1.0 - exponent).clamp(-10.0, 10.0)
            }
        }
    }
}

/// Rewards per token with the KL inside: `r_t = score_t − beta·kl_t` on action tokens, `score_t` elsewhere, where GAE
/// reads nothing (verl's `apply_kl_penalty`).
///
/// `scores` holds what the environment gave, 0 on most tokens: a turn's reward on the turn's last action token, a
/// score for the whole episode on the episode's last action token. All four slices have one entry per token.
pub fn rewards_with_kl(
    scores: &[f64],
    logprobs: &[f64],
    reference: &[f64],
    mask: &[bool],
    beta: f64,
    estimator: KlEstimator,
) -> Result<Vec<f64>> {
    let tokens = scores.len();
    for (name, got) in [("logprobs", logprobs.len()), ("reference", reference.len()), ("mask", mask.len())] {
        if got != tokens {
            return Err(Error::message(format!("{name}: expected {tokens} entries, one per token, got {got}")));
        }
    }
    let reward = |t: usize| {
        let cost = if mask[t] { beta * estimator.estimate(logprobs[t], reference[t]) } else { 0.0 };
        scores[t] - cost
    };
    Ok((0..tokens).map(reward).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    // delta = 0.1: delta, delta**2 / 2, math.exp(-delta) - 1 + delta
    #[test]
    fn the_estimators_agree_with_their_formulas_at_a_tenth() {
        let at_a_tenth = |estimator: KlEstimator| estimator.estimate(-1.0, -1.1);
        assert!((at_a_tenth(KlEstimator::K1) - 0.1).abs() < 1e-12);
        assert!((at_a_tenth(KlEstimator::K2) - 0.005).abs() < 1e-12);
        assert!((at_a_tenth(KlEstimator::K3) - 0.004837418035959518).abs() < 1e-12);
    }

    #[test]
    fn only_action_tokens_pay_for_their_distance() {
        let mask = [true, false, true];
        let rewards = rewards_with_kl(&[0.0, 0.0, 1.0], &[-1.0; 3], &[-1.5; 3], &mask, 0.1, KlEstimator::K1).unwrap();
        assert_eq!(rewards, [-0.05, 0.0, 0.95]);
    }

    #[test]
    fn slices_of_different_lengths_are_named() {
        let error = rewards_with_kl(&[0.0; 2], &[0.0; 2], &[0.0; 3], &[true; 2], 0.1, KlEstimator::K3).unwrap_err();
        assert_eq!(error.to_string(), "reference: expected 2 entries, one per token, got 3");
    }
}
