//! What follows from a line of metrics: speeds, and the seconds that are not told.

use std::collections::BTreeMap;

use crate::engine::report::runs::MetricRow;

/// A line of metrics with what follows from it.
pub struct Derived {
    pub place: f64,
    pub values: BTreeMap<String, f64>,
}

impl Derived {
    pub fn of(row: &MetricRow) -> Self {
        let mut values = row.values.clone();
        let get = |key: &str| row.values.get(key).copied();
        let playing = get("rollout_seconds");
        let training = get("seconds").map(|seconds| seconds - playing.unwrap_or(0.0));
        if let (Some(tokens), Some(seconds)) = (get("tokens"), training.filter(|seconds| *seconds > 0.0)) {
            values.entry("tokens_per_second".to_string()).or_insert(tokens / seconds);
        }
        if let (Some(playing), Some(training)) = (playing, training) {
            values.insert("training_seconds".to_string(), training);
            if let Some(tokens) = played_tokens(&row.values).filter(|_| playing > 0.0) {
                values.insert("playing_tokens_per_second".to_string(), tokens / playing);
            }
        }
        Derived { place: row.place, values }
    }
}

/// Tokens that were played: the mean of an episode times the episodes, environment by environment where both are told so.
fn played_tokens(values: &BTreeMap<String, f64>) -> Option<f64> {
    let by_env: Vec<f64> = values
        .iter()
        .filter_map(|(key, mean)| {
            Some(mean * values.get(&format!("episodes_by_env.{}", key.strip_prefix("tokens_mean.")?))?)
        })
        .collect();
    match by_env.is_empty() {
        true => Some(values.get("tokens_mean")? * values.get("episodes")?),
        false => Some(by_env.iter().sum()),
    }
}
