//! Supervised fine-tuning: the negative log-likelihood of the assistant's tokens, averaged over all of a step's trained
//! tokens.

use std::cell::RefCell;
use std::path::PathBuf;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tch::Kind;

use super::adamw::{AdamW, AdamWOptions, Group};
use super::batch::{Batch, Sequence, split};
use super::checkpoint::{self, Resume, TrainerState};
use super::schedule::{ScheduleKind, Scheduler, warmup_steps};
use super::step::{Loss, Outputs, Policy, StepSettings};
use super::{changing, reading};
use crate::engine::data::{Record, epoch_order};
use crate::engine::model::Model;
use crate::engine::track::progress::Progress;
use crate::engine::{Error, Result, cancel, file, random};

/// Options, named as in the original pipeline where it has a name, else as transformers' `TrainingArguments`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SftOptions {
    /// Where checkpoints go, and in the end the adapter or the model.
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
    pub resume_from_checkpoint: Resume,
    /// Computes activations again in the backward pass: less memory, a third more work.
    pub gradient_checkpointing: bool,
    /// Tokens after which a record is cut; `None` is the model's context.
    pub max_length: Option<usize>,
    pub train_on: TrainOn,
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
            output_dir: PathBuf::from("checkpoints/sft"),
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
            resume_from_checkpoint: Resume::default(),
            gradient_checkpointing: false,
            max_length: None,
            train_on: TrainOn::Assistant,
        }
    }
}

impl SftOptions {
    pub fn validate(&self) -> Result<()> {
        let at_least_one = [
            ("num_epochs", self.num_epochs),
            ("max_steps", self.max_steps.unwrap_or(1)),
            ("batch_size", self.batch_size as u64),
            ("gradient_accumulation_steps", self.gradient_accumulation_steps as u64),
        ];
        for (key, value) in at_least_one {
            if value < 1 {
                return Err(Error::option(key, "an integer of at least 1", value));
            }
        }
        if let Some(length @ 0..2) = self.max_length {
            return Err(Error::option("max_length", "an integer of at least 2", length));
        }
        in_range("learning_rate", self.learning_rate, 0.0, f64::MAX)?;
        in_range("warmup_ratio", self.warmup_ratio, 0.0, 1.0)?;
        in_range("min_lr_ratio", self.min_lr_ratio, 0.0, 1.0)?;
        in_range("weight_decay", self.weight_decay, 0.0, f64::MAX)?;
        in_range("max_grad_norm", self.max_grad_norm, 0.0, f64::MAX)?;
        in_range("adam_beta1", self.adam_beta1, 0.0, 1.0)?;
        in_range("adam_beta2", self.adam_beta2, 0.0, 1.0)?;
        in_range("adam_epsilon", self.adam_epsilon, 0.0, 1.0)
    }
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

/// `max_grad_norm` as the clipping rule takes it: 0 does not clip.
pub fn clip_at(max_grad_norm: f64) -> f64 {
    if max_grad_norm == 0.0 { f64::INFINITY } else { max_grad_norm }
}

/// One optimizer step's report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SftStep {
    /// Counted from 1.
    pub step: u64,
    pub epoch: f64,
    /// Mean negative log-likelihood per trained token, in nats.
    pub loss: f64,
    pub learning_rate: f64,
    pub grad_norm: f64,
    /// Trained tokens in this step.
    pub tokens: usize,
    pub seconds: f64,
}

/// What a whole run came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SftResult {
    pub steps: u64,
    /// Mean over the run's steps.
    pub train_loss: f64,
    pub final_loss: f64,
    /// Trained tokens in the steps of this process.
    pub tokens: usize,
    pub seconds: f64,
    pub records: usize,
}

pub struct Sft {
    options: SftOptions,
    data: Vec<Sequence>,
    optimizer: AdamW,
    schedule: Scheduler,
    steps_per_epoch: u64,
    state: TrainerState,
    /// Steps of this process.
    reports: Vec<SftStep>,
}

