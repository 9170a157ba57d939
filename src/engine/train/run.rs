//! A run: where a trainer stands, what it has saved, and how it is left. What a step is, each trainer knows by itself.
//!
//! The life of a run: [`Run::open`] begins it or takes up a checkpoint; [`Trainer::begin`] asks for the next step;
//! [`Run::took`] counts one that was taken; [`Trainer::save_if_due`] keeps it; an interruption goes through
//! [`Trainer::leave`], which saves; [`Run::close`] comes before the result.
//!
//! Each step is told exactly once, also across an interruption: its report stays in the state as *unheard* until whoever
//! drives the trainer asks for the next one, and a run that goes on from there tells it again.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::adamw::{AdamW, AdamWOptions, Group};
use super::batch::Sequence;
use super::bundle::Bundle;
use super::checkpoint::{self, Mark, TrainerState};
use super::options::RunOptions;
use super::output;
use super::schedule::Scheduler;
use super::step::{Policy, StepReport, StepSettings};
use crate::engine::lock::Claim;
use crate::engine::model::{Compute, KernelChoice, Model};
use crate::engine::{Error, Result};

/// What a trainer is called, and what it counts.
#[derive(Debug, Clone, Copy)]
pub struct Naming {
    /// `sft`: in messages, in checkpoints, in the names of folders.
    pub trainer: &'static str,
    /// `step` or `iteration`.
    pub unit: &'static str,
}

/// The folder that a run writes to, held against other processes.
pub struct Output {
    folder: PathBuf,
    claim: Claim,
}

impl Output {
    /// The options' folder, or a new one (see [`output::folder`]).
    pub fn claim(options: &RunOptions, naming: Naming) -> Result<Self> {
        let folder = output::folder(&options.output_dir, naming.trainer)?;
        Ok(Output { claim: Claim::to(&folder)?, folder })
    }
}

/// What a run is opened with.
pub struct Opening {
    pub naming: Naming,
    pub output: Output,
    pub options: RunOptions,
    pub adam: AdamWOptions,
    pub groups: Vec<Group>,
    pub schedule: Scheduler,
    /// Steps or iterations.
    pub total: u64,
    /// The options and data that decide the steps.
    pub identity: Map<String, Value>,
    /// The options in it, as they are by default: what a checkpoint from before there was an option was made with.
    pub defaults: Map<String, Value>,
}

/// What every trainer has besides its data and its rule.
pub struct Run {
    naming: Naming,
    options: RunOptions,
    output: Output,
    pub optimizer: AdamW,
    pub schedule: Scheduler,
    pub state: TrainerState,
    /// What memory was found to hold, in tokens of one forward pass.
    pub fits: usize,
    /// The report of the checkpoint that this run went on from, where nobody has heard of it.
    again: Option<Value>,
    saved: RefCell<Option<Saved>>,
    /// Steps of this process.
    taken: u64,
    /// See [`Run::close`].
    finished: bool,
    script: Option<Script>,
}

/// What the newest checkpoint holds.
struct Saved {
    mark: Mark,
    script: Option<Value>,
}

/// A value of the script's own, which checkpoints hold.
struct Script {
    read: Box<dyn Fn() -> Result<Value>>,
    /// As it was when a loop's body began that will be run again, should it be interrupted.
    before_body: Option<Value>,
}

impl Run {
    /// Begins a run, or takes up the checkpoint that the options ask for: its folder is given too, where a trainer finds
    /// what else it keeps there.
    pub fn open(model: &Model, opening: Opening) -> Result<(Self, Option<PathBuf>)> {
        let Opening { naming, output, options, adam, groups, schedule, total, identity, defaults } = opening;
        model.begin_training()?;
        let mut optimizer = options.optimizer(adam, groups);
        let mut state = TrainerState::new(naming.trainer, model, total, identity);
        let resumed = options.resume.find(&options.resume_from_checkpoint, &output.folder)?;
        let mut saved = None;
        if let Some(path) = &resumed {
            let opened = checkpoint::open(path, &state, &defaults, model, options.resume.forced())?;
            let kernels = take_up_kernels(model, opened.kernels);
            state = TrainerState { max_steps: total, kernels: Some(kernels), ..opened };
            checkpoint::restore(path, model, &mut optimizer)?;
            let newest = output.folder.join(checkpoint::name(state.global_step));
            saved = (*path == newest).then(|| Saved::of(&state));
            tracing::info!("resumed from {} at {} {}", path.display(), naming.unit, state.global_step);
        }
        let run = Run {
            naming,
            options,
            output,
            optimizer,
            schedule,
            again: state.unheard.clone(),
            state,
            fits: usize::MAX,
            saved: RefCell::new(saved),
            taken: 0,
            finished: false,
            script: None,
        };
        Ok((run, resumed))
    }

    pub fn naming(&self) -> Naming {
        self.naming
    }

    /// Steps or iterations that are done.
    pub fn done(&self) -> u64 {
        self.state.global_step
    }

    pub fn total(&self) -> u64 {
        self.state.max_steps
    }

