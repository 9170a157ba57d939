//! Whether the policy that is updated is the one that sampled, so that the ratio in PPO's loss begins at 1.
//!
//! The gap is the mean of |log-prob recorded while sampling − log-prob of the same token by the trainer|, in nats.
//! Sampling decodes token by token over a cache, an update reads whole episodes: the two differ in rounding and in
//! nothing else. What is more than rounding (dropout, another temperature, weights that changed in between) makes an
//! update of a policy that never played, and every number of it looks plausible.

use serde::{Deserialize, Serialize};
use tch::Kind;

use crate::engine::model::Model;
use crate::engine::{Error, Result};

/// The largest gap with which a policy is updated.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a number or \"auto\"")]
pub enum MaxSamplerGap {
    /// 0 does not check.
    At(f64),
    Word(Auto),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Auto {
    Auto,
}

impl MaxSamplerGap {
    pub fn validate(self) -> Result<()> {
        match self {
            MaxSamplerGap::At(gap) if gap.is_nan() || gap < 0.0 => {
                Err(Error::option("max_sampler_gap", "a number of at least 0, or \"auto\"", gap))
            }
            _ => Ok(()),
        }
    }

    /// The limit for this model; `None` does not check.
    pub fn limit(self, model: &Model) -> Option<f64> {
        match self {
            MaxSamplerGap::At(gap) => (gap > 0.0).then_some(gap),
            MaxSamplerGap::Word(Auto::Auto) => Some(usual_limit(model)),
        }
    }
}

fn usual_limit(model: &Model) -> f64 {
    match model.net.kind() {
        Kind::BFloat16 => 0.05,
        Kind::Half => 0.02,
        _ => 1e-3,
    }
}

/// What an iteration's first update finds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gap {
    /// Over the whole rollout, by a pass right after it.
    pub rollout: f64,
    /// Over the first minibatch, by the update itself before it changes anything.
    pub update: f64,
    /// Of the first minibatch too.
    pub approx_kl: f64,
    pub clip_fraction: f64,
}

impl Gap {
    /// An error where the gap is larger than `limit`.
    pub fn check(&self, limit: f64) -> Result<()> {
        let Gap { rollout, update, approx_kl, clip_fraction } = *self;
        let found = rollout.max(update);
        if found <= limit {
            return Ok(());
        }
        let problem = format!(
            "the policy that is updated is not the one that sampled: before the first update its log-probs are {found:.2e} \
             away from those recorded while sampling (mean per token), and max_sampler_gap is {limit:.2e} (approx_kl \
             {approx_kl:.2e}, clip fraction {clip_fraction:.3})"
        );
        let hint = if rollout <= limit {
            format!(
                "after the rollout it was {rollout:.2e}, so the model has changed since (an update with another batch, \
                 another adapter): play a new rollout, or set max_sampler_gap where older episodes are meant (0 does not check)"
            )
        } else {
            "the model changed while it played, or sampling and training compute it differently (kernels, number format): \
             try kernels = \"libtorch\" or float32, or set max_sampler_gap where so much is expected (0 does not check)"
                .to_string()
        };
        Err(Error::hinted(problem, hint))
    }
}
