//! The distance from the policy to the reference, per token, and its place in the reward.

use crate::engine::{Error, Result};

/// Rewards per token with the KL inside: `r_t = score_t − beta·Δ_t` on action tokens, `score_t` elsewhere, where GAE
/// reads nothing (verl's `apply_kl_penalty`).
///
/// Δ = log p(token | policy) − log p(token | reference): its mean over sampled tokens estimates KL(policy ‖ reference)
/// without bias (verl's `kl`, `k1`). It is a plain number, a cost inside the reward: no gradient goes through it.
///
/// `scores` holds what the environment gave, 0 on most tokens: a turn's reward on the turn's last action token, a
/// score for the whole episode on the episode's last action token. All four slices have one entry per token.
pub fn rewards_with_kl(
    scores: &[f64],
    logprobs: &[f64],
    reference: &[f64],
    mask: &[bool],
    beta: f64,
) -> Result<Vec<f64>> {
    let tokens = scores.len();
    for (name, got) in [("logprobs", logprobs.len()), ("reference", reference.len()), ("mask", mask.len())] {
        if got != tokens {
            return Err(Error::message(format!("{name}: expected {tokens} entries, one per token, got {got}")));
        }
    }
    let reward = |t: usize| {
        let cost = if mask[t] { beta * (logprobs[t] - reference[t]) } else { 0.0 };
        scores[t] - cost
    };
    Ok((0..tokens).map(reward).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    // delta = 0.1: delta, delta**2 / 2, math.exp(-delta) - 1 + delta
    #[test]
    fn only_action_tokens_pay_for_their_distance() {
        let mask = [true, false, true];
        let rewards = rewards_with_kl(&[0.0, 0.0, 1.0], &[-1.0; 3], &[-1.5; 3], &mask, 0.1).unwrap();
        assert_eq!(rewards, [-0.05, 0.0, 0.95]);
    }

    #[test]
    fn slices_of_different_lengths_are_named() {
        let error = rewards_with_kl(&[0.0; 2], &[0.0; 2], &[0.0; 3], &[true; 2], 0.1).unwrap_err();
        assert_eq!(error.to_string(), "reference: expected 2 entries, one per token, got 3");
    }
}
