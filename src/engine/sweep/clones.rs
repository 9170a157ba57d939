//! Clones: trials that begin where another one is, from its checkpoint, by hand or by population-based training.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::abandoned::{self, CHECKPOINT};
use super::folders::{self, FOLDER};
use super::journal::Transaction;
use super::journal::operation;
use super::journal::replay::Replay;
use super::record::{FIXED_PARAMS, State, StudyRecord, TrialRecord};
use crate::engine::{Error, Result, file};

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

/// A clone whose checkpoint is its own already, and which nobody knows of yet. Copies of a checkpoint may take long, so they are made before
/// the journal is locked.
#[derive(Debug)]
pub struct Prepared {
    successor: Successor,
    checkpoint: String,
    /// Where the checkpoint, which is a folder, is kept until the clone has a folder of its own.
    kept: Option<TempDir>,
}

/// The name of a checkpoint in the folder that keeps it.
const KEPT: &str = "checkpoint";

impl Prepared {
    pub fn new(replay: &Replay, study: &StudyRecord, successor: Successor, journal: &Path) -> Result<Self> {
        let origin = origin(replay, study, successor.of)?;
        let checkpoint = abandoned::checkpoint(origin).ok_or_else(|| without_checkpoint(successor.of))?.to_string();
        if folders::was_removed(journal, &checkpoint) {
            let got = format!("{}, whose folder was removed", successor.of);
            return Err(Error::option("number", "a trial whose checkpoint is there", got));
        }
        let mut kept = None;
        if Path::new(&checkpoint).is_dir() {
            let all = folders::all(journal);
            file::create_folder(&all)?;
            let folder = TempDir::with_prefix_in(".clone-", &all).map_err(|error| Error::file(&all, error))?;
            folders::link(Path::new(&checkpoint), &folder.path().join(KEPT))?;
            kept = Some(folder);
        }
        Ok(Prepared { successor, checkpoint, kept })
    }

    /// Makes the clone, which waits; its number. An error where its origin is none any more.
    pub fn make(self, transaction: &mut Transaction, study: &StudyRecord, journal: &Path) -> Result<u64> {
        let Prepared { successor, mut checkpoint, kept } = self;
        let mut params = origin(transaction.replay(), study, successor.of)?.given();
        params.extend(successor.params);
        let mut attrs = Map::from_iter([(CLONED_FROM.to_string(), json!(successor.of))]);
        if let Some(kept) = kept {
            // The origin goes on and removes its older checkpoints.
            let name = folders::new_name(journal, transaction.replay().trial_count());
            let own = folders::path(journal, &name);
            file::create_folder(&own)?;
            let own = own.join(format!("from-{}", successor.of));
            fs::rename(kept.path().join(KEPT), &own).map_err(|error| Error::file(&own, error))?;
            checkpoint = own.to_string_lossy().into_owned();
            attrs.insert(FOLDER.to_string(), name.into());
        }
        attrs.insert(CHECKPOINT.to_string(), checkpoint.into());
        attrs.insert(FIXED_PARAMS.to_string(), Value::Object(params));
        transaction.append(operation::enqueue(study.id, attrs))?;
        Ok(study.trials.len() as u64)
    }
}

fn origin<'a>(replay: &'a Replay, study: &StudyRecord, number: u64) -> Result<&'a TrialRecord> {
    let record = replay.trials(study).find(|record| record.number == number);
    let Some(record) = record else {
        let expected = format!("a trial of the study {}, which has {}", study.name, study.trials.len());
        return Err(Error::option("number", expected, number));
    };
    match record.state {
        State::Running | State::Complete => Ok(record),
        state => {
            Err(Error::option("number", "a trial that runs or is complete", format!("{number}, {}", state.name())))
        }
    }
}

pub fn without_checkpoint(number: u64) -> Error {
    let message = format!("trial {number} has told no checkpoint that another could begin from");
    Error::hinted(message, "tell one before the report: trial:set_checkpoint(sft:save())")
}
