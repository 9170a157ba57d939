//! The metrics that have a name and a place on the page.

/// The keys that trainers write, in the order of the page: group, key, title, unit. A key stands for `key.<env>` too.
pub const KNOWN: &[(&str, &str, &str, &str)] = &[
    (RESULTS, "success_mean", "Success rate", ""),
    (RESULTS, "score_mean", "Mean score", "on 0–1"),
    (RESULTS, "reward_mean", "Mean reward", "own scale"),
    (RESULTS, "loss", "Loss", "nats per token"),
    (RESULTS, "eval_loss", "Held-out loss", "nats per token"),
    (RESULTS, "eval_accuracy", "Held-out accuracy", "share of tokens"),
    (POLICY, "kl", "KL to the reference", "nats per token"),
    (POLICY, "entropy", "Entropy", "nats per token"),
    (POLICY, "clip_fraction", "Clip fraction", "share of tokens"),
    (POLICY, "approx_kl", "KL of the update", "nats per token, estimated"),
    (POLICY, "policy_loss", "Policy loss", ""),
    (POLICY, "value_loss", "Value loss", ""),
    (POLICY, "explained_variance", "Explained variance", "of returns, by the value head"),
    (OPTIMIZER, "grad_norm", "Gradient norm", "before clipping"),
    (OPTIMIZER, "value_grad_norm", "Gradient norm, value head", "before clipping"),
    (OPTIMIZER, "learning_rate", "Learning rate", ""),
    (OPTIMIZER, "sampler_gap", "Sampler gap", "nats between sampling and training"),
    (OPTIMIZER, "sampler_gap_p999", "Sampler gap, 99.9th percentile", "nats, over tokens"),
    (OPTIMIZER, "sampler_gap_share", "Sampler gap, share beyond 0.1", "share of tokens"),
    (OPTIMIZER, "sampler_gap_by_env", "Sampler gap", "nats between sampling and training"),
    (OPTIMIZER, "update_gap", "Update gap", "nats, first step"),
    (SPEED, "tokens_per_second", "Training speed", "tokens per second"),
    (SPEED, "playing_tokens_per_second", "Playing speed", "tokens per second"),
    (SPEED, "training_seconds", "Seconds training", "per iteration"),
    (SPEED, "rollout_seconds", "Seconds playing", "per iteration"),
    (EPISODES, "truncated", "Truncated episodes", ""),
    (EPISODES, "failed", "Failed episodes", ""),
    (EPISODES, "repeated_actions", "Repeated actions", "share of turns"),
    (EPISODES, "invalid_actions", "Invalid actions", "share of turns"),
    (EPISODES, "episodes", "Episodes", "per iteration"),
    (EPISODES, "turns_mean", "Turns", "mean per episode"),
    (EPISODES, "tokens_mean", "Tokens", "mean per episode"),
];

const RESULTS: &str = "Results";
const POLICY: &str = "Policy and value";
const OPTIMIZER: &str = "Optimizer";
const SPEED: &str = "Speed";
const EPISODES: &str = "Episodes";
/// Of keys that are not known here: people log their own.
pub const FURTHER: &str = "Further metrics";

/// What says more about other keys, or is in the place on the axis already.
pub const SILENT: &[&str] = &["episodes_by_env", "score_sd", "success_sd", "seconds", "tokens", "epoch", "total"];
