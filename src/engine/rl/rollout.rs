//! A rollout as the update needs it: episodes with the values, log-probs and reference log-probs of every token.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use super::advantage::Credit;
use super::report::RolloutReport;
use crate::engine::rollout::{Ending, Episode};
use crate::engine::train::batch::Sequence;
use crate::engine::{Error, Result};

/// One iteration's episodes. Failed ones are counted, and never trained on.
#[derive(Debug, Clone)]
pub struct Rollout {
    pub samples: Vec<Sample>,
    /// What playing it, and the passes over it, took.
    pub seconds: f64,
    /// Whether an update was made with it: the policy is then no longer the one that played.
    pub(super) is_used: Cell<bool>,
}

/// An episode and its numbers per token, each of `[ids.len()]`; read on action tokens alone. Values, `bootstrap`, advantages
/// and returns are in units of reward: one scale for all environments.
#[derive(Debug, Clone)]
pub struct Sample {
    pub episode: Episode,
    /// The episode's own log-probs once more, by the trainer's forward pass before the first update.
    pub trainer_logprobs: Vec<f32>,
    pub reference_logprobs: Vec<f32>,
    /// Of the state before each token.
    pub values: Vec<f32>,
    /// The value of the state in which the episode was cut from outside; 0 where it terminated.
    pub bootstrap: f64,
    pub advantages: Vec<f32>,
    pub returns: Vec<f32>,
}

impl Sample {
    pub(super) fn new(episode: Episode) -> Self {
        let zeros = vec![0.0; episode.ids.len()];
        Sample {
            episode,
            trainer_logprobs: zeros.clone(),
            reference_logprobs: zeros.clone(),
            values: zeros,
            bootstrap: 0.0,
            advantages: Vec::new(),
            returns: Vec::new(),
        }
    }

    /// The environment's rewards per token, on its own scale: each turn's on the turn's last token.
    pub fn token_rewards(&self) -> Vec<f64> {
        let mut rewards = vec![0.0; self.episode.ids.len()];
        for turn in &self.episode.turns {
            if let Some(last) = turn.tokens.clone().last() {
                rewards[last] += turn.reward;
            }
        }
        rewards
    }

    /// The same in units of reward.
    pub fn token_rewards_in_units(&self) -> Vec<f64> {
        self.token_rewards().into_iter().map(|reward| reward / self.episode.reward_unit).collect()
    }

    /// What each token was worth.
    pub(super) fn credit(&mut self, credit: &Credit) {
        let narrow = |column: &[f64]| column.iter().map(|&value| value as f32).collect();
        (self.advantages, self.returns) = (narrow(&credit.advantages), narrow(&credit.returns));
    }

    /// Credit that somebody else computed, one entry per token; without `returns` the value head is trained towards
    /// advantage plus value. That of a failed episode is kept and never trained on.
    pub fn set_credit(&mut self, advantages: Vec<f64>, returns: Option<Vec<f64>>) -> Result<()> {
        let towards = || advantages.iter().zip(&self.values).map(|(a, v)| a + f64::from(*v)).collect();
        let returns = returns.unwrap_or_else(towards);
        let tokens = self.episode.ids.len();
        for (name, column) in [("advantages", &advantages), ("returns", &returns)] {
            if column.len() != tokens {
                return Err(Error::option(name, format!("{tokens} numbers, one per token"), column.len()));
            }
        }
        self.credit(&Credit { advantages, returns });
        Ok(())
    }

    /// What the update trains on.
    pub fn sequence(&self) -> Sequence<'_> {
        let mut sequence = Sequence::borrowed(&self.episode.ids, &self.episode.mask);
        sequence.columns = [
            ("old_logprobs".into(), Cow::from(&self.episode.logprobs)),
            ("old_values".into(), Cow::from(&self.values)),
            ("advantages".into(), Cow::from(&self.advantages)),
            ("returns".into(), Cow::from(&self.returns)),
        ]
        .into();
        sequence
    }

    fn actions<'a>(&'a self, column: &'a [f32]) -> impl Iterator<Item = f64> + 'a {
        column.iter().zip(&self.episode.mask).filter(|(_, action)| **action).map(|(value, _)| f64::from(*value))
    }
}

impl Rollout {
    /// Labels of the environments that were played.
    pub fn environments(&self) -> BTreeSet<String> {
        self.episodes().map(|episode| episode.environment.clone()).collect()
    }

    pub fn episodes(&self) -> impl Iterator<Item = &Episode> {
        self.samples.iter().map(|sample| &sample.episode)
    }

    /// Episodes that did not fail.
    fn played(&self) -> impl Iterator<Item = &Episode> {
        self.episodes().filter(|episode| !episode.failed())
    }

    /// The samples that an update trains on, with their places among all.
    pub fn trained(&self) -> impl Iterator<Item = (usize, &Sample)> {
        self.samples.iter().enumerate().filter(|(_, sample)| !sample.episode.failed())
    }

    pub(super) fn trained_mut(&mut self) -> impl Iterator<Item = &mut Sample> {
        self.samples.iter_mut().filter(|sample| !sample.episode.failed())
    }

