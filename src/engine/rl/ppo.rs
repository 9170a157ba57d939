//! Proximal policy optimisation (Schulman et al. 2017) over environments: rollout, credit, update.
//!
//! The reference of the KL penalty is the policy as RL begins. Frozen weights are shared with it; only what is trained
//! exists twice.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Map, Value, json};
use tch::Kind;

use super::advantage::{gae_tokens, gae_turns, whiten};
use super::collect::{Collector, Rollout, Sample};
use super::gap::Gap;
use super::kl::{KlEstimator, rewards_with_kl};
use super::loss::{policy_loss, value_loss};
use super::options::{Coefficients, DiscountUnit, PpoOptions};
use super::played::Played;
use crate::engine::env::Environment;
use crate::engine::lock::Claim;
use crate::engine::model::value_head::ValueHead;
use crate::engine::model::{Model, Qwen3};
use crate::engine::tensor::safetensors;
use crate::engine::track::progress::Progress;
use crate::engine::train::adamw::{AdamW, AdamWOptions, Decayed, Group};
use crate::engine::train::batch::{Batch, Sequence};
use crate::engine::train::bundle::{Bundle, Replay};
use crate::engine::train::checkpoint::{self, Mark, TrainerState};
use crate::engine::train::schedule::{ScheduleKind, Scheduler, warmup_steps};
use crate::engine::train::sft::{Optim, clip_at};
use crate::engine::train::step::{Entropy, Loss, Outputs, Policy, StepReport, StepSettings};
use crate::engine::train::{changing, check_parameters, output, reading};
use crate::engine::{Error, Result, cancel, random};

const REFERENCE: &str = "reference.safetensors";

/// The schedule's steps per iteration: it moves with every optimizer step, of which iterations have different numbers.
const TICKS: u64 = 1000;

pub struct Ppo {
    options: PpoOptions,
    /// To the output folder.
    claim: Claim,
    value_head: ValueHead,
    reference: Qwen3,
    optimizer: AdamW,
    schedule: Scheduler,
    state: TrainerState,
    played: Played,
    /// What memory was found to hold, in tokens of one forward pass.
    fits: usize,
    /// The report of the checkpoint that this run went on from, where nobody has heard of it.
    again: Option<Stats>,
    /// What the newest checkpoint holds.
    saved: RefCell<Option<Mark>>,
    /// Iterations of this process.
    done: u64,
    /// The result is written.
    finished: bool,
}

/// One iteration's report. Keys are those of `metrics.jsonl`.
pub type Stats = Map<String, Value>;

impl Ppo {
    /// Takes the model as it is for the reference and, where asked, takes up a checkpoint.
    pub fn new(model: &Model, options: PpoOptions) -> Result<Self> {
        options.validate()?;
        options.warn_of_vanishing_discount();
        let options = PpoOptions { output_dir: output::folder(&options.output_dir, "ppo")?, ..options };
        let claim = Claim::to(&options.output_dir)?;
        model.check_trainable()?;
        if model.lora().is_some_and(|lora| lora.dropout > 0.0) {
            tracing::info!("lora_dropout is off in PPO: the policy is trained as it plays");
        }
        let policy_parameters = model.trainable();
        let reference = model.net.snapshot();
        let mut value_head = ValueHead::new(model.net.config.hidden_size, model.net.device());
        let groups = vec![
            Group {
                params: policy_parameters,
                learning_rate: options.learning_rate,
                weight_decay: options.weight_decay,
            },
            Group { params: value_head.parameters(), learning_rate: options.value_learning_rate, weight_decay: 0.0 },
        ];
        let adam = AdamWOptions {
            eight_bit: options.optim == Optim::Adamw8bit,
            decayed: Decayed::Weights,
            ..AdamWOptions::default()
        };
        let mut optimizer = AdamW::new(adam, groups);
        let schedule = Scheduler {
            kind: options.lr_scheduler_type,
            warmup_steps: warmup_steps(options.warmup_ratio, options.iterations * TICKS),
            total_steps: options.iterations * TICKS,
            min_lr_ratio: options.min_lr_ratio,
        };
        let mut state = TrainerState::new("ppo", model, options.iterations, identity(&options));
        let (mut saved_mark, mut played) = (None, Played::default());
        if let Some(path) = options.resume.find(&options.resume_from_checkpoint, &options.output_dir)? {
            let saved = checkpoint::open(&path, &state, model, options.resume.forced())?;
            played = Played::resumed(saved.environments.clone(), &path, options.resume.forced());
            state = TrainerState { max_steps: options.iterations, ..saved };
            checkpoint::restore(&path, model, &mut optimizer)?;
            value_head.load(&path)?;
            saved_mark = (path == options.output_dir.join(checkpoint::name(state.global_step))).then(|| state.mark());
            let saved = safetensors::read(path.join(REFERENCE))?;
            for (name, parameter) in model.trained_part_of(&reference) {
                checkpoint::copy_into(&saved, &name, parameter)?;
            }
            tracing::info!("resumed from {} at iteration {}", path.display(), state.global_step);
        }
        let again = state.unheard.as_ref().and_then(Value::as_object).cloned();
        Ok(Ppo {
            options,
            claim,
            value_head,
            reference,
            optimizer,
            schedule,
            state,
            played,
            fits: usize::MAX,
            again,
            saved: RefCell::new(saved_mark),
            done: 0,
            finished: false,
        })
    }

