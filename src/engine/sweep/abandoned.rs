//! Trials whose process died: they are failed, and those that left a checkpoint are done again from there, with the same parameters.
//!
//! What is done again is a new trial that waits, as Optuna's `RetryHeartbeatStaleTrialCallback` makes it, so that Optuna's processes go on
//! with it as well.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::folders::FOLDER;
use super::journal::Transaction;
use super::journal::operation::{self, Operation};
use super::process::{self, HEARTBEAT, PROCESS};
use super::record::{FAILED_TRIAL, FIXED_PARAMS, RETRY_HISTORY, State, TrialRecord};
use crate::engine::Result;

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
    /// Whether it will go on from its checkpoint.
    pub goes_on: bool,
}

/// Whether a trial ended because its process did.
pub fn is_abandoned(record: &TrialRecord) -> bool {
    record.state == State::Failed && record.system_attrs.contains_key(ABANDONED)
}

pub fn checkpoint(record: &TrialRecord) -> Option<&str> {
    record.system_attrs.get(CHECKPOINT)?.as_str()
}

/// Fails the trials of a study whose process died, and makes those that go on.
pub fn take_over(transaction: &mut Transaction, study: &str, journal: &Path) -> Result<Vec<TakenOver>> {
    let Some(study) = transaction.replay().study(study) else { return Ok(Vec::new()) };
    let id = study.id;
    let dead = |record: &TrialRecord| Some((record.clone(), process::why_dead(record, journal)?));
    let running = transaction.replay().trials(study).filter(|record| record.state == State::Running);
    let all: Vec<(TrialRecord, String)> = running.filter_map(|record| dead(record)).collect();
    let mut taken = Vec::new();
    for (record, why) in all {
        let again = again(&record);
        transaction.append(operation::system_attr(record.id, ABANDONED, why.clone().into()))?;
        transaction.append(operation::state(record.id, State::Failed, None))?;
        if let Some(again) = &again {
            transaction.append(operation::create_waiting_trial(id, again))?;
        }
        taken.push(TakenOver { number: record.number, why, goes_on: again.is_some() });
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

/// The trial that goes on from a trial's checkpoint, where it has one that is not the one it began from.
fn again(record: &TrialRecord) -> Option<TrialRecord> {
    let reached = reached(record)?;
    if record.system_attrs.get(RESUMED_FROM) == Some(&reached) {
        tracing::warn!("trial {} died twice at {} and is given up", record.number, reached[0]);
        return None;
    }
    let mut attrs: Map<String, Value> = record.system_attrs.clone();
    [PROCESS, HEARTBEAT, ABANDONED].iter().for_each(|name| drop(attrs.remove(*name)));
    let retried: Vec<u64> = record.retried().chain([record.number]).collect();
    attrs.entry(FAILED_TRIAL).or_insert(json!(record.number));
    attrs.insert(RETRY_HISTORY.to_string(), json!(retried));
    match record.system_attrs.get(RESUMED_FROM) {
        Some(Value::Null) => attrs.remove(RESUMED_FROM),
        _ => attrs.insert(RESUMED_FROM.to_string(), reached),
    };
    attrs.insert(FIXED_PARAMS.to_string(), Value::Object(record.given()));
    Some(TrialRecord { system_attrs: attrs, state: State::Waiting, ..record.clone() })
}