impl Sft {
    /// Encodes the records and, where asked, takes up a checkpoint.
    pub fn new(model: &Model, records: &[Record], options: SftOptions) -> Result<Self> {
        options.validate()?;
        file::create_folder(&options.output_dir)?;
        let data = encode(model, records, &options)?;
        let window = options.batch_size * options.gradient_accumulation_steps;
        let steps_per_epoch = data.len().div_ceil(window) as u64;
        let total_steps = options.max_steps.unwrap_or(options.num_epochs * steps_per_epoch);
        let schedule = Scheduler {
            kind: options.lr_scheduler_type,
            warmup_steps: warmup_steps(options.warmup_ratio, total_steps),
            total_steps,
            min_lr_ratio: options.min_lr_ratio,
        };
        model.check_trainable()?;
        let group = Group {
            params: model.trainable(),
            learning_rate: options.learning_rate,
            weight_decay: options.weight_decay,
        };
        let adam = AdamWOptions { beta1: options.adam_beta1, beta2: options.adam_beta2, epsilon: options.adam_epsilon };
        let mut optimizer = AdamW::new(adam, vec![group]);
        let mut state = TrainerState {
            global_step: 0,
            max_steps: total_steps,
            log_history: Vec::new(),
            trainer: "sft".to_string(),
            model: checkpoint::fingerprint(model),
            identity: json!({
                "seed": options.seed,
                "sequences per step": window,
                "train_on": options.train_on,
                "data": data_fingerprint(&data),
            }),
        };
        if let Some(path) = options.resume_from_checkpoint.find(&options.output_dir)? {
            state = TrainerState { max_steps: total_steps, ..checkpoint::open(&path, &state)? };
            checkpoint::restore(&path, model, &mut optimizer)?;
            tracing::info!("resumed from {} at step {}", path.display(), state.global_step);
        }
        Ok(Sft { options, data, optimizer, schedule, steps_per_epoch, state, reports: Vec::new() })
    }

    pub fn total_steps(&self) -> u64 {
        self.schedule.total_steps
    }

    pub fn global_step(&self) -> u64 {
        self.state.global_step
    }

    /// Takes all remaining steps and writes the result to `output_dir`. `on_step` hears of each and may use the trainer;
    /// Ctrl-C in it saves a checkpoint too.
    pub fn run(
        this: &RefCell<Self>,
        model: &Model,
        on_step: &mut dyn FnMut(&SftStep) -> Result<()>,
    ) -> Result<SftResult> {
        let total = reading(this)?.total_steps();
        let mut progress = Progress::new("sft", total.saturating_sub(reading(this)?.global_step()));
        loop {
            let Some(step) = changing(this)?.step(model)? else { break };
            progress.message(format!("loss {:.4}", step.loss));
            progress.tick(1);
            on_step(&step).or_else(|error| reading(this)?.leave(model, error))?;
        }
        progress.finish();
        changing(this)?.finish(model)
    }

    /// Saves what was reached where Ctrl-C stopped the work; hands the error on.
    fn leave<T>(&self, model: &Model, error: Error) -> Result<T> {
        if error.is_interrupted() {
            let path = self.save(model)?;
            tracing::info!("interrupted; step {} is saved in {}", self.global_step(), path.display());
        }
        Err(error)
    }

    /// The next optimizer step, or `None` after the last. After Ctrl-C: a checkpoint, then `Error::Interrupted`.
    pub fn step(&mut self, model: &Model) -> Result<Option<SftStep>> {
        let step = self.state.global_step;
        if step >= self.total_steps() {
            return Ok(None);
        }
        cancel::check().or_else(|error| self.leave(model, error))?;
        let started = Instant::now();
        let factor = self.schedule.factor(step);
        let settings = StepSettings {
            batch_size: self.options.batch_size,
            learning_rate_factor: factor,
            max_grad_norm: clip_at(self.options.max_grad_norm),
            seed: random::torch_seed(self.options.seed, "sft dropout", step),
        };
        let window: Vec<&Sequence> = self.window(step).into_iter().map(|i| &self.data[i]).collect();
        let policy = self.policy(model);
        let report = policy.step(&mut self.optimizer, &window, &settings, &negative_log_likelihood)?;

        self.state.global_step += 1;
        let done = SftStep {
            step: step + 1,
            epoch: (step + 1) as f64 / self.steps_per_epoch as f64,
            loss: report.sum("nll") / report.tokens.max(1) as f64,
            learning_rate: self.options.learning_rate * factor,
            grad_norm: report.grad_norm,
            tokens: report.tokens,
            seconds: started.elapsed().as_secs_f64(),
        };
        self.record(model, &done)?;
        Ok(Some(done))
    }

    /// Writes the adapter or the model to `output_dir`, as transformers' Trainer leaves it.
    pub fn finish(&mut self, model: &Model) -> Result<SftResult> {
        checkpoint::save_model(model, &self.options.output_dir)?;
        let n = self.reports.len().max(1) as f64;
        Ok(SftResult {
            steps: self.state.global_step,
            train_loss: self.reports.iter().map(|step| step.loss).sum::<f64>() / n,
            final_loss: self.reports.last().map_or(f64::NAN, |step| step.loss),
            tokens: self.reports.iter().map(|step| step.tokens).sum(),
            seconds: self.reports.iter().map(|step| step.seconds).sum(),
            records: self.data.len(),
        })
    }

