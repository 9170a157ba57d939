//! What was asked for and what ran it: resolved settings, versions and seeds, run beside run.

use serde::Serialize;
use serde_json::Value;

use super::runs::RunFolder;

/// A table with a column per run.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Table {
    /// What is not the same in all runs.
    pub differing: Vec<SettingRow>,
    pub all: Vec<SettingRow>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SettingRow {
    /// `rl.learning_rate`.
    pub path: String,
    /// As JSON; `None` where a run has no such key.
    pub values: Vec<Option<String>>,
}

/// Of one file of every run; `None` where no run has it.
pub fn table(runs: &[RunFolder], file: fn(&RunFolder) -> Option<&Value>) -> Option<Table> {
    let flat: Vec<Option<Vec<(String, String)>>> = runs
        .iter()
        .map(|run| {
            let mut found = Vec::new();
            flatten(file(run)?, String::new(), &mut found);
            Some(found)
        })
        .collect();
    let mut paths: Vec<&String> = Vec::new();
    for (path, _) in flat.iter().flatten().flatten() {
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    let value = |of_run: &Option<Vec<(String, String)>>, path: &String| {
        of_run.as_ref()?.iter().find(|(other, _)| other == path).map(|(_, value)| value.clone())
    };
    let row = |path: &&String| {
        let values = flat.iter().map(|of_run| value(of_run, path)).collect();
        SettingRow { path: path.to_string(), values }
    };
    let all: Vec<SettingRow> = paths.iter().map(row).collect();
    let differing = all.iter().filter(|row| row.values.iter().any(|value| *value != row.values[0]));
    (!all.is_empty()).then(|| Table { differing: differing.cloned().collect(), all: all.clone() })
}

/// Every value by its path; a list and an empty table are values.
fn flatten(value: &Value, path: String, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(value, below, found);
            }
        }
        value => found.push((path, value.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_found_by_their_paths() {
        let mut found = Vec::new();
        flatten(&json!({ "rl": { "gamma": 1.0, "k": [1, 2], "none": {} }, "seed": 0 }), String::new(), &mut found);
        let expected = [("rl.gamma", "1.0"), ("rl.k", "[1,2]"), ("rl.none", "{}"), ("seed", "0")];
        assert_eq!(found, expected.map(|(path, value)| (path.to_string(), value.to_string())));
    }
}