    /// Iterations done.
    pub fn iteration(&self) -> u64 {
        self.state.global_step
    }

    pub fn total_iterations(&self) -> u64 {
        self.options.iterations
    }

    /// All remaining iterations, then the adapter or the model in `output_dir`. The last iteration's report.
    /// `on_iteration` hears of each and may use the trainer.
    pub fn run(
        this: &RefCell<Self>,
        model: &Model,
        environments: &[Box<dyn Environment>],
        on_iteration: &mut dyn FnMut(&Stats) -> Result<()>,
    ) -> Result<Option<Stats>> {
        let total = reading(this)?.total_iterations();
        let mut progress = Progress::new("ppo", total.saturating_sub(reading(this)?.iteration()));
        let mut last = None;
        while let Some(stats) = Self::iterate(this, model, environments)? {
            progress.tick(1);
            on_iteration(&stats).or_else(|error| reading(this)?.leave(model, error))?;
            last = Some(stats);
        }
        progress.finish();
        changing(this)?.finish(model)?;
        Ok(last)
    }

    /// One iteration: rollout, advantages, update. `None` after the last. After Ctrl-C: a checkpoint, then
    /// `Error::Interrupted`; a rollout that was cut short is played again on resuming.
    ///
    /// Who asks for it has heard of the one before. One that nobody heard of before the run was left is told again.
    pub fn iterate(
        this: &RefCell<Self>,
        model: &Model,
        environments: &[Box<dyn Environment>],
    ) -> Result<Option<Stats>> {
        let _unfinished = cancel::unfinished();
        if let Some(stats) = changing(this)?.again.take() {
            return Ok(Some(stats));
        }
        changing(this)?.note_heard()?;
        if reading(this)?.iteration() >= reading(this)?.total_iterations() {
            return Ok(None);
        }
        Self::attempt(this, model, environments).or_else(|error| reading(this)?.leave(model, error)).map(Some)
    }

    /// The environments may be scripts that use the trainer, so the rollout only reads it.
    fn attempt(this: &RefCell<Self>, model: &Model, environments: &[Box<dyn Environment>]) -> Result<Stats> {
        cancel::check()?;
        let started = Instant::now();
        let mut rollout = reading(this)?.play(model, environments, None)?;
        let played = started.elapsed().as_secs_f64();
        let mut ppo = changing(this)?;
        ppo.advantages(&mut rollout)?;
        let mut stats = ppo.update(model, &rollout)?;
        stats.insert("rollout_seconds".into(), json!(played));
        stats.insert("seconds".into(), json!(started.elapsed().as_secs_f64()));
        ppo.log(&stats);
        ppo.state.log_history.push(Value::Object(stats.clone()));
        ppo.state.unheard = Some(Value::Object(stats.clone()));
        if ppo.options.save_steps > 0 && ppo.iteration().is_multiple_of(ppo.options.save_steps) {
            ppo.write(model, &ppo.state)?;
        }
        Ok(stats)
    }