    /// The schedule's factor of the learning rates at a step, as somebody has scaled it since.
    pub fn rate_factor(&self, step: u64) -> f64 {
        self.schedule.factor(step) * self.state.learning_rate_scale
    }

    /// Scales the learning rates of all steps that follow, on top of what was scaled before. Checkpoints hold it.
    pub fn scale_learning_rate(&mut self, factor: f64) -> Result<()> {
        if !(factor > 0.0 && factor.is_finite()) {
            return Err(Error::option("factor", "a number above 0", factor));
        }
        self.state.learning_rate_scale *= factor;
        Ok(())
    }

    pub fn is_over(&self) -> bool {
        self.done() >= self.total() || self.state.stopped_early
    }

    pub fn folder(&self) -> &Path {
        &self.output.folder
    }

    /// Before anything is changed: the folder is still this run's, and the optimizer's tensors are the model's.
    pub fn check(&self, model: &Model) -> Result<()> {
        self.check_parameters(model)?;
        self.check_claim()
    }

    /// That nobody else has taken the folder.
    pub fn check_claim(&self) -> Result<()> {
        self.output.claim.check()
    }

    /// The optimizer's first tensors are the model's own. After `merge_lora` and `add_lora` they are not any more, and steps
    /// would change tensors that no forward pass reads.
    pub fn check_parameters(&self, model: &Model) -> Result<()> {
        let own = model.trained_part_of(&model.net);
        let mut trained = self.optimizer.params();
        if own.iter().all(|(_, own)| trained.next().is_some_and(|trained| trained.data_ptr() == own.data_ptr())) {
            return Ok(());
        }
        Err(Error::hinted(
            "the model's parameters are not those that this trainer was made for: its adapter was added, merged or replaced since, \
             or another one is on",
            "make the trainer after the last change of the model's adapter, and turn that one on (set_adapter)",
        ))
    }

    /// Counts a step that was taken; nobody has heard of its report.
    pub fn took<R: Serialize>(&mut self, report: &R) {
        self.state.global_step += 1;
        self.taken += 1;
        self.report(report);
    }

    /// The last step's report as it is now.
    pub fn report<R: Serialize>(&mut self, report: &R) {
        self.state.unheard = serde_json::to_value(report).ok();
    }

    /// Whether something that happens `every` so many steps, and after the last one, happens now.
    pub fn is_due(&self, every: u64) -> bool {
        every > 0 && (self.done().is_multiple_of(every) || self.is_over())
    }

    /// Puts a report into the log that checkpoints hold, once.
    pub fn log<R: Serialize>(&mut self, report: &R) {
        let report = serde_json::to_value(report).unwrap_or(Value::Null);
        let logged =
            self.state.log_history.last().is_some_and(|last| last[self.naming.unit] == report[self.naming.unit]);
        if !logged {
            self.state.log_history.push(report);
        }
    }

    /// Whoever drives the trainer has heard of the last step.
    pub fn note_heard(&mut self) -> Result<()> {
        self.again = None;
        let was = self.state.mark();
        let is_saved = self.saved.borrow().as_ref().is_some_and(|saved| saved.mark == was);
        if self.state.unheard.take().is_some() && is_saved {
            let script = self.script_value()?;
            checkpoint::note_heard(&self.newest(), script.clone())?;
            self.saved.replace(Some(Saved { mark: self.state.mark(), script }));
        }
        Ok(())
    }

    /// What the checkpoint that this run went on from holds of the script's.
    pub fn script(&self) -> Option<&Value> {
        self.state.script.as_ref()
    }

    /// Keeps what `read` gives in every checkpoint.
    pub fn keep_script(&mut self, read: impl Fn() -> Result<Value> + 'static) {
        self.script = Some(Script { read: Box::new(read), before_body: None });
    }

    /// A loop's body begins that will be run again, should it be interrupted: what it does to the script's value until
    /// then is not kept.
    pub fn begin_body(&mut self) -> Result<()> {
        if let Some(script) = &mut self.script {
            script.before_body = Some((script.read)()?);
        }
        Ok(())
    }

    /// It will not be run again.
    pub fn end_body(&mut self) {
        if let Some(script) = &mut self.script {
            script.before_body = None;
        }
    }

    /// Writes what a step was made of whose numbers are not finite; an error unless such steps are skipped.
    pub fn keep_bad_numbers(
        &self,
        policy: &Policy,
        report: &StepReport,
        sequences: &[&Sequence],
        settings: &StepSettings,
        rule_options: Value,
    ) -> Result<()> {
        let step = self.done() + 1;
        let settings = StepSettings { fits: report.fits, ..*settings };
        let Naming { trainer, unit } = self.naming;
        let bundle = Bundle { trainer, step, policy, sequences, settings: &settings, report, options: rule_options };
        let folder = bundle.write(self.folder())?;
        self.options.nonfinite.decide(&format!("{trainer} {unit} {step}"), report, &folder)
    }

    /// The result is about to be written: from here on the weights may be others than those of the last step, and no
    /// interruption saves them.
    pub fn close(&mut self) {
        self.finished = true;
    }

    /// Where a step clips the gradient; `None` does not clip.
    pub fn clip_at(&self) -> Option<f64> {
        self.options.clip_at()
    }

