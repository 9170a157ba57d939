//! A study: trials that look for the best parameters of something, in a journal that any number of processes share.

use std::cell::{RefCell, RefMut};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Map, Value};

use super::abandoned::{self, TakenOver};
use super::budget::{Budget, Done, TOKENS};
use super::clones::{Prepared, Successor};
use super::folders::{self, Keep};
use super::heart::Heart;
use super::history::{History, PLACE, Placed};
use super::journal::operation::{self, Operation};
use super::journal::replay::Replay;
use super::journal::{Journal, Transaction};
use super::pareto;
use super::process::{self, HEARTBEAT, PROCESS, Process, now};
use super::pruner::{Pruner, Verdict};
use super::record::{Direction, FIXED_PARAMS, State, StudyRecord, TrialRecord};
use super::sampler::{Draw, Marks, Sampler, SamplerOptions};
use super::trial::{REASON, Trial};
use crate::engine::{Error, Result};

/// The attribute of a study that keeps its seed.
const SEED: &str = "affine:seed";

pub struct StudyOptions {
    pub name: String,
    /// One for each objective.
    pub directions: Vec<Direction>,
    /// The journal's file.
    pub storage: PathBuf,
    pub sampler: SamplerOptions,
    pub pruner: Rc<dyn Pruner>,
    /// Without it the study's own, or 0.
    pub seed: Option<u64>,
    /// Whether a study of the name that is there already is gone on with; otherwise it is an error.
    pub load_if_exists: bool,
    pub budget: Budget,
    pub keep: Keep,
}

/// Cheap to clone: all are one.
#[derive(Clone)]
pub struct Study {
    inner: Rc<RefCell<Inner>>,
    id: usize,
    name: Rc<str>,
    directions: Rc<[Direction]>,
    pub(super) sampler: Rc<dyn Sampler>,
    pruner: Rc<dyn Pruner>,
    pub(super) seed: u64,
    budget: Budget,
    keep: Keep,
}

struct Inner {
    journal: Journal,
    heart: Option<Heart>,
}

/// What comes next.
pub enum Next {
    Trial(Box<Trial>),
    Done(Done),
}

