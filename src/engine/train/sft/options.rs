//! The options of SFT, named as in the original pipeline where it has a name, else as transformers' `TrainingArguments`
//! and TRL's `SFTConfig`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::engine::track::episodes::Samples;
use crate::engine::train::batch::{Batching, Shape};
use crate::engine::train::checkpoint::{Resume, ResumeFrom};
use crate::engine::train::options::{NonFinite, Optim, RunOptions, at_least_one, in_range, run_options};
use crate::engine::train::schedule::ScheduleKind;
use crate::engine::{Error, Result};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SftOptions {
    /// Where checkpoints go, and in the end the adapter or the model; empty for a new folder ([`output::folder`]).
    pub output_dir: PathBuf,
    pub num_epochs: u64,
    /// Optimizer steps in place of `num_epochs`.
    pub max_steps: Option<u64>,
    /// Sequences per forward pass.
    pub batch_size: usize,
    /// Forward passes per optimizer step: a step sees `batch_size × gradient_accumulation_steps` sequences.
    pub gradient_accumulation_steps: usize,
    pub learning_rate: f64,
    pub lr_scheduler_type: ScheduleKind,
    pub warmup_ratio: f64,
    /// Where a falling schedule ends, as a part of `learning_rate`.
    pub min_lr_ratio: f64,
    pub weight_decay: f64,
    /// 0 does not clip.
    pub max_grad_norm: f64,
    pub adam_beta1: f64,
    pub adam_beta2: f64,
    pub adam_epsilon: f64,
    pub seed: u64,
    /// Optimizer steps between checkpoints; 0 saves none but on Ctrl-C.
    pub save_steps: u64,
    /// Checkpoints kept; 0 keeps all.
    pub save_total_limit: usize,
    /// Optimizer steps between lines in the log; 0 logs none.
    pub logging_steps: u64,
    #[serde(skip_serializing)]
    pub resume_from_checkpoint: ResumeFrom,
    /// `true` as `resume_from_checkpoint = true`; `"force"` goes on although data or settings have changed.
    #[serde(skip_serializing)]
    pub resume: Resume,
    /// Computes activations again in the backward pass: less memory, a third more work.
    pub gradient_checkpointing: bool,
    /// Tokens after which a record is cut; `None` is the model's context.
    pub max_length: Option<usize>,
    pub train_on: TrainOn,
    /// Joins records by best fit into rows of at most `max_length` tokens. A row is then what `batch_size` counts and the
    /// order of the data shuffles; records in it do not see each other.
    pub packing: bool,
    /// Lays the sequences of a forward pass end to end in place of padding them. Changes nothing but rounding.
    pub padding_free: bool,
    /// α of NEFTune's noise on the embeddings; `None` adds none.
    pub neftune_noise_alpha: Option<f64>,
    pub optim: Optim,
    /// Optimizer steps between evaluations on the evaluation data; 0 evaluates none. The last step always is.
    pub eval_steps: u64,
    pub metric_for_best_model: Metric,
    /// Keeps the checkpoint of the best evaluation and ends with its weights.
    pub load_best_model_at_end: bool,
    /// Evaluations without a better metric after which the run ends; 0 never ends it.
    pub early_stopping_patience: u64,
    /// By how much an evaluation must be better to count.
    pub early_stopping_threshold: f64,
    pub nonfinite: NonFinite,
    /// Gets some records of the first step, as they are trained on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<Samples>,
}

/// What decides which checkpoint is best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// The lower the better.
    EvalLoss,
    /// The higher the better.
    EvalAccuracy,
}

/// Which tokens of a record carry loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrainOn {
    /// What the assistant says, its end tokens included.
    Assistant,
    /// Every token, as in pre-training.
    All,
}

