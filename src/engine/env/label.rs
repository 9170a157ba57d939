//! Labels: what tells two environments of one name apart, in results, metrics and settings by environment.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value};

use super::{Baselines, Demonstrator, Description, Environment, Facts, Identity, Parsed, Step};
use crate::engine::text::Message;
use crate::engine::{Error, Result, file};

/// How an environment came to be, as far as that can tell it from another one.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Origin {
    pub name: String,
    /// The one that it was given.
    pub label: Option<String>,
    /// What was asked for, where that says more than the name: a file, a module, a server's address.
    pub source: Option<String>,
    /// The options that it was given.
    pub options: Map<String, Value>,
}

/// A text may be longer in a label only up to here; its hash stands for the rest.
const LONGEST: usize = 24;

/// One label for each, all different: the one given, else the name, and behind it, where several share it, the options in
/// which they differ.
pub fn labels(origins: &[Origin]) -> Result<Vec<String>> {
    let labels: Vec<String> = origins.iter().map(|origin| label(origin, origins)).collect();
    for (place, label) in labels.iter().enumerate() {
        if labels[..place].contains(label) {
            return Err(twice(&origins[place], label));
        }
    }
    tell(origins, &labels);
    Ok(labels)
}

/// A label may be part of a file's name, a cell of a table and a key of metrics.
pub fn check(label: &str) -> Result<()> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || " _-.,:=()+".contains(c);
    if label.trim().is_empty() || label.len() > 64 || !label.chars().all(is_plain) {
        let expected = "1 to 64 letters, digits, spaces and characters of \"_-.,:=()+\"";
        return Err(Error::option("label", expected, format!("{label:?}")));
    }
    Ok(())
}

fn label(origin: &Origin, all: &[Origin]) -> String {
    if let Some(label) = &origin.label {
        return label.clone();
    }
    let others: Vec<&Origin> = all.iter().filter(|other| other.label.is_none() && other.name == origin.name).collect();
    let mut parts = Vec::new();
    if let Some(source) = &origin.source
        && others.iter().any(|other| other.source != origin.source)
    {
        parts.push(short(&Value::from(source.as_str())));
    }
    let keys: BTreeSet<&String> = others.iter().flat_map(|other| other.options.keys()).collect();
    for key in keys {
        let value = origin.options.get(key).map(written);
        if others.iter().any(|other| other.options.get(key).map(written) != value) {
            parts.extend(origin.options.get(key).map(|value| format!("{key}={}", short(value))));
        }
    }
    match parts.is_empty() {
        true => origin.name.clone(),
        false => format!("{}({})", origin.name, parts.join(", ")),
    }
}

fn twice(origin: &Origin, label: &str) -> Error {
    let problem = match &origin.label {
        Some(_) => format!("two environments have the label \"{label}\""),
        None => format!("two environments are named \"{label}\", and no option tells them apart"),
    };
    let hint = format!("leave one out, or give each a label: env.make(\"{}\", {{ label = \"…\" }})", origin.name);
    Error::hinted(problem, hint)
}

/// Says once which environments are told apart by their options.
fn tell(origins: &[Origin], labels: &[String]) {
    static TOLD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let is_shared = |origin: &Origin| {
        origin.label.is_none()
            && origins.iter().filter(|other| other.label.is_none() && other.name == origin.name).count() > 1
    };
    let apart = origins.iter().zip(labels).filter(|(origin, _)| is_shared(origin));
    let names = apart.map(|(_, label)| label.as_str()).collect::<Vec<_>>().join("; ");
    if !names.is_empty() && TOLD.lock().unwrap_or_else(PoisonError::into_inner).insert(names.clone()) {
        tracing::info!("environments of one name are told apart by their options: {names}");
    }
}

/// A value, the same text for equal ones: 4 and 4.0 are.
fn written(value: &Value) -> String {
    match value.as_f64() {
        Some(number) => number.to_string(),
        None => value.to_string(),
    }
}

/// A value as it stands in a label.
fn short(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| written(value), str::to_string);
    let plain: String = text.chars().map(|c| if check(&format!("x{c}")).is_ok() { c } else { '-' }).collect();
    if plain == text && text.len() <= LONGEST {
        return text;
    }
    // What is left of a path or an address is its end.
    let from = plain.len().saturating_sub(LONGEST);
    format!("{}-{}", plain[from..].trim_matches('-'), &file::sha256(text.as_bytes())[..6])
}

/// An environment under a label of its own.
pub struct Labelled {
    pub label: String,
    pub environment: Box<dyn Environment>,
}

impl Environment for Labelled {
    fn label(&self) -> String {
        self.label.clone()
    }

