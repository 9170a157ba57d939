//! Supervised fine-tuning: the negative log-likelihood of the assistant's tokens, averaged over all of a step's trained
//! tokens.

mod cut;
mod evaluation;
pub mod options;
mod preflight;
mod records;
mod samples;

use std::path::Path;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tch::Kind;

use super::adamw::{AdamWOptions, Decayed, Group};
use super::batch::{Batch, Sequence};
use super::bundle::Replay;
use super::checkpoint;
use super::run::{Naming, Next, Opening, Output, Run, Trainer};
use super::schedule::{ScheduleKind, Scheduler};
use super::step::{Loss, Outputs, Policy, StepSettings};
use super::{number, spike};
use crate::engine::data::Record;
use crate::engine::model::Model;
use crate::engine::{Result, cancel, random};
pub use evaluation::Evaluation;
pub use options::{Metric, SftOptions, TrainOn};
pub use preflight::Preflight;
use records::Rows;

pub const NAMING: Naming = Naming { trainer: "sft", unit: "step" };

/// One optimizer step's report.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SftStep {
    /// Counted from 1.
    pub step: u64,
    /// Steps of the run.
    #[serde(default)]
    pub total: u64,
    pub epoch: f64,
    /// Mean negative log-likelihood per trained token, in nats.
    #[serde(deserialize_with = "number")]
    pub loss: f64,
    pub learning_rate: f64,
    #[serde(deserialize_with = "number")]
    pub grad_norm: f64,
    /// Trained tokens in this step.
    pub tokens: usize,
    pub seconds: f64,
    /// On the evaluation data, after a step at which it is due.
    #[serde(flatten)]
    pub evaluation: Option<Evaluation>,
    /// The loss is far above those of the steps before.
    #[serde(default, skip_serializing_if = "is_false")]
    pub spike: bool,
    /// Not taken, because its numbers were not finite.
    #[serde(default, skip_serializing_if = "is_false")]
    pub skipped: bool,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// What a whole run came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SftResult {
    pub steps: u64,
    /// Mean over the run's steps, those before a resume among them, less those that were skipped.
    pub train_loss: f64,
    pub final_loss: f64,
    /// Trained tokens in the steps of this process.
    pub tokens: usize,
    pub seconds: f64,
    pub records: usize,
    /// Of these, those that were cut at `max_length` or the context; and how many others were left out, because nothing of
    /// them is trained.
    pub records_cut: usize,
    pub records_left_out: usize,
    /// The best metric, where there were evaluations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best_metric: Option<f64>,
    /// Whether early stopping ended the run.
    pub stopped_early: bool,
}

/// Records and the rule: the mean negative log-likelihood of what is trained of them.
pub struct Sft {
    options: SftOptions,
    rows: Rows,
    /// Tokens after which a record is cut, and what a packed row holds.
    limit: usize,
    evaluation_data: Vec<Sequence<'static>>,
    run: Run,
    /// Steps of this process.
    reports: Vec<SftStep>,
}

impl Trainer for Sft {
    type Report = SftStep;

    fn run(&self) -> &Run {
        &self.run
    }

    fn run_mut(&mut self) -> &mut Run {
        &mut self.run
    }
}

impl Sft {
    /// Encodes the records, those to train on and those to evaluate on every `eval_steps` steps (none without it), and, where
    /// asked, takes up a checkpoint.
    pub fn new(model: &Model, records: &[Record], evaluation: &[Record], mut options: SftOptions) -> Result<Self> {
        options.validate()?;
        options.cut_in_plan()?;
        let (records, evaluation) = (cut::training_records(records), cut::evaluation_records(evaluation));
        let shared = options.run();
        let output = Output::claim(&shared, NAMING)?;
        let limit = records::limit(model, &options);
        let rows = Rows::new(records::encode(model, records, options.train_on, limit)?, &options, limit);
        let evaluation_data = records::encode_for_evaluation(model, evaluation, options.train_on, limit)?;
        let total = options.max_steps.unwrap_or(options.num_epochs * rows.steps_per_epoch());
        let schedule = shared.schedule(total);
        let identity = identity(&options, &schedule, &rows, &evaluation_data, limit);
        let adam = AdamWOptions {
            beta1: options.adam_beta1,
            beta2: options.adam_beta2,
            epsilon: options.adam_epsilon,
            decayed: Decayed::Weights,
            ..AdamWOptions::default()
        };
        let groups = vec![Group {
            params: model.trainable(),
            learning_rate: options.learning_rate,
            weight_decay: options.weight_decay,
        }];
        let defaults = checkpoint::settings(&SftOptions::default(), IMMATERIAL);
        let opening =
            Opening { naming: NAMING, output, options: shared, adam, groups, schedule, total, identity, defaults };
        let (run, _) = Run::open(model, opening)?;
        Ok(Sft { options, rows, limit, evaluation_data, run, reports: Vec::new() })
    }

