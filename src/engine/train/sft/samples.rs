//! Some records of the first step as they are trained on, for people.

use crate::engine::Result;
use crate::engine::text::Tokenizer;
use crate::engine::track::episodes::{EpisodeRow, Kind, ranges};
use crate::engine::train::batch::Sequence;

const MOST: usize = 8;

pub(super) fn rows(sequences: &[&Sequence], tokenizer: &Tokenizer, stage: &str) -> Result<Vec<EpisodeRow>> {
    let row = |(index, sequence): (usize, &&Sequence)| {
        Ok(EpisodeRow {
            stage: stage.to_string(),
            index: index as u64,
            ids: sequence.ids.to_vec(),
            pieces: tokenizer.pieces(&sequence.ids)?,
            mask: ranges(&sequence.mask),
            ..EpisodeRow::new(Kind::Record)
        })
    };
    sequences.iter().take(MOST).enumerate().map(row).collect()
}
