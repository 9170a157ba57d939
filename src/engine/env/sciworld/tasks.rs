//! ScienceWorld's thirty tasks and their variations, as of version 1.2.3, and AgentGym's numbering of them.

use std::fmt;

use serde_json::{Map, Value};

use crate::engine::{Error, Result};

/// A task in the order of ScienceWorld's own list, with the number of its variations.
pub struct Task {
    pub name: &'static str,
    pub variations: u32,
    /// AgentGym leaves out the tasks that take very long (its exceptions 5-1, 5-2, 9-1 to 9-3, 10-1 and 10-2).
    numbered: bool,
}

const fn numbered(name: &'static str, variations: u32) -> Task {
    Task { name, variations, numbered: true }
}

const fn by_name_only(name: &'static str, variations: u32) -> Task {
    Task { name, variations, numbered: false }
}

pub const TASKS: [Task; 30] = [
    numbered("boil", 30),
    numbered("melt", 30),
    numbered("freeze", 30),
    numbered("change-the-state-of-matter-of", 30),
    numbered("use-thermometer", 540),
    numbered("measure-melting-point-known-substance", 436),
    numbered("measure-melting-point-unknown-substance", 300),
    numbered("power-component", 20),
    numbered("power-component-renewable-vs-nonrenewable-energy", 20),
    numbered("test-conductivity", 900),
    numbered("test-conductivity-of-unknown-substances", 600),
    numbered("find-living-thing", 300),
    numbered("find-non-living-thing", 300),
    numbered("find-plant", 300),
    numbered("find-animal", 300),
    by_name_only("grow-plant", 126),
    by_name_only("grow-fruit", 126),
    numbered("chemistry-mix", 32),
    numbered("chemistry-mix-paint-secondary-color", 36),
    numbered("chemistry-mix-paint-tertiary-color", 36),
    numbered("lifespan-longest-lived", 125),
    numbered("lifespan-shortest-lived", 125),
    numbered("lifespan-longest-lived-then-shortest-lived", 125),
    numbered("identify-life-stages-1", 14),
    numbered("identify-life-stages-2", 10),
    by_name_only("inclined-plane-determine-angle", 168),
    by_name_only("inclined-plane-friction-named-surfaces", 1386),
    by_name_only("inclined-plane-friction-unnamed-surfaces", 162),
    by_name_only("mendelian-genetics-known-plant", 120),
    by_name_only("mendelian-genetics-unknown-plant", 480),
];

/// One numbered instance of a task.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Variation {
    pub task: &'static str,
    pub number: u32,
}

impl fmt::Display for Variation {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} {}", self.task, self.number)
    }
}

impl Variation {
    /// A task by its name; `number` counts its variations from 0.
    pub fn named(name: &str, number: u32) -> Result<Self> {
        let Some(task) = TASKS.iter().find(|task| task.name == name) else {
            let names: Vec<&str> = TASKS.iter().map(|task| task.name).collect();
            let hint = match nearest(name, &names) {
                Some(near) => format!("did you mean {near:?}? ScienceWorld's tasks are {}", names.join(", ")),
                None => format!("ScienceWorld's tasks are {}", names.join(", ")),
            };
            return Err(Error::Unknown { path: "task".into(), what: format!("task {name:?}"), hint });
        };
        if number >= task.variations {
            let expected = format!("from 0 to {}, the variations of {name}", task.variations - 1);
            return Err(Error::option("variation", expected, number));
        }
        Ok(Variation { task: task.name, number })
    }

    /// AgentGym's numbering: all variations of the first task, then of the next.
    pub fn numbered(task_id: u64) -> Option<Self> {
        let mut rest = task_id;
        for task in TASKS.iter().filter(|task| task.numbered) {
            match rest.checked_sub(u64::from(task.variations)) {
                Some(beyond) => rest = beyond,
                None => return Some(Variation { task: task.name, number: rest as u32 }),
            }
        }
        None
    }
}

/// An episode as `e:reset { task = "boil", variation = 3, simplifications = "easy" }` names it.
#[derive(Debug, PartialEq)]
pub struct Named {
    pub variation: Variation,
    /// In place of those of the environment's options.
    pub simplifications: Option<String>,
}