impl Study {
    pub fn open(options: StudyOptions) -> Result<Self> {
        let StudyOptions { name, directions, storage, sampler, pruner, seed, load_if_exists, budget, keep } = options;
        budget.check()?;
        if name.is_empty() {
            return Err(Error::option("name", "a name", "none"));
        }
        if directions.is_empty() {
            return Err(Error::option("directions", "a direction for each objective", "none"));
        }
        let mut journal = Journal::open(&storage)?;
        // What is refused leaves no study.
        let (seed, sampler) = journal.transaction(|transaction| {
            match transaction.replay().study(&name) {
                Some(study) => check_study(study, &directions, load_if_exists, &storage)?,
                None => transaction.append(operation::create_study(&name, &directions))?,
            }
            let seed = settle_seed(transaction, &name, seed)?;
            Ok((seed, sampler.build(seed)?))
        })?;
        let id = journal.replay().study(&name).map_or(0, |study| study.id);
        let inner = Rc::new(RefCell::new(Inner { journal, heart: None }));
        let (name, directions) = (name.into(), directions.into());
        Ok(Study { inner, id, name, directions, sampler, pruner, seed, budget, keep })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn directions(&self) -> &[Direction] {
        &self.directions
    }

    pub fn storage(&self) -> PathBuf {
        self.inner.borrow().journal.path().to_path_buf()
    }

    /// Whether there is an end of trials without a number of them. `max_bytes` is none: trials may keep nothing in folders.
    pub fn ends_by_itself(&self) -> bool {
        let Budget { timeout_seconds, max_trials, max_tokens, max_bytes: _ } = self.budget;
        timeout_seconds.is_some() || max_trials.is_some() || max_tokens.is_some() || self.sampler.is_finite()
    }

    /// Makes a trial that waits, with these parameters; the sampler chooses the others.
    pub fn enqueue(&self, params: Map<String, Value>) -> Result<()> {
        let attrs = Map::from_iter([(FIXED_PARAMS.to_string(), Value::Object(params))]);
        self.transaction(|transaction| transaction.append(operation::enqueue(self.id, attrs)))
    }

    /// Makes a trial that waits and begins from the checkpoint of another; its number.
    pub fn clone_trial(&self, successor: Successor) -> Result<u64> {
        let clone = self.prepare(successor)?;
        self.transaction(|transaction| self.make_clone(transaction, clone))
    }

    pub(super) fn prepare(&self, successor: Successor) -> Result<Prepared> {
        let storage = self.storage();
        let mut inner = self.inner()?;
        inner.journal.sync()?;
        let replay = inner.journal.replay();
        Prepared::new(replay, study_of(replay, &self.name)?, successor, &storage)
    }

    pub(super) fn make_clone(&self, transaction: &mut Transaction, clone: Prepared) -> Result<u64> {
        let (study, storage) = (self.record(transaction)?.clone(), transaction.path().to_path_buf());
        clone.make(transaction, &study, &storage)
    }

    /// Ends a trial by hand, whoever runs it: it is pruned, and hears of it at its next report.
    pub fn stop(&self, number: u64) -> Result<()> {
        self.transaction(|transaction| {
            let study = self.record(transaction)?;
            let trial = transaction.replay().trials(study).find(|trial| trial.number == number).cloned();
            let trial = trial.filter(|trial| !trial.state.is_finished());
            let trial = trial.ok_or_else(|| Error::option("number", "a trial that runs or waits", number))?;
            transaction.append(operation::user_attr(trial.id, REASON, "stopped by hand".into()))?;
            transaction.append(operation::state(
                trial.id,
                State::Pruned,
                trial.value_if_pruned().as_ref().map(std::slice::from_ref),
            ))
        })
    }

    /// Removes the folders of trials that are over and can be spared.
    pub(super) fn make_room(&self) -> Result<()> {
        if self.keep == Keep::All && self.budget.max_bytes.is_none() {
            return Ok(());
        }
        let history = self.history()?;
        let best: Vec<u64> = self.front(&history).iter().map(|trial| trial.record.number).collect();
        folders::make_room(&history, &best, &self.storage(), self.keep, self.budget.max_bytes)
    }

    /// A new trial, or one that waits.
    pub fn ask(&self) -> Result<Trial> {
        match self.make(|_| None)? {
            Next::Trial(trial) => Ok(*trial),
            Next::Done(done) => Err(Error::message(format!("no further trial can be made: {done}"))),
        }
    }

    /// The next trial of a run that began then and wants the study to have so many trials, or why there is none. Trials of dead processes
    /// are taken over before.
    pub fn next(&self, wanted: Option<u64>, begun: Instant) -> Result<Next> {
        for TakenOver { number, why, then } in self.take_over_abandoned()? {
            tracing::warn!("trial {number} was left running: {why}; {then}");
        }
        if let Some(most) = self.budget.max_bytes.filter(|most| folders::bytes(&self.storage()) >= *most) {
            return Ok(Next::Done(Done::Bytes(most)));
        }
        self.make(|history| self.budget.spent(history, wanted, begun))
    }

    fn make(&self, spent: impl FnOnce(&History) -> Option<Done>) -> Result<Next> {
        let made = self.transaction(|transaction| {
            let study = self.record(transaction)?;
            let mut history = History::of(transaction.replay(), study);
            if let Some(done) = spent(&history) {
                return Ok(Err(done));
            }
            let (study, id) = (study.id, transaction.replay().trial_count());
            let vacancy = Vacancy::of(&history);
            let place = vacancy.place;
            history.trials.retain(|trial| trial.place != place);
            let mut marks = Marks::new();
            if vacancy.is_the_samplers {
                let draw = Draw { seed: self.seed, place, history: &history };
                let Some(own) = self.sampler.begin(&draw)? else { return Ok(Err(Done::Grid)) };
                marks = own;
            }
            marks.extend(vacancy.marks);
            let id = match vacancy.waits {
                Some(waiting) => {
                    transaction.append(operation::state(waiting, State::Running, None))?;
                    waiting
                }
                None => {
                    transaction.append(operation::create_trial(study))?;
                    id
                }
            };
            let own = [(PROCESS.to_string(), Process::this().to_value()), (HEARTBEAT.to_string(), now().into())];
            for (name, value) in own.into_iter().chain(marks) {
                transaction.append(operation::system_attr(id, &name, value))?;
            }
            if let Some(tokens) = vacancy.tokens {
                transaction.append(operation::user_attr(id, TOKENS, tokens))?;
            }
            Ok(Ok((id, place, history)))
        })?;
        let (id, place, history) = match made {
            Ok(made) => made,
            Err(done) => return Ok(Next::Done(done)),
        };
        let mut inner = self.inner()?;
        let journal = inner.journal.path().to_path_buf();
        inner.heart.get_or_insert_with(|| Heart::of(&journal));
        let number = inner.journal.replay().trial(id).number;
        drop(inner);
        let history = self.pruner.peers(&history, place).unwrap_or(history);
        Ok(Next::Trial(Box::new(Trial::new(self.clone(), &journal, id, number, place, history))))
    }

    /// Fails the trials whose process died; those with a checkpoint wait to be done again.
    pub fn take_over_abandoned(&self) -> Result<Vec<TakenOver>> {
        let storage = self.storage();
        self.transaction(|transaction| abandoned::take_over(transaction, &self.name, &storage))
    }

    /// What makes marks attributes of the study.
    pub(super) fn marks(&self, marks: Marks) -> impl Iterator<Item = Operation> {
        let study = self.id;
        marks.into_iter().map(move |(name, value)| operation::study_attr(study, &name, value))
    }

    pub(super) fn transaction<T>(&self, work: impl FnOnce(&mut Transaction) -> Result<T>) -> Result<T> {
        self.inner()?.journal.transaction(work)
    }

    fn inner(&self) -> Result<RefMut<'_, Inner>> {
        self.inner.try_borrow_mut().map_err(|_| Error::message("the study is in use by the call that led here"))
    }

