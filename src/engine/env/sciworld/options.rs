//! The options of ScienceWorld.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::find;
use super::launch::Launch;
use super::tasks::Variation;
use crate::engine::env::agentgym::Kind;
use crate::engine::{Error, Result};

/// What makes the worlds easier, besides `easy`, which the simulator takes for all of these but `openContainers`.
const SIMPLIFICATIONS: [&str; 5] =
    ["teleportAction", "selfWateringFlowerPots", "openContainers", "openDoors", "noElectricalAction"];

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SciWorldOptions {
    /// One of ScienceWorld's tasks by name, in place of AgentGym's 4639 numbers: ids are then its variations.
    pub task: Option<String>,
    /// The one variation of `task` that is played, counted from 0; its id is 0.
    pub variation: Option<u32>,
    /// Names out of `teleportAction`, `selfWateringFlowerPots`, `openContainers`, `openDoors` and `noElectricalAction`,
    /// or `easy`, with commas between; none as in AgentGym.
    pub simplifications: String,
    /// Moves after which an episode ends, from 1; 100 in the original, where the task ends with them. Waiting takes several moves, looking none.
    pub step_limit: u32,
    /// Turns after which an episode is over, at least 1.
    pub max_turns: usize,
    /// Instructions in place of the built-in ones: a text, or the path of a file with it.
    pub instructions: Option<String>,
    /// Whether `info.admissible` holds the actions that are valid after each step: some hundreds, which takes a
    /// hundred times as long as the step. It is asked in the order in which the Python wrapper asks it.
    pub admissible: bool,
    /// `scienceworld.jar`; by default SCIENCEWORLD_JAR, what `affine env setup sciworld` left, or a Python package.
    pub jar: Option<String>,
    /// Java's `java`; by default that of JAVA_HOME, or the one on the path.
    pub java: Option<String>,
    /// The largest heap of the Java process in MiB, from 48 to 8192. A process takes up to 84 MiB more.
    pub heap_mb: u32,
    /// Whether a task is the same episode every time. The simulator lets Java's identity hashes decide the order of
    /// things here and there; with this (`-XX:hashCode=2`) they are constant. Off is what upstream's processes do.
    pub deterministic: bool,
    /// The longest wait for the Java process to start and for each of its answers, in seconds, from 1 to 3600.
    pub timeout: u32,
}

impl Default for SciWorldOptions {
    fn default() -> Self {
        SciWorldOptions {
            task: None,
            variation: None,
            simplifications: String::new(),
            step_limit: 100,
            max_turns: Kind::SciWorld.max_turns(),
            instructions: None,
            admissible: false,
            jar: None,
            java: None,
            heap_mb: 64,
            deterministic: true,
            timeout: 120,
        }
    }
}

impl SciWorldOptions {
    pub fn validate(&self) -> Result<()> {
        match (&self.task, self.variation) {
            (Some(task), variation) => drop(Variation::named(task, variation.unwrap_or(0))?),
            (None, Some(_)) => return Err(Error::option("variation", "the option `task` beside it", "none")),
            (None, None) => {}
        }
        check_simplifications(&self.simplifications, self.task.as_deref())?;
        if self.step_limit < 1 {
            return Err(Error::option("step_limit", "at least 1 move", self.step_limit));
        }
        if self.max_turns < 1 {
            return Err(Error::option("max_turns", "at least 1 turn", self.max_turns));
        }
        if !(48..=8192).contains(&self.heap_mb) {
            return Err(Error::option("heap_mb", "from 48 to 8192 MiB", self.heap_mb));
        }
        if !(1..=3600).contains(&self.timeout) {
            return Err(Error::option("timeout", "from 1 to 3600 seconds", self.timeout));
        }
        Ok(())
    }

    /// The simulator itself overlooks a name that it does not know.
    /// The task that the options name, and its variation where they name that too.
    pub(super) fn fixed(&self) -> Option<(&str, Option<u32>)> {
        Some((self.task.as_deref()?, self.variation))
    }

    /// How to start the Java process; looks for Java and the jar.
    pub fn launch(&self) -> Result<Launch> {
        Ok(Launch {
            java: absolute(find::java(self.java.as_deref())?),
            jar: absolute(find::jar(self.jar.as_deref())?),
            heap_mb: self.heap_mb,
            deterministic: self.deterministic,
            timeout: Duration::from_secs(self.timeout.into()),
        })
    }
}

/// The process runs in a folder of its own, where relative paths would lead elsewhere.
fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

/// Whether the simulator knows these simplifications; and, as in the Python wrapper, the electrical tasks refuse to be
/// played without electricity.
pub(super) fn check_simplifications(names: &str, task: Option<&str>) -> Result<()> {
    let known = |name: &str| name == "easy" || SIMPLIFICATIONS.contains(&name);
    if let Some(name) = names.split(',').find(|name| !known(name) && !names.is_empty()) {
        let hint = format!("easy, or names out of {}, with commas and no spaces between", SIMPLIFICATIONS.join(", "));
        return Err(Error::Unknown { path: "simplifications".into(), what: format!("simplification {name:?}"), hint });
    }
    match task {
        Some(task) if is_electrical(task) && names.contains("noElectricalAction") => {
            let expected = format!("none that switches electricity off, for the task {task}");
            Err(Error::option("simplifications", expected, names))
        }
        _ => Ok(()),
    }
}

fn is_electrical(task: &str) -> bool {
    task.contains("power-component") || task.contains("conductivity")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_out_of_range_are_refused_by_name() {
        let refusal = |json: &str| {
            let options: SciWorldOptions = serde_json::from_str(json).unwrap();
            options.validate().unwrap_err().to_string()
        };
        for (json, text) in [
            (r#"{"task": "boyl"}"#, "task: unknown task \"boyl\""),
            (
                r#"{"task": "boil", "variation": 30}"#,
                "variation: expected from 0 to 29, the variations of boil, got 30",
            ),
            (r#"{"variation": 3}"#, "variation: expected the option `task` beside it, got none"),
            (r#"{"simplifications": "easy, openDoors"}"#, "simplifications: unknown simplification \" openDoors\""),
            (
                r#"{"task": "power-component", "simplifications": "openDoors,noElectricalAction"}"#,
                "simplifications: expected none that switches electricity off, for the task power-component, got \
                 openDoors,noElectricalAction",
            ),
            (r#"{"step_limit": 0}"#, "step_limit: expected at least 1 move, got 0"),
            (r#"{"max_turns": 0}"#, "max_turns: expected at least 1 turn, got 0"),
            (r#"{"heap_mb": 16}"#, "heap_mb: expected from 48 to 8192 MiB, got 16"),
            (r#"{"timeout": 0}"#, "timeout: expected from 1 to 3600 seconds, got 0"),
        ] {
            assert_eq!(refusal(json), text);
        }
        assert!(serde_json::from_str::<SciWorldOptions>(r#"{"tasks": "boil"}"#).is_err());
        assert_eq!(serde_json::from_str::<SciWorldOptions>("{}").unwrap(), SciWorldOptions::default());
        SciWorldOptions::default().validate().unwrap();
    }
}
