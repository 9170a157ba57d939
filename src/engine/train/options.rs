//! What the options of all trainers have in common: where a run writes, its rates, what it goes on from.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::adamw::{AdamW, AdamWOptions, Group};
use super::checkpoint::{Resume, ResumeFrom};
use super::output;
use super::schedule::{ScheduleKind, Scheduler, warmup_steps};
use super::step::StepReport;
use crate::engine::{Error, Result};

/// The options that every trainer has. Each trainer's own struct holds them under the same names and gives them as this
/// one, because serde cannot flatten a struct that refuses unknown keys.
#[derive(Debug, Clone, PartialEq)]
pub struct RunOptions {
    pub output_dir: PathBuf,
    pub learning_rate: f64,
    pub lr_scheduler_type: ScheduleKind,
    pub warmup_ratio: f64,
    pub min_lr_ratio: f64,
    pub weight_decay: f64,
    pub max_grad_norm: f64,
    pub optim: Optim,
    pub save_steps: u64,
    pub save_total_limit: usize,
    pub resume_from_checkpoint: ResumeFrom,
    pub resume: Resume,
    pub nonfinite: NonFinite,
}

/// [`RunOptions`] of a struct that has all of its fields.
macro_rules! run_options {
    ($options:expr) => {{
        let options = $options;
        $crate::engine::train::options::RunOptions {
            output_dir: options.output_dir.clone(),
            learning_rate: options.learning_rate,
            lr_scheduler_type: options.lr_scheduler_type,
            warmup_ratio: options.warmup_ratio,
            min_lr_ratio: options.min_lr_ratio,
            weight_decay: options.weight_decay,
            max_grad_norm: options.max_grad_norm,
            optim: options.optim,
            save_steps: options.save_steps,
            save_total_limit: options.save_total_limit,
            resume_from_checkpoint: options.resume_from_checkpoint.clone(),
            resume: options.resume,
            nonfinite: options.nonfinite,
        }
    }};
}
pub(crate) use run_options;

impl RunOptions {
    pub fn validate(&self) -> Result<()> {
        at_least_zero(&[
            ("learning_rate", self.learning_rate),
            ("weight_decay", self.weight_decay),
            ("max_grad_norm", self.max_grad_norm),
        ])?;
        in_range("warmup_ratio", self.warmup_ratio, 0.0, 1.0)?;
        in_range("min_lr_ratio", self.min_lr_ratio, 0.0, 1.0)?;
        output::check_resume(&self.output_dir, self.resume, &self.resume_from_checkpoint)
    }

    /// The rates' course over so many ticks of the schedule.
    pub fn schedule(&self, ticks: u64) -> Scheduler {
        Scheduler {
            kind: self.lr_scheduler_type,
            warmup_steps: warmup_steps(self.warmup_ratio, ticks),
            total_steps: ticks,
            min_lr_ratio: self.min_lr_ratio,
        }
    }

    /// The optimizer of `groups`; `adam` has what else a trainer's options say of it.
    pub fn optimizer(&self, adam: AdamWOptions, groups: Vec<Group>) -> AdamW {
        AdamW::new(AdamWOptions { eight_bit: self.optim == Optim::Adamw8bit, ..adam }, groups)
    }

    /// Where a step clips the gradient; `None` does not clip.
    pub fn clip_at(&self) -> Option<f64> {
        (self.max_grad_norm != 0.0).then_some(self.max_grad_norm)
    }

    /// Whether the rate falls towards the end of the run.
    pub fn rate_falls(&self) -> bool {
        matches!(self.lr_scheduler_type, ScheduleKind::Linear | ScheduleKind::Cosine)
    }
}

/// The optimizer. Both are AdamW with decoupled weight decay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Optim {
    /// Float32 state.
    AdamwTorch,
    /// Its two running means in 8 bits: 2 bytes of state per parameter in place of 8.
    #[serde(rename = "adamw_8bit")]
    Adamw8bit,
}

/// What a step whose loss or gradient is not finite leads to. Either way it is not taken, and what it was made of is
/// written beside the checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NonFinite {
    /// The run ends with an error.
    Stop,
    /// The next step follows.
    Skip,
}

impl NonFinite {
    /// What becomes of the run after such a step, which `folder` holds.
    pub fn decide(self, place: &str, report: &StepReport, folder: &Path) -> Result<()> {
        let is_finite = report.grad_norm.is_finite() && report.value_grad_norm.is_finite();
        let what = if is_finite { "loss" } else { "gradient" };
        let folder = folder.display();
        match self {
            NonFinite::Stop => Err(Error::hinted(
                format!("the {what} is not finite, so this step was not taken"),
                format!(
                    "{folder} holds the step, and trainer.replay takes it alone; lower learning_rate, or look at its records"
                ),
            )),
            NonFinite::Skip => {
                tracing::warn!("{place}: the {what} is not finite; the step is skipped and kept in {folder}");
                Ok(())
            }
        }
    }
}

/// Counts that are at least 1, or an error that names the option.
pub fn at_least_one(counts: &[(&str, u64)]) -> Result<()> {
    match counts.iter().find(|(_, count)| *count < 1) {
        Some((key, count)) => Err(Error::option(*key, "an integer of at least 1", count)),
        None => Ok(()),
    }
}

/// Numbers that are at least 0, or an error that names the option.
pub fn at_least_zero(numbers: &[(&str, f64)]) -> Result<()> {
    numbers.iter().try_for_each(|&(key, value)| in_range(key, value, 0.0, f64::MAX))
}

/// A number from `low` to `high`, or an error that names the option.
pub fn in_range(key: &str, value: f64, low: f64, high: f64) -> Result<()> {
    if value >= low && value <= high {
        return Ok(());
    }
    let expected =
        if high == f64::MAX { format!("a number of at least {low}") } else { format!("a number from {low} to {high}") };
    Err(Error::option(key, expected, value))
}
