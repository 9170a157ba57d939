//! Results task by task, kept in a file: what was played is not played again, and can be read, compared and doubted.
//!
//! A line of JSON per task, appended as tasks end; with `.zst` at its name's end the file is compressed (see
//! [`frames`]).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::protocol::{Protocol, SEED};
use super::served::Served;
use crate::engine::model::Model;
use crate::engine::rollout::endpoint::{EndpointEpisode, Usage};
use crate::engine::rollout::players::Player;
use crate::engine::rollout::{Episode, Outcome};
use crate::engine::text::Message;
use crate::engine::track::frames::{self, Lines};
use crate::engine::{Error, Result, device, file};

/// Who played.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// A folder, or a Hub id.
    pub source: String,
    /// The commit of a model on the Hub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// [`Model::fingerprint`](crate::engine::model::Model::fingerprint).
    pub fingerprint: String,
    pub dtype: String,
    pub device: String,
    pub kernels: String,
}

impl Judged {
    /// `known_by_its_weights`: whether the fingerprint, which reads them all, is wanted.
    pub fn of(model: &Model, known_by_its_weights: bool) -> Self {
        Judged {
            source: model.source().name.clone(),
            revision: model.source().revision.clone(),
            fingerprint: if known_by_its_weights { model.fingerprint() } else { String::new() },
            dtype: device::dtype_name(model.net.kind()).to_string(),
            device: device::name(model.net.device()),
            kernels: model.net.compute().kernels.resolved().name().to_string(),
        }
    }

    /// Of a player that is no model: its name is all there is to know.
    pub fn of_player(player: &Player) -> Self {
        let (source, none) = (player.name(), || "none".to_string());
        let fingerprint = file::sha256(source.as_bytes());
        Judged { fingerprint, source, revision: None, dtype: none(), device: none(), kernels: none() }
    }
}

/// A task as it was played.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub model: Judged,
    /// The environment's label.
    pub env: String,
    pub task_id: u64,
    /// On 0..1.
    pub score: f64,
    /// On the environment's own scale.
    pub own_score: f64,
    pub success: bool,
    /// `terminated`, `truncated` or `failed`.
    pub ending: String,
    /// Why an episode failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub turns: usize,
    /// Turns in whose reply the environment found no action.
    #[serde(default)]
    pub invalid_actions: usize,
    /// That the model said, where its server counts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<usize>,
    /// Of the whole conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_tokens: Option<usize>,
    /// What an endpoint counts, over all turns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// From the episode's first observation to its end, beside others that were played at the same time.
    pub seconds: f64,
    /// When it was written, in seconds since 1970.
    pub time: f64,
    pub messages: Vec<Message>,
    /// Of an episode that was played as a chat server serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served: Option<Served>,
    pub protocol_hash: String,
    pub protocol: Protocol,
}

impl Row {
    /// `protocol`: with its hash. What a kind of player tells besides is not in it.
    pub fn of(outcome: Outcome, model: Judged, (protocol, protocol_hash): (Protocol, String)) -> Self {
        Row {
            model,
            score: outcome.normalised_score,
            own_score: outcome.score,
            success: outcome.success,
            ending: outcome.ending.name().to_string(),
            reason: outcome.ending.failure().map(str::to_string),
            turns: outcome.turns,
            invalid_actions: outcome.invalid_actions,
            env: outcome.environment,
            task_id: outcome.task_id,
            tokens: None,
            total_tokens: None,
            usage: None,
            seconds: outcome.seconds,
            time: now(),
            messages: outcome.messages,
            served: None,
            protocol_hash,
            protocol,
        }
    }

    /// Of an episode that a model played here.
    pub fn of_episode(episode: &Episode, model: Judged, protocol: (Protocol, String)) -> Self {
        Row {
            tokens: Some(episode.mask.iter().filter(|said| **said).count()),
            total_tokens: Some(episode.ids.len()),
            ..Row::of(episode.outcome(), model, protocol)
        }
    }

    /// Of an episode that an endpoint's model played.
    pub fn of_endpoint(episode: EndpointEpisode, model: Judged, protocol: (Protocol, String)) -> Self {
        let usage = episode.usage();
        let last = episode.turns.last().and_then(|turn| turn.usage);
        Row {
            tokens: usage.map(|usage| usage.completion as usize),
            total_tokens: last.map(|usage| (usage.prompt + usage.completion) as usize),
            usage,
            ..Row::of(episode.outcome, model, protocol)
        }
    }

