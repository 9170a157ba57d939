//! Where alarms begin.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::engine::{Error, Result};

/// Where each alarm begins; 0 never does. *Own* is the mean of a run's first three rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Trained tokens per episode, as a multiple of its own, and above 50 tokens: what is short may well double.
    pub tokens: f64,
    /// Share of turns that repeat the action before them; at least twice its own, since some tasks are won by repeating.
    pub repeated_actions: f64,
    /// Share of episodes that were cut, and 0.1 above its own: tasks may be longer than the context from the start.
    pub truncated: f64,
    /// Share of episodes whose environment broke. Above 0.05 the stage stops; this comes before.
    pub failed: f64,
    /// To the reference, in nats per token: at 0.5 a reply of 20 tokens is e¹⁰ times less likely under the reference.
    pub kl: f64,
    /// Of one iteration's update: PPO is meant to stay near 0.01, and its clipping gives no pull back from beyond 0.1.
    pub approx_kl: f64,
    /// Between sampler and trainer, as a multiple of its own, and above 1e-4: below that it is rounding in any format.
    pub sampler_gap: f64,
    /// A part of its own.
    pub entropy: f64,
    /// Of supervised training, as a multiple of the median of the last 50 steps.
    pub loss: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            tokens: 2.0,
            repeated_actions: 0.5,
            truncated: 0.25,
            failed: 0.02,
            kl: 0.5,
            approx_kl: 0.1,
            sampler_gap: 3.0,
            entropy: 0.2,
            loss: 3.0,
        }
    }
}

impl Limits {
    pub fn validate(&self) -> Result<()> {
        let Value::Object(limits) = serde_json::to_value(self).unwrap_or_default() else { return Ok(()) };
        for (key, limit) in limits {
            // What is no number in JSON is none here.
            if !limit.as_f64().is_some_and(|limit| limit >= 0.0) {
                return Err(Error::option(key, "a number of at least 0", limit));
            }
        }
        Ok(())
    }
}
