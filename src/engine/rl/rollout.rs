//! A rollout as the update needs it: episodes with the values, log-probs and reference log-probs of every token.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::report::RolloutReport;
use crate::engine::rollout::Episode;
use crate::engine::train::batch::Sequence;
use crate::engine::{Error, Result};

/// One iteration's episodes. Failed ones are counted and are no samples.
#[derive(Debug, Clone)]
pub struct Rollout {
    pub episodes: Vec<Episode>,
    pub samples: Vec<Sample>,
    /// What playing and looking at it took.
    pub seconds: f64,
    /// Whether an update was made with it: the policy is then no longer the one that played.
    pub(super) is_used: Cell<bool>,
}

/// An episode's numbers per token, each of `[ids.len()]`; read on action tokens alone. Values, `bootstrap`, advantages and
/// returns are in units of reward: one scale for all environments.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    pub environment: String,
    pub ids: Vec<i64>,
    pub mask: Vec<bool>,
    pub turns: Vec<Range<usize>>,
    /// One per turn, on the environment's own scale.
    pub rewards: Vec<f64>,
    /// What rewards are divided by: the width of the environment's range of scores.
    pub reward_unit: f64,
    /// Recorded while sampling.
    pub logprobs: Vec<f64>,
    /// The same tokens by the trainer's forward pass, before the first update.
    pub trainer_logprobs: Vec<f64>,
    pub reference_logprobs: Vec<f64>,
    /// Of the state before each token.
    pub values: Vec<f64>,
    /// The value of the state in which the episode was cut from outside; 0 where it terminated.
    pub bootstrap: f64,
    pub advantages: Vec<f64>,
    pub returns: Vec<f64>,
}

impl Sample {
    pub(super) fn new(episode: &Episode) -> Self {
        let zeros = vec![0.0; episode.ids.len()];
        Sample {
            environment: episode.environment.clone(),
            ids: episode.ids.clone(),
            mask: episode.mask.clone(),
            turns: episode.turns.iter().map(|turn| turn.tokens.clone()).collect(),
            rewards: episode.turns.iter().map(|turn| turn.reward).collect(),
            reward_unit: episode.reward_unit,
            logprobs: episode.logprobs.iter().map(|&logprob| f64::from(logprob)).collect(),
            trainer_logprobs: zeros.clone(),
            reference_logprobs: zeros.clone(),
            values: zeros.clone(),
            bootstrap: 0.0,
            advantages: Vec::new(),
            returns: Vec::new(),
        }
    }

    /// The environment's rewards per token, on its own scale: each turn's on the turn's last token.
    pub fn token_rewards(&self) -> Vec<f64> {
        let mut rewards = vec![0.0; self.ids.len()];
        for (turn, reward) in self.turns.iter().zip(&self.rewards) {
            if let Some(last) = turn.clone().last() {
                rewards[last] += reward;
            }
        }
        rewards
    }

    /// The same in units of reward.
    pub fn token_rewards_in_units(&self) -> Vec<f64> {
        self.token_rewards().into_iter().map(|reward| reward / self.reward_unit).collect()
    }

    /// Credit that somebody else computed, one entry per token; without `returns` the value head is trained towards
    /// advantage plus value.
    pub fn set_credit(&mut self, advantages: Vec<f64>, returns: Option<Vec<f64>>) -> Result<()> {
        let returns = returns.unwrap_or_else(|| advantages.iter().zip(&self.values).map(|(a, v)| a + v).collect());
        for (name, column) in [("advantages", &advantages), ("returns", &returns)] {
            if column.len() != self.ids.len() {
                let expected = format!("{} numbers, one per token", self.ids.len());
                return Err(Error::option(name, expected, column.len()));
            }
        }
        (self.advantages, self.returns) = (advantages, returns);
        Ok(())
    }

    /// What the update trains on.
    pub fn sequence(&self) -> Sequence {
        let narrow = |column: &[f64]| column.iter().map(|&value| value as f32).collect::<Vec<_>>();
        let mut sequence = Sequence::new(self.ids.clone(), self.mask.clone());
        sequence.columns = [
            ("old_logprobs".into(), narrow(&self.logprobs)),
            ("old_values".into(), narrow(&self.values)),
            ("advantages".into(), narrow(&self.advantages)),
            ("returns".into(), narrow(&self.returns)),
        ]
        .into();
        sequence
    }

