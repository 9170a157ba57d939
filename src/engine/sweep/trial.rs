//! A trial that runs here: what it asks for, what it reports, how it ends.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::abandoned::{self, CHECKPOINT};
use super::budget::TOKENS;
use super::clones::{REPLACED_BY, Successor};
use super::distribution::Distribution;
use super::folders::{self, FOLDER};
use super::history::History;
use super::journal::Transaction;
use super::journal::operation::{self, Operation};
use super::journal::replay::Replay;
use super::process::{PROCESS, Process, Working};
use super::record::{FIXED_PARAMS, Parameter, State, TrialRecord};
use super::sampler::{Draw, tpe};
use super::study::Study;
use super::tasks;
use crate::engine::{Error, Result, file};

/// The attribute of a failed trial that says why.
pub const REASON: &str = "reason";

pub struct Trial {
    study: Study,
    id: usize,
    number: u64,
    place: u64,
    /// What the sampler sees: the study as this trial began.
    history: History,
    joint: OnceCell<Vec<(String, f64, Distribution)>>,
    pruned_at: Cell<Option<i64>>,
    /// Whether it was ended here.
    ended: Cell<bool>,
    /// What takes its place, if it is pruned now.
    successor: RefCell<Option<Successor>>,
    working: RefCell<Option<Working>>,
}

impl Trial {
    pub(super) fn new(study: Study, journal: &Path, id: usize, number: u64, place: u64, history: History) -> Self {
        let (joint, working) = (OnceCell::new(), RefCell::new(Some(Working::on(journal, id))));
        let (pruned_at, ended, successor) = (Cell::new(None), Cell::new(false), RefCell::new(None));
        Trial { study, id, number, place, history, joint, pruned_at, ended, successor, working }
    }

    pub fn number(&self) -> u64 {
        self.number
    }

    /// What the journal knows of it.
    pub fn record(&self) -> Arc<TrialRecord> {
        self.study.trial_record(self.id)
    }

    /// A value for the parameter of that name: the same one, however often it is asked for.
    pub fn suggest(&self, name: &str, distribution: Distribution) -> Result<f64> {
        self.check_runs()?;
        let record = self.record();
        if let Some(known) = record.parameter(name) {
            return match known.distribution == distribution {
                true => Ok(known.value),
                false => Err(another_range(name, &known.distribution, &distribution, "this trial")),
            };
        }
        self.study.replayed(|replay| self.check_kind(replay, name, &distribution))?;
        let (value, plan) = self.choose(&record, name, &distribution)?;
        let plan = plan.into_iter().map(|(name, value)| operation::system_attr(self.id, &name, value));
        let parameter = operation::parameter(self.id, name, value, &distribution);
        self.within(|transaction| {
            // Another trial may have been given it since: what is of another kind is left out by all who read the journal.
            self.check_kind(transaction.replay(), name, &distribution)?;
            plan.chain([parameter]).try_for_each(|operation| transaction.append(operation))
        })?;
        Ok(value)
    }

    fn check_kind(&self, replay: &Replay, name: &str, distribution: &Distribution) -> Result<()> {
        match replay.first_of_name(self.id, name) {
            Some(known) if !known.distribution.is_compatible(distribution) => {
                Err(another_range(name, &known.distribution, distribution, "the study's trials"))
            }
            _ => Ok(()),
        }
    }

    /// A value, and the attributes that tell others what this trial will be given next.
    fn choose(
        &self,
        record: &TrialRecord,
        name: &str,
        distribution: &Distribution,
    ) -> Result<(f64, Map<String, Value>)> {
        if let Some(fixed) = record.fixed(name) {
            let got = || format!("{fixed}, which was given to this trial");
            let value =
                distribution.taken(fixed).ok_or_else(|| Error::option(name, distribution.to_string(), got()))?;
            return Ok((value, Map::new()));
        }
        if distribution.is_single() {
            return Ok((distribution.first(), Map::new()));
        }
        let draw = Draw { seed: self.study.seed, place: self.place, history: &self.history };
        let mut plan = Map::new();
        if self.joint.get().is_none() {
            let joint = self.study.sampler.joint(&draw)?;
            plan = tpe::plan(&joint);
            let _ = self.joint.set(joint);
        }
        let joint = self.joint.get().into_iter().flatten().find(|(known, ..)| known == name);
        // What was chosen within another range leaves out what this one has more.
        if let Some((_, value, _)) = joint.filter(|(.., known)| known == distribution) {
            return Ok((*value, plan));
        }
        let before: Vec<&str> = record.parameters.iter().map(|parameter| parameter.name.as_str()).collect();
        let value = self.study.sampler.suggest(&draw, &record.system_attrs, &before, name, distribution)?;
        Ok((value, plan))
    }

