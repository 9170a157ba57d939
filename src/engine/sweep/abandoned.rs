//! Trials whose process died: they are failed, and those that left a checkpoint are done again from there, with the same parameters. In the
//! place of one that left none the next trial begins anew, once: what makes its process die twice is given up.
//!
//! What is done again is a new trial that waits, as Optuna's `RetryHeartbeatStaleTrialCallback` makes it, so that Optuna's processes go on
//! with it as well.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::folders::FOLDER;
use super::history::PLACE;
use super::journal::Transaction;
use super::journal::operation::{self, Operation};
use super::process::{self, HEARTBEAT, PROCESS};
use super::record::{FAILED_TRIAL, FIXED_PARAMS, RETRY_HISTORY, State, TrialRecord};
use crate::engine;

/// Where a trial can go on from: whatever its function makes of this text.
pub const CHECKPOINT: &str = "affine:checkpoint";

/// Why a trial was given up.
const ABANDONED: &str = "affine:abandoned";

/// How far the trial before was as it died: one that dies twice at the same place is not tried a third time.
const RESUMED_FROM: &str = "affine:resumed_from";

/// What was done about a trial whose process died.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenOver {
    pub number: u64,
    pub why: String,
    /// What becomes of it.
    pub then: String,
}

/// Whether a trial ended because its process did.
pub fn is_abandoned(record: &TrialRecord) -> bool {
    record.state == State::Failed && record.system_attrs.contains_key(ABANDONED)
}

/// Whether the next trial begins anew in its place: a trial that is over by its process's end, and was none of that already.
pub fn frees_its_place(record: &TrialRecord) -> bool {
    let once = !record.system_attrs.contains_key(PLACE) && record.retried().next().is_none();
    is_abandoned(record) && (once || was_interrupted(record))
}

pub fn checkpoint(record: &TrialRecord) -> Option<&str> {
    record.system_attrs.get(CHECKPOINT)?.as_str()
}

/// Fails the trials of a study whose process died, and makes those that go on.
pub fn take_over(transaction: &mut Transaction, study: &str, journal: &Path) -> engine::Result<Vec<TakenOver>> {
    let Some(study) = transaction.replay().study(study) else { return Ok(Vec::new()) };
    let id = study.id;
    let dead = |record: &TrialRecord| Some((record.clone(), process::why_dead(record, journal)?));
    let running = transaction.replay().trials(study).filter(|record| record.state == State::Running);
    let all: Vec<(TrialRecord, String)> = running.filter_map(|record| dead(record)).collect();
    let mut taken = Vec::new();
    for (record, why) in all {
        transaction.append(operation::system_attr(record.id, ABANDONED, why.clone().into()))?;
        transaction.append(operation::state(record.id, State::Failed, None))?;
        let then = match again(&record) {
            Ok(again) => {
                transaction.append(operation::create_waiting_trial(id, &again))?;
                "it goes on from its checkpoint".to_string()
            }
            Err(GivenUp::Twice(place)) => format!("it died twice at {place} and is given up"),
            Err(GivenUp::Bare) if frees_its_place(transaction.replay().trial(record.id)) => {
                "it left no checkpoint to go on from and is begun anew".to_string()
            }
            Err(GivenUp::Bare) => "it left no checkpoint to go on from, twice, and is given up".to_string(),
        };
        taken.push(TakenOver { number: record.number, why, then });
    }
    Ok(taken)
}

/// How far a trial got that can go on: where from, and after which report.
fn reached(record: &TrialRecord) -> Option<Value> {
    let place = record.system_attrs.get(CHECKPOINT).or_else(|| record.system_attrs.get(FOLDER))?;
    Some(json!([place, record.last_report().map(|(step, _)| step)]))
}

/// What makes it no death that a trial's process ends: it was asked to.
pub fn interrupted(trial: usize) -> Operation {
    operation::system_attr(trial, RESUMED_FROM, Value::Null)
}

fn was_interrupted(record: &TrialRecord) -> bool {
    record.system_attrs.get(RESUMED_FROM) == Some(&Value::Null)
}

/// Why a trial does not go on.
enum GivenUp {
    /// It left no checkpoint.
    Bare,
    /// It died where it had begun.
    Twice(Value),
}

/// The trial that goes on from a trial's checkpoint, where it has one that is not the one it began from.
fn again(record: &TrialRecord) -> Result<TrialRecord, GivenUp> {
    let reached = reached(record).ok_or(GivenUp::Bare)?;
    if record.system_attrs.get(RESUMED_FROM) == Some(&reached) {
        return Err(GivenUp::Twice(reached[0].clone()));
    }
    let mut attrs: Map<String, Value> = record.system_attrs.clone();
    [PROCESS, HEARTBEAT, ABANDONED].iter().for_each(|name| drop(attrs.remove(*name)));
    let retried: Vec<u64> = record.retried().chain([record.number]).collect();
    attrs.entry(FAILED_TRIAL).or_insert(json!(record.number));
    attrs.insert(RETRY_HISTORY.to_string(), json!(retried));
    match was_interrupted(record) {
        true => attrs.remove(RESUMED_FROM),
        false => attrs.insert(RESUMED_FROM.to_string(), reached),
    };
    attrs.insert(FIXED_PARAMS.to_string(), Value::Object(record.given()));
    Ok(TrialRecord { system_attrs: attrs, state: State::Waiting, ..record.clone() })
}
