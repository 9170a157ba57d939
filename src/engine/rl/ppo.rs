//! Proximal policy optimisation (Schulman et al. 2017) over environments: rollout, credit, update.
//!
//! ```text
//! reference ← policy
//! for each iteration:
//!     rollout     play num_rollouts episodes per environment with the policy; ask policy, value head and reference
//!                 about every token that it said
//!     advantages  rewards, less the KL to the reference, through GAE: what each token was worth
//!     update      ppo_epochs passes in shuffled minibatches: clipped policy loss + value loss − entropy
//!     report, log, save
//! ```
//!
//! The reference of the KL penalty is the policy as RL begins. Frozen weights are shared with it; only what is trained
//! exists twice.

use std::cell::Cell;
use std::path::Path;
use std::time::Instant;

use serde_json::{Map, Value, json};
use tch::Kind;

use super::NAMING;
use super::advantage::{Credit, gae_tokens, gae_turns, whiten};
use super::collect::Collector;
use super::columns::Columns;
use super::cut;
use super::gap::Gap;
use super::kl::rewards_with_kl;
use super::loss::{policy_loss, value_loss};
use super::options::{Coefficients, DiscountUnit, PpoOptions};
use super::played::Played;
use super::report::{Iteration, UpdateReport};
use super::rollout::{Rollout, Sample};
use super::samples;
use crate::engine::env::Environment;
use crate::engine::model::value_head::ValueHead;
use crate::engine::model::{Model, Qwen3};
use crate::engine::tensor::safetensors;
use crate::engine::train::adamw::{AdamWOptions, Decayed, Group};
use crate::engine::train::batch::{Batch, Sequence};
use crate::engine::train::bundle::Replay;
use crate::engine::train::checkpoint::{self, TrainerState};
use crate::engine::train::run::{Next, Opening, Output, Run, Trainer};
use crate::engine::train::schedule::ScheduleKind;
use crate::engine::train::step::{Entropy, Loss, Outputs, Policy, StepReport, StepSettings};
use crate::engine::{Error, Result, cancel, random};

const REFERENCE: &str = "reference.safetensors";

/// The schedule's steps per iteration: it moves with every optimizer step, of which iterations have different numbers.
const TICKS: u64 = 1000;

/// Episodes and the rule: the clipped policy loss with a value head.
pub struct Ppo {
    options: PpoOptions,
    value_head: ValueHead,
    reference: Qwen3,
    run: Run,
    played: Played,
}

impl Trainer for Ppo {
    type Report = Iteration;

    fn run(&self) -> &Run {
        &self.run
    }

    fn run_mut(&mut self) -> &mut Run {
        &mut self.run
    }

    fn save_more(&self, model: &Model, checkpoint: &Path) -> Result<()> {
        self.value_head.save(checkpoint)?;
        safetensors::write(checkpoint.join(REFERENCE), &model.trained_part_of(&self.reference))
    }

    fn add_to_state(&self, state: &mut TrainerState) {
        state.environments = self.played.last();
    }
}

impl Ppo {
    /// Takes the model as it is for the reference and, where asked, takes up a checkpoint.
    pub fn new(model: &Model, mut options: PpoOptions) -> Result<Self> {
        options.validate()?;
        options.cut_in_plan()?;
        options.warn_of_vanishing_discount();
        let shared = options.run();
        let output = Output::claim(&shared, NAMING)?;
        // Before the reference is taken, which shares with the policy what is not trained.
        model.begin_training()?;
        if model.lora().is_some_and(|lora| lora.dropout > 0.0) {
            tracing::info!("lora_dropout is off in PPO: the policy is trained as it plays");
        }
        let reference = model.net.snapshot();
        let mut value_head = ValueHead::new(model.net.config.hidden_size, model.net.device());
        let (rate, value_rate) = (options.learning_rate, options.value_learning_rate);
        let groups = vec![
            Group { params: model.trainable(), learning_rate: rate, weight_decay: options.weight_decay },
            Group { params: value_head.parameters(), learning_rate: value_rate, weight_decay: 0.0 },
        ];
        let opening = Opening {
            naming: NAMING,
            output,
            adam: AdamWOptions { decayed: Decayed::Weights, ..AdamWOptions::default() },
            groups,
            schedule: shared.schedule(options.iterations * TICKS),
            total: options.iterations,
            identity: identity(&options),
            defaults: checkpoint::settings(&PpoOptions::default(), IMMATERIAL),
            options: shared,
        };
        let (run, resumed) = Run::open(model, opening)?;
        // A run that goes on may have taken up other kernels.
        reference.set_compute(model.net.compute());
        let mut played = Played::default();
        if let Some(path) = resumed {
            played = Played::resumed(run.state.environments.clone(), &path, options.resume.forced());
            value_head.load(&path)?;
            let saved = safetensors::read(path.join(REFERENCE))?;
            for (name, parameter) in model.trained_part_of(&reference) {
                checkpoint::copy_into(&saved, &name, parameter)?;
            }
        }
        Ok(Ppo { options, value_head, reference, run, played })
    }

