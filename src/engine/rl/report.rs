//! What an iteration reports. The keys are those of `metrics.jsonl`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::engine::train::number;
use crate::engine::train::step::StepReport;

/// One iteration's report.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Iteration {
    /// Counted from 1.
    pub iteration: u64,
    /// Iterations of the run.
    #[serde(default)]
    pub total: u64,
    #[serde(flatten)]
    pub rollout: RolloutReport,
    #[serde(flatten)]
    pub update: UpdateReport,
    pub learning_rate: f64,
    /// Of rollout and update together.
    pub seconds: f64,
}

/// Of its episodes: scores and rewards by environment, and how the policy stands to its reference and to its own sampler. A
/// number that does not exist, like the mean of nothing, is left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RolloutReport {
    /// On 0..1.
    pub score_mean: BTreeMap<String, f64>,
    /// The sample standard deviation of the scores (n - 1).
    #[serde(default)]
    pub score_sd: BTreeMap<String, f64>,
    /// The share of episodes that the environment calls a success.
    #[serde(default)]
    pub success_mean: BTreeMap<String, f64>,
    /// Episodes that did not fail: what the means are over.
    #[serde(default)]
    pub episodes_by_env: BTreeMap<String, usize>,
    /// On each environment's own scale.
    pub reward_mean: BTreeMap<String, f64>,
    pub turns_mean: BTreeMap<String, f64>,
    pub episodes: usize,
    pub failed: usize,
    /// Those that were cut from outside.
    #[serde(default)]
    pub truncated: usize,
    /// Of all turns, those whose reply held no action.
    #[serde(default)]
    pub invalid_actions: f64,
    /// Of all turns, those whose action was the one before it once more.
    #[serde(default)]
    pub repeated_actions: f64,
    /// Tokens that the model said per episode.
    #[serde(default)]
    pub tokens_mean: f64,
    /// To the reference, per token in nats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kl: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampler_gap: Option<f64>,
    /// Its 99.9th percentile over tokens, and the share of tokens beyond 0.1 nats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampler_gap_p999: Option<f64>,
    #[serde(default)]
    pub sampler_gap_share: f64,
    /// The mean by environment.
    #[serde(default)]
    pub sampler_gap_by_env: BTreeMap<String, f64>,
    /// Of the returns by the value head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explained_variance: Option<f64>,
    #[serde(default)]
    pub rollout_seconds: f64,
}

/// Of its optimizer steps: token-weighted means of the losses, plain means of the gradients' norms before clipping.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct UpdateReport {
    /// Trained tokens in them: an episode's once per pass over it.
    #[serde(default)]
    pub tokens: usize,
    #[serde(deserialize_with = "number")]
    pub policy_loss: f64,
    #[serde(deserialize_with = "number")]
    pub value_loss: f64,
    #[serde(deserialize_with = "number")]
    pub entropy: f64,
    #[serde(deserialize_with = "number")]
    pub clip_fraction: f64,
    #[serde(deserialize_with = "number")]
    pub approx_kl: f64,
    /// Of the first step alone: later ones are those of a policy that has moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_gap: Option<f64>,
    #[serde(deserialize_with = "number")]
    pub grad_norm: f64,
    #[serde(deserialize_with = "number")]
    pub value_grad_norm: f64,
}

impl UpdateReport {
    pub fn of(steps: &[StepReport]) -> Self {
        let tokens: usize = steps.iter().map(|step| step.tokens).sum();
        let mean = |name: &str| steps.iter().map(|step| step.sum(name)).sum::<f64>() / tokens.max(1) as f64;
        let over_steps = |norm: fn(&StepReport) -> f64| steps.iter().map(norm).sum::<f64>() / steps.len().max(1) as f64;
        UpdateReport {
            tokens,
            policy_loss: mean("policy_loss"),
            value_loss: mean("value_loss"),
            entropy: mean("entropy"),
            clip_fraction: mean("clip_fraction"),
            approx_kl: mean("approx_kl"),
            update_gap: steps.first().map(|first| first.mean("update_gap")),
            grad_norm: over_steps(|step| step.grad_norm),
            value_grad_norm: over_steps(|step| step.value_grad_norm),
        }
    }
}

impl Iteration {
    /// Says it in a line of the log.
    pub fn tell(&self, total: u64) {
        let scores: Vec<String> =
            self.rollout.score_mean.iter().map(|(name, score)| format!("{name} {score:.3}")).collect();
        tracing::info!(
            "ppo iteration {}/{total}  score {}  kl {:.4}  clip fraction {:.3}  entropy {:.3}  value loss {:.4}  {:.1} s",
            self.iteration,
            scores.join(", "),
            self.rollout.kl.unwrap_or(f64::NAN),
            self.update.clip_fraction,
            self.update.entropy,
            self.update.value_loss,
            self.seconds,
        );
    }
}