    fn record<'a>(&self, transaction: &'a Transaction) -> Result<&'a StudyRecord> {
        study_of(transaction.replay(), &self.name)
    }

    /// Something of the journal as it was last read.
    pub(super) fn replayed<T>(&self, read: impl FnOnce(&Replay) -> T) -> T {
        read(self.inner.borrow().journal.replay())
    }

    /// A trial as it was last read.
    pub(super) fn trial_record(&self, id: usize) -> Arc<TrialRecord> {
        self.replayed(|replay| replay.trial(id).clone())
    }

    /// The study as it is now.
    pub fn history(&self) -> Result<History> {
        let mut inner = self.inner()?;
        inner.journal.sync()?;
        let replay = inner.journal.replay();
        Ok(History::of(replay, study_of(replay, &self.name)?))
    }

    /// The trials that somebody elsewhere may or may not be at work on, in words.
    pub fn in_doubt(&self) -> Result<Vec<String>> {
        let history = self.history()?;
        let doubt =
            |trial: &Placed| Some(format!("trial {}: {}", trial.record.number, process::elsewhere(&trial.record)?));
        Ok(history.of_state(State::Running).filter_map(doubt).collect())
    }

    /// What the pruner says of a trial as it is now.
    pub fn judge(&self, number: u64) -> Result<Verdict> {
        let history = self.history()?;
        history.trial(number).map_or(Ok(Verdict::default()), |trial| self.pruner.judge(&history, trial))
    }

    /// Every trial by number, those included that were done again.
    pub fn trials(&self) -> Result<Vec<Arc<TrialRecord>>> {
        let mut inner = self.inner()?;
        inner.journal.sync()?;
        let replay = inner.journal.replay();
        Ok(replay.study(&self.name).map_or(Vec::new(), |study| replay.trials(study).cloned().collect()))
    }

    /// The best complete trial of a single objective.
    pub fn best(&self) -> Result<Arc<TrialRecord>> {
        if self.directions.len() > 1 {
            let message =
                format!("the study {} has {} objectives: no one trial is best", self.name, self.directions.len());
            return Err(Error::hinted(message, "best_trials gives those that no other beats in all of them"));
        }
        let history = self.history()?;
        history.best().map(|best| best.record.clone()).ok_or_else(|| self.none_complete(&history))
    }

    /// The complete trials that no other beats in every objective.
    pub fn best_trials(&self) -> Result<Vec<Arc<TrialRecord>>> {
        Ok(self.front(&self.history()?).into_iter().map(|trial| trial.record.clone()).collect())
    }

    /// The same, within a history; of one objective the best.
    fn front<'a>(&self, history: &'a History) -> Vec<&'a Placed> {
        let complete: Vec<&Placed> = history.of_state(State::Complete).collect();
        let all: Vec<Vec<f64>> = complete.iter().map(|trial| history.losses(trial)).collect();
        pareto::front(&all).into_iter().map(|place| complete[place]).collect()
    }

    pub(super) fn none_complete(&self, history: &History) -> Error {
        let there = history.counts().unwrap_or_else(|| "there is none".to_string());
        let message = format!("no trial of the study {} is complete ({there})", self.name);
        let last = history.of_state(State::Failed).filter_map(|trial| trial.record.user_attrs.get(REASON)).last();
        match last.and_then(Value::as_str) {
            Some(reason) => Error::hinted(message, format!("the last one failed: {reason}")),
            None => Error::message(message),
        }
    }
}