    /// The folder of the checkpoint after the last step, whether it is there or not.
    fn newest(&self) -> PathBuf {
        self.folder().join(checkpoint::name(self.done()))
    }

    /// Whether the newest checkpoint holds `state`.
    fn holds(&self, state: &TrainerState) -> bool {
        self.saved.borrow().as_ref().is_some_and(|saved| saved.mark == state.mark() && saved.script == state.script)
    }

    /// The script's value as a checkpoint is to hold it.
    fn script_value(&self) -> Result<Option<Value>> {
        match &self.script {
            Some(Script { before_body: Some(before), .. }) => Ok(Some(before.clone())),
            Some(script) => (script.read)().map(Some),
            None => Ok(self.state.script.clone()),
        }
    }
}

/// A run that goes on computes with the kernels that it began with, unless the model was made with others by name. Returns
/// those that the model has from here on.
fn take_up_kernels(model: &Model, recorded: Option<KernelChoice>) -> KernelChoice {
    let compute = model.net.compute();
    if let (KernelChoice::Auto, Some(kernels)) = (compute.kernels, recorded) {
        model.net.set_compute(Compute { kernels, ..compute });
    }
    model.net.compute().kernels.resolved()
}

impl Saved {
    fn of(state: &TrainerState) -> Self {
        Saved { mark: state.mark(), script: state.script.clone() }
    }
}

/// What to do when the next step is asked for.
pub enum Next<R> {
    /// Tell this one again: it is done, and nobody heard of it.
    Told(R),
    Take,
    /// There is none.
    Over,
}

/// A trainer: data and a rule over a [`Run`].
pub trait Trainer {
    /// What one step or iteration reports.
    type Report: Serialize + DeserializeOwned;

    fn run(&self) -> &Run;

    fn run_mut(&mut self) -> &mut Run;

    /// Adds to a checkpoint what this trainer keeps besides model, optimizer and state.
    fn save_more(&self, _model: &Model, _checkpoint: &Path) -> Result<()> {
        Ok(())
    }

    /// Adds to the state that a checkpoint holds what this trainer keeps there.
    fn add_to_state(&self, _state: &mut TrainerState) {}

    /// The state as a checkpoint is to hold it.
    fn state(&self) -> Result<TrainerState> {
        let mut state = self.run().state.clone();
        state.script = self.run().script_value()?;
        self.add_to_state(&mut state);
        Ok(state)
    }

    /// Who asks for a step has heard of the one before, unless the run was left before its report was told.
    fn begin(&mut self) -> Result<Next<Self::Report>> {
        let run = self.run_mut();
        if let Some(report) = run.again.take() {
            let Naming { trainer, unit } = run.naming;
            match serde_json::from_value(report) {
                Ok(report) => return Ok(Next::Told(report)),
                Err(error) => tracing::warn!(
                    "{trainer} {unit} {}: its report, of which nobody had heard, cannot be read in the checkpoint: {error}",
                    run.done()
                ),
            }
        }
        run.note_heard()?;
        Ok(if run.is_over() { Next::Over } else { Next::Take })
    }

    /// Saves what was reached where an interruption stopped the work; hands the error on.
    fn leave<T>(&self, model: &Model, error: Error) -> Result<T> {
        let run = self.run();
        if error.is_interrupted() && !run.finished {
            let state = self.state()?;
            let path = if run.holds(&state) { run.newest() } else { write(self, model, &state)? };
            tracing::info!("interrupted; {} {} is saved in {}", run.naming.unit, run.done(), path.display());
        }
        Err(error)
    }

    /// Writes a checkpoint of the state after the last step, of which whoever asks for it has heard.
    fn save(&self, model: &Model) -> Result<PathBuf> {
        write(self, model, &TrainerState { unheard: None, ..self.state()? })
    }

    /// Writes a checkpoint where one is due, or `besides`, and not there yet.
    fn save_if_due(&self, model: &Model, besides: bool) -> Result<()> {
        if !self.run().is_due(self.run().options.save_steps) && !besides {
            return Ok(());
        }
        let state = self.state()?;
        if self.run().holds(&state) { Ok(()) } else { write(self, model, &state).map(|_| ()) }
    }

    /// Saves the steps of this process that no checkpoint holds, for an interruption that comes between the trainer's
    /// calls.
    fn save_unsaved(&self, model: &Model) -> Result<()> {
        if self.run().taken == 0 || self.run().holds(&self.state()?) {
            return Ok(());
        }
        match self.leave::<()>(model, Error::Interrupted) {
            Err(Error::Interrupted) => Ok(()),
            other => other,
        }
    }
}

fn write<T: Trainer + ?Sized>(trainer: &T, model: &Model, state: &TrainerState) -> Result<PathBuf> {
    let run = trainer.run();
    run.check(model)?;
    let limit = run.options.save_total_limit;
    let more = |checkpoint: &Path| trainer.save_more(model, checkpoint);
    let path = checkpoint::save(run.folder(), model, &run.optimizer, state, limit, &more)?;
    run.saved.replace(Some(Saved::of(state)));
    Ok(path)
}
