//! A plan: the whole of a script on tiny random models, one step per stage, in a folder of its own.
//!
//! It is there to find in seconds what would otherwise end a run after hours: a wrong option in the last stage, a path
//! that is not there, an environment that raises. So whatever can be checked is checked as in a real run, and only then
//! made small: options and records by those who take them (`cut_in_plan`), models in [`model`]. [`workplace`] keeps the
//! user's files as they are. What was made small is noted here and told at the end, as what the script would have done.
//!
//! There is one plan per process, from its start to its end; without one every function here does nothing.

pub mod model;
pub mod workplace;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Result;

static ACTIVE: AtomicBool = AtomicBool::new(false);
static STAGES: Mutex<Vec<Stage>> = Mutex::new(Vec::new());
static SETTINGS: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());

/// What a plan leaves of records, of episodes of an environment, and of a reply's tokens.
pub const RECORDS: usize = 8;
pub const EPISODES: usize = 2;
pub const NEW_TOKENS: usize = 4;

/// Notes of one stage beyond these are counted only: a script's own loop can make thousands.
const NOTES_PER_STAGE: usize = 30;

/// A part of the script and what it would have done.
struct Stage {
    name: String,
    notes: Vec<String>,
    more: usize,
}

/// Begins the plan: from here on the process works in a temporary folder.
pub fn begin() -> Result<()> {
    workplace::enter()?;
    ACTIVE.store(true, Ordering::SeqCst);
    Ok(())
}

/// Whether this process runs a plan.
pub fn active() -> bool {
    ACTIVE.load(Ordering::SeqCst)
}

/// What is noted from now on belongs to the stage `name`.
pub fn stage(name: &str) {
    if active() {
        stages().push(Stage::new(name));
    }
}

/// Notes what a real run would do here. The same again is noted once.
pub fn note(text: String) {
    if !active() {
        return;
    }
    let mut stages = stages();
    if stages.is_empty() {
        stages.push(Stage::new("script"));
    }
    let Some(stage) = stages.last_mut() else { return };
    if stage.notes.contains(&text) {
        return;
    }
    match stage.notes.len() < NOTES_PER_STAGE {
        true => stage.notes.push(text),
        false => stage.more += 1,
    }
}

/// Notes a setting that the pipeline made smaller, as a number where it is one.
pub fn cut_setting(path: &str, real: &str, now: &str) {
    if active() {
        note(format!("{path} = {real}; here {now}"));
        SETTINGS.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).insert(path.to_string(), real.to_string());
    }
}

/// The end of a note on something of which there are only `few` here.
pub fn here(real: usize, few: usize) -> String {
    if real > few { format!("; here {few}") } else { String::new() }
}

/// Whether the pipeline's data is less than a real run collects, so that its size says nothing.
pub fn collects_less() -> bool {
    let settings = SETTINGS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    settings.keys().any(|path| path.starts_with("data."))
}

/// The number that such a setting has in a real run.
pub fn was(path: &str) -> Option<u64> {
    SETTINGS.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).get(path)?.parse().ok()
}

/// Everything noted, by stage.
pub fn told() -> String {
    let mut text = String::new();
    for stage in stages().iter() {
        text += &format!("{}\n", stage.name);
        stage.notes.iter().for_each(|note| text += &format!("  {note}\n"));
        if stage.more > 0 {
            text += &format!("  and {} more\n", stage.more);
        }
    }
    text
}

fn stages() -> std::sync::MutexGuard<'static, Vec<Stage>> {
    STAGES.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Stage {
    fn new(name: &str) -> Self {
        Stage { name: name.to_string(), notes: Vec::new(), more: 0 }
    }
}
