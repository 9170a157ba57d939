//! A sample of an iteration's episodes, token by token, for people.

use std::collections::BTreeMap;

use super::rollout::{Rollout, Sample};
use crate::engine::rollout::Turn;
use crate::engine::text::{Message, Tokenizer};
use crate::engine::track::episodes::{Column, Columns, EpisodeRow, Kind, Said, TurnSpan, ranges};
use crate::engine::{Result, random};

/// Of each environment, beside the best and the worst.
const RANDOM: usize = 2;

/// The best, the worst and some random episodes of each environment. `iteration`: counted from 1.
pub fn rows(rollout: &Rollout, tokenizer: &Tokenizer, stage: &str, iteration: u64) -> Result<Vec<EpisodeRow>> {
    let mut places: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (place, sample) in rollout.samples.iter().enumerate() {
        places.entry(&sample.episode.environment).or_default().push(place);
    }
    let chosen = places.into_values().flat_map(|places| choose(rollout, places, iteration));
    let row = |(index, (place, picked)): (usize, (usize, &str))| {
        let row = row(&rollout.samples[place], tokenizer)?;
        let (stage, picked) = (stage.to_string(), Some(picked.to_string()));
        Ok(EpisodeRow { stage, iteration, index: index as u64, picked, ..row })
    };
    chosen.enumerate().map(row).collect()
}

/// Of the episodes of one environment those of the sample, each with why it is in it.
fn choose(rollout: &Rollout, mut places: Vec<usize>, iteration: u64) -> Vec<(usize, &'static str)> {
    // Chance decides between equals, and a stream of its own what that is.
    let mut stream = random::stream(iteration, "sample of episodes", places.first().map_or(0, |&place| place as u64));
    random::shuffle(&mut stream, &mut places);
    let score = |place: &usize| rollout.samples[*place].episode.normalised_score;
    places.sort_by(|a, b| score(b).total_cmp(&score(a)));
    let mut chosen = Vec::new();
    if !places.is_empty() {
        chosen.push((places.remove(0), "best"));
    }
    chosen.extend(places.pop().map(|place| (place, "worst")));
    random::shuffle(&mut stream, &mut places);
    chosen.extend(places.into_iter().take(RANDOM).map(|place| (place, "random")));
    chosen
}

fn row(sample: &Sample, tokenizer: &Tokenizer) -> Result<EpisodeRow> {
    let episode = &sample.episode;
    let trained = |column: &[f32]| -> Option<Column> {
        let numbers = column.iter().zip(&episode.mask).filter(|(_, trained)| **trained);
        (column.len() == episode.ids.len()).then(|| numbers.map(|(number, _)| rounded(*number)).collect())
    };
    let turn = |turn: &Turn| TurnSpan { from: turn.tokens.start, to: turn.tokens.end, reward: Some(turn.reward) };
    let said = |message: &Message| Said { role: message.role.clone(), content: message.content.clone() };
    Ok(EpisodeRow {
        env: Some(episode.environment.clone()),
        task_id: Some(episode.task_id),
        score: Some(episode.normalised_score),
        own_score: Some(episode.score),
        success: Some(episode.success),
        ending: Some(episode.ending.name().to_string()),
        reason: episode.ending.failure().map(str::to_string),
        reward: Some(episode.total_reward()),
        turns: episode.turns.iter().map(turn).collect(),
        ids: episode.ids.clone(),
        pieces: tokenizer.pieces(&episode.ids)?,
        mask: ranges(&episode.mask),
        columns: Columns {
            logprobs: trained(&episode.logprobs),
            reference_logprobs: trained(&sample.reference_logprobs),
            values: trained(&sample.values),
            advantages: trained(&sample.advantages),
            returns: trained(&sample.returns),
        },
        seconds: Some(episode.seconds),
        messages: episode.messages.iter().map(said).collect(),
        ..EpisodeRow::new(Kind::Episode)
    })
}

/// To four decimals; nothing where it is not finite.
fn rounded(number: f32) -> Option<f64> {
    number.is_finite().then(|| (f64::from(number) * 1e4).round() / 1e4)
}