    /// One iteration: rollout, advantages, update. `None` after the last. After Ctrl-C: a checkpoint, then
    /// `Error::Interrupted`; a rollout that was cut short is played again on resuming.
    ///
    /// Who asks for it has heard of the one before. One that nobody heard of before the run was left is told again.
    pub fn iterate(&mut self, model: &Model, environments: &[Box<dyn Environment>]) -> Result<Option<Iteration>> {
        match self.begin()? {
            Next::Over => Ok(None),
            Next::Told(iteration) => Ok(Some(iteration)),
            Next::Take => {
                let mut rollout = self.rollout(model, environments, None)?;
                self.learn(model, &mut rollout).map(Some)
            }
        }
    }

    /// What follows the rollout of an iteration: advantages, update, log and checkpoint.
    pub fn learn(&mut self, model: &Model, rollout: &mut Rollout) -> Result<Iteration> {
        let _unfinished = cancel::unfinished();
        let iteration = self
            .advantages(rollout)
            .and_then(|()| self.train(model, rollout))
            .or_else(|error| self.leave(model, error))?;
        self.save_if_due(model, false)?;
        Ok(iteration)
    }

    /// Plays `num_rollouts` episodes per environment (or `episodes`, the same number for each) with the policy as it is.
    /// Task ids and sampling are a function of the seed and the iteration. Ctrl-C saves what was trained.
    ///
    /// The environments may be scripts that use the trainer, so this only reads it.
    pub fn rollout(
        &self,
        model: &Model,
        environments: &[Box<dyn Environment>],
        episodes: Option<usize>,
    ) -> Result<Rollout> {
        let _unfinished = cancel::unfinished();
        self.play(model, environments, episodes.map(cut::episodes)).or_else(|error| self.leave(model, error))
    }

    fn play(&self, model: &Model, environments: &[Box<dyn Environment>], episodes: Option<usize>) -> Result<Rollout> {
        cancel::check()?;
        self.run.check_claim()?;
        self.played.begin(environments)?;
        let started = Instant::now();
        let options = &self.options;
        let collector = Collector { model, options: options.rollout(), iteration: self.run.done() };
        let mut samples: Vec<Sample> = collector.play(environments, episodes)?.into_iter().map(Sample::new).collect();
        let columns = Columns {
            policy: &model.net,
            reference: &self.reference,
            value_head: &self.value_head,
            temperature: options.temperature,
            batching: options.batching(),
        };
        columns.fill(&mut samples)?;
        if options.bootstrap_truncated {
            columns.bootstrap(&mut samples)?;
        }
        Ok(Rollout { samples, seconds: started.elapsed().as_secs_f64(), is_used: Cell::new(false) })
    }

    /// Fills in rewards (the environment's on each turn's last token, in units of its range of scores, less the KL penalty
    /// on every token), advantages and returns.
    ///
    /// The unit is what the environment declares, and no running statistics: it is the same in every iteration, so what
    /// the value head has learned stays true; it is there before the first reward; it needs no state that a resumed run
    /// or another machine would have to share; and rewards that come seldom are not blown up. An environment of 0 to 1
    /// trains on its rewards as they are.
    pub fn advantages(&self, rollout: &mut Rollout) -> Result<()> {
        rollout.warn_of_units();
        let trained = || rollout.trained().map(|(_, sample)| sample);
        let mut credits = trained().map(|sample| self.credit(sample)).collect::<Result<Vec<Credit>>>()?;
        if self.options.whiten_advantages {
            for environment in rollout.environments() {
                let ours = trained().zip(&mut credits).filter(|(sample, _)| sample.episode.environment == environment);
                whiten_together(ours.collect())?;
            }
        }
        for (sample, credit) in rollout.trained_mut().zip(&credits) {
            sample.credit(credit);
        }
        Ok(())
    }

    /// What each token of an episode was worth.
    fn credit(&self, sample: &Sample) -> Result<Credit> {
        let (options, episode) = (&self.options, &sample.episode);
        let wide = |column: &[f32]| column.iter().copied().map(f64::from).collect::<Vec<_>>();
        let (logprobs, reference) = (wide(&episode.logprobs), wide(&sample.reference_logprobs));
        let (values, given) = (wide(&sample.values), sample.token_rewards_in_units());
        let rewards = rewards_with_kl(&given, &logprobs, &reference, &episode.mask, options.kl_coef)?;
        let (gamma, lambda, bootstrap) = (options.gamma, options.gae_lambda, sample.bootstrap);
        match options.discount_unit {
            DiscountUnit::Token => gae_tokens(&values, &rewards, &episode.mask, gamma, lambda, bootstrap),
            DiscountUnit::Turn => {
                let turns: Vec<_> = episode.turns.iter().map(|turn| turn.tokens.clone()).collect();
                gae_turns(&values, &rewards, &turns, gamma, lambda, bootstrap)
            }
        }
    }

