//! PPO's options, named as in the original pipeline where it has a name.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::gap::{Auto, MaxSamplerGap};
use crate::engine::generate::Sampling;
use crate::engine::track::episodes::Samples;
use crate::engine::train::batch::{Batching, Shape};
use crate::engine::train::checkpoint::{Resume, ResumeFrom};
use crate::engine::train::options::{NonFinite, Optim, RunOptions, at_least_one, at_least_zero, in_range, run_options};
use crate::engine::train::schedule::ScheduleKind;
use crate::engine::{Error, Result};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PpoOptions {
    /// Where checkpoints go, and in the end the adapter or the model; empty for a new folder ([`output::folder`]).
    pub output_dir: PathBuf,
    pub iterations: u64,
    /// Episodes per environment and iteration.
    pub num_rollouts: NumRollouts,
    /// Passes over each rollout.
    pub ppo_epochs: u64,
    /// Episodes per optimizer step.
    pub minibatch_size: usize,
    /// Episodes per forward pass: decides memory and speed, not results.
    pub batch_size: usize,
    /// Episodes played side by side: decides memory and speed, not results.
    pub rollout_batch_size: usize,
    pub learning_rate: f64,
    /// The value head's own rate.
    pub value_learning_rate: f64,
    /// Over the whole run, moving with every optimizer step.
    pub lr_scheduler_type: ScheduleKind,
    pub min_lr_ratio: f64,
    /// The part of the run in which the rates rise from 0. Without it Adam's first steps, whose size knows nothing of
    /// the gradient's, move the policy far from its reference before it has learned anything.
    pub warmup_ratio: f64,
    pub weight_decay: f64,
    /// Where the policy's gradient is clipped, and apart from it the value head's; 0 does not clip.
    pub max_grad_norm: f64,
    /// ε of the clipped policy loss.
    pub clip_range: f64,
    /// ε of the clipped value loss, on the scale of the returns, which is the units of reward; 0 does not clip.
    pub value_clip_range: f64,
    pub vf_coef: f64,
    /// β of the penalty towards the policy as RL begins: units of reward per nat.
    pub kl_coef: f64,
    pub entropy_coef: f64,
    pub gae_lambda: f64,
    pub gamma: f64,
    /// What one step of `gamma` and `gae_lambda` is.
    pub discount_unit: DiscountUnit,
    /// Mean 0 and variance 1 over each environment's tokens of an iteration.
    pub whiten_advantages: bool,
    /// Whether an episode that was cut from outside is worth, at its end, what the value head says (else nothing). One that
    /// ended by a limit of its task never is.
    pub bootstrap_truncated: bool,
    /// Sampling temperature, above 0; the trained log-probs are at the same temperature.
    pub temperature: f64,
    /// The gap between sampler and trainer with which a rollout's first update is still made.
    pub max_sampler_gap: MaxSamplerGap,
    /// Per turn.
    pub max_new_tokens: usize,
    pub seed: u64,
    /// Iterations between checkpoints; 0 saves none but on Ctrl-C.
    pub save_steps: u64,
    /// Checkpoints kept; 0 keeps all.
    pub save_total_limit: usize,
    #[serde(skip_serializing)]
    pub resume_from_checkpoint: ResumeFrom,
    /// `true` as `resume_from_checkpoint = true`; `"force"` goes on although settings have changed.
    #[serde(skip_serializing)]
    pub resume: Resume,
    pub gradient_checkpointing: bool,
    /// Lays the episodes of a forward pass end to end in place of padding them. Changes nothing but rounding.
    pub padding_free: bool,
    pub optim: Optim,
    pub nonfinite: NonFinite,
    /// Gets the best, the worst and two random episodes of each environment and iteration, with all that is known of their
    /// tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<Samples>,
    /// Tasks are drawn from `first_task_id..=last_task_id`, without repetition within an iteration.
    pub first_task_id: u64,
    pub last_task_id: u64,
    /// What must not be trained on, the held-out tasks: hashes of their prompts ([`crate::engine::rollout::prompt_hash`])
    /// or of their first observations ([`crate::engine::rollout::observation_hash`]).
    pub exclude_prompts: Vec<String>,
    /// Their ids by environment.
    pub exclude_tasks: BTreeMap<String, Vec<u64>>,
}

/// The numbers in PPO's loss.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Coefficients {
    pub clip_range: f64,
    /// `None` does not clip.
    pub value_clip_range: Option<f64>,
    pub vf_coef: f64,
    pub entropy_coef: f64,
}

/// What drawing and playing a rollout takes of a trainer's options.
#[derive(Debug, Clone, Copy)]
pub struct RolloutOptions<'a> {
    pub num_rollouts: &'a NumRollouts,
    pub rollout_batch_size: usize,
    pub sampling: Sampling,
    pub max_new_tokens: usize,
    pub seed: u64,
    pub first_task_id: u64,
    pub last_task_id: u64,
    pub exclude_prompts: &'a [String],
    pub exclude_tasks: &'a BTreeMap<String, Vec<u64>>,
}