    /// Saves what was reached where Ctrl-C stopped the work; hands the error on.
    fn leave<T>(&self, model: &Model, error: Error) -> Result<T> {
        if error.is_interrupted() && !self.finished {
            let path = match self.is_saved() {
                true => self.options.output_dir.join(checkpoint::name(self.iteration())),
                false => self.write(model, &self.state)?,
            };
            tracing::info!("interrupted; iteration {} is saved in {}", self.iteration(), path.display());
        }
        Err(error)
    }

    fn is_saved(&self) -> bool {
        *self.saved.borrow() == Some(self.state.mark())
    }

    /// Saves the iterations of this process that no checkpoint holds, for an interruption that comes between the
    /// trainer's calls.
    pub fn save_unsaved(&self, model: &Model) -> Result<()> {
        if self.done == 0 || self.is_saved() {
            return Ok(());
        }
        match self.leave::<()>(model, Error::Interrupted) {
            Err(Error::Interrupted) => Ok(()),
            other => other,
        }
    }

    /// Whoever drives the trainer has heard of the last iteration.
    pub fn note_heard(&mut self) -> Result<()> {
        let saved = self.is_saved();
        if self.state.unheard.take().is_some() && saved {
            checkpoint::note_heard(&self.options.output_dir.join(checkpoint::name(self.iteration())))?;
            self.saved.replace(Some(self.state.mark()));
        }
        Ok(())
    }

    /// Plays `num_rollouts` episodes per environment (or `episodes`, the same number for each) with the policy as it is.
    /// Task ids and sampling are a function of the seed and the iteration. Ctrl-C saves what was trained.
    pub fn rollout(
        &self,
        model: &Model,
        environments: &[Box<dyn Environment>],
        episodes: Option<usize>,
    ) -> Result<Rollout> {
        let _unfinished = cancel::unfinished();
        self.play(model, environments, episodes).or_else(|error| self.leave(model, error))
    }

    fn play(&self, model: &Model, environments: &[Box<dyn Environment>], episodes: Option<usize>) -> Result<Rollout> {
        self.claim.check()?;
        self.played.begin(environments)?;
        Collector {
            model,
            reference: &self.reference,
            value_head: &self.value_head,
            options: &self.options,
            iteration: self.iteration(),
        }
        .collect(environments, episodes)
    }

    /// Fills in rewards (the environment's on each turn's last token, in units of its range of scores, less the KL penalty
    /// on every token), advantages and returns.
    ///
    /// The unit is what the environment declares, and no running statistics: it is the same in every iteration, so what
    /// the value head has learned stays true; it is there before the first reward; it needs no state that a resumed run
    /// or another machine would have to share; and rewards that come seldom are not blown up. An environment of 0 to 1
    /// trains on its rewards as they are.
    pub fn advantages(&self, rollout: &mut Rollout) -> Result<()> {
        let options = &self.options;
        rollout.warn_of_units();
        for sample in &mut rollout.samples {
            let rewards = rewards_with_kl(
                &sample.scores_in_units(),
                &sample.logprobs,
                &sample.reference_logprobs,
                &sample.mask,
                options.kl_coef,
                KlEstimator::K1,
            )?;
            let (gamma, lambda, bootstrap) = (options.gamma, options.gae_lambda, sample.bootstrap);
            let credit = match options.discount_unit {
                DiscountUnit::Token => gae_tokens(&sample.values, &rewards, &sample.mask, gamma, lambda, bootstrap)?,
                DiscountUnit::Turn => gae_turns(&sample.values, &rewards, &sample.turns, gamma, lambda, bootstrap)?,
            };
            (sample.advantages, sample.returns) = (credit.advantages, credit.returns);
        }
        if options.whiten_advantages {
            for environment in rollout.environments() {
                whiten_together(&mut rollout.samples, &environment)?;
            }
        }
        Ok(())
    }

