//! Supervised fine-tuning: the negative log-likelihood of the assistant's tokens, averaged over all of a step's trained
//! tokens.

mod evaluation;
pub mod options;
mod preflight;
mod records;

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};
use tch::Kind;

use super::adamw::{AdamW, AdamWOptions, Decayed, Group};
use super::batch::{Batch, Sequence};
use super::bundle::{Bundle, Replay};
use super::checkpoint::{self, Mark, TrainerState};
use super::schedule::{ScheduleKind, Scheduler, warmup_steps};
use super::step::{Loss, Outputs, Policy, StepReport, StepSettings};
use super::{changing, check_parameters, output, reading, spike};
use crate::engine::data::Record;
use crate::engine::lock::Claim;
use crate::engine::model::Model;
use crate::engine::track::progress::Progress;
use crate::engine::{Error, Result, cancel, random};
pub use evaluation::Evaluation;
pub use options::{Metric, NonFinite, Optim, SftOptions, TrainOn, clip_at, in_range};
pub use preflight::Preflight;
use records::Rows;

/// One optimizer step's report.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SftStep {
    /// Counted from 1.
    pub step: u64,
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

/// What is no number is `null` in JSON.
fn number<'de, D: Deserializer<'de>>(value: D) -> std::result::Result<f64, D::Error> {
    Ok(Option::deserialize(value)?.unwrap_or(f64::NAN))
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

pub struct Sft {
    options: SftOptions,
    /// To the output folder.
    claim: Claim,
    rows: Rows,
    /// Tokens after which a record is cut, and what a packed row holds.
    limit: usize,
    evaluation_data: Vec<Sequence>,
    optimizer: AdamW,
    schedule: Scheduler,
    state: TrainerState,
    /// What memory was found to hold, in tokens of one forward pass.
    fits: usize,
    /// Steps of this process.
    reports: Vec<SftStep>,
    /// The step of the checkpoint that this run went on from, where nobody has heard of it.
    again: Option<SftStep>,
    /// What the newest checkpoint holds.
    saved: RefCell<Option<Mark>>,
    /// The result is written, and the weights may be others than those of the last step.
    finished: bool,
}

impl Sft {
    /// [`Sft::evaluating`] on no records: for a run without `eval_steps`.
    pub fn new(model: &Model, records: &[Record], options: SftOptions) -> Result<Self> {
        Self::evaluating(model, records, &[], options)
    }

    /// Encodes the records, those to train on and those to evaluate on every `eval_steps` steps, and, where asked, takes up
    /// a checkpoint.
    pub fn evaluating(model: &Model, records: &[Record], evaluation: &[Record], options: SftOptions) -> Result<Self> {
        options.validate()?;
        let options = SftOptions { output_dir: output::folder(&options.output_dir, "sft")?, ..options };
        let claim = Claim::to(&options.output_dir)?;
        let limit = records::limit(model, &options);
        let rows = Rows::new(records::encode(model, records, options.train_on, limit)?, &options, limit);
        let evaluation_data = records::encode_for_evaluation(model, evaluation, options.train_on, limit)?;
        let total_steps = options.max_steps.unwrap_or(options.num_epochs * rows.steps_per_epoch());
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
        let adam = AdamWOptions {
            beta1: options.adam_beta1,
            beta2: options.adam_beta2,
            epsilon: options.adam_epsilon,
            eight_bit: options.optim == Optim::Adamw8bit,
            decayed: Decayed::Weights,
        };
        let mut optimizer = AdamW::new(adam, vec![group]);
        let identity = identity(&options, &schedule, &rows, &evaluation_data, limit);
        let mut state = TrainerState::new("sft", model, total_steps, identity);
        let mut saved = None;
        if let Some(path) = options.resume.find(&options.resume_from_checkpoint, &options.output_dir)? {
            let opened = checkpoint::open(&path, &state, model, options.resume.forced())?;
            state = TrainerState { max_steps: total_steps, ..opened };
            checkpoint::restore(&path, model, &mut optimizer)?;
            saved = (path == options.output_dir.join(checkpoint::name(state.global_step))).then(|| state.mark());
            tracing::info!("resumed from {} at step {}", path.display(), state.global_step);
        }
        let again = state.unheard.clone().and_then(|step| serde_json::from_value(step).ok());
        let (fits, reports, finished) = (usize::MAX, Vec::new(), false);
        let saved = RefCell::new(saved);
        Ok(Sft {
            options,
            claim,
            rows,
            limit,
            evaluation_data,
            optimizer,
            schedule,
            state,
            fits,
            reports,
            again,
            saved,
            finished,
        })
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
        if error.is_interrupted() && !self.finished {
            let path = match self.is_saved() {
                true => self.options.output_dir.join(checkpoint::name(self.global_step())),
                false => self.write(model, &self.state)?,
            };
            tracing::info!("interrupted; step {} is saved in {}", self.global_step(), path.display());
        }
        Err(error)
    }

    fn is_saved(&self) -> bool {
        *self.saved.borrow() == Some(self.state.mark())
    }

    /// Saves the steps of this process that no checkpoint holds, for an interruption that comes between the trainer's
    /// calls.
    pub fn save_unsaved(&self, model: &Model) -> Result<()> {
        if self.reports.is_empty() || self.is_saved() {
            return Ok(());
        }
        match self.leave::<()>(model, Error::Interrupted) {
            Err(Error::Interrupted) => Ok(()),
            other => other,
        }
    }

    /// The next optimizer step, or `None` after the last. After Ctrl-C: a checkpoint, then `Error::Interrupted`.
    ///
    /// Who asks for it has heard of the one before. A step that nobody heard of before the run was left is told again.
    pub fn step(&mut self, model: &Model) -> Result<Option<SftStep>> {
        let _unfinished = cancel::unfinished();
        let done = match self.again.take() {
            Some(done) => done,
            None => {
                self.note_heard()?;
                if self.state.global_step >= self.total_steps() || self.state.stopped_early {
                    return Ok(None);
                }
                cancel::check().or_else(|error| self.leave(model, error))?;
                self.take_step(model)?
            }
        };
        self.conclude(model, done).or_else(|error| self.leave(model, error)).map(Some)
    }

    /// The update. From here on the step counts.
    fn take_step(&mut self, model: &Model) -> Result<SftStep> {
        let step = self.state.global_step;
        check_parameters(&self.optimizer, model)?;
        self.claim.check()?;
        let started = Instant::now();
        let settings = self.settings(step);
        let sequences = self.rows.of_step(step);
        let policy = policy(model, &self.options);
        let report = policy.step(&mut self.optimizer, &sequences, &settings, &negative_log_likelihood)?;
        self.fits = report.fits;
        if !report.taken {
            self.keep_bad_numbers(&policy, &report, &sequences, &settings)?;
        }

        self.state.global_step += 1;
        let loss = report.sum("nll") / report.tokens.max(1) as f64;
        if report.taken {
            self.state.losses.add(loss);
        }
        let done = SftStep {
            step: step + 1,
            epoch: (step + 1) as f64 / self.rows.steps_per_epoch() as f64,
            loss,
            learning_rate: self.options.learning_rate * settings.learning_rate_factor,
            grad_norm: report.grad_norm,
            tokens: report.tokens,
            seconds: started.elapsed().as_secs_f64(),
            evaluation: None,
            spike: spike::is_one(&mut self.state.recent_losses, loss),
            skipped: !report.taken,
        };
        if done.spike {
            tracing::warn!("sft step {}: the loss {loss:.4} is far above those of the steps before", done.step);
        }
        self.reports.push(done.clone());
        self.state.unheard = serde_json::to_value(&done).ok();
        Ok(done)
    }

    /// What follows an update: the evaluation, the log and the checkpoint, as far as they are due and not done.
    fn conclude(&mut self, model: &Model, mut done: SftStep) -> Result<SftStep> {
        if done.evaluation.is_none() && self.due(self.options.eval_steps, done.step) {
            done.evaluation = Some(self.judge(model, done.step)?);
            self.state.unheard = serde_json::to_value(&done).ok();
        }
        self.record(model, &done)?;
        Ok(done)
    }

    /// Whoever drives the trainer has heard of the last step.
    pub fn note_heard(&mut self) -> Result<()> {
        let saved = self.is_saved();
        if self.state.unheard.take().is_some() && saved {
            checkpoint::note_heard(&self.options.output_dir.join(checkpoint::name(self.global_step())))?;
            self.saved.replace(Some(self.state.mark()));
        }
        Ok(())
    }

    fn settings(&self, step: u64) -> StepSettings {
        StepSettings {
            batching: self.options.batching(self.limit),
            fits: self.fits,
            learning_rate_factor: self.schedule.factor(step),
            max_grad_norm: clip_at(self.options.max_grad_norm),
            seed: random::torch_seed(self.options.seed, "sft dropout", step),
            neftune_noise_alpha: self.options.neftune_noise_alpha.filter(|&alpha| alpha > 0.0),
        }
    }

    /// Writes what a step was made of whose numbers are not finite; an error unless such steps are skipped.
    fn keep_bad_numbers(
        &self,
        policy: &Policy,
        report: &StepReport,
        sequences: &[&Sequence],
        settings: &StepSettings,
    ) -> Result<()> {
        let step = self.state.global_step + 1;
        let settings = StepSettings { fits: report.fits, ..*settings };
        let bundle =
            Bundle { trainer: "sft", step, policy, sequences, settings: &settings, report, options: Value::Null };
        let folder = bundle.write(&self.options.output_dir)?;
        self.options.nonfinite.decide(&format!("sft step {step}"), report, &folder)
    }

    /// Takes the step that `folder` holds (see [`Bundle`]) once more, without an update: what it comes to.
    pub fn replay(model: &Model, folder: &Path) -> Result<Replay> {
        Replay::take(folder, "sft", model, None, &|_| Ok(Box::new(negative_log_likelihood)))
    }

    /// Writes the adapter or the model to `output_dir`, as transformers' Trainer leaves it. Where the best was asked for,
    /// the model has its weights from here on.
    pub fn finish(&mut self, model: &Model) -> Result<SftResult> {
        self.claim.check()?;
        self.note_heard()?;
        self.finished = true;
        if let (true, Some(best)) = (self.options.load_best_model_at_end, &self.state.best_model_checkpoint) {
            let folder = self.options.output_dir.join(best);
            if folder.exists() {
                checkpoint::verify(&folder)?;
                checkpoint::restore_weights(&folder, model)?;
                tracing::info!("the weights are those of {best}, the best evaluation");
            } else {
                tracing::warn!("{} is not there any more: the weights are those of the last step", folder.display());
            }
        }
        checkpoint::save_model(model, &self.options.output_dir)?;
        let taken: Vec<&SftStep> = self.reports.iter().filter(|step| !step.skipped).collect();
        Ok(SftResult {
            steps: self.state.global_step,
            train_loss: self.state.losses.mean(),
            final_loss: self.state.losses.last.unwrap_or(f64::NAN),
            tokens: taken.iter().map(|step| step.tokens).sum(),
            seconds: self.reports.iter().map(|step| step.seconds).sum(),
            records: self.rows.records(),
            records_cut: self.rows.cut,
            records_left_out: self.rows.left_out,
            best_metric: self.state.best_metric,
            stopped_early: self.state.stopped_early,
        })
    }

    /// Writes a checkpoint of the state after the last step, of which whoever asks for it has heard.
    pub fn save(&self, model: &Model) -> Result<PathBuf> {
        self.write(model, &TrainerState { unheard: None, ..self.state.clone() })
    }

    fn write(&self, model: &Model, state: &TrainerState) -> Result<PathBuf> {
        self.claim.check()?;
        let options = &self.options;
        let path = checkpoint::save(
            &options.output_dir,
            model,
            &self.optimizer,
            state,
            options.save_total_limit,
            &|_| Ok(()),
        )?;
        self.saved.replace(Some(state.mark()));
        Ok(path)
    }

    /// Whether something that happens `every` so many steps, and after the last one, happens after `step`.
    fn due(&self, every: u64, step: u64) -> bool {
        let last = step == self.total_steps() || self.state.stopped_early;
        every > 0 && (step.is_multiple_of(every) || last)
    }

    fn record(&mut self, model: &Model, step: &SftStep) -> Result<()> {
        let logging = self.due(self.options.logging_steps, step.step);
        if logging {
            tracing::info!(
                "sft step {}/{}  loss {:.4}  grad norm {:.3}  learning rate {:.2e}  {:.0} tokens/s",
                step.step,
                self.total_steps(),
                step.loss,
                step.grad_norm,
                step.learning_rate,
                step.tokens as f64 / step.seconds
            );
        }
        // A step that is told again is in the log already.
        let logged = self.state.log_history.last().is_some_and(|last| last["step"] == json!(step.step));
        if (logging || step.evaluation.is_some()) && !logged {
            self.state.log_history.push(serde_json::to_value(step).unwrap_or(Value::Null));
        }
        if (self.due(self.options.save_steps, step.step) || self.keeps_best(step.step)) && !self.is_saved() {
            self.write(model, &self.state)?;
        }
        Ok(())
    }

    /// Whether `step` is the best so far and its checkpoint is asked for.
    fn keeps_best(&self, step: u64) -> bool {
        self.state.best_model_checkpoint.as_deref() == Some(&checkpoint::name(step))
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
    let falls = matches!(options.lr_scheduler_type, ScheduleKind::Linear | ScheduleKind::Cosine);
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