/// The same number for every environment, or one by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected an integer or a table from environment to integer")]
pub enum NumRollouts {
    Each(usize),
    ByName(BTreeMap<String, usize>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DiscountUnit {
    Turn,
    Token,
}

impl NumRollouts {
    /// Episodes of one environment per iteration.
    pub fn of(&self, environment: &str) -> Result<usize> {
        let count = match self {
            NumRollouts::Each(count) => *count,
            NumRollouts::ByName(counts) => *counts.get(environment).ok_or_else(|| {
                let known = counts.keys().cloned().collect::<Vec<_>>().join(", ");
                Error::option(
                    "num_rollouts",
                    format!("a number for environment {environment}"),
                    format!("only {known}"),
                )
            })?,
        };
        if count < 1 {
            return Err(Error::option("num_rollouts", "an integer of at least 1", count));
        }
        Ok(count)
    }
}

impl Default for PpoOptions {
    fn default() -> Self {
        PpoOptions {
            output_dir: PathBuf::new(),
            iterations: 100,
            num_rollouts: NumRollouts::Each(64),
            ppo_epochs: 4,
            minibatch_size: 16,
            batch_size: 8,
            rollout_batch_size: 128,
            learning_rate: 1e-5,
            value_learning_rate: 1e-4,
            lr_scheduler_type: ScheduleKind::Constant,
            min_lr_ratio: 0.0,
            warmup_ratio: 0.0,
            weight_decay: 0.0,
            max_grad_norm: 1.0,
            clip_range: 0.2,
            value_clip_range: 0.2,
            vf_coef: 0.25,
            kl_coef: 0.05,
            entropy_coef: 0.0,
            gae_lambda: 0.95,
            gamma: 0.99,
            discount_unit: DiscountUnit::Turn,
            whiten_advantages: true,
            bootstrap_truncated: true,
            temperature: 1.0,
            max_sampler_gap: MaxSamplerGap::Word(Auto::Auto),
            max_new_tokens: 256,
            seed: 0,
            save_steps: 10,
            save_total_limit: 2,
            resume_from_checkpoint: ResumeFrom::default(),
            resume: Resume::default(),
            gradient_checkpointing: false,
            padding_free: false,
            optim: Optim::AdamwTorch,
            nonfinite: NonFinite::Stop,
            samples: None,
            first_task_id: 0,
            last_task_id: u32::MAX as u64,
            exclude_prompts: Vec::new(),
            exclude_tasks: BTreeMap::new(),
        }
    }
}

impl PpoOptions {
    pub fn validate(&self) -> Result<()> {
        at_least_one(&[
            ("iterations", self.iterations),
            ("ppo_epochs", self.ppo_epochs),
            ("minibatch_size", self.minibatch_size as u64),
            ("batch_size", self.batch_size as u64),
            ("rollout_batch_size", self.rollout_batch_size as u64),
            ("max_new_tokens", self.max_new_tokens as u64),
        ])?;
        self.run().validate()?;
        at_least_zero(&[
            ("value_learning_rate", self.value_learning_rate),
            ("value_clip_range", self.value_clip_range),
            ("vf_coef", self.vf_coef),
            ("kl_coef", self.kl_coef),
            ("entropy_coef", self.entropy_coef),
        ])?;
        in_range("gae_lambda", self.gae_lambda, 0.0, 1.0)?;
        in_range("gamma", self.gamma, 0.0, 1.0)?;
        if !(self.clip_range > 0.0 && self.clip_range < 1.0) {
            return Err(Error::option("clip_range", "a number between 0 and 1", self.clip_range));
        }
        if self.temperature <= 0.0 {
            return Err(Error::option(
                "temperature",
                "a number above 0 (a greedy policy has no ratio)",
                self.temperature,
            ));
        }
        if self.last_task_id < self.first_task_id {
            let expected = format!("at least first_task_id ({})", self.first_task_id);
            return Err(Error::option("last_task_id", expected, self.last_task_id));
        }
        self.max_sampler_gap.validate()?;
        self.sampling().validate()
    }

    /// What every trainer has.
    pub fn run(&self) -> RunOptions {
        run_options!(self)
    }

    pub fn sampling(&self) -> Sampling {
        Sampling { temperature: self.temperature, top_k: 0, top_p: 1.0 }
    }

    /// What a rollout takes of these options.
    pub fn rollout(&self) -> RolloutOptions<'_> {
        RolloutOptions {
            num_rollouts: &self.num_rollouts,
            rollout_batch_size: self.rollout_batch_size,
            sampling: self.sampling(),
            max_new_tokens: self.max_new_tokens,
            seed: self.seed,
            first_task_id: self.first_task_id,
            last_task_id: self.last_task_id,
            exclude_prompts: &self.exclude_prompts,
            exclude_tasks: &self.exclude_tasks,
        }
    }

    /// What the loss takes of them.
    pub fn coefficients(&self) -> Coefficients {
        Coefficients {
            clip_range: self.clip_range,
            value_clip_range: (self.value_clip_range > 0.0).then_some(self.value_clip_range),
            vf_coef: self.vf_coef,
            entropy_coef: self.entropy_coef,
        }
    }

    /// How episodes share forward passes.
    pub fn batching(&self) -> Batching {
        Batching::Sequences(self.batch_size, if self.padding_free { Shape::OneRow } else { Shape::Padded })
    }

    /// 0.99 per token over 500 tokens leaves 0.7 % of a reward at the first of them.
    pub fn warn_of_vanishing_discount(&self) {
        let left = self.gamma.powi(self.max_new_tokens.min(i32::MAX as usize) as i32);
        if self.discount_unit == DiscountUnit::Token && left < 0.05 {
            tracing::warn!(
                "gamma = {} per token leaves {:.1} % of a reward over {} tokens; discount_unit = \"turn\" discounts per turn",
                self.gamma,
                100.0 * left,
                self.max_new_tokens
            );
        }
    }
}