    /// `ppo_epochs` passes over the rollout in shuffled minibatches; ends the iteration.
    ///
    /// A rollout's first update is made only where the ratio begins at 1 (see [`Gap`]). A later one with the same rollout
    /// knowingly goes on from a policy that has moved.
    pub fn update(&mut self, model: &Model, rollout: &Rollout) -> Result<Stats> {
        let _unfinished = cancel::unfinished();
        check_parameters(&self.optimizer, model)?;
        self.claim.check()?;
        rollout.check_credit()?;
        self.note_heard()?;
        let sequences: Vec<Sequence> = rollout.samples.iter().map(Sample::sequence).collect();
        let iteration = self.iteration();
        let steps = self.options.ppo_epochs * sequences.len().div_ceil(self.options.minibatch_size) as u64;
        let mut reports: Vec<StepReport> = Vec::new();
        for epoch in 0..self.options.ppo_epochs {
            let pass = iteration * self.options.ppo_epochs + epoch;
            let mut order: Vec<usize> = (0..sequences.len()).collect();
            random::shuffle(&mut random::stream(self.options.seed, "ppo minibatches", pass), &mut order);
            for minibatch in order.chunks(self.options.minibatch_size) {
                let part: Vec<&Sequence> = minibatch.iter().map(|&index| &sequences[index]).collect();
                let tick = iteration * TICKS + reports.len() as u64 * TICKS / steps;
                let settings = StepSettings {
                    batching: self.options.batching(),
                    fits: self.fits,
                    learning_rate_factor: self.schedule.factor(tick),
                    max_grad_norm: clip_at(self.options.max_grad_norm),
                    ..StepSettings::default()
                };
                reports.push(self.step(model, rollout, &part, &settings)?);
            }
        }
        self.state.global_step += 1;
        self.done += 1;
        let mut stats = rollout.stats();
        stats.insert("iteration".into(), json!(self.iteration()));
        let factor = self.schedule.factor(self.iteration() * TICKS);
        stats.insert("learning_rate".into(), json!(self.options.learning_rate * factor));
        stats.extend(update_stats(&reports));
        Ok(stats)
    }

    /// One optimizer step with a part of the rollout.
    fn step(
        &mut self,
        model: &Model,
        rollout: &Rollout,
        part: &[&Sequence],
        settings: &StepSettings,
    ) -> Result<StepReport> {
        let options = &self.options;
        let policy = Policy {
            value_head: Some(&self.value_head),
            temperature: options.temperature,
            gradient_checkpointing: options.gradient_checkpointing,
            dropout: false,
            entropy: if options.entropy_coef == 0.0 { Entropy::Reported } else { Entropy::Trained },
            ..Policy::new(model)
        };
        let coefficients = options.coefficients();
        let report = policy.gradient(&mut self.optimizer, part, settings, &|outputs, batch, denominator| {
            clipped_loss(&coefficients, outputs, batch, denominator)
        })?;
        if !rollout.is_used.get() && report.is_finite() {
            check_gap(options, model, rollout, &report)
                .map_err(|error| error.within(format!("ppo iteration {}", self.iteration() + 1)))?;
        }
        let report = policy.update(&mut self.optimizer, report, settings);
        if report.taken {
            rollout.is_used.set(true);
        }
        self.fits = report.fits;
        if !report.taken {
            self.keep_bad_numbers(&policy, &report, part, settings)?;
        }
        Ok(report)
    }

    /// Writes what a step was made of whose numbers are not finite; an error unless such steps are skipped.
    fn keep_bad_numbers(
        &self,
        policy: &Policy,
        report: &StepReport,
        sequences: &[&Sequence],
        settings: &StepSettings,
    ) -> Result<()> {
        let iteration = self.iteration() + 1;
        let settings = StepSettings { fits: report.fits, ..*settings };
        let options = json!(self.options.coefficients());
        let bundle =
            Bundle { trainer: "ppo", step: iteration, policy, sequences, settings: &settings, report, options };
        let folder = bundle.write(&self.options.output_dir)?;
        self.options.nonfinite.decide(&format!("ppo iteration {iteration}"), report, &folder)
    }