    /// Whether this is a task that need not be played again: by this model, under the protocol of this hash, to an end.
    pub fn is_of(&self, model: &Judged, protocol_hash: &str, env: &str) -> bool {
        let same = self.env == env && self.model.fingerprint == model.fingerprint;
        same && !self.failed() && self.protocol_hash == protocol_hash
    }

    pub fn failed(&self) -> bool {
        self.reason.is_some()
    }

    /// Refuses what no evaluation can have written.
    fn check(&self) -> Result<(), String> {
        let what = |name: &str, value: f64| format!("{name} = {value} of task {} in {}", self.task_id, self.env);
        if !(0.0..=1.0).contains(&self.score) && !self.failed() {
            return Err(format!("{}: expected a number from 0 to 1", what("score", self.score)));
        }
        Ok(())
    }

    /// Refuses a protocol that is not the one of the hash beside it. `known`: those that were looked at, by their hash.
    fn check_protocol(&self, known: &mut HashMap<String, Protocol>) -> Result<(), String> {
        // One that a script wrote back may have another form and say the same.
        let is_known = known.get(&self.protocol_hash) == Some(&self.protocol);
        if !is_known && self.protocol.hash() != self.protocol_hash {
            return Err(format!("the protocol of task {} in {} has another hash", self.task_id, self.env));
        }
        known.entry(self.protocol_hash.clone()).or_insert_with(|| self.protocol.clone());
        Ok(())
    }
}

/// In seconds since 1970.
fn now() -> f64 {
    chrono::Utc::now().timestamp_millis() as f64 / 1000.0
}

/// By environment the names of what differs between the protocols of two models' rows; environments of one protocol are not
/// among them. Several samples of a task are of one protocol but for the seed: seeds are compared as a whole.
pub fn protocol_differences(a: &[Row], b: &[Row]) -> BTreeMap<String, Vec<String>> {
    let (ours, theirs) = (told_apart(a), told_apart(b));
    let mut differences: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (env, (seeds, protocols)) in &ours {
        let Some((other_seeds, others)) = theirs.get(env) else { continue };
        let pairs = protocols.values().flat_map(|protocol| others.values().map(move |other| (protocol, other)));
        let mut names: Vec<String> = pairs.flat_map(|(protocol, other)| protocol.differences(other)).collect();
        names.extend((seeds != other_seeds).then(|| SEED.to_string()));
        let mut known = HashSet::new();
        names.retain(|name| known.insert(name.clone()));
        if !names.is_empty() {
            differences.insert(env.clone(), names);
        }
    }
    differences
}

/// By environment the seeds, and the protocols without them by their hash.
fn told_apart(rows: &[Row]) -> BTreeMap<String, (BTreeSet<u64>, BTreeMap<String, Protocol>)> {
    let mut apart: BTreeMap<String, (BTreeSet<u64>, BTreeMap<String, Protocol>)> = BTreeMap::new();
    let mut known = HashSet::new();
    for row in rows.iter().filter(|row| known.insert((&row.env, &row.protocol_hash))) {
        let (seeds, protocols) = apart.entry(row.env.clone()).or_default();
        let protocol = row.protocol.without_seed();
        seeds.extend(row.protocol.given_seed());
        protocols.insert(protocol.hash(), protocol);
    }
    apart
}

/// A file of results.
#[derive(Debug, Clone)]
pub struct Results {
    path: PathBuf,
}

