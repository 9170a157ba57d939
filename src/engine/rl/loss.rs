//! PPO's losses as sums over action positions.
//!
//! Every tensor is flat, `[N]`: observation and padding positions are gone before. Losses are **sums**; the caller
//! divides by a denominator fixed before the micro-batches (usually the action tokens of the whole batch), so that
//! splitting a batch differently changes nothing but rounding. What comes from the rollout (old log-probabilities,
//! advantages, old values, returns) is expected without a gradient.

use tch::Tensor;

/// The log-ratio is limited to ±20 before it is exponentiated, as in verl and OpenRLHF: beyond it, an infinite ratio
/// times an advantage of 0 would be NaN. Such a token has no gradient.
const LOG_RATIO_LIMIT: f64 = 20.0;

/// Sums over N tokens, each a tensor without dimensions on the inputs' device.
#[derive(Debug)]
pub struct PolicyLoss {
    /// Σ max(−A·ρ, −A·clip(ρ, 1−ε, 1+ε)), to be divided and differentiated.
    pub sum: Tensor,
    /// Tokens whose clipped term is the larger one; without a gradient. Divided by N: the clip fraction.
    pub clip_fraction_sum: Tensor,
    /// Σ (ρ − 1 − ln ρ): k3 for KL(old policy ‖ new policy) on the old policy's samples, never negative and of lower
    /// variance than the plain log-ratio; without a gradient. Near ρ = 1 it equals TRL's ½(ln ρ)². Divided by N:
    /// approx-KL.
    pub approx_kl_sum: Tensor,
}

/// PPO's clipped policy loss, with ρ = exp(`logprobs` − `old_logprobs`) and ε = `clip_range`.
///
/// All tensors are `[N]`, floating point: the log-probability of each action token now and when it was sampled, and
/// its advantage. Formula: verl's `compute_policy_loss_vanilla` without dual clip, TRL's PPO trainer.
pub fn policy_loss(logprobs: &Tensor, old_logprobs: &Tensor, advantages: &Tensor, clip_range: f64) -> PolicyLoss {
    let log_ratio = (logprobs - old_logprobs).clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT);
    let ratio = log_ratio.exp();
    let plain = -(advantages * &ratio);
    let clipped = -(advantages * ratio.clamp(1.0 - clip_range, 1.0 + clip_range));
    let sum = plain.maximum(&clipped).sum(None);

    let _no_grad = tch::no_grad_guard();
    let clip_fraction_sum = clipped.gt_tensor(&plain).sum(ratio.kind());
    let approx_kl_sum = (log_ratio.expm1() - log_ratio).sum(None);
    PolicyLoss { sum, clip_fraction_sum, approx_kl_sum }
}

/// The value loss ½·Σ max((v−R)², (clip(v, v_old−ε, v_old+ε)−R)²), or ½·Σ (v−R)² without a `clip_range` (ε, on the
/// scale of the returns). All tensors are `[N]`; the result has no dimensions. Formula: verl's `compute_value_loss`,
/// TRL's PPO trainer, OpenRLHF's `ValueLoss`.
pub fn value_loss(values: &Tensor, old_values: &Tensor, returns: &Tensor, clip_range: Option<f64>) -> Tensor {
    let plain = (values - returns).square();
    let error = match clip_range {
        None => plain,
        Some(range) => {
            let near_old = values.clamp_tensor(Some(old_values - range), Some(old_values + range));
            plain.maximum(&(near_old - returns).square())
        }
    };
    error.sum(None) * 0.5
}