    /// The next optimizer step, or `None` after the last. After Ctrl-C: a checkpoint, then `Error::Interrupted`.
    ///
    /// Who asks for it has heard of the one before. A step that nobody heard of before the run was left is told again.
    pub fn step(&mut self, model: &Model) -> Result<Option<SftStep>> {
        let _unfinished = cancel::unfinished();
        let done = match self.begin()? {
            Next::Over => return Ok(None),
            Next::Told(done) => done,
            Next::Take => {
                cancel::check().or_else(|error| self.leave(model, error))?;
                self.take_step(model)?
            }
        };
        self.conclude(model, done).or_else(|error| self.leave(model, error)).map(Some)
    }

    /// The update. From here on the step counts.
    fn take_step(&mut self, model: &Model) -> Result<SftStep> {
        let step = self.run.done();
        self.run.check(model)?;
        let started = Instant::now();
        let settings = self.settings(step);
        let sequences = self.rows.of_step(step);
        if step == 0
            && let Some(file) = &self.options.samples
        {
            file.add(samples::rows(&sequences, model.tokenizer()?, &file.stage)?, 1)?;
        }
        let policy = policy(model, &self.options);
        let report = policy.step(&mut self.run.optimizer, &sequences, &settings, &negative_log_likelihood)?;
        self.run.fits = report.fits;
        if !report.taken {
            self.run.keep_bad_numbers(&policy, &report, &sequences, &settings, Value::Null)?;
        }

        let loss = report.sum("nll") / report.tokens.max(1) as f64;
        if report.taken {
            self.run.state.losses.add(loss);
        }
        let done = SftStep {
            step: step + 1,
            total: self.run.total(),
            epoch: (step + 1) as f64 / self.rows.steps_per_epoch() as f64,
            loss,
            learning_rate: self.options.learning_rate * settings.learning_rate_factor,
            grad_norm: report.grad_norm,
            tokens: report.tokens,
            seconds: started.elapsed().as_secs_f64(),
            evaluation: None,
            spike: spike::rises(&mut self.run.state.recent_losses, loss),
            skipped: !report.taken,
        };
        if done.spike {
            tracing::warn!("sft step {}: the loss {loss:.4} is far above those of the steps before", done.step);
        }
        self.run.took(&done);
        self.reports.push(done.clone());
        Ok(done)
    }

    /// What follows an update: the evaluation, the log and the checkpoint, as far as they are due and not done.
    fn conclude(&mut self, model: &Model, mut done: SftStep) -> Result<SftStep> {
        if done.evaluation.is_none() && self.run.is_due(self.options.eval_steps) {
            done.evaluation = Some(self.judge(model, done.step)?);
            self.run.report(&done);
        }
        let logging = self.run.is_due(self.options.logging_steps);
        if logging {
            done.tell(self.run.total());
        }
        if logging || done.evaluation.is_some() {
            self.run.log(&done);
        }
        let is_best = self.run.state.best_model_checkpoint.as_deref() == Some(&checkpoint::name(done.step));
        self.save_if_due(model, is_best)?;
        Ok(done)
    }

    fn settings(&self, step: u64) -> StepSettings {
        StepSettings {
            batching: self.options.batching(self.limit),
            fits: self.run.fits,
            learning_rate_factor: self.run.rate_factor(step),
            max_grad_norm: self.run.clip_at(),
            seed: random::torch_seed(self.options.seed, "sft dropout", step),
            neftune_noise_alpha: self.options.neftune_noise_alpha.filter(|&alpha| alpha > 0.0),
        }
    }

    /// Takes the step that `folder` holds (see [`Bundle`]) once more, without an update: what it comes to.
    pub fn replay(model: &Model, folder: &Path) -> Result<Replay> {
        Replay::take(folder, "sft", model, None, &|_| Ok(Box::new(negative_log_likelihood)))
    }