    /// Says where rewards are so far beyond the declared range of scores that the range is hardly meant: the value loss,
    /// its clip and the KL penalty are set for episodes that are worth some units.
    pub fn warn_of_units(&self) {
        for name in self.environments() {
            let ours = self.trained().map(|(_, sample)| &sample.episode).filter(|episode| episode.environment == name);
            let largest = ours.map(|episode| (episode.total_reward(), episode.reward_unit));
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
        for (i, sample) in self.trained() {
            let tokens = sample.episode.ids.len();
            for (name, column) in [("advantages", &sample.advantages), ("returns", &sample.returns)] {
                if column.len() != tokens {
                    return Err(Error::hinted(
                        format!("sample {}: expected {tokens} {name}, one per token, got {}", i + 1, column.len()),
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
            let mean_of = |name: &String| mean(self.played().filter(|episode| &episode.environment == name).map(value));
            let means = self.environments().into_iter().map(|name| (mean_of(&name), name));
            means.filter(|(mean, _)| !mean.is_nan()).map(|(mean, name)| (name, mean)).collect()
        };
        let kl = |s: &Sample| -> Vec<f64> {
            s.actions(&s.episode.logprobs).zip(s.actions(&s.reference_logprobs)).map(|(a, b)| a - b).collect()
        };
        let existing = |number: f64| number.is_finite().then_some(number);
        let mut gaps: Vec<f64> = self.gaps().map(|(_, gap)| gap).collect();
        gaps.sort_by(f64::total_cmp);
        let spread = |name: String| {
            let scores: Vec<f64> =
                self.played().filter(|e| e.environment == name).map(|episode| episode.normalised_score).collect();
            let n = scores.len() as f64;
            let sd = if scores.len() < 2 { 0.0 } else { (variance(&scores) * n / (n - 1.0)).sqrt() };
            (!scores.is_empty()).then_some((name, sd, scores.len()))
        };
        let spreads: Vec<(String, f64, usize)> = self.environments().into_iter().filter_map(spread).collect();
        let turns: usize = self.played().map(|episode| episode.turns.len()).sum();
        let share = |count: fn(&Episode) -> usize| self.played().map(count).sum::<usize>() as f64 / turns.max(1) as f64;
        let tokens = |episode: &Episode| episode.mask.iter().filter(|said| **said).count() as f64;
        RolloutReport {
            score_mean: by_environment(&|episode| episode.normalised_score),
            score_sd: spreads.iter().map(|(name, sd, _)| (name.clone(), *sd)).collect(),
            success_mean: by_environment(&|episode| f64::from(u8::from(episode.success))),
            episodes_by_env: spreads.into_iter().map(|(name, _, n)| (name, n)).collect(),
            reward_mean: by_environment(&Episode::total_reward),
            turns_mean: by_environment(&|episode| episode.turns.len() as f64),
            episodes: self.samples.len(),
            failed: self.episodes().filter(|episode| episode.failed()).count(),
            truncated: self.played().filter(|episode| episode.ending == Ending::Truncated).count(),
            invalid_actions: share(|episode| episode.invalid_actions),
            repeated_actions: share(|episode| episode.repeated_actions),
            tokens_mean: existing(mean(self.played().map(tokens))).unwrap_or(0.0),
            kl: existing(mean(self.trained().flat_map(|(_, sample)| kl(sample)))),
            sampler_gap: existing(self.sampler_gap()),
            sampler_gap_p999: gaps.get((gaps.len() * 999).div_ceil(1000).saturating_sub(1)).copied(),
            sampler_gap_share: gaps.iter().filter(|gap| **gap > 0.1).count() as f64 / gaps.len().max(1) as f64,
            sampler_gap_by_env: self.gap_by_environment(),
            explained_variance: existing(self.explained_variance()),
            rollout_seconds: self.seconds,
        }
    }

    /// Mean of |log-prob recorded while sampling − log-prob by the trainer's pass after the rollout|; NaN over nothing.
    pub fn sampler_gap(&self) -> f64 {
        mean(self.gaps().map(|(_, gap)| gap))
    }

    fn gap_by_environment(&self) -> BTreeMap<String, f64> {
        let mut sums: BTreeMap<String, (f64, f64)> = BTreeMap::new();
        for (name, gap) in self.gaps() {
            let (sum, count) = sums.entry(name.to_string()).or_default();
            (*sum, *count) = (*sum + gap, *count + 1.0);
        }
        sums.into_iter().map(|(name, (sum, count))| (name, sum / count)).collect()
    }

    /// The gap of each action token, with its environment.
    fn gaps(&self) -> impl Iterator<Item = (&str, f64)> {
        self.trained().flat_map(|(_, sample)| {
            let (sampled, trained) = (&sample.episode.logprobs, &sample.trainer_logprobs);
            let gaps = sample.actions(sampled).zip(sample.actions(trained)).map(|(a, b)| (a - b).abs());
            gaps.map(|gap| (sample.episode.environment.as_str(), gap))
        })
    }

    /// 1 − Var(return − value) / Var(return) over action tokens.
    fn explained_variance(&self) -> f64 {
        let column = |pick: &dyn Fn(&Sample) -> Vec<f64>| -> Vec<f64> {
            self.trained().flat_map(|(_, sample)| pick(sample)).collect()
        };
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
