//! Generalised advantage estimation (GAE), and whitening: which credit each token gets for the rewards that follow.
//!
//! Everything here is float64 over one trajectory's flat slices. The discounts γ and λ apply per step, and a step is
//! one action token ([`gae_tokens`]) or one whole turn ([`gae_turns`]). **Tokens outside every step are invisible**, as
//! in verl (`verl/trainer/ppo/core_algos.py compute_gae_advantage_return`): value and carry jump over observations, so
//! their length and place change nothing, and a trailing observation does not swallow the last reward. A reward must
//! therefore lie on an action token.
//!
//! Step k covers tokens s..e. With `V(k+1)` the value at the first token of the next step and `A(k+1)` the advantage
//! there, every token t of step k gets
//!
//! ```text
//! advantage_t = (r_t + … + r_e) + γ·V(k+1) − V_t + γ·λ·A(k+1)          return_t = advantage_t + V_t
//! ```
//!
//! Between steps this is GAE with γ and λ applied once; inside a step both are 1, so all tokens of a turn share the
//! turn's future, each against its own value as baseline. Rewards inside a turn (the KL penalty is one per token) count
//! for the tokens up to theirs and for no later one. After the last step, `V(k+1)` is `bootstrap` and `A(k+1)` is 0: the
//! value of the state in which the episode was cut from outside, 0 where the episode terminated.
//!
//! Two checks on the definition: turns of one token each give [`gae_tokens`], bit for bit; one turn with γ = λ = 1
//! gives the sum of all rewards to come minus `V_t`.

use std::ops::Range;

use crate::engine::{Error, Result};

/// Credit per token, as long as the trajectory. Tokens outside every step hold 0 in both.
#[derive(Debug, Clone, PartialEq)]
pub struct Credit {
    /// Not whitened.
    pub advantages: Vec<f64>,
    /// What the value function is trained towards: advantage plus value.
    pub returns: Vec<f64>,
}

/// GAE with every action token as one step. `mask[t]` is true on action tokens; `values`, `rewards` and `mask` have
/// one entry per token of the trajectory. Fails when the lengths differ.
pub fn gae_tokens(
    values: &[f64],
    rewards: &[f64],
    mask: &[bool],
    gamma: f64,
    lambda: f64,
    bootstrap: f64,
) -> Result<Credit> {
    same_length("mask", mask.len(), values.len())?;
    let steps = mask.iter().enumerate().filter(|(_, action)| **action).map(|(t, _)| t..t + 1);
    gae(values, rewards, steps, gamma, lambda, bootstrap)
}

/// GAE with every turn as one step. `turns` are the token ranges of the assistant's turns within `values` and
/// `rewards`, in order and apart; an empty one is no step. Fails when the lengths differ or a range is out of place.
pub fn gae_turns(
    values: &[f64],
    rewards: &[f64],
    turns: &[Range<usize>],
    gamma: f64,
    lambda: f64,
    bootstrap: f64,
) -> Result<Credit> {
    let mut end = 0;
    for turn in turns {
        if turn.start < end || turn.end < turn.start || turn.end > values.len() {
            let length = values.len();
            return Err(Error::message(format!("turn {turn:?} must lie after token {end} and within {length} tokens")));
        }
        end = turn.end;
    }
    let steps = turns.iter().filter(|turn| !turn.is_empty()).cloned();
    gae(values, rewards, steps, gamma, lambda, bootstrap)
}

/// The one recursion, from the last step to the first.
fn gae(
    values: &[f64],
    rewards: &[f64],
    steps: impl DoubleEndedIterator<Item = Range<usize>>,
    gamma: f64,
    lambda: f64,
    bootstrap: f64,
) -> Result<Credit> {
    same_length("rewards", rewards.len(), values.len())?;
    let mut credit = Credit { advantages: vec![0.0; values.len()], returns: vec![0.0; values.len()] };
    let (mut next_value, mut next_advantage) = (bootstrap, 0.0);
    for step in steps.rev() {
        let first = step.start;
        let mut rewards_to_go = 0.0;
        for t in step.rev() {
            rewards_to_go += rewards[t];
            let delta = rewards_to_go + gamma * next_value - values[t];
            credit.advantages[t] = delta + gamma * lambda * next_advantage;
            credit.returns[t] = credit.advantages[t] + values[t];
        }
        (next_value, next_advantage) = (values[first], credit.advantages[first]);
    }
    Ok(credit)
}