    /// What the trial has come to at a step.
    pub fn report(&self, step: i64, value: f64) -> Result<()> {
        self.check_reports(step)?;
        self.write(vec![operation::report(self.id, step, value)])
    }

    /// The scores of some tasks at a step; those of others that were reported of the step stay. Their mean is what the trial has come to.
    pub fn report_tasks(&self, step: i64, scores: &BTreeMap<i64, f64>) -> Result<()> {
        self.check_reports(step)?;
        let mut all = tasks::at(&self.record(), step).unwrap_or_default();
        all.extend(scores);
        if all.is_empty() {
            return Err(Error::option("scores", "a number for each of some tasks", "none"));
        }
        let mean = all.values().sum::<f64>() / all.len() as f64;
        let (name, value) = tasks::attr(step, &all);
        self.write(vec![operation::system_attr(self.id, &name, value), operation::report(self.id, step, mean)])
    }

    fn check_reports(&self, step: i64) -> Result<()> {
        self.check_runs()?;
        if step < 0 {
            return Err(Error::option("step", "0 or more", step));
        }
        match self.study.directions().len() {
            1 => Ok(()),
            n => Err(Error::message(format!(
                "a trial of {n} objectives is not pruned and reports nothing before its end"
            ))),
        }
    }

    /// Whether the study's pruner ends it here.
    pub fn should_prune(&self) -> Result<bool> {
        self.check_runs()?;
        let verdict = self.study.judge(self.number)?;
        let marks = verdict.marks.into_iter().map(|(name, value)| operation::system_attr(self.id, &name, value));
        let operations: Vec<Operation> = marks.chain(self.study.marks(verdict.study_marks)).collect();
        if !operations.is_empty() {
            self.write(operations)?;
        }
        self.successor.replace(verdict.successor);
        Ok(verdict.prune)
    }

    /// [`Trial::report`], and the end of a trial that is pruned: an error that is for whoever runs the trial.
    pub fn report_or_end(&self, report: impl FnOnce(&Self) -> Result<()>, step: i64) -> Result<()> {
        report(self)?;
        match self.should_prune()? {
            true => Err(self.end_at(step)),
            false => Ok(()),
        }
    }

    fn end_at(&self, step: i64) -> Error {
        self.pruned_at.set(Some(step));
        Error::Pruned { trial: self.number, step }
    }

    /// At which step it was told that it is pruned.
    pub fn pruned_at(&self) -> Option<i64> {
        self.pruned_at.get()
    }

    /// Something that its table and Optuna's dashboard show.
    pub fn set_attr(&self, name: &str, value: Value) -> Result<()> {
        self.check_runs()?;
        self.write(vec![operation::user_attr(self.id, name, value)])
    }

    /// Where it can go on from, should its process die.
    pub fn set_checkpoint(&self, place: &str) -> Result<()> {
        self.check_runs()?;
        self.write(vec![operation::system_attr(self.id, CHECKPOINT, place.into())])
    }

    /// Where it goes on from: what it told last, or the trial that it goes on from.
    pub fn checkpoint(&self) -> Option<String> {
        abandoned::checkpoint(&self.record()).map(str::to_string)
    }

    /// A folder of its own beside the journal, which is there; what goes on after a crash has the same.
    pub fn folder(&self) -> Result<PathBuf> {
        let known = folders::of(&self.record()).map(str::to_string);
        let name = match known {
            Some(name) => name,
            None => {
                let name = folders::new_name(&self.study.storage(), self.id);
                self.write(vec![operation::system_attr(self.id, FOLDER, name.as_str().into())])?;
                name
            }
        };
        let folder = folders::path(&self.study.storage(), &name);
        file::create_folder(&folder)?;
        Ok(folder)
    }

    /// Counts tokens that it used, for the study's budget.
    pub fn count_tokens(&self, count: u64) -> Result<()> {
        self.check_runs()?;
        let before = self.record().user_attrs.get(TOKENS).and_then(Value::as_u64).unwrap_or(0);
        self.write(vec![operation::user_attr(self.id, TOKENS, before.saturating_add(count).into())])
    }

    /// Its end, with a value for each objective.
    pub fn complete(&self, values: &[f64]) -> Result<()> {
        let wanted = self.study.directions().len();
        if values.len() != wanted {
            let plural = if wanted == 1 { "" } else { "s" };
            return Err(Error::option(
                "values",
                format!("{wanted} number{plural}, one for each objective"),
                values.len(),
            ));
        }
        if let Some(place) = values.iter().position(|value| value.is_nan()) {
            return Err(Error::option(format!("values[{}]", place + 1), "a number", "NaN"));
        }
        self.finish(State::Complete, Some(values), |_| Ok(()))?;
        self.tell_unasked();
        Ok(())
    }