    fn actions<'a>(&'a self, column: &'a [f64]) -> impl Iterator<Item = f64> + 'a {
        column.iter().zip(&self.mask).filter(|(_, action)| **action).map(|(value, _)| *value)
    }
}

impl Rollout {
    /// Names of the environments that were played.
    pub fn environments(&self) -> BTreeSet<String> {
        self.episodes.iter().map(|episode| episode.environment.clone()).collect()
    }

    /// Says where rewards are so far beyond the declared range of scores that the range is hardly meant: the value loss,
    /// its clip and the KL penalty are set for episodes that are worth some units.
    pub fn warn_of_units(&self) {
        for name in self.environments() {
            let ours = self.samples.iter().filter(|sample| sample.environment == name);
            let largest = ours.map(|sample| (sample.rewards.iter().sum::<f64>(), sample.reward_unit));
            let largest = largest.max_by(|(a, _), (b, _)| a.abs().total_cmp(&b.abs()));
            if let Some((reward, unit)) = largest.filter(|(reward, unit)| reward.abs() > 10.0 * unit) {
                tracing::warn!(
                    "environment {name}: an episode earned {reward:.4}, and its score_range is only {unit} wide: rewards are \
                     divided by that width, so declare the range in which episodes' rewards lie"
                );
            }
        }
    }

    /// Every sample has an advantage and a return per token, whoever computed them.
    pub fn check_credit(&self) -> Result<()> {
        for (i, sample) in self.samples.iter().enumerate() {
            for (name, column) in [("advantages", &sample.advantages), ("returns", &sample.returns)] {
                if column.len() != sample.ids.len() {
                    return Err(Error::hinted(
                        format!(
                            "sample {}: expected {} {name}, one per token, got {}",
                            i + 1,
                            sample.ids.len(),
                            column.len()
                        ),
                        "call ppo:advantages(batch), or set them, before ppo:update(batch)",
                    ));
                }
            }
        }
        Ok(())
    }

    /// What an iteration reports of it.
    pub fn report(&self) -> RolloutReport {
        let by_environment = |value: &dyn Fn(&Episode) -> f64| -> BTreeMap<String, f64> {
            let mean_of = |name: &String| {
                let played = self.episodes.iter().filter(|e| &e.environment == name && !e.failed());
                mean(played.map(value))
            };
            let means = self.environments().into_iter().map(|name| (mean_of(&name), name));
            means.filter(|(mean, _)| !mean.is_nan()).map(|(mean, name)| (name, mean)).collect()
        };
        let kl = |s: &Sample| -> Vec<f64> {
            s.actions(&s.logprobs).zip(s.actions(&s.reference_logprobs)).map(|(a, b)| a - b).collect()
        };
        let existing = |number: f64| number.is_finite().then_some(number);
        RolloutReport {
            score_mean: by_environment(&|episode| episode.normalised_score),
            reward_mean: by_environment(&Episode::total_reward),
            turns_mean: by_environment(&|episode| episode.turns.len() as f64),
            episodes: self.episodes.len(),
            failed: self.episodes.iter().filter(|episode| episode.failed()).count(),
            kl: existing(mean(self.samples.iter().flat_map(kl))),
            sampler_gap: existing(self.sampler_gap()),
            explained_variance: existing(self.explained_variance()),
            rollout_seconds: self.seconds,
        }
    }

    /// Mean of |log-prob recorded while sampling − log-prob by the trainer's pass after the rollout|; NaN over nothing.
    pub fn sampler_gap(&self) -> f64 {
        let gaps = |s: &Sample| -> Vec<f64> {
            s.actions(&s.logprobs).zip(s.actions(&s.trainer_logprobs)).map(|(a, b)| (a - b).abs()).collect()
        };
        mean(self.samples.iter().flat_map(gaps))
    }

    /// 1 − Var(return − value) / Var(return) over action tokens.
    fn explained_variance(&self) -> f64 {
        let column = |pick: &dyn Fn(&Sample) -> Vec<f64>| -> Vec<f64> { self.samples.iter().flat_map(pick).collect() };
        let returns = column(&|s| s.actions(&s.returns).collect());
        let errors = column(&|s| s.actions(&s.returns).zip(s.actions(&s.values)).map(|(r, v)| r - v).collect());
        1.0 - variance(&errors) / variance(&returns)
    }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, n) = values.fold((0.0, 0usize), |(sum, n), value| (sum + value, n + 1));
    sum / n as f64
}

fn variance(values: &[f64]) -> f64 {
    let mean = mean(values.iter().copied());
    values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64
}
