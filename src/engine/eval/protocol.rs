//! All that decides a score beside the model and the task: what is played, how it is told, how the model speaks. Two scores
//! are of one kind where their protocols are the same.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::candidate::Candidate;
use super::run::EvalOptions;
use crate::engine::env::Environment;
use crate::engine::{Result, file};

/// The name of the seed in it.
pub const SEED: &str = "seed";

/// By name what decides a score, in the order of this file; its hash stands for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Protocol(Map<String, Value>);

impl Protocol {
    /// Of an environment that somebody plays; a player that is no model has nothing to say. `also`: what else the caller knows to decide it, by name, such as the digest of
    /// an environment's code.
    pub fn of(
        candidate: Candidate,
        environment: &dyn Environment,
        options: &EvalOptions,
        also: &Map<String, Value>,
    ) -> Result<Self> {
        let (about, identity) = (environment.describe(), environment.identity());
        let mut protocol = Map::new();
        let mut put = |name: &str, value: Value| drop(protocol.insert(name.to_string(), value));
        put("environment", json!(about.name));
        put("options", identity.settings);
        put("version", json!(env!("CARGO_PKG_VERSION")));
        put("generator", json!(identity.generator));
        put("instructions", json!(identity.instructions));
        put("score_range", json!(about.score_range));
        put("success_threshold", json!(about.success_threshold));
        put("max_turns", json!(about.max_turns));
        put("turn_limit", json!(about.turn_limit));
        put("move_limit", json!(about.move_limit));
        if let Candidate::Player(player) = candidate {
            put("player", json!(player.name()));
            put(SEED, json!(options.seed));
        } else {
            put("chat_template", candidate.chat_template()?);
            put("as_served", json!(candidate.is_served(options)));
            put("max_new_tokens", json!(options.max_new_tokens));
            put("temperature", json!(options.temperature));
            // What is greedy draws nothing.
            if options.temperature > 0.0 {
                put("top_k", json!(options.top_k));
                put("top_p", json!(options.top_p));
                put(SEED, json!(options.seed));
            }
        }
        for (name, value) in also {
            put(name, value.clone());
        }
        Ok(Protocol(protocol))
    }

    /// SHA-256 of the whole, in hex, whatever the order of the names: a script that reads and writes it keeps none.
    pub fn hash(&self) -> String {
        file::sha256(canonical(&Value::Object(self.0.clone())).to_string().as_bytes())
    }

    /// Which luck the model met.
    pub fn seed(&self) -> u64 {
        self.given_seed().unwrap_or_default()
    }

    /// Nothing where nothing was drawn.
    pub fn given_seed(&self) -> Option<u64> {
        self.0.get(SEED).and_then(Value::as_u64)
    }

    /// The same for all samples of a task.
    pub fn without_seed(&self) -> Protocol {
        let mut protocol = self.0.clone();
        protocol.remove(SEED);
        Protocol(protocol)
    }

    /// The names of what differs from another; empty where both are one.
    pub fn differences(&self, other: &Protocol) -> Vec<String> {
        let names = self.0.keys().chain(other.0.keys().filter(|name| !self.0.contains_key(*name)));
        names.filter(|name| self.0.get(*name) != other.0.get(*name)).cloned().collect()
    }
}

/// The same for what a script cannot tell apart: the order of names, an empty list from an empty table, 1 from 1.0.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(fields) if fields.is_empty() => Value::Null,
        Value::Array(items) if items.is_empty() => Value::Null,
        Value::Object(fields) => {
            let mut names: Vec<&String> = fields.keys().collect();
            names.sort();
            let of = |name: &String| (name.clone(), canonical(&fields[name]));
            Value::Object(names.into_iter().map(of).filter(|(_, value)| !value.is_null()).collect())
        }
        Value::Array(items) => items.iter().map(canonical).collect(),
        Value::Number(number) => match number.as_f64() {
            Some(float) if float.fract() == 0.0 && float.abs() < 9e15 => Value::from(float as i64),
            _ => value.clone(),
        },
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn protocol(value: Value) -> Protocol {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn what_differs_is_named() {
        let one = protocol(json!({ "environment": "sat", "temperature": 0.7, "options": { "n": 4 } }));
        let other = protocol(json!({ "environment": "sat", "temperature": 0.0, "options": { "n": 5 }, "code": "x" }));
        assert_eq!(one.differences(&other), ["temperature", "options", "code"]);
        assert_eq!(other.differences(&one), ["temperature", "options", "code"]);
        assert!(one.differences(&one.clone()).is_empty());
        assert_ne!(one.hash(), other.hash());
        assert_eq!(one.hash(), one.clone().hash());
        let again = protocol(
            json!({ "options": { "n": 4.0 }, "temperature": 0.7, "environment": "sat", "instructions": null }),
        );
        assert_eq!(one.hash(), again.hash());
    }
}
