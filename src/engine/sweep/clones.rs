//! Clones: trials that begin where another one is, from its checkpoint, by hand or by population-based training.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::abandoned::{self, CHECKPOINT};
use super::folders::{self, FOLDER};
use super::journal::Transaction;
use super::journal::operation;
use super::record::{FIXED_PARAMS, State, StudyRecord, TrialRecord};
use crate::engine::{Error, Result};

/// Of a clone: the number of its origin.
const CLONED_FROM: &str = "affine:cloned_from";

/// Of a pruned trial: the number of the better one whose clone goes on in its place.
pub const REPLACED_BY: &str = "affine:replaced_by";

/// A trial that is to begin from the checkpoint of trial `of`, with these parameters in place of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Successor {
    pub of: u64,
    pub params: Map<String, Value>,
}

pub fn cloned_from(record: &TrialRecord) -> Option<u64> {
    record.system_attrs.get(CLONED_FROM)?.as_u64()
}

/// Whether a clone of a better trial goes on in its place.
pub fn is_replaced(record: &TrialRecord) -> bool {
    record.system_attrs.contains_key(REPLACED_BY)
}

/// Makes a clone that waits; its number.
pub fn make(transaction: &mut Transaction, study: &StudyRecord, successor: &Successor, journal: &Path) -> Result<u64> {
    let origin = origin(transaction, study, successor.of)?;
    let checkpoint = abandoned::checkpoint(&origin).ok_or_else(|| without_checkpoint(successor.of))?;
    let (id, number) = (transaction.replay().trial_count(), study.trials.len() as u64);
    let mut attrs = Map::from_iter([(CLONED_FROM.to_string(), json!(successor.of))]);
    let mut place = checkpoint.to_string();
    if Path::new(checkpoint).is_dir() {
        // The origin goes on and removes its older checkpoints.
        let own = folders::path(journal, &folders::name(id)).join(format!("from-{}", successor.of));
        folders::link(Path::new(checkpoint), &own)?;
        place = own.to_string_lossy().into_owned();
        attrs.insert(FOLDER.to_string(), folders::name(id).into());
    }
    let mut params = origin.given();
    params.extend(successor.params.clone());
    attrs.insert(CHECKPOINT.to_string(), place.into());
    attrs.insert(FIXED_PARAMS.to_string(), Value::Object(params));
    transaction.append(operation::enqueue(study.id, attrs))?;
    Ok(number)
}

fn origin(transaction: &Transaction, study: &StudyRecord, number: u64) -> Result<TrialRecord> {
    let record = transaction.replay().trials(study).find(|record| record.number == number);
    let Some(record) = record else {
        let expected = format!("a trial of the study {}, which has {}", study.name, study.trials.len());
        return Err(Error::option("number", expected, number));
    };
    match record.state {
        State::Running | State::Complete => Ok((**record).clone()),
        state => {
            Err(Error::option("number", "a trial that runs or is complete", format!("{number}, {}", state.name())))
        }
    }
}

pub fn without_checkpoint(number: u64) -> Error {
    let message = format!("trial {number} has told no checkpoint that another could begin from");
    Error::hinted(message, "tell one before the report: trial:set_checkpoint(sft:save())")
}
