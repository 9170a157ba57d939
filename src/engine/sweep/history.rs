//! The trials of a study as samplers and pruners see them: each once, in its place.
//!
//! A trial whose process died is failed, and what goes on from its checkpoint is another trial with a later number. Nothing that is decided
//! may depend on that. So the one that goes on stands in the place of the first, the others are left out, and places are counted as if
//! none of them had died. Where nothing can go on, the next trial begins anew in the place ([`PLACE`]). Without such trials a trial's place is
//! its number.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::abandoned::{frees_its_place, is_abandoned};
use super::journal::replay::Replay;
use super::record::{Direction, State, StudyRecord, TrialRecord};

/// The attribute of a trial that begins anew in the place of one whose process died.
pub const PLACE: &str = "affine:place";

#[derive(Debug, Clone)]
pub struct History {
    pub study: String,
    pub directions: Vec<Direction>,
    pub system_attrs: Map<String, Value>,
    /// In the order of their places.
    pub trials: Vec<Placed>,
    /// How many places are taken, those of trials left out included.
    pub places: u64,
}

#[derive(Debug, Clone)]
pub struct Placed {
    pub place: u64,
    pub record: Arc<TrialRecord>,
}

impl History {
    pub fn of(replay: &Replay, study: &StudyRecord) -> Self {
        let records: Vec<&Arc<TrialRecord>> = replay.trials(study).collect();
        let replaced: HashSet<u64> = records.iter().flat_map(|record| record.retried()).collect();
        let (mut places, mut count) = (HashMap::new(), 0);
        let mut trials: Vec<Placed> = Vec::with_capacity(records.len());
        for record in records {
            let anew = record.system_attrs.get(PLACE).and_then(Value::as_u64);
            let taken = record.retry_of().and_then(|first| places.get(&first).copied()).or(anew);
            let place = taken.unwrap_or(count);
            count = count.max(place + 1);
            places.insert(record.number, place);
            if anew.is_some() {
                trials.retain(|trial| trial.place != place || !is_abandoned(&trial.record));
            }
            if !replaced.contains(&record.number) {
                trials.push(Placed { place, record: record.clone() });
            }
        }
        trials.sort_by_key(|trial| trial.place);
        History {
            study: study.name.clone(),
            directions: study.directions.clone(),
            system_attrs: study.system_attrs.clone(),
            trials,
            places: count,
        }
    }

    /// A trial whose process died and from which nothing goes on: the next one begins anew in its place.
    pub fn forsaken(&self) -> Option<&Placed> {
        self.trials.iter().find(|trial| frees_its_place(&trial.record))
    }

    pub fn of_state(&self, state: State) -> impl Iterator<Item = &Placed> {
        self.trials.iter().filter(move |trial| trial.record.state == state)
    }

    /// The place of a trial, whether it still stands or was done again.
    pub fn place_of(&self, number: u64) -> Option<u64> {
        let is_it = |trial: &&Placed| trial.record.number == number || trial.record.retried().any(|n| n == number);
        self.trials.iter().find(is_it).map(|trial| trial.place)
    }

    pub fn trial(&self, number: u64) -> Option<&Placed> {
        self.trials.iter().find(|trial| trial.record.number == number)
    }

    /// How many there are of each state, in words; nothing where there are none.
    pub fn counts(&self) -> Option<String> {
        let count = |state: State| match self.of_state(state).count() {
            0 => None,
            n => Some(format!("{n} {}", state.name())),
        };
        let states = [State::Complete, State::Pruned, State::Failed, State::Running, State::Waiting];
        let counts: Vec<String> = states.into_iter().filter_map(count).collect();
        (!counts.is_empty()).then(|| counts.join(", "))
    }

    /// What a complete trial came to, in each objective: less is better.
    pub fn losses(&self, trial: &Placed) -> Vec<f64> {
        let both = trial.record.values.iter().zip(&self.directions);
        both.map(|(value, direction)| direction.loss(*value)).collect()
    }

    /// The first objective's direction.
    pub fn direction(&self) -> Direction {
        self.directions[0]
    }

    /// The best complete trial of a single objective; the first of equal ones.
    pub fn best(&self) -> Option<&Placed> {
        let direction = self.direction();
        let loss = |trial: &Placed| direction.loss(trial.record.value().unwrap_or(f64::NAN));
        let complete = self.of_state(State::Complete).filter(|trial| !loss(trial).is_nan());
        complete.min_by(|a, b| loss(a).total_cmp(&loss(b)))
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::engine::sweep::record::{FAILED_TRIAL, RETRY_HISTORY};
    use serde_json::json;

    pub fn record(number: u64, state: State) -> TrialRecord {
        TrialRecord {
            id: number as usize,
            number,
            state,
            parameters: Vec::new(),
            values: Vec::new(),
            reports: Default::default(),
            user_attrs: Map::new(),
            system_attrs: Map::new(),
            started: None,
            finished: None,
        }
    }

    pub fn history(direction: Direction, records: Vec<TrialRecord>) -> History {
        let place = |record: TrialRecord| Placed { place: record.number, record: Arc::new(record) };
        let trials: Vec<Placed> = records.into_iter().map(place).collect();
        let places = trials.len() as u64;
        History { study: "s".into(), directions: vec![direction], system_attrs: Map::new(), trials, places }
    }

    #[test]
    fn a_trial_that_goes_on_stands_in_the_place_of_the_one_that_died() {
        let (_folder, mut journal) = {
            let folder = tempfile::tempdir().unwrap();
            let journal = crate::engine::sweep::journal::Journal::open(&folder.path().join("x")).unwrap();
            (folder, journal)
        };
        use crate::engine::sweep::journal::operation;
        let again = |of: u64, all: Value| {
            let mut record = record(0, State::Waiting);
            record.system_attrs.insert(FAILED_TRIAL.into(), json!(of));
            record.system_attrs.insert(RETRY_HISTORY.into(), all);
            record
        };
        journal
            .transaction(|transaction| {
                transaction.append(operation::create_study("s", &[Direction::Minimize]))?;
                transaction.append(operation::create_trial(0))?;
                transaction.append(operation::create_trial(0))?;
                transaction.append(operation::create_waiting_trial(0, &again(1, json!([1]))))?;
                transaction.append(operation::create_waiting_trial(0, &again(1, json!([1, 2]))))?;
                transaction.append(operation::create_trial(0))
            })
            .unwrap();
        let study = journal.replay().study("s").unwrap();
        let history = History::of(journal.replay(), study);
        let seen: Vec<(u64, u64)> = history.trials.iter().map(|trial| (trial.place, trial.record.number)).collect();
        assert_eq!(seen, [(0, 0), (1, 3), (2, 4)]);
        assert_eq!((history.place_of(1), history.place_of(2), history.place_of(4)), (Some(1), Some(1), Some(2)));
        assert_eq!(history.places, 3);
    }
}
