//! Forward passes over many sequences: which share one, and what happens where memory runs out.
//!
//! One policy for the step, the evaluation and RL's look at a rollout: a batch for which there is no memory is halved, what
//! fits is remembered, and the result is that of any other split.

use tch::Device;

use super::batch::{Batch, Batching, Sequence};
use crate::engine::{Error, Result, cancel, refusal};

/// How sequences share forward passes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Passes {
    pub batching: Batching,
    /// No batch of more tokens than this, padding included: what memory was found to hold.
    pub fits: usize,
}

impl Passes {
    /// Nothing is known yet of what memory holds.
    pub fn new(batching: Batching) -> Self {
        Passes { batching, fits: usize::MAX }
    }

    /// The places of each batch's sequences: batches that are too large are halved until they fit or hold one sequence.
    pub fn batches(&self, sequences: &[&Sequence]) -> Vec<Vec<usize>> {
        let mut whole = self.batching.split(sequences);
        whole.reverse();
        let mut batches = Vec::new();
        while let Some(batch) = whole.pop() {
            if batch.len() > 1 && self.batching.area(sequences, &batch) > self.fits {
                let (first, second) = batch.split_at(batch.len().div_ceil(2));
                whole.extend([second.to_vec(), first.to_vec()]);
            } else {
                batches.push(batch);
            }
        }
        batches
    }

    /// Remembers that `places` did not fit; any other error, and one that a split cannot help, goes on.
    pub fn shrink(&mut self, error: Error, sequences: &[&Sequence], places: &[usize]) -> Result<()> {
        let area = self.batching.area(sequences, places);
        if !error.is_out_of_memory() {
            return Err(error);
        }
        if places.len() < 2 {
            let action =
                format!("a single sequence of {area} tokens (gradient_checkpointing or a smaller max_length may help)");
            return Err(error.within(action));
        }
        tracing::warn!(
            "{error}: a batch of {} sequences, {area} tokens, is split in two, now and from now on; the result is the same",
            places.len()
        );
        self.fits = area - 1;
        Ok(())
    }

    /// Runs `pass` on every batch, in order; where memory runs out in one, on its halves. A pass keeps nothing before it has
    /// all that it computes.
    pub fn each(
        &mut self,
        sequences: &[&Sequence],
        device: Device,
        pass: &mut dyn FnMut(&Batch, &[usize]) -> Result<()>,
    ) -> Result<()> {
        let mut left = self.batches(sequences);
        left.reverse();
        while let Some(places) = left.pop() {
            cancel::check()?;
            // Running out of memory is a panic of tch. What the batch held is dropped on the way out.
            let outcome =
                refusal::attempt(|| pass(&Batch::new(sequences, &places, self.batching.shape(), device), &places));
            if let Err(error) = outcome {
                self.shrink(error, sequences, &places)?;
                let (first, second) = places.split_at(places.len().div_ceil(2));
                left.extend([second.to_vec(), first.to_vec()]);
            }
        }
        Ok(())
    }
}