    /// Takes the step that `folder` holds (see [`Bundle`]) once more, without an update: what it comes to.
    pub fn replay(model: &Model, folder: &Path) -> Result<Replay> {
        let mut value_head = ValueHead::new(model.net.config.hidden_size, model.net.device());
        value_head.load(folder)?;
        Replay::take(folder, "ppo", model, Some(&value_head), &|options| {
            let coefficients: Coefficients = serde_json::from_value(options.clone())
                .map_err(|e| Error::file(folder, format!("not PPO's options: {e}")))?;
            Ok(Box::new(move |outputs: &Outputs, batch: &Batch, denominator| {
                clipped_loss(&coefficients, outputs, batch, denominator)
            }))
        })
    }

    /// Writes the adapter or the model to `output_dir`, with the value head beside it.
    pub fn finish(&mut self, model: &Model) -> Result<()> {
        self.claim.check()?;
        self.note_heard()?;
        self.finished = true;
        checkpoint::save_model(model, &self.options.output_dir)?;
        self.value_head.save(&self.options.output_dir)
    }

    /// Writes a checkpoint of the state after the last iteration, of which whoever asks for it has heard.
    pub fn save(&self, model: &Model) -> Result<PathBuf> {
        self.write(model, &TrainerState { unheard: None, ..self.state.clone() })
    }

    fn write(&self, model: &Model, state: &TrainerState) -> Result<PathBuf> {
        self.claim.check()?;
        let options = &self.options;
        let state = TrainerState { environments: self.played.last(), ..state.clone() };
        let path = checkpoint::save(
            &options.output_dir,
            model,
            &self.optimizer,
            &state,
            options.save_total_limit,
            &|folder| {
                self.value_head.save(folder)?;
                safetensors::write(folder.join(REFERENCE), &model.trained_part_of(&self.reference))
            },
        )?;
        self.saved.replace(Some(state.mark()));
        Ok(path)
    }

    fn log(&self, stats: &Stats) {
        let number = |key: &str| stats.get(key).and_then(Value::as_f64).unwrap_or(f64::NAN);
        let scores: Vec<String> = match stats.get("score_mean") {
            Some(Value::Object(scores)) => {
                scores.iter().map(|(name, score)| format!("{name} {:.3}", score.as_f64().unwrap_or(f64::NAN))).collect()
            }
            _ => Vec::new(),
        };
        tracing::info!(
            "ppo iteration {}/{}  score {}  kl {:.4}  clip fraction {:.3}  entropy {:.3}  value loss {:.4}  {:.1} s",
            self.iteration(),
            self.total_iterations(),
            scores.join(", "),
            number("kl"),
            number("clip_fraction"),
            number("entropy"),
            number("value_loss"),
            number("seconds"),
        );
    }
}

/// Refuses an update of another policy than the one that played. `first` is the update's own first minibatch.
fn check_gap(options: &PpoOptions, model: &Model, rollout: &Rollout, first: &StepReport) -> Result<()> {
    let gap = Gap {
        rollout: rollout.sampler_gap(),
        update: first.mean("update_gap"),
        approx_kl: first.mean("approx_kl"),
        clip_fraction: first.mean("clip_fraction"),
    };
    options.max_sampler_gap.limit(model).map_or(Ok(()), |limit| gap.check(limit))
}