    /// The update of a loop of somebody's own: it ends the iteration, and who called has heard of it.
    pub fn update(&mut self, model: &Model, rollout: &Rollout) -> Result<Iteration> {
        let _unfinished = cancel::unfinished();
        if self.run.is_over() {
            let done = format!("{} iterations are done", self.run.done());
            return Err(Error::option("iterations", "more of them, for another update", done));
        }
        self.run.note_heard()?;
        let iteration = self.train(model, rollout)?;
        self.run.note_heard()?;
        self.run.end_body();
        Ok(iteration)
    }

    /// `ppo_epochs` passes over the rollout in shuffled minibatches; ends the iteration.
    ///
    /// A rollout's first update is made only where the ratio begins at 1 (see [`Gap`]). A later one with the same rollout
    /// knowingly goes on from a policy that has moved.
    fn train(&mut self, model: &Model, rollout: &Rollout) -> Result<Iteration> {
        self.run.check(model)?;
        rollout.check_credit()?;
        let started = Instant::now();
        let sequences: Vec<Sequence> = rollout.trained().map(|(_, sample)| sample.sequence()).collect();
        let iteration = self.run.done();
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
                    fits: self.run.fits,
                    learning_rate_factor: self.run.rate_factor(tick),
                    max_grad_norm: self.run.clip_at(),
                    // The policy is trained as it plays: nothing is dropped, nothing is noise.
                    seed: 0,
                    neftune_noise_alpha: None,
                };
                reports.push(self.step(model, rollout, &part, &settings)?);
            }
        }
        let factor = self.run.rate_factor((iteration + 1) * TICKS);
        let done = Iteration {
            iteration: iteration + 1,
            rollout: rollout.report(),
            update: UpdateReport::of(&reports),
            total: self.run.total(),
            learning_rate: self.options.learning_rate * factor,
            seconds: rollout.seconds + started.elapsed().as_secs_f64(),
        };
        self.keep_samples(model, rollout, done.iteration)?;
        self.run.took(&done);
        done.tell(self.run.total());
        self.run.log(&done);
        Ok(done)
    }

    fn keep_samples(&self, model: &Model, rollout: &Rollout, iteration: u64) -> Result<()> {
        match &self.options.samples {
            Some(samples) if samples.wants(iteration, self.run.total()) => {
                let rows = samples::rows(rollout, model.tokenizer()?, &samples.stage, iteration)?;
                samples.add(rows, self.run.total())
            }
            _ => Ok(()),
        }
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
        let report = policy.gradient(&mut self.run.optimizer, part, settings, &|outputs, batch, denominator| {
            clipped_loss(&coefficients, outputs, batch, denominator)
        })?;
        if !rollout.is_used.get() && report.is_finite() {
            check_gap(options, model, rollout, &report)
                .map_err(|error| error.within(format!("ppo iteration {}", self.run.done() + 1)))?;
        }
        let report = policy.update(&mut self.run.optimizer, report, settings);
        if report.taken {
            rollout.is_used.set(true);
        }
        self.run.fits = report.fits;
        if !report.taken {
            self.run.keep_bad_numbers(&policy, &report, part, settings, json!(coefficients))?;
        }
        Ok(report)
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
        self.run.check(model)?;
        self.run.note_heard()?;
        self.run.close();
        checkpoint::save_model(model, self.run.folder())?;
        self.value_head.save(self.run.folder())
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
    "samples",
];

/// What decides an iteration's steps. How long the run is decides them only where the rate follows it.
fn identity(options: &PpoOptions) -> Map<String, Value> {
    let mut identity = checkpoint::settings(options, IMMATERIAL);
    identity.insert("exclude_prompts".into(), checkpoint::list(&options.exclude_prompts));
    let tasks = options.exclude_tasks.iter().flat_map(|(name, ids)| ids.iter().map(move |id| format!("{name} {id}")));
    identity.insert("exclude_tasks".into(), checkpoint::list(&tasks.collect::<Vec<_>>()));
    let rises = options.lr_scheduler_type != ScheduleKind::Constant && options.warmup_ratio > 0.0;
    if rises || options.run().rate_falls() {
        identity.insert("iterations".into(), json!(options.iterations));
    }
    identity
}

/// Whitens the advantages of one environment's samples as one batch, so that an environment with larger rewards does
/// not drown the others.
fn whiten_together(mut ours: Vec<(&Sample, &mut Credit)>) -> Result<()> {
    let advantages: Vec<f64> = ours.iter().flat_map(|(_, credit)| credit.advantages.iter().copied()).collect();
    let mask: Vec<bool> = ours.iter().flat_map(|(sample, _)| sample.episode.mask.iter().copied()).collect();
    let whitened = whiten(&advantages, &mask)?;
    let mut rest = whitened.as_slice();
    for (_, credit) in &mut ours {
        let (own, others) = rest.split_at(credit.advantages.len());
        credit.advantages.copy_from_slice(own);
        rest = others;
    }
    Ok(())
}
