//! Which environments a run is played on: recorded with every rollout, compared at the first one after a resume.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::engine::Result;
use crate::engine::env::Environment;
use crate::engine::train::checkpoint;

/// The environments of the last rollout, which checkpoints hold.
#[derive(Default)]
pub(super) struct Played {
    last: RefCell<Map<String, Value>>,
    /// The checkpoint that `last` comes from until a rollout has met it, and whether other environments may go on from it.
    resumed: RefCell<Option<(PathBuf, bool)>>,
}

impl Played {
    pub fn resumed(recorded: Map<String, Value>, checkpoint: &Path, forced: bool) -> Self {
        Played { last: RefCell::new(recorded), resumed: RefCell::new(Some((checkpoint.to_path_buf(), forced))) }
    }

    pub fn last(&self) -> Map<String, Value> {
        self.last.borrow().clone()
    }

    /// Takes the environments of a rollout that is to begin. They may change in the course of a run; those that a run goes on
    /// with are those that it stopped with.
    pub fn begin(&self, environments: &[Box<dyn Environment>]) -> Result<()> {
        let now = described(environments);
        if let Some((checkpoint, forced)) = &*self.resumed.borrow() {
            checkpoint::check_environments(checkpoint, &self.last.borrow(), &now, *forced)?;
        }
        self.resumed.take();
        self.last.replace(now);
        Ok(())
    }
}

/// All that the environments say of themselves, a line each: `textcraft.max_turns`; of two with one label the second is
/// `sat (2)`.
fn described(environments: &[Box<dyn Environment>]) -> Map<String, Value> {
    let names: Vec<String> = environments.iter().map(|environment| environment.label()).collect();
    let mut all = Map::from_iter([("environments".to_string(), json!(names.join(", ")))]);
    for (place, environment) in environments.iter().enumerate() {
        let earlier = names[..place].iter().filter(|name| **name == names[place]).count();
        let name = match earlier {
            0 => names[place].clone(),
            _ => format!("{} ({})", names[place], earlier + 1),
        };
        let about = environment.describe();
        let mut put = |what: &str, value: Value| all.insert(format!("{name}.{what}"), value);
        put("num_tasks", json!(about.num_tasks));
        put("score_range", json!(about.score_range));
        put("success_threshold", json!(about.success_threshold));
        put("max_turns", json!(about.max_turns));
        put("turn_limit", json!(about.turn_limit));
        put("move_limit", json!(about.move_limit));
        let identity = environment.identity();
        put("generator", json!(identity.generator));
        put("instructions", json!(identity.instructions));
        match identity.settings {
            Value::Object(settings) => settings.into_iter().for_each(|(key, value)| {
                put(&key, value);
            }),
            Value::Null => {}
            other => {
                put("settings", other);
            }
        }
    }
    all
}