    /// Writes the adapter or the model to `output_dir`, as transformers' Trainer leaves it. Where the best was asked for,
    /// the model has its weights from here on.
    pub fn finish(&mut self, model: &Model) -> Result<SftResult> {
        self.run.check(model)?;
        self.run.note_heard()?;
        self.run.close();
        if let (true, Some(best)) = (self.options.load_best_model_at_end, &self.run.state.best_model_checkpoint) {
            let folder = self.run.folder().join(best);
            if folder.exists() {
                checkpoint::verify(&folder)?;
                checkpoint::restore_weights(&folder, model)?;
                tracing::info!("the weights are those of {best}, the best evaluation");
            } else {
                tracing::warn!("{} is not there any more: the weights are those of the last step", folder.display());
            }
        }
        checkpoint::save_model(model, self.run.folder())?;
        let state = &self.run.state;
        let taken: Vec<&SftStep> = self.reports.iter().filter(|step| !step.skipped).collect();
        Ok(SftResult {
            steps: state.global_step,
            train_loss: state.losses.mean(),
            final_loss: state.losses.last.unwrap_or(f64::NAN),
            tokens: taken.iter().map(|step| step.tokens).sum(),
            seconds: self.reports.iter().map(|step| step.seconds).sum(),
            records: self.rows.records(),
            records_cut: self.rows.cut,
            records_left_out: self.rows.left_out,
            best_metric: state.best_metric,
            stopped_early: state.stopped_early,
        })
    }
}

impl SftStep {
    fn tell(&self, total: u64) {
        tracing::info!(
            "sft step {}/{total}  loss {:.4}  grad norm {:.3}  learning rate {:.2e}  {:.0} tokens/s",
            self.step,
            self.loss,
            self.grad_norm,
            self.learning_rate,
            self.tokens as f64 / self.seconds
        );
    }
}

fn policy<'a>(model: &'a Model, options: &SftOptions) -> Policy<'a> {
    Policy { gradient_checkpointing: options.gradient_checkpointing, ..Policy::new(model) }
}

/// The rule: `−Σ logprob / N`.
pub fn negative_log_likelihood(outputs: &Outputs, _batch: &Batch, denominator: f64) -> Loss {
    let nll = -outputs.logprobs.sum(Kind::Float);
    Loss { sums: vec![("nll", nll.detach())], value: nll / denominator }
}

/// Settings that cannot matter to the steps: where and how often something is written, how memory is used, what ends a
/// run. The last ones are in the identity by what follows from them.
const IMMATERIAL: &[&str] = &[
    "output_dir",
    "save_steps",
    "save_total_limit",
    "logging_steps",
    "gradient_checkpointing",
    "padding_free",
    "nonfinite",
    "batch_size",
    "gradient_accumulation_steps",
    "num_epochs",
    "max_steps",
    "warmup_ratio",
    "max_length",
    "samples",
];

/// Those of them that choose among the steps taken, where nothing asks for such a choice.
const OF_CHOICE: &[&str] = &["eval_steps", "metric_for_best_model", "early_stopping_threshold"];

/// What decides the steps. How long the run is decides them only where the rate falls with it.
fn identity(
    options: &SftOptions,
    schedule: &Scheduler,
    rows: &Rows,
    evaluation_data: &[Sequence],
    limit: usize,
) -> Map<String, Value> {
    let chooses = options.load_best_model_at_end || options.early_stopping_patience > 0;
    let falls = options.run().rate_falls();
    let warmup = (options.lr_scheduler_type != ScheduleKind::Constant).then_some(schedule.warmup_steps);
    let mut identity = checkpoint::settings(options, IMMATERIAL);
    identity.retain(|name, _| chooses || !OF_CHOICE.contains(&name.as_str()));
    identity.retain(|name, _| falls || name != "min_lr_ratio");
    let follows = [
        ("sequences per step", json!(options.window())),
        ("data", json!(rows.fingerprint())),
        ("eval_data", json!((options.eval_steps > 0).then(|| records::fingerprint(evaluation_data)))),
        ("warmup_steps", json!(warmup)),
    ];
    identity.extend(follows.map(|(name, value)| (name.to_string(), value)));
    if falls {
        identity.insert("steps".into(), json!(schedule.total_steps));
    }
    if options.packing {
        identity.insert("packed rows of".into(), json!(limit));
    }
    identity
}