impl Results {
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Results { path: path.into() }
    }

    /// All rows, of each task the last; none where there is no file.
    pub fn read(&self) -> Result<Vec<Row>> {
        let lines = match Lines::of_file(&self.path) {
            Ok(lines) => lines,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(file::unreadable(&self.path, &error)),
        };
        if let Some(left_out) = lines.left_out {
            tracing::warn!("{}: {left_out}", self.path.display());
        }
        let (mut rows, mut protocols) = (BTreeMap::new(), HashMap::new());
        for (number, line) in lines.text.lines().enumerate() {
            let place = |problem: String| Error::file(&self.path, format!("line {}: {problem}", number + 1));
            let row: Row = serde_json::from_str(line).map_err(|error| place(error.to_string()))?;
            row.check().and_then(|()| row.check_protocol(&mut protocols)).map_err(place)?;
            let key = (row.model.fingerprint.clone(), row.protocol_hash.clone(), row.env.clone(), row.task_id);
            rows.insert(key, row);
        }
        Ok(rows.into_values().collect())
    }

    /// Adds rows, and has them on the disk before it returns.
    pub fn add(&self, rows: &[Row]) -> Result<()> {
        let mut text = Vec::new();
        for row in rows {
            serde_json::to_writer(&mut text, row).map_err(|error| Error::message(error.to_string()))?;
            text.push(b'\n');
        }
        let added = frames::append(&self.path, &text);
        added.map_err(|e| Error::file(&self.path, format!("cannot be written: {}", file::reason(&e))))
    }

    /// Where they are, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(task_id: u64, score: f64) -> Row {
        let protocol: Protocol = serde_json::from_value(json!({ "environment": "sat" })).unwrap();
        let model = json!({
            "source": "models/a", "fingerprint": "f", "dtype": "float32", "device": "cpu", "kernels": "onednn",
        });
        Row {
            model: serde_json::from_value(model).unwrap(),
            env: "sat".into(),
            task_id,
            score,
            own_score: score,
            success: score == 1.0,
            ending: "terminated".into(),
            reason: None,
            turns: 1,
            invalid_actions: 0,
            tokens: Some(2),
            total_tokens: Some(3),
            usage: None,
            seconds: 0.5,
            time: 1.0,
            messages: vec![Message::user("a task")],
            served: None,
            protocol_hash: protocol.hash(),
            protocol,
        }
    }

    fn scores(results: &Results) -> Vec<(u64, f64)> {
        results.read().unwrap().iter().map(|row| (row.task_id, row.score)).collect()
    }

    #[test]
    fn rows_are_read_as_they_were_written_and_the_last_of_a_task_counts() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["results.jsonl", "results.jsonl.zst"] {
            let results = Results::at(folder.path().join("new").join(name));
            assert_eq!(results.read().unwrap(), []);
            results.add(&[row(2, 0.5), row(1, 1.0)]).unwrap();
            results.add(&[row(2, 0.25)]).unwrap();
            assert_eq!(scores(&results), [(1, 1.0), (2, 0.25)], "{name}");
            assert_eq!(results.read().unwrap()[0], row(1, 1.0));
        }
    }

    #[test]
    fn what_a_crash_cut_short_is_left_out_and_the_next_row_stands_whole() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["results.jsonl", "results.jsonl.zst"] {
            let results = Results::at(folder.path().join(name));
            results.add(&[row(1, 1.0)]).unwrap();
            let first = std::fs::metadata(results.path()).unwrap().len();
            results.add(&[row(2, 0.5)]).unwrap();
            let second = std::fs::metadata(results.path()).unwrap().len();
            let whole = std::fs::read(results.path()).unwrap();
            for cut in [first + 1, first + (second - first) / 2, second - 1] {
                std::fs::write(results.path(), &whole[..cut as usize]).unwrap();
                assert_eq!(scores(&results), [(1, 1.0)], "{name} cut at {cut} of {second}");
                results.add(&[row(3, 0.0)]).unwrap();
                assert_eq!(scores(&results), [(1, 1.0), (3, 0.0)], "{name} cut at {cut} of {second}");
            }
        }
    }

    #[test]
    fn a_row_that_nobody_wrote_so_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |row: Row| {
            let results = Results::at(folder.path().join(format!("{}.jsonl", row.task_id)));
            results.add(&[row]).unwrap();
            results.read().unwrap_err().to_string().split(".jsonl: ").nth(1).unwrap().to_string()
        };
        assert_eq!(refused(row(1, 1.5)), "line 1: score = 1.5 of task 1 in sat: expected a number from 0 to 1");
        let mut other = row(3, 1.0);
        other.protocol_hash = "0".into();
        assert_eq!(refused(other), "line 1: the protocol of task 3 in sat has another hash");
        let path = folder.path().join("x.jsonl");
        std::fs::write(&path, "{}\n").unwrap();
        let error = Results::at(&path).read().unwrap_err().to_string();
        assert!(error.contains("x.jsonl: line 1: missing field `model`"), "{error}");
    }
}