impl Default for SftOptions {
    fn default() -> Self {
        SftOptions {
            output_dir: PathBuf::new(),
            num_epochs: 3,
            max_steps: None,
            batch_size: 8,
            gradient_accumulation_steps: 1,
            learning_rate: 2e-5,
            lr_scheduler_type: ScheduleKind::Linear,
            warmup_ratio: 0.0,
            min_lr_ratio: 0.0,
            weight_decay: 0.0,
            max_grad_norm: 1.0,
            adam_beta1: 0.9,
            adam_beta2: 0.999,
            adam_epsilon: 1e-8,
            seed: 0,
            save_steps: 500,
            save_total_limit: 2,
            logging_steps: 10,
            resume_from_checkpoint: ResumeFrom::default(),
            gradient_checkpointing: false,
            max_length: None,
            train_on: TrainOn::Assistant,
            packing: false,
            padding_free: false,
            neftune_noise_alpha: None,
            optim: Optim::AdamwTorch,
            eval_steps: 0,
            metric_for_best_model: Metric::EvalLoss,
            load_best_model_at_end: false,
            early_stopping_patience: 0,
            early_stopping_threshold: 0.0,
            nonfinite: NonFinite::Stop,
            samples: None,
            resume: Resume::default(),
        }
    }
}

impl SftOptions {
    pub fn validate(&self) -> Result<()> {
        at_least_one(&[
            ("num_epochs", self.num_epochs),
            ("max_steps", self.max_steps.unwrap_or(1)),
            ("batch_size", self.batch_size as u64),
            ("gradient_accumulation_steps", self.gradient_accumulation_steps as u64),
        ])?;
        self.run().validate()?;
        if let Some(length @ 0..2) = self.max_length {
            return Err(Error::option("max_length", "an integer of at least 2", length));
        }
        for (key, beta) in [("adam_beta1", self.adam_beta1), ("adam_beta2", self.adam_beta2)] {
            // At 1 a mean never takes in a gradient, and its correction divides by 0.
            if !(0.0..1.0).contains(&beta) {
                return Err(Error::option(key, "a number of at least 0 and below 1", beta));
            }
        }
        // At 0 a parameter whose gradients are all 0, as those of a new adapter's A, becomes 0 / 0.
        if !(self.adam_epsilon > 0.0 && self.adam_epsilon <= 1.0) {
            return Err(Error::option("adam_epsilon", "a number above 0, at most 1", self.adam_epsilon));
        }
        in_range("early_stopping_threshold", self.early_stopping_threshold, 0.0, f64::MAX)?;
        if let Some(alpha) = self.neftune_noise_alpha {
            in_range("neftune_noise_alpha", alpha, 0.0, f64::MAX)?;
        }
        let evaluating = [
            ("load_best_model_at_end", self.load_best_model_at_end),
            ("early_stopping_patience", self.early_stopping_patience > 0),
        ];
        match evaluating.iter().find(|(_, asked)| *asked && self.eval_steps == 0) {
            Some((key, _)) => Err(Error::option("eval_steps", format!("at least 1, because of {key}"), 0)),
            None => Ok(()),
        }
    }

    /// What every trainer has.
    pub fn run(&self) -> RunOptions {
        run_options!(self)
    }

    /// Rows that a step sees: records, or packed rows of them.
    pub fn window(&self) -> usize {
        self.batch_size * self.gradient_accumulation_steps
    }

    /// How a step's sequences share forward passes. `limit`: the tokens of a packed row.
    pub fn batching(&self, limit: usize) -> Batching {
        match (self.packing, self.padding_free) {
            (true, _) => Batching::Tokens(self.batch_size * limit),
            (false, true) => Batching::Sequences(self.batch_size, Shape::OneRow),
            (false, false) => Batching::Sequences(self.batch_size, Shape::Padded),
        }
    }
}

impl Metric {
    /// Whether `value` is better than `best` by more than `threshold`.
    pub fn better(self, value: f64, best: f64, threshold: f64) -> bool {
        match self {
            Metric::EvalLoss => value < best - threshold,
            Metric::EvalAccuracy => value > best + threshold,
        }
    }
}
