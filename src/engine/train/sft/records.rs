//! Records as sequences to train on, and the order in which steps see them.

use std::cell::RefCell;

use sha2::{Digest, Sha256};

use super::options::{SftOptions, TrainOn};
use crate::engine::data::packing::best_fit;
use crate::engine::data::{Record, cache, epoch_order};
use crate::engine::error::Context;
use crate::engine::model::Model;
use crate::engine::text::Tokenizer;
use crate::engine::train::batch::Sequence;
use crate::engine::{Error, Result, file};

/// Encoded records in rows: one each, or several that are packed. Rows are what an epoch shuffles.
pub(super) struct Rows {
    sequences: Vec<Sequence<'static>>,
    /// Of the records here those that were cut, and how many are not here because nothing of them is trained.
    pub cut: usize,
    pub left_out: usize,
    /// Places in `sequences`.
    rows: Vec<Vec<usize>>,
    seed: u64,
    /// Rows per optimizer step.
    window: usize,
    /// The last order that was asked for, and its epoch.
    order: RefCell<Option<(u64, Vec<usize>)>>,
}

impl Rows {
    pub fn new(encoded: Encoded, options: &SftOptions, limit: usize) -> Self {
        let Encoded { sequences, cut, left_out } = encoded;
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
        Rows { sequences, cut, left_out, rows, seed: options.seed, window: options.window(), order: RefCell::new(None) }
    }

    pub fn records(&self) -> usize {
        self.sequences.len()
    }

    pub fn steps_per_epoch(&self) -> u64 {
        self.rows.len().div_ceil(self.window) as u64
    }

    /// The sequences of a step, a pure function of seed and step.
    pub fn of_step(&self, step: u64) -> Vec<&Sequence<'static>> {
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
    pub fn fingerprint(&self) -> Option<String> {
        fingerprint(&self.sequences)
    }
}

/// A hash of token ids and masks; `None` of nothing.
pub(super) fn fingerprint(sequences: &[Sequence]) -> Option<String> {
    let mut digest = Sha256::new();
    for sequence in sequences {
        digest.update((sequence.ids.len() as u64).to_le_bytes());
        sequence.ids.iter().for_each(|id| digest.update(id.to_le_bytes()));
        sequence.mask.iter().for_each(|&trained| digest.update([u8::from(trained)]));
    }
    (!sequences.is_empty()).then(|| file::hex(&digest.finalize()[..8]))
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

/// Records as sequences, and what became of the others.
pub(super) struct Encoded {
    pub sequences: Vec<Sequence<'static>>,
    /// How many of them were cut at the limit.
    pub cut: usize,
    /// How many had no token to train on, after the cut, and are not among the sequences.
    pub left_out: usize,
}

/// As [`encode`], of the records named `eval_data`, which may be none.
pub(super) fn encode_for_evaluation(
    model: &Model,
    records: &[Record],
    train_on: TrainOn,
    limit: usize,
) -> Result<Vec<Sequence<'static>>> {
    if records.is_empty() {
        return Ok(Vec::new());
    }
    Ok(encode(model, records, train_on, limit).context("eval_data")?.sequences)
}

/// Token ids and masks of all records. Records are cut at `limit`; one without a trained token is left out, and the log
/// says how many were, and which.
pub(super) fn encode(model: &Model, records: &[Record], train_on: TrainOn, limit: usize) -> Result<Encoded> {
    let tokenizer = model.tokenizer()?;
    if train_on == TrainOn::Assistant {
        tell_dropped_thoughts(tokenizer, records);
    }
    let (mut sequences, mut cut, mut empty) = (Vec::with_capacity(records.len()), Vec::new(), Vec::new());
    for (i, mut conversation) in cache::encode(tokenizer, records, train_on == TrainOn::All)?.into_iter().enumerate() {
        let is_cut = conversation.len() > limit;
        conversation.truncate(limit);
        let (ids, mask) = conversation.into_parts();
        let sequence = Sequence::new(ids, mask);
        if sequence.trained().next().is_none() {
            empty.push(i);
            continue;
        }
        sequences.push(sequence);
        if is_cut {
            cut.push(i);
        }
    }
    let all = records.len();
    if !cut.is_empty() {
        let (count, which) = (cut.len(), few(records, &cut));
        tracing::warn!("{count} of {all} records are longer than {limit} tokens and were cut ({which})");
    }
    if !empty.is_empty() {
        let (count, which) = (empty.len(), few(records, &empty));
        tracing::warn!("{count} of {all} records have no token to train on and were left out ({which})");
    }
    if sequences.is_empty() {
        return Err(Error::hinted(
            format!("none of the {all} records has a token to train on"),
            "a record needs an assistant message that is not marked to carry no loss, within max_length tokens",
        ));
    }
    Ok(Encoded { sequences, cut: cut.len(), left_out: empty.len() })
}

/// Training keeps the thoughts of earlier turns, as a model that plays turn by turn has them before it; many a template
/// leaves them out of what a server shows.
fn tell_dropped_thoughts(tokenizer: &Tokenizer, records: &[Record]) {
    let count = records.iter().filter(|record| record.is_served_without_thoughts(tokenizer)).count();
    if count > 0 {
        tracing::warn!(
            "{count} of {} records have thoughts in earlier turns: they are trained with them, but this chat template shows \
             a served model earlier turns without",
            records.len()
        );
    }
}

/// The first of these records.
fn few(records: &[Record], places: &[usize]) -> String {
    let first: Vec<String> = places.iter().take(5).map(|&place| records[place].place(place + 1)).collect();
    if places.len() > first.len() { format!("{}, …", first.join(", ")) } else { first.join(", ") }
}