/// Where the next trial stands, and what it begins with.
struct Vacancy {
    place: u64,
    /// The id of the trial that waits for it, where one does.
    waits: Option<usize>,
    /// Whether the sampler chooses all of its parameters.
    is_the_samplers: bool,
    marks: Marks,
    /// What was counted in its place before.
    tokens: Option<Value>,
}

impl Vacancy {
    /// What waits comes first, then what died and is begun anew.
    fn of(history: &History) -> Self {
        if let Some(Placed { place, record }) = history.of_state(State::Waiting).min_by_key(|trial| trial.record.number)
        {
            let is_the_samplers = record.retry_of().is_none() && record.given().is_empty();
            return Vacancy {
                place: *place,
                waits: Some(record.id),
                is_the_samplers,
                marks: Marks::new(),
                tokens: None,
            };
        }
        let Some(Placed { place, record }) = history.forsaken() else {
            return Vacancy {
                place: history.places,
                waits: None,
                is_the_samplers: true,
                marks: Marks::new(),
                tokens: None,
            };
        };
        let fixed =
            record.system_attrs.get(FIXED_PARAMS).filter(|fixed| fixed.as_object().is_some_and(|f| !f.is_empty()));
        let mut marks = Marks::from_iter([(PLACE.to_string(), (*place).into())]);
        marks.extend(fixed.map(|fixed| (FIXED_PARAMS.to_string(), fixed.clone())));
        Vacancy {
            place: *place,
            waits: None,
            is_the_samplers: fixed.is_none(),
            marks,
            tokens: record.user_attrs.get(TOKENS).cloned(),
        }
    }
}

fn study_of<'a>(replay: &'a Replay, name: &str) -> Result<&'a StudyRecord> {
    replay.study(name).ok_or_else(|| Error::message(format!("the study {name} was deleted")))
}

fn check_study(study: &StudyRecord, directions: &[Direction], load: bool, storage: &Path) -> Result<()> {
    let names = |directions: &[Direction]| directions.iter().map(|d| d.name()).collect::<Vec<_>>().join(", ");
    let StudyRecord { name, .. } = study;
    if !load {
        let message = format!("{}: there is a study {name} already", storage.display());
        return Err(Error::hinted(message, "go on with it (load_if_exists = true), or choose another name"));
    }
    match study.directions == directions {
        true => Ok(()),
        false => Err(Error::option(
            "direction",
            format!("{}, as the study {name} has it", names(&study.directions)),
            names(directions),
        )),
    }
}

/// The seed that the study has from now on, which its journal keeps.
fn settle_seed(transaction: &mut Transaction, name: &str, wanted: Option<u64>) -> Result<u64> {
    let study = transaction.replay().study(name);
    let (id, known) = study.map_or((0, None), |study| (study.id, study.system_attrs.get(SEED).and_then(Value::as_u64)));
    let seed = wanted.or(known).unwrap_or(0);
    match known {
        Some(known) if known == seed => return Ok(seed),
        Some(known) => tracing::warn!("the study {name} was begun with the seed {known} and goes on with {seed}"),
        None => {}
    }
    transaction.append(operation::study_attr(id, SEED, seed.into()))?;
    Ok(seed)
}

/// The seed that a study's attributes keep.
pub fn seed_of(system_attrs: &Map<String, Value>) -> u64 {
    system_attrs.get(SEED).and_then(Value::as_u64).unwrap_or(0)
}
