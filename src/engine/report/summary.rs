//! `summary.json`, as the stage evaluate writes it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::engine::eval::{Dominance, EnvironmentScore, FalseAlarms, Outcome};

impl Summary {
    /// What an evaluation has; a script may give its run a summary of another kind.
    pub const KEYS: [&str; 3] = ["order", "environments", "models"];
}

/// A score by environment.
pub type Scores = BTreeMap<String, Score>;

#[derive(Debug, Clone, Deserialize)]
pub struct Summary {
    /// The models, each after the one that it was made from.
    pub order: Vec<String>,
    pub environments: Vec<String>,
    pub models: BTreeMap<String, Scores>,
    #[serde(default, deserialize_with = "table")]
    pub baselines: BTreeMap<String, Scores>,
    /// Of the last model where the scores of models are as served.
    #[serde(default, deserialize_with = "table")]
    pub as_trained: Scores,
    /// What the episodes come to beside their mean scores, by model.
    #[serde(default, deserialize_with = "table")]
    pub metrics: BTreeMap<String, ByEnvironment>,
    #[serde(default)]
    pub greedy: Greedy,
    #[serde(default)]
    pub verdicts: Vec<Compared>,
    #[serde(default)]
    pub sampling: Sampling,
    pub held_out: Option<HeldOut>,
    pub near: Option<Near>,
    #[serde(default)]
    pub not_held_out: u64,
    /// Where every task's result lies, relative to the folder that affine worked in.
    pub results: Option<PathBuf>,
    /// Whose weights were judged, by model.
    #[serde(default, deserialize_with = "table")]
    pub sources: BTreeMap<String, Source>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Score {
    #[serde(flatten)]
    pub score: EnvironmentScore,
    /// The hash of the protocol that decided it, of the first sample of each task.
    pub protocol: Option<String>,
    /// Those of all samples; an older summary has none.
    #[serde(default)]
    pub protocols: Vec<String>,
    pub served: Option<Served>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct ByEnvironment {
    #[serde(deserialize_with = "table")]
    pub envs: BTreeMap<String, Numbers>,
}

/// Of [`Metrics`](crate::engine::eval::metrics::Metrics) what is shown.
#[derive(Debug, Clone, Deserialize)]
pub struct Numbers {
    pub median: f64,
    pub success_rate: f64,
    pub bootstrap: Option<Ends>,
    /// By k.
    #[serde(default, deserialize_with = "table")]
    pub at: BTreeMap<String, AtK>,
    pub invalid_action_rate: Option<f64>,
    pub turns: Option<f64>,
    pub tokens: Option<f64>,
    pub seconds: Option<f64>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Ends {
    pub lower: f64,
    pub upper: f64,
}

#[derive(Debug, Clone, Deserialize)]
pub struct AtK {
    pub pass: f64,
    pub avg: f64,
}

/// What it makes that a served model sees other prompts than training has.
#[derive(Debug, Clone, Deserialize)]
pub struct Served {
    pub turns: u64,
    pub differing_turns: u64,
    /// In nats per token of the replies; `None` where nothing was compared.
    pub logprob_change: Option<f64>,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub struct Greedy {
    #[serde(default, deserialize_with = "table")]
    pub models: BTreeMap<String, Scores>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Compared {
    pub candidate: String,
    pub against: String,
    pub result: Found,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Found {
    pub verdict: Dominance,
    #[serde(default, deserialize_with = "table")]
    pub envs: BTreeMap<String, Outcome>,
    pub strict: Option<Dominance>,
    pub false_alarms: Option<FalseAlarms>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Sampling {
    pub num_eval_samples: Option<u64>,
    pub samples_per_task: Option<u64>,
    pub as_served: Option<bool>,
    pub first_task_id: Option<u64>,
    pub temperature: Option<f64>,
    pub seed: Option<u64>,
    pub confidence: Option<f64>,
    pub max_new_tokens: Option<u64>,
    pub top_p: Option<f64>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct HeldOut {
    #[serde(deserialize_with = "table")]
    pub envs: BTreeMap<String, Apart>,
    #[serde(default)]
    pub found: Vec<FoundAgain>,
    /// How many records each file that was trained on holds.
    #[serde(deserialize_with = "table")]
    pub records: BTreeMap<String, u64>,
    pub tasks: u64,
}

/// How far an environment's judged tasks were kept from training.
#[derive(Debug, Clone, Deserialize)]
pub struct Apart {
    pub n: u64,
    pub not_excluded: u64,
    pub trained_on: u64,
}

#[derive(Debug, Clone, Deserialize)]
pub struct FoundAgain {
    pub file: String,
}

/// Judged prompts of which a record that was trained on holds at least half, the most first.
#[derive(Debug, Clone, Deserialize)]
pub struct Near {
    pub count: u64,
    /// Of so many; not told by older ones.
    pub tasks: Option<u64>,
    pub found: Vec<NearDuplicate>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct NearDuplicate {
    pub env: String,
    pub task_id: u64,
    pub seen: f64,
    pub record: String,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Source {
    pub fingerprint: Option<String>,
}

/// A table; Lua writes an empty one as a list may be.
fn table<'de, D, T>(value: D) -> Result<BTreeMap<String, T>, D::Error>
where
    D: Deserializer<'de>,
    T: serde::de::DeserializeOwned,
{
    match Value::deserialize(value)? {
        Value::Null => Ok(BTreeMap::new()),
        Value::Array(items) if items.is_empty() => Ok(BTreeMap::new()),
        value => serde_json::from_value(value).map_err(serde::de::Error::custom),
    }
}
