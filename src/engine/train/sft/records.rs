//! Records as sequences to train on, and the order in which steps see them.

use std::cell::RefCell;

use sha2::{Digest, Sha256};

use super::options::{SftOptions, TrainOn};
use crate::engine::data::packing::best_fit;
use crate::engine::data::{Record, epoch_order};
use crate::engine::model::Model;
use crate::engine::train::batch::Sequence;
use crate::engine::{Error, Result, file};

/// Encoded records in rows: one each, or several that are packed. Rows are what an epoch shuffles.
pub(super) struct Rows {
    sequences: Vec<Sequence>,
    /// Places in `sequences`.
    rows: Vec<Vec<usize>>,
    seed: u64,
    /// Rows per optimizer step.
    window: usize,
    /// The last order that was asked for, and its epoch.
    order: RefCell<Option<(u64, Vec<usize>)>>,
}

impl Rows {
    pub fn new(sequences: Vec<Sequence>, options: &SftOptions, limit: usize) -> Self {
        let rows = match options.packing {
            false => (0..sequences.len()).map(|place| vec![place]).collect(),
            true => {
                let lengths: Vec<usize> = sequences.iter().map(|sequence| sequence.ids.len()).collect();
                let rows = best_fit(&lengths, limit);
                let filled = 100.0 * lengths.iter().sum::<usize>() as f64 / (rows.len() * limit) as f64;
                tracing::info!(
                    "{} records are packed into {} rows of {limit} tokens, {filled:.1} % full",
                    lengths.len(),
                    rows.len()
                );
                rows
            }
        };
        Rows { sequences, rows, seed: options.seed, window: options.window(), order: RefCell::new(None) }
    }

    pub fn records(&self) -> usize {
        self.sequences.len()
    }

    pub fn steps_per_epoch(&self) -> u64 {
        self.rows.len().div_ceil(self.window) as u64
    }

    /// The sequences of a step, a pure function of seed and step.
    pub fn of_step(&self, step: u64) -> Vec<&Sequence> {
        let (epoch, place) = (step / self.steps_per_epoch(), (step % self.steps_per_epoch()) as usize);
        let mut known = self.order.borrow_mut();
        if known.as_ref().is_none_or(|(of, _)| *of != epoch) {
            *known = Some((epoch, epoch_order(self.rows.len(), self.seed, epoch)));
        }
        let order = known.as_ref().map_or(&[][..], |(_, order)| order);
        let window = order.iter().skip(place * self.window).take(self.window);
        window.flat_map(|&row| &self.rows[row]).map(|&place| &self.sequences[place]).collect()
    }

    /// What decides the batches beside the order.
    pub fn fingerprint(&self) -> String {
        let mut digest = Sha256::new();
        for sequence in &self.sequences {
            sequence.ids.iter().for_each(|id| digest.update(id.to_le_bytes()));
            sequence.mask.iter().for_each(|&trained| digest.update([u8::from(trained)]));
        }
        file::hex(&digest.finalize()[..8])
    }
}

/// Tokens after which a record is cut: `max_length`, or the model's context where that is shorter.
pub(super) fn limit(model: &Model, options: &SftOptions) -> usize {
    let context = model.net.config.max_position_embeddings as usize;
    match options.max_length {
        Some(length) if length > context => {
            tracing::warn!(
                "max_length = {length} is more than this model's context: records are cut at {context} tokens"
            );
            context
        }
        length => length.unwrap_or(context),
    }
}

/// Token ids and masks of all records. Records are cut at `limit`; one without a trained token is left out, and the log
/// says how many were.
pub(super) fn encode(model: &Model, records: &[Record], train_on: TrainOn, limit: usize) -> Result<Vec<Sequence>> {
    let tokenizer = model.tokenizer()?;
    let (mut sequences, mut cut, mut empty) = (Vec::with_capacity(records.len()), 0, 0);
    for record in records {
        let conversation = match train_on {
            TrainOn::Assistant => record.encode(tokenizer)?,
            TrainOn::All => record.encode_all(tokenizer)?,
        };
        let (mut ids, mut mask) = conversation.into_parts();
        cut += usize::from(ids.len() > limit);
        ids.truncate(limit);
        mask.truncate(limit);
        let sequence = Sequence::new(ids, mask);
        if sequence.trained().next().is_some() {
            sequences.push(sequence);
        } else {
            empty += 1;
        }
    }
    if cut > 0 {
        tracing::warn!("{cut} of {} records are longer than {limit} tokens and were cut", records.len());
    }
    if empty > 0 {
        tracing::warn!("{empty} of {} records have no token to train on and were left out", records.len());
    }
    if sequences.is_empty() {
        return Err(Error::hinted(
            format!("none of the {} records has a token to train on", records.len()),
            "a record needs an assistant message within max_length tokens",
        ));
    }
    Ok(sequences)
}
