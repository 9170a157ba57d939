//! How far a model that is served is another one than the model that was trained.
//!
//! Rollouts extend token ids; a chat server renders the conversation anew for every turn, and its prompt may have other ids:
//! Qwen3's template drops earlier thoughts, and what was sampled as `Hel` + `lo` is read again as `Hello`. Of an episode that was
//! played as served ([`PlayOptions::as_served`](crate::engine::rollout::PlayOptions)) this tells in how many turns that was
//! so, and how much likelier or unlikelier the replies are after the ids that training would have had there.

use serde::{Deserialize, Serialize};

use super::results::Row;
use crate::engine::Result;
use crate::engine::model::Model;
use crate::engine::rollout::{Episode, Turn};

/// Of one episode.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Served {
    /// Turns whose prompt had other ids.
    pub differing_turns: usize,
    /// Tokens of the replies in them, as far as both prompts fit the model's context.
    pub compared_tokens: usize,
    /// The sum over these tokens of |log-prob as served - log-prob as trained|, in nats.
    pub logprob_change: f64,
}

/// Of many episodes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ServedSummary {
    pub turns: usize,
    /// Turns whose prompt had other ids.
    pub differing_turns: usize,
    /// The mean |log-prob as served - log-prob as trained| over the tokens of the replies in them, in nats; nothing without any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprob_change: Option<f64>,
}

impl ServedSummary {
    /// Of the rows that were played as served; nothing where none was.
    pub fn of(rows: &[Row]) -> Option<ServedSummary> {
        let served: Vec<(usize, Served)> = rows.iter().filter_map(|row| Some((row.turns, row.served?))).collect();
        let tokens: usize = served.iter().map(|(_, served)| served.compared_tokens).sum();
        let change: f64 = served.iter().map(|(_, served)| served.logprob_change).sum();
        (!served.is_empty()).then(|| ServedSummary {
            turns: served.iter().map(|(turns, _)| turns).sum(),
            differing_turns: served.iter().map(|(_, served)| served.differing_turns).sum(),
            logprob_change: (tokens > 0).then(|| change / tokens as f64),
        })
    }
}

impl Served {
    /// `temperature`: of the recorded log-probs; 0 is greedy, whose log-probs are unscaled.
    pub fn of(model: &Model, episode: &Episode, temperature: f64) -> Result<Served> {
        let differing: Vec<&Turn> = episode.turns.iter().filter(|turn| turn.prompt_differs).collect();
        if differing.is_empty() {
            return Ok(Served::default());
        }
        let context = model.net.config.max_position_embeddings as usize;
        let ids = &episode.ids[..episode.ids.len().min(context)];
        let temperature = if temperature == 0.0 { 1.0 } else { temperature };
        let trained = model.logprobs(ids, temperature)?;
        let tokens = differing.iter().flat_map(|turn| turn.tokens.clone()).filter(|token| *token < ids.len());
        // The first token has no log-prob.
        let changes = tokens.map(|token| f64::from(episode.logprobs[token] - trained[token - 1]).abs());
        let (sum, count) = changes.fold((0.0, 0), |(sum, count), change| (sum + change, count + 1));
        Ok(Served { differing_turns: differing.len(), compared_tokens: count, logprob_change: sum })
    }
}