    fn fresh(&self) -> Result<Box<dyn Environment>> {
        Ok(Box::new(Labelled { label: self.label.clone(), environment: self.environment.fresh()? }))
    }

    // All else is the environment's own, also what has a default.

    fn describe(&self) -> Description {
        self.environment.describe()
    }

    fn identity(&self) -> Identity {
        self.environment.identity()
    }

    fn reset(&mut self, task_id: u64) -> Result<String> {
        self.environment.reset(task_id)
    }

    fn reset_to(&mut self, task: &Map<String, Value>) -> Result<String> {
        self.environment.reset_to(task)
    }

    fn messages(&self) -> Result<Vec<Message>> {
        self.environment.messages()
    }

    fn parse(&self, reply: &str) -> Result<Parsed> {
        self.environment.parse(reply)
    }

    fn step(&mut self, action: &str) -> Result<Step> {
        self.environment.step(action)
    }

    fn reply(&self, action: &str, thought: Option<&str>) -> Result<String> {
        self.environment.reply(action, thought)
    }

    fn demonstrator(&mut self) -> Option<&mut dyn Demonstrator> {
        self.environment.demonstrator()
    }

    fn baselines(&self) -> Option<&dyn Baselines> {
        self.environment.baselines()
    }

    fn facts(&self) -> Option<&dyn Facts> {
        self.environment.facts()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn made(name: &str, options: Value) -> Origin {
        let options = options.as_object().cloned().unwrap_or_default();
        Origin { name: name.to_string(), options, ..Origin::default() }
    }

    fn with(label: &str, origin: Origin) -> Origin {
        Origin { label: Some(label.to_string()), ..origin }
    }

    fn refusal(origins: &[Origin]) -> String {
        labels(origins).unwrap_err().to_string()
    }

    #[test]
    fn a_name_of_its_own_is_the_label_and_a_given_label_goes_before_it() {
        let origins =
            [made("sat", json!({ "n": 4 })), made("grid", json!({})), with("sat-hard", made("sat", json!({})))];
        assert_eq!(labels(&origins).unwrap(), ["sat", "grid", "sat-hard"]);
    }

    #[test]
    fn environments_of_one_name_are_told_apart_by_the_options_in_which_they_differ() {
        let origins = [
            made("sat", json!({ "n": 4, "k": 2, "m": 9 })),
            made("sat", json!({ "n": 6.0, "k": 2.0 })),
            made("grid", json!({})),
            made("sat", json!({ "k": 2 })),
        ];
        assert_eq!(labels(&origins).unwrap(), ["sat(m=9, n=4)", "sat(n=6)", "grid", "sat"]);
    }

    #[test]
    fn what_was_asked_for_tells_two_servers_or_files_apart() {
        let server = |source: &str| Origin { source: Some(source.to_string()), ..made("textcraft", json!({})) };
        let found = labels(&[server("http://127.0.0.1:8001"), server("http://127.0.0.1:8002")]).unwrap();
        assert!(found[0].starts_with("textcraft(") && found[0].contains("127.0.0.1:8001"), "{found:?}");
        assert_ne!(found[0], found[1]);
        found.iter().for_each(|label| check(label).unwrap());
    }

    #[test]
    fn long_values_are_shortened_and_stay_different() {
        let text = |end: &str| made("abd", json!({ "instructions": format!("{}{end}", "Solve it. ".repeat(30)) }));
        let found = labels(&[text("a | b\n"), text("a / b\n")]).unwrap();
        assert_ne!(found[0], found[1]);
        found.iter().for_each(|label| check(label).unwrap());
    }

    #[test]
    fn duplicates_are_refused() {
        let sat = || made("sat", json!({ "n": 4 }));
        assert!(
            refusal(&[sat(), sat()]).contains("two environments are named \"sat\", and no option tells them apart")
        );
        assert!(refusal(&[sat(), made("sat", json!({ "n": 4.0 }))]).contains("no option tells them apart"));
        let same = [with("easy", sat()), with("easy", made("grid", json!({})))];
        assert!(refusal(&same).contains("two environments have the label \"easy\""));
        // A label that looks like another's name.
        assert!(labels(&[with("grid", sat()), made("grid", json!({}))]).is_err());
    }

    #[test]
    fn a_label_is_fit_for_a_files_name_and_a_tables_cell() {
        for label in ["sat-easy", "sat(n=4, k=2)", "level 3"] {
            check(label).unwrap();
        }
        for label in ["", " ", "a/b", "a|b", "a\nb", "naïve"] {
            assert!(check(label).is_err(), "{label:?}");
        }
    }
}
