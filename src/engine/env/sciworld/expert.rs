//! The demonstrator: the path to the goal that the simulator itself searches for when a world is loaded.
//!
//! The search wants far more memory than play (with a heap of 96 MiB it fails on one task in ten) and leaves the
//! simulator in another world than a plain load, so it is done in a Java process of its own, one for all instances,
//! only when an expert is asked, and once per variation.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::launch::Launch;
use super::simulator::Simulator;
use super::tasks::Variation;
use crate::engine::Result;

/// The heap of the process that searches, in MiB; a path that needs more is not found.
const HEAP_MB: u32 = 768;

/// Paths that are kept, at some kilobytes each.
const MAX_KEPT: usize = 5000;

type Key = (PathBuf, &'static str, u32, String);

struct Planner {
    simulator: Option<Simulator>,
    found: Option<HashMap<Key, Arc<[String]>>>,
}

static PLANNER: Mutex<Planner> = Mutex::new(Planner { simulator: None, found: None });

/// A way to the goal, and how far along it an episode is.
pub struct Path {
    actions: Arc<[String]>,
    next: usize,
    left: bool,
}

impl Path {
    /// The path of a variation; empty where the simulator finds none.
    pub fn search(variation: Variation, simplifications: &str, launch: &Launch) -> Result<Path> {
        let mut planner = PLANNER.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let key = (launch.jar.clone(), variation.task, variation.number, simplifications.to_string());
        let known = planner.found.get_or_insert_default().get(&key).cloned();
        let actions = match known {
            Some(actions) => actions,
            None => {
                let actions: Arc<[String]> = planner.plan(variation, simplifications, launch)?.into();
                let found = planner.found.get_or_insert_default();
                if found.len() >= MAX_KEPT {
                    found.clear();
                }
                found.insert(key, Arc::clone(&actions));
                actions
            }
        };
        Ok(Path { actions, next: 0, left: false })
    }

    /// The action that comes next, unless the path is at its end or was left.
    pub fn next(&self) -> Option<&str> {
        if self.left { None } else { self.actions.get(self.next).map(String::as_str) }
    }

    /// Takes note of an action of the episode. One that the path has not next leaves it, unless it took no move and so
    /// changed nothing.
    pub fn follow(&mut self, action: &str, took_moves: bool) {
        if self.next() == Some(action) {
            self.next += 1;
        } else if took_moves {
            self.left = true;
        }
    }
}

impl Planner {
    fn plan(&mut self, variation: Variation, simplifications: &str, launch: &Launch) -> Result<Vec<String>> {
        let launch = Launch { heap_mb: launch.heap_mb.max(HEAP_MB), ..launch.clone() };
        let usable = |simulator: &Simulator| simulator.is_usable() && *simulator.launch() == launch;
        if !self.simulator.as_ref().is_some_and(usable) {
            self.simulator = None;
        }
        let simulator = match &mut self.simulator {
            Some(simulator) => simulator,
            none => none.insert(Simulator::start(&launch)?),
        };
        simulator.load(variation, simplifications, true)?;
        let path = simulator.gold_path()?;
        // Where none was found the list holds a sentence about it.
        let is_path = path.first().is_some_and(|first| !first.starts_with("ERROR"));
        Ok(if is_path { path } else { Vec::new() })
    }
}

/// Ends the process that searches; the paths stay.
pub fn rest() {
    PLANNER.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).simulator = None;
}