impl Named {
    pub fn read(table: &Map<String, Value>) -> Result<Self> {
        const KEYS: [&str; 3] = ["task", "variation", "simplifications"];
        if let Some(key) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
            let hint = format!("a task is named by {}", KEYS.join(", "));
            return Err(Error::Unknown { path: key.clone(), what: "key".into(), hint });
        }
        let got = |key: &str| table.get(key).map_or("nothing".to_string(), Value::to_string);
        let task = table.get("task").and_then(Value::as_str);
        let task = task.ok_or_else(|| Error::option("task", "the name of a task, such as \"boil\"", got("task")))?;
        let number = table.get("variation").and_then(Value::as_u64).and_then(|number| u32::try_from(number).ok());
        let number = match number {
            Some(number) => number,
            None => return Err(Error::option("variation", "an integer of at least 0", got("variation"))),
        };
        let simplifications = match table.get("simplifications") {
            None => None,
            Some(Value::String(names)) => Some(names.clone()),
            Some(other) => return Err(Error::option("simplifications", "a string", other)),
        };
        Ok(Named { variation: Variation::named(task, number)?, simplifications })
    }
}

/// How many numbers AgentGym's list has: 4639.
pub fn num_tasks() -> u64 {
    TASKS.iter().filter(|task| task.numbered).map(|task| u64::from(task.variations)).sum()
}

/// How many variations a task has; none where there is no such task.
pub fn variations(name: &str) -> u64 {
    TASKS.iter().find(|task| task.name == name).map_or(0, |task| task.variations.into())
}

/// The one of `names` that begins like `name` does, for a hint.
fn nearest<'a>(name: &str, names: &[&'a str]) -> Option<&'a str> {
    let wanted = name.to_lowercase().replace([' ', '_'], "-");
    let common = |other: &str| wanted.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    names.iter().copied().max_by_key(|other| common(other)).filter(|other| common(other) >= 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_run_through_the_variations_of_one_task_after_another() {
        let at = |id| Variation::numbered(id).map(|v| v.to_string());
        assert_eq!(num_tasks(), 4639);
        assert_eq!(at(0).as_deref(), Some("boil 0"));
        assert_eq!(at(29).as_deref(), Some("boil 29"));
        assert_eq!(at(30).as_deref(), Some("melt 0"));
        assert_eq!(at(3836).as_deref(), Some("find-animal 0"));
        assert_eq!(at(4136).as_deref(), Some("chemistry-mix 0"), "the plants to grow are left out");
        assert_eq!(at(4638).as_deref(), Some("identify-life-stages-2 9"));
        assert_eq!(at(4639), None);
    }

    #[test]
    fn an_unknown_task_or_variation_is_refused_with_what_there_is() {
        let error = Variation::named("find_plants", 0).unwrap_err();
        assert_eq!(error.to_string(), "task: unknown task \"find_plants\"");
        assert!(error.hint().unwrap().starts_with("did you mean \"find-plant\"? ScienceWorld's tasks are boil, melt"));
        assert!(Variation::named("", 0).unwrap_err().hint().unwrap().starts_with("ScienceWorld's tasks are"));
        let error = Variation::named("boil", 30).unwrap_err().to_string();
        assert_eq!(error, "variation: expected from 0 to 29, the variations of boil, got 30");
    }

    #[test]
    fn an_episode_is_named_by_task_and_variation() {
        let read = |json: &str| Named::read(&serde_json::from_str(json).unwrap());
        let named = read(r#"{"task": "grow-plant", "variation": 125, "simplifications": "easy"}"#).unwrap();
        assert_eq!(named.variation.to_string(), "grow-plant 125");
        assert_eq!(named.simplifications.as_deref(), Some("easy"));
        assert_eq!(read(r#"{"task": "boil", "variation": 0}"#).unwrap().simplifications, None);
        for (json, text) in [
            ("{}", "task: expected the name of a task, such as \"boil\", got nothing"),
            (r#"{"task": 4, "variation": 0}"#, "task: expected the name of a task, such as \"boil\", got 4"),
            (r#"{"task": "boil"}"#, "variation: expected an integer of at least 0, got nothing"),
            (r#"{"task": "boil", "variation": -1}"#, "variation: expected an integer of at least 0, got -1"),
            (
                r#"{"task": "boil", "variation": 30}"#,
                "variation: expected from 0 to 29, the variations of boil, got 30",
            ),
            (r#"{"task": "boil", "variation": 0, "simplifications": 1}"#, "simplifications: expected a string, got 1"),
            (r#"{"task": "boil", "variations": 0}"#, "variations: unknown key"),
        ] {
            assert_eq!(read(json).unwrap_err().to_string(), text);
        }
    }
}
