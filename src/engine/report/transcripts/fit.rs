//! Episodes within a limit of bytes: first the middle ones' numbers per token go, then whole episodes.

use serde::Serialize;
use serde_json::json;

use super::{Shown, Transcripts};
use crate::engine::{Error, Result};

/// The JSON text that the page embeds, and what is not in it.
#[derive(Debug)]
pub struct Fitted {
    pub json: String,
    pub left_out: LeftOut,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Episodes shown without their numbers per token.
    pub columns: usize,
    /// Episodes that are not shown.
    pub episodes: usize,
    pub shown: usize,
}

impl Transcripts {
    /// In at most `limit` bytes, as far as leaving out helps.
    pub fn within(&self, limit: usize) -> Result<Fitted> {
        let mut texts = self.episodes.iter().map(text).collect::<Result<Vec<String>>>()?;
        let frame = self.frame(&[])?.len();
        let mut bytes = frame + texts.iter().map(|text| text.len() + 1).sum::<usize>();
        let mut left_out = LeftOut::default();
        let order = self.middle_first();
        // The last eighth keeps its numbers, and whole episodes of the middle go for them.
        let most = order.len() - order.len() / 8;
        for &place in order[..most].iter().filter(|&&place| self.episodes[place].tokens.is_some()) {
            if bytes <= limit {
                break;
            }
            let plain = text(&without_numbers(&self.episodes[place]))?;
            bytes -= texts[place].len() - plain.len();
            texts[place] = plain;
            left_out.columns += 1;
        }
        for (rank, &place) in order.iter().enumerate() {
            if bytes <= limit {
                break;
            }
            bytes -= texts[place].len() + 1;
            left_out.columns -= usize::from(rank < most && self.episodes[place].tokens.is_some());
            texts[place].clear();
            left_out.episodes += 1;
        }
        texts.retain(|text| !text.is_empty());
        left_out.shown = texts.len();
        Ok(Fitted { json: self.frame(&texts)?, left_out })
    }

    fn frame(&self, episodes: &[String]) -> Result<String> {
        let head = text(&json!({ "runs": self.runs, "models": self.models }))?;
        Ok(format!("{},\"episodes\":[{}]}}", head.trim_end_matches('}'), episodes.join(",")))
    }

    /// The places of the episodes, those first that are missed least: drawn at random before best and worst, and the middle of training
    /// before its beginning and its end.
    fn middle_first(&self) -> Vec<usize> {
        let iterations = || self.episodes.iter().map(|episode| episode.iteration);
        let middle = (iterations().min().unwrap_or(0) + iterations().max().unwrap_or(0)) / 2;
        let mut order: Vec<usize> = (0..self.episodes.len()).collect();
        order.sort_by_key(|&place| {
            let episode = &self.episodes[place];
            let is_judged = episode.model.is_some();
            let is_random = episode.picked.as_deref() == Some("random");
            (is_judged, !is_random, episode.iteration.abs_diff(middle))
        });
        order
    }
}

fn without_numbers(episode: &Shown) -> Shown {
    let mut plain = episode.clone();
    if let Some(tokens) = &mut plain.tokens {
        tokens.columns.clear();
        tokens.ids.clear();
    }
    plain
}

/// JSON that can stand in a `script` element whatever it holds: no `<` begins an end of it, and no text ends a line of JavaScript.
fn text(value: &impl Serialize) -> Result<String> {
    let json = serde_json::to_string(value).map_err(|error| Error::message(error.to_string()))?;
    Ok(json.replace('<', "\\u003c").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029"))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::Tokens;
    use super::*;

    fn transcripts() -> Transcripts {
        let episode = |iteration: u64, picked: &str| Shown {
            source: "rl".into(),
            iteration,
            picked: Some(picked.into()),
            tokens: Some(Tokens {
                text: "</script><!--\u{2028}".into(),
                ids: vec![123_456; 100],
                columns: [("logprobs".to_string(), json!(vec![1; 100]))].into_iter().collect(),
                ..Tokens::default()
            }),
            ..Shown::default()
        };
        let all = (1..=5).flat_map(|iteration| ["best", "random"].map(|picked| episode(iteration, picked)));
        Transcripts { runs: vec!["a".into()], models: vec![], episodes: all.collect() }
    }

    #[test]
    fn everything_is_there_where_there_is_room() {
        let fitted = transcripts().within(1_000_000).unwrap();
        assert_eq!(fitted.left_out, LeftOut { columns: 0, episodes: 0, shown: 10 });
        assert!(!fitted.json.contains('<') && !fitted.json.contains('\u{2028}'));
        let read: Value = serde_json::from_str(&fitted.json).unwrap();
        assert_eq!(read["episodes"][0]["tokens"]["text"], "</script><!--\u{2028}");
    }

    #[test]
    fn the_middle_loses_its_numbers_first_and_then_its_episodes() {
        let (all, whole) = (transcripts(), transcripts().within(usize::MAX).unwrap().json.len());
        let fitted = all.within(whole - 100).unwrap();
        assert_eq!((fitted.left_out.columns, fitted.left_out.episodes), (1, 0));
        let read: Value = serde_json::from_str(&fitted.json).unwrap();
        let has_numbers = |place: usize| read["episodes"][place]["tokens"]["columns"]["logprobs"].is_array();
        assert_eq!((0..10).filter(|&place| !has_numbers(place)).collect::<Vec<_>>(), [5], "random of iteration 3");
        let tight = all.within(1_500).unwrap();
        assert!(tight.json.len() <= 1_500 && tight.left_out.episodes > 0, "{:?}", tight.left_out);
        assert_eq!(tight.left_out.shown + tight.left_out.episodes, 10);
        assert!(tight.left_out.columns <= tight.left_out.shown, "{:?}", tight.left_out);
    }
}
