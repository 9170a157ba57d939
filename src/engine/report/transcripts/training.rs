//! The rows of `episodes.jsonl.zst` as the page shows them.

use serde_json::{Map, Value, json};

use super::{Shown, Tokens};
use crate::engine::report::runs::RunFolder;
use crate::engine::track::episodes::{EpisodeRow, Kind};

pub fn episodes(runs: &[RunFolder]) -> Vec<Shown> {
    runs.iter()
        .enumerate()
        .flat_map(|(run, folder)| folder.episodes.rows.iter().map(move |row| shown(run, row)))
        .collect()
}

fn shown(run: usize, row: &EpisodeRow) -> Shown {
    let source = match row.kind {
        Kind::Episode => row.stage.clone(),
        Kind::Record => format!("{} records", row.stage),
    };
    let tokens = tokens(row);
    let messages = match tokens {
        Some(_) => Vec::new(),
        None => row.messages.iter().map(|said| (said.role.clone(), said.content.clone())).collect(),
    };
    Shown {
        run,
        source,
        iteration: row.iteration,
        index: row.index,
        model: None,
        env: row.env.clone().unwrap_or_default(),
        task: row.task_id,
        score: row.score,
        own: row.own_score,
        success: row.success,
        ending: row.ending.clone(),
        reason: row.reason.clone(),
        reward: row.reward,
        picked: row.picked.clone(),
        tokens,
        messages,
    }
}

/// `None` where the row has messages alone.
fn tokens(row: &EpisodeRow) -> Option<Tokens> {
    if row.pieces.is_empty() {
        return None;
    }
    let columns = row.columns.named().map(|(name, column)| (name.to_string(), thousandths(column)));
    Some(Tokens {
        text: row.pieces.concat(),
        lengths: row.pieces.iter().map(|piece| piece.encode_utf16().count()).collect(),
        mask: row.mask.clone(),
        turns: row.turns.iter().map(|turn| (turn.from, turn.to, turn.reward)).collect(),
        ids: row.ids.clone(),
        columns: columns.collect::<Map<String, Value>>(),
    })
}

/// What is not a number is null.
fn thousandths(column: &[Option<f64>]) -> Value {
    let whole =
        |value: &Option<f64>| value.filter(|value| value.is_finite()).map(|value| (value * 1000.0).round() as i64);
    json!(column.iter().map(whole).collect::<Vec<_>>())
}