/// Advantages with mean 0 and variance 1 over the tokens where `mask` is true, 0 elsewhere:
/// `(a − mean) / √(variance + 1e-8)` with Bessel's correction (verl's `masked_whiten`). Give it a whole batch at once.
///
/// verl divides by N + 1e-8, here it is N: the difference is below 1e-7. Equal advantages give exactly 0, where
/// rounding in the mean would leave a common push on every token. Fewer than two tokens, for which verl raises an
/// error, come back unwhitened. Fails when the lengths differ.
pub fn whiten(advantages: &[f64], mask: &[bool]) -> Result<Vec<f64>> {
    same_length("mask", mask.len(), advantages.len())?;
    let visible = || advantages.iter().zip(mask).filter(|(_, action)| **action).map(|(advantage, _)| *advantage);
    let n = visible().count() as f64;
    let on_mask = |whitened: &dyn Fn(f64) -> f64| {
        advantages
            .iter()
            .zip(mask)
            .map(|(advantage, action)| if *action { whitened(*advantage) } else { 0.0 })
            .collect()
    };
    if n < 2.0 {
        return Ok(on_mask(&|advantage| advantage));
    }
    if visible().zip(visible().skip(1)).all(|(a, b)| a == b) {
        return Ok(vec![0.0; advantages.len()]);
    }
    let mean = visible().sum::<f64>() / n;
    let variance = visible().map(|advantage| (advantage - mean).powi(2)).sum::<f64>() / (n - 1.0);
    Ok(on_mask(&|advantage| (advantage - mean) / (variance + 1e-8).sqrt()))
}