    /// Writes a checkpoint of the state after the last step.
    pub fn save(&self, model: &Model) -> Result<PathBuf> {
        let options = &self.options;
        checkpoint::save(
            &options.output_dir,
            model,
            &self.optimizer,
            &self.state,
            options.save_total_limit,
            &|_| Ok(()),
        )
    }

    /// Mean negative log-likelihood per trained token of other records, in nats.
    pub fn evaluate(&self, model: &Model, records: &[Record]) -> Result<f64> {
        let sequences = encode(model, records, &self.options)?;
        let sequences: Vec<&Sequence> = sequences.iter().collect();
        let policy = self.policy(model);
        let (mut sum, mut tokens) = (0.0, 0);
        for places in split(&sequences, self.options.batch_size) {
            cancel::check()?;
            let batch = Batch::new(&sequences, &places, model.net.device());
            sum -= policy.look(&batch).logprobs.sum(Kind::Double).double_value(&[]);
            tokens += batch.tokens();
        }
        Ok(sum / tokens as f64)
    }

    fn policy<'a>(&self, model: &'a Model) -> Policy<'a> {
        Policy {
            model,
            value_head: None,
            temperature: 1.0,
            gradient_checkpointing: self.options.gradient_checkpointing,
        }
    }

    /// The records of a step: a pure function of seed and step.
    fn window(&self, step: u64) -> Vec<usize> {
        let size = self.options.batch_size * self.options.gradient_accumulation_steps;
        let (epoch, place) = (step / self.steps_per_epoch, step % self.steps_per_epoch);
        let order = epoch_order(self.data.len(), self.options.seed, epoch);
        order.into_iter().skip(place as usize * size).take(size).collect()
    }

    fn record(&mut self, model: &Model, step: &SftStep) -> Result<()> {
        self.reports.push(step.clone());
        let last = step.step == self.total_steps();
        let due = |every: u64| every > 0 && (step.step.is_multiple_of(every) || last);
        if due(self.options.logging_steps) {
            tracing::info!(
                "sft step {}/{}  loss {:.4}  grad norm {:.3}  learning rate {:.2e}  {:.0} tokens/s",
                step.step,
                self.total_steps(),
                step.loss,
                step.grad_norm,
                step.learning_rate,
                step.tokens as f64 / step.seconds
            );
            self.state.log_history.push(serde_json::to_value(step).unwrap_or(Value::Null));
        }
        if due(self.options.save_steps) {
            self.save(model)?;
        }
        Ok(())
    }
}

/// The rule: `−Σ logprob / N`.
fn negative_log_likelihood(outputs: &Outputs, _batch: &Batch, denominator: f64) -> Loss {
    let nll = -outputs.logprobs.sum(Kind::Float);
    Loss { sums: vec![("nll", nll.detach())], value: nll / denominator }
}

/// Token ids and masks of all records. Records are cut at `max_length`; one without a trained token is left out, and
/// the log says how many were.
fn encode(model: &Model, records: &[Record], options: &SftOptions) -> Result<Vec<Sequence>> {
    let tokenizer = model.tokenizer()?;
    let context = model.net.config.max_position_embeddings as usize;
    let limit = options.max_length.unwrap_or(context).min(context);
    let (mut sequences, mut cut, mut empty) = (Vec::with_capacity(records.len()), 0, 0);
    for record in records {
        let conversation = match options.train_on {
            TrainOn::Assistant => record.encode(tokenizer)?,
            TrainOn::All => record.encode_all(tokenizer)?,
        };
        let (mut ids, mut mask) = conversation.into_parts();
        cut += usize::from(ids.len() > limit);
        ids.truncate(limit);
        mask.truncate(limit);
        let sequence = Sequence::new(ids, mask);
        if sequence.trained().next().is_some() {
            sequences.push(sequence);
        } else {
            empty += 1;
        }
    }
    if cut > 0 {
        tracing::warn!("{cut} of {} records are longer than {limit} tokens and were cut", records.len());
    }
    if empty > 0 {
        tracing::warn!("{empty} of {} records have no token to train on and were left out", records.len());
    }
    if sequences.is_empty() {
        return Err(Error::hinted(
            format!("none of the {} records has a token to train on", records.len()),
            "a record needs an assistant message within max_length tokens",
        ));
    }
    Ok(sequences)
}

fn data_fingerprint(data: &[Sequence]) -> String {
    let mut digest = Sha256::new();
    for sequence in data {
        sequence.ids.iter().for_each(|id| digest.update(id.to_le_bytes()));
        sequence.mask.iter().for_each(|&trained| digest.update([u8::from(trained)]));
    }
    file::hex(&digest.finalize()[..8])
}