/// The rule: `[Σ policy + vf_coef · Σ value − entropy_coef · Σ entropy] / N`.
fn clipped_loss(options: &Coefficients, outputs: &Outputs, batch: &Batch, denominator: f64) -> Loss {
    let policy =
        policy_loss(&outputs.logprobs, batch.column("old_logprobs"), batch.column("advantages"), options.clip_range);
    let values = outputs.values.as_ref().expect("PPO's policy has a value head");
    let value = value_loss(values, batch.column("old_values"), batch.column("returns"), options.value_clip_range);
    let entropy = outputs.entropy.as_ref().expect("PPO reports the entropy").sum(Kind::Float);
    let gap = (outputs.logprobs.detach() - batch.column("old_logprobs")).abs().sum(Kind::Float);
    let total = &policy.sum + &value * options.vf_coef - &entropy * options.entropy_coef;
    Loss {
        value: total / denominator,
        sums: vec![
            ("policy_loss", policy.sum.detach()),
            ("value_loss", value.detach()),
            ("entropy", entropy.detach()),
            ("clip_fraction", policy.clip_fraction_sum),
            ("approx_kl", policy.approx_kl_sum),
            ("update_gap", gap),
        ],
    }
}

/// Settings that cannot matter to an iteration's steps: where and how often something is written, how memory is used, what
/// ends a run. Three are in the identity by what follows from them.
const IMMATERIAL: &[&str] = &[
    "output_dir",
    "save_steps",
    "save_total_limit",
    "gradient_checkpointing",
    "padding_free",
    "batch_size",
    "rollout_batch_size",
    "nonfinite",
    "max_sampler_gap",
    "iterations",
    "exclude_prompts",
    "exclude_tasks",
];

/// What decides an iteration's steps. How long the run is decides them only where the rate follows it.
fn identity(options: &PpoOptions) -> Map<String, Value> {
    let mut identity = checkpoint::settings(options, IMMATERIAL);
    identity.insert("exclude_prompts".into(), checkpoint::list(&options.exclude_prompts));
    let tasks = options.exclude_tasks.iter().flat_map(|(name, ids)| ids.iter().map(move |id| format!("{name} {id}")));
    identity.insert("exclude_tasks".into(), checkpoint::list(&tasks.collect::<Vec<_>>()));
    let rises = options.lr_scheduler_type != ScheduleKind::Constant && options.warmup_ratio > 0.0;
    if rises || matches!(options.lr_scheduler_type, ScheduleKind::Linear | ScheduleKind::Cosine) {
        identity.insert("iterations".into(), json!(options.iterations));
    }
    identity
}

/// Token-weighted means over an iteration's optimizer steps.
fn update_stats(reports: &[StepReport]) -> Stats {
    let tokens: usize = reports.iter().map(|report| report.tokens).sum();
    let mean = |name: &str| reports.iter().map(|report| report.sum(name)).sum::<f64>() / tokens.max(1) as f64;
    let mut stats = Stats::new();
    for name in ["policy_loss", "value_loss", "entropy", "clip_fraction", "approx_kl"] {
        stats.insert(name.into(), json!(mean(name)));
    }
    // Later minibatches are those of a policy that has moved.
    if let Some(first) = reports.first() {
        stats.insert("update_gap".into(), json!(first.mean("update_gap")));
    }
    let over_steps = |norm: fn(&StepReport) -> f64| reports.iter().map(norm).sum::<f64>() / reports.len().max(1) as f64;
    stats.insert("grad_norm".into(), json!(over_steps(|report| report.grad_norm)));
    stats.insert("value_grad_norm".into(), json!(over_steps(|report| report.value_grad_norm)));
    stats
}

/// Whitens the advantages of one environment's samples as one batch, so that an environment with larger rewards does
/// not drown the others.
fn whiten_together(samples: &mut [Sample], environment: &str) -> Result<()> {
    let mut ours: Vec<&mut Sample> = samples.iter_mut().filter(|sample| sample.environment == environment).collect();
    let advantages: Vec<f64> = ours.iter().flat_map(|sample| sample.advantages.iter().copied()).collect();
    let mask: Vec<bool> = ours.iter().flat_map(|sample| sample.mask.iter().copied()).collect();
    let whitened = whiten(&advantages, &mask)?;
    let mut rest = whitened.as_slice();
    for sample in &mut ours {
        let (own, others) = rest.split_at(sample.advantages.len());
        sample.advantages.copy_from_slice(own);
        rest = others;
    }
    Ok(())
}