fn same_length(name: &str, got: usize, expected: usize) -> Result<()> {
    if got == expected {
        return Ok(());
    }
    Err(Error::message(format!("{name}: expected {expected} entries, one per token, got {got}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reproducible numbers in −1..1, without a dependency: a linear congruential generator.
    fn numbers(n: usize, seed: u64) -> Vec<f64> {
        let mut state = seed;
        let next = |_| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
        };
        (0..n).map(next).collect()
    }

    fn assert_close(got: &[f64], expected: &[f64]) {
        assert_eq!(got.len(), expected.len());
        for (t, (got, expected)) in got.iter().zip(expected).enumerate() {
            assert!((got - expected).abs() < 1e-12, "token {t}: {got} instead of {expected}");
        }
    }

    const TURNS: [Range<usize>; 4] = [1..4, 6..7, 9..14, 14..16];

    /// `return_t` from its meaning, without a recursion: the rewards of the token's own turn from t on, then the
    /// λ-weighted mixture of n-turn returns, each the discounted rewards of n turns and the value after them.
    fn returns_by_brute_force(
        values: &[f64],
        rewards: &[f64],
        turns: &[Range<usize>],
        gamma: f64,
        lambda: f64,
        bootstrap: f64,
    ) -> Vec<f64> {
        let turn_reward = |k: usize| rewards[turns[k].clone()].iter().sum::<f64>();
        let value_before = |k: usize| if k < turns.len() { values[turns[k].start] } else { bootstrap };
        let mut returns = vec![0.0; values.len()];
        for (k, turn) in turns.iter().enumerate() {
            for t in turn.clone() {
                let own: f64 = rewards[t..turn.end].iter().sum();
                let turns_left = turns.len() - k;
                for n in 1..=turns_left {
                    let later: f64 = (1..n).map(|i| gamma.powi(i as i32) * turn_reward(k + i)).sum();
                    let n_turn_return = own + later + gamma.powi(n as i32) * value_before(k + n);
                    let weight = if n < turns_left { 1.0 - lambda } else { 1.0 };
                    returns[t] += weight * lambda.powi(n as i32 - 1) * n_turn_return;
                }
            }
        }
        returns
    }

    #[test]
    fn turn_level_returns_are_the_lambda_mixture_of_n_turn_returns() {
        let (values, rewards) = (numbers(18, 1), numbers(18, 2));
        for (gamma, lambda) in [(0.99, 0.95), (1.0, 1.0), (0.9, 0.0), (0.5, 0.7), (0.0, 1.0)] {
            for bootstrap in [0.0, 0.8] {
                let credit = gae_turns(&values, &rewards, &TURNS, gamma, lambda, bootstrap).unwrap();
                let returns = returns_by_brute_force(&values, &rewards, &TURNS, gamma, lambda, bootstrap);
                assert_close(&credit.returns, &returns);
                for t in TURNS.into_iter().flatten() {
                    assert!((credit.advantages[t] - (returns[t] - values[t])).abs() < 1e-12);
                }
            }
        }
    }

    #[test]
    fn turns_of_one_token_are_the_token_level_bit_for_bit() {
        let (values, rewards) = (numbers(12, 3), numbers(12, 4));
        let mask: Vec<bool> = (0..12).map(|t| t % 3 != 1).collect();
        let turns: Vec<Range<usize>> = (0..12).filter(|t| mask[*t]).map(|t| t..t + 1).collect();
        let by_turns = gae_turns(&values, &rewards, &turns, 0.97, 0.9, 0.3).unwrap();
        assert_eq!(by_turns, gae_tokens(&values, &rewards, &mask, 0.97, 0.9, 0.3).unwrap());
    }

    #[test]
    fn one_undiscounted_turn_gives_the_rewards_to_come_minus_the_value() {
        let (values, rewards) = (numbers(6, 5), numbers(6, 6));
        let credit = gae_turns(&values, &rewards, std::slice::from_ref(&(0..6)), 1.0, 1.0, 0.0).unwrap();
        let expected: Vec<f64> = (0..6).map(|t| rewards[t..].iter().sum::<f64>() - values[t]).collect();
        assert_close(&credit.advantages, &expected);
    }

    #[test]
    fn the_length_of_a_turn_does_not_change_its_discount() {
        let reward_after = |tokens: usize| {
            let mut rewards = vec![0.0; tokens + 1];
            rewards[tokens] = 1.0;
            gae_turns(&vec![0.0; tokens + 1], &rewards, &[0..tokens, tokens..tokens + 1], 0.9, 1.0, 0.0)
                .unwrap()
                .returns[0]
        };
        assert_eq!((reward_after(1), reward_after(500)), (0.9, 0.9));
    }

    #[test]
    fn inserting_observation_tokens_changes_no_action_token() {
        let (values, rewards) = (numbers(7, 7), numbers(7, 8));
        let compact = gae_tokens(&values, &rewards, &[true; 7], 0.95, 0.9, 0.4).unwrap();
        // Observations before, between and after, with values that would do harm if anything read them.
        let places = [2, 3, 4, 9, 10, 14, 15];
        let (mut wide_values, mut wide_rewards, mut mask) = (vec![1e9; 18], vec![0.0; 18], vec![false; 18]);
        for (from, to) in places.into_iter().enumerate() {
            (wide_values[to], wide_rewards[to], mask[to]) = (values[from], rewards[from], true);
        }
        let wide = gae_tokens(&wide_values, &wide_rewards, &mask, 0.95, 0.9, 0.4).unwrap();
        assert_eq!(places.map(|t| wide.advantages[t]).to_vec(), compact.advantages);
        assert_eq!(places.map(|t| wide.returns[t]).to_vec(), compact.returns);

        let turns = gae_turns(&values, &rewards, &[0..3, 3..5, 5..7], 0.95, 0.9, 0.4).unwrap();
        let wide = gae_turns(&wide_values, &wide_rewards, &[2..5, 9..11, 14..16], 0.95, 0.9, 0.4).unwrap();
        assert_eq!(places.map(|t| wide.advantages[t]).to_vec(), turns.advantages);
    }

    #[test]
    fn a_trailing_observation_does_not_swallow_the_terminal_reward() {
        let credit = gae_tokens(&[0.2, 0.5, 7.0], &[0.0, 1.0, 0.0], &[true, true, false], 1.0, 0.95, 0.0).unwrap();
        assert_close(&credit.advantages, &[1.0 - 0.05 * 0.5 - 0.2, 0.5, 0.0]);
        assert_close(&credit.returns, &[1.0 - 0.05 * 0.5, 1.0, 0.0]);
    }

    #[test]
    fn a_truncated_episode_is_worth_the_value_after_its_end() {
        let after = |bootstrap| gae_tokens(&[0.2, 0.5], &[0.0, 0.0], &[true; 2], 0.9, 1.0, bootstrap).unwrap().returns;
        assert_eq!(after(0.0), [0.0, 0.0]);
        assert_close(&after(0.8), &[0.9 * 0.9 * 0.8, 0.9 * 0.8]);
        let turn = gae_turns(&[0.2, 0.5], &[0.0, 0.0], std::slice::from_ref(&(0..2)), 0.9, 1.0, 0.8).unwrap();
        assert_close(&turn.returns, &[0.9 * 0.8, 0.9 * 0.8]);
    }

    #[test]
    fn equal_advantages_whiten_to_exactly_zero() {
        for n in [2, 3, 7, 16] {
            assert_eq!(whiten(&vec![0.97; n], &vec![true; n]).unwrap(), vec![0.0; n]);
        }
        assert_eq!(whiten(&[0.97, 5.0, 0.97], &[true, false, true]).unwrap(), [0.0; 3]);
    }

    #[test]
    fn fewer_than_two_tokens_stay_unwhitened() {
        assert_eq!(whiten(&[2.205, 1.0], &[true, false]).unwrap(), [2.205, 0.0]);
        assert_eq!(whiten(&[2.205, 1.0], &[false, false]).unwrap(), [0.0, 0.0]);
        assert!(whiten(&[], &[]).unwrap().is_empty());
    }

    #[test]
    fn lengths_and_ranges_that_do_not_fit_are_named() {
        let message = |result: Result<Credit>| result.unwrap_err().to_string();
        let shorter = message(gae_tokens(&[0.0; 3], &[0.0; 2], &[true; 3], 1.0, 1.0, 0.0));
        assert_eq!(shorter, "rewards: expected 3 entries, one per token, got 2");
        let overlap = message(gae_turns(&[0.0; 4], &[0.0; 4], &[0..2, 1..3], 1.0, 1.0, 0.0));
        assert_eq!(overlap, "turn 1..3 must lie after token 2 and within 4 tokens");
        let beyond = message(gae_turns(&[0.0; 4], &[0.0; 4], &[0..2, 2..5], 1.0, 1.0, 0.0));
        assert_eq!(beyond, "turn 2..5 must lie after token 2 and within 4 tokens");
    }
}
