//! What was played, for the page's browser: the episodes of training token by token, and judged tasks, model beside model.
//!
//! The page gets one JSON text. Token texts are one string with the length of each piece in UTF-16 units, as JavaScript counts;
//! numbers per token are thousandths. Both are a third of the plain form.

mod evaluation;
mod fit;
mod training;

use serde::Serialize;

pub use self::fit::{Fitted, LeftOut};
use super::paired::Contest;
use super::runs::RunFolder;

/// All episodes that the page could show.
#[derive(Debug, Default)]
pub struct Transcripts {
    runs: Vec<String>,
    /// Of the evaluation, in the order of the columns beside each other.
    models: Vec<String>,
    episodes: Vec<Shown>,
}

/// An episode, a record or a judged task; the field names are those that the script reads.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Shown {
    /// The place among the runs.
    run: usize,
    /// `evaluation`, or a stage of training.
    source: String,
    iteration: u64,
    index: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    env: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    own: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    success: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ending: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reward: Option<f64>,
    /// `best`, `worst` or `random`; of a judged task also whose.
    #[serde(skip_serializing_if = "Option::is_none")]
    picked: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens: Option<Tokens>,
    /// Role and text; where the tokens are known they say it all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    messages: Vec<(String, String)>,
}

/// An episode by its tokens.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Tokens {
    text: String,
    lengths: Vec<usize>,
    mask: Vec<(usize, usize)>,
    turns: Vec<(usize, usize, Option<f64>)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ids: Vec<i64>,
    columns: serde_json::Map<String, serde_json::Value>,
}

impl Transcripts {
    pub fn of(runs: &[RunFolder], contest: &Contest) -> Self {
        let mut episodes = training::episodes(runs);
        episodes.extend(evaluation::episodes(contest));
        Transcripts {
            runs: runs.iter().map(|run| run.name.clone()).collect(),
            models: contest.contestants.iter().map(|contestant| contestant.title.clone()).collect(),
            episodes,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.episodes.is_empty()
    }
}