    /// Says which given parameters it never asked for: their names may be misspelt.
    fn tell_unasked(&self) {
        let record = self.record();
        let fixed = record.system_attrs.get(FIXED_PARAMS).and_then(Value::as_object).into_iter().flatten();
        let names: Vec<&str> =
            fixed.map(|(name, _)| name.as_str()).filter(|name| record.parameter(name).is_none()).collect();
        if !names.is_empty() {
            tracing::warn!("trial {} was given {}, which it never asked for", self.number, names.join(", "));
        }
    }

    /// Its early end; where a better one's clone is to take its place, that clone is made.
    pub fn prune(&self) -> Result<()> {
        let last = self.record().value_if_pruned();
        let of = self.successor.borrow().as_ref().map(|successor| successor.of);
        let clone = self.successor.take().map(|successor| self.study.prepare(successor));
        self.finish(State::Pruned, last.as_ref().map(std::slice::from_ref), |transaction| {
            let made = clone.map(|clone| self.study.make_clone(transaction, clone?)).transpose();
            match (made, of) {
                (Ok(Some(_)), Some(of)) => transaction.append(operation::system_attr(self.id, REPLACED_BY, of.into())),
                (Err(error), _) => {
                    // The better one may have come to its end, or have been pruned, since it was chosen.
                    tracing::warn!("no clone takes the place of trial {}: {error}", self.number);
                    Ok(())
                }
                _ => Ok(()),
            }
        })
    }

    pub fn fail(&self, reason: &str) -> Result<()> {
        let reason = operation::user_attr(self.id, REASON, reason.into());
        self.finish(State::Failed, None, |transaction| transaction.append(reason))
    }

    /// This process was asked to end and works on it no more; whoever goes on with the study goes on with it.
    pub fn interrupt(&self) -> Result<()> {
        let noted = self.write(vec![abandoned::interrupted(self.id)]);
        self.let_go();
        noted
    }

    /// This process works on it no more.
    pub fn let_go(&self) {
        self.working.take();
    }

    /// Whether it was ended here.
    pub fn has_ended(&self) -> bool {
        self.ended.get()
    }

    /// Why it is this process's no more, where another ended it or took it over: nobody here is to blame.
    pub fn lost(&self) -> Option<String> {
        match self.ended.get() {
            true => None,
            false => self.check_own(&self.record()).err().map(|error| error.to_string()),
        }
    }

    /// `before`: what is written with its end.
    fn finish(
        &self,
        state: State,
        values: Option<&[f64]>,
        before: impl FnOnce(&mut Transaction) -> Result<()>,
    ) -> Result<()> {
        self.within(|transaction| {
            before(transaction)?;
            transaction.append(operation::state(self.id, state, values))
        })?;
        self.ended.set(true);
        self.let_go();
        if let Err(error) = self.study.make_room() {
            tracing::warn!("a trial's folder stays although it could be spared: {error}");
        }
        Ok(())
    }

    fn check_runs(&self) -> Result<()> {
        match self.pruned_at.get() {
            Some(step) => Err(Error::Pruned { trial: self.number, step }),
            None => Ok(()),
        }
    }

    /// Writes about this trial, unless it is over or another process's by now.
    fn write(&self, operations: Vec<Operation>) -> Result<()> {
        self.within(|transaction| operations.into_iter().try_for_each(|operation| transaction.append(operation)))
    }

    fn within<T>(&self, work: impl FnOnce(&mut Transaction) -> Result<T>) -> Result<T> {
        self.study.transaction(|transaction| {
            self.check_own(transaction.replay().trial(self.id))?;
            work(transaction)
        })
    }

    /// Whether it runs, and here.
    fn check_own(&self, record: &TrialRecord) -> Result<()> {
        if record.state != State::Running {
            let message = format!("trial {} is {} already", self.number, record.state.name());
            let why = match abandoned::is_abandoned(record) {
                true => Some("another process took it over, as this one was not heard of"),
                false => record.user_attrs.get(REASON).and_then(Value::as_str),
            };
            return Err(Error::message(match why {
                Some(why) => format!("{message}: {why}"),
                None => message,
            }));
        }
        match record.system_attrs.get(PROCESS) == Some(&Process::this().to_value()) {
            true => Ok(()),
            false => Err(Error::message(format!("trial {} is run by another process by now", self.number))),
        }
    }
}

fn another_range(name: &str, before: &Distribution, now: &Distribution, whose: &str) -> Error {
    let expected = format!("{before}, as {whose} had it before");
    Error::option(name, expected, now)
}

/// A parameter as it is shown.
pub fn external(parameter: &Parameter) -> Value {
    parameter.distribution.external(parameter.value)
}
