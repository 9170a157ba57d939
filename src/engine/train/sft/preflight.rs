//! Before step 0: the largest batch of the run, taken once, and what the run will need.

use std::ops::Range;
use std::time::Instant;

use serde::Serialize;
use tch::Tensor;

use super::records::Rows;
use super::{Sft, negative_log_likelihood, policy};
use crate::engine::error::size_text;
use crate::engine::model::Model;
use crate::engine::system::machine;
use crate::engine::system::peak::Peak;
use crate::engine::train::adamw::grad_norm;
use crate::engine::train::batch::{Batching, Sequence};
use crate::engine::{Result, cancel, device};

/// What a run will need. Bytes and seconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Preflight {
    pub device: String,
    /// Of the largest batch: sequences, tokens of the forward pass with padding, and the longest sequence.
    pub sequences: usize,
    pub tokens: usize,
    pub longest: usize,
    /// Whether memory ran out and the batch was split.
    pub split: bool,
    /// Measured while the batch went forward and back; absent where the system does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_memory: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Without padding.
    pub tokens_per_second: f64,
    pub steps: u64,
    /// Of the remaining steps at that speed, evaluations included; saving is not.
    pub seconds_to_finish: f64,
    pub checkpoint_bytes: u64,
    /// All checkpoints that will be there at once, and the model at the end.
    pub disk_needed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_free: Option<u64>,
}

/// What lies ahead of a run.
struct Ahead<'a> {
    largest: Vec<&'a Sequence<'static>>,
    smallest: Vec<&'a Sequence<'static>>,
    /// Over all steps, without padding.
    tokens: usize,
}

impl Sft {
    /// Takes the largest batch that a coming step has, without an update, and says what the run will need. What memory is
    /// found to hold is remembered. Warns where memory or disk will not do.
    pub fn preflight(&mut self, model: &Model) -> Result<Preflight> {
        let _unfinished = cancel::unfinished();
        self.run.check_parameters(model)?;
        let done = self.run.done();
        let settings = self.settings(done);
        let steps = self.run.total().saturating_sub(done);
        let ahead = ahead(&self.rows, done..self.run.total(), settings.batching);
        let policy = policy(model, &self.options);
        let mut take = |sequences: &[&Sequence]| -> Result<usize> {
            let report = policy.gradient(&mut self.run.optimizer, sequences, &settings, &negative_log_likelihood)?;
            // A GPU's work is done when its numbers are here.
            grad_norm(self.run.optimizer.params());
            self.run.optimizer.zero_grad();
            Ok(report.fits)
        };
        // The first pass of a process loads kernels and starts threads.
        take(&ahead.smallest)?;
        let (peak, started) = (Peak::begin(model.net.device()), Instant::now());
        let fits = take(&ahead.largest)?;
        let (peak_memory, memory, seconds) = (peak.bytes(), peak.capacity(), started.elapsed().as_secs_f64());
        self.run.fits = self.run.fits.min(fits);

        let places: Vec<usize> = (0..ahead.largest.len()).collect();
        let tokens_per_second = tokens(&ahead.largest) as f64 / seconds;
        let found = Preflight {
            device: device::name(model.net.device()),
            sequences: ahead.largest.len(),
            tokens: settings.batching.area(&ahead.largest, &places),
            longest: ahead.largest.iter().map(|sequence| sequence.ids.len()).max().unwrap_or(0),
            split: fits < settings.fits,
            peak_memory,
            memory,
            tokens_per_second,
            steps,
            seconds_to_finish: (ahead.tokens as f64 + self.evaluation_tokens(steps)) / tokens_per_second,
            checkpoint_bytes: self.checkpoint_bytes(model),
            disk_needed: self.disk_needed(model, steps),
            disk_free: machine::free_bytes(self.run.folder()),
        };
        found.tell();
        Ok(found)
    }

    /// The evaluations to come, as tokens of training: a forward pass is a third of a step.
    fn evaluation_tokens(&self, steps: u64) -> f64 {
        let evaluations = steps.checked_div(self.options.eval_steps).unwrap_or(0);
        let tokens: usize = self.evaluation_data.iter().map(|sequence| sequence.ids.len()).sum();
        evaluations as f64 * tokens as f64 / 3.0
    }

    fn checkpoint_bytes(&self, model: &Model) -> u64 {
        bytes(&model.trainable()) + bytes(&self.run.optimizer.state())
    }

    /// The checkpoints that are there at once, one more while a new one is written, and the result.
    fn disk_needed(&self, model: &Model, steps: u64) -> u64 {
        let saves = if self.options.save_steps == 0 { 0 } else { steps.div_ceil(self.options.save_steps) };
        let kept = if self.options.save_total_limit == 0 {
            saves
        } else {
            saves.min(self.options.save_total_limit as u64 + 1)
        };
        let best = u64::from(self.options.load_best_model_at_end);
        (kept + best) * self.checkpoint_bytes(model) + bytes(&model.trainable())
    }
}

impl Preflight {
    fn tell(&self) {
        let memory = self.peak_memory.map_or("an unknown amount of memory".to_string(), size_text);
        tracing::info!(
            "preflight on {}: {} sequences of at most {} tokens take {memory} at the highest point, {:.0} tokens/s; {} steps take \
             {:.0} s; a checkpoint is {}",
            self.device,
            self.sequences,
            self.longest,
            self.tokens_per_second,
            self.steps,
            self.seconds_to_finish,
            size_text(self.checkpoint_bytes)
        );
        if let (Some(peak), Some(memory)) = (self.peak_memory, self.memory)
            && peak as f64 > 0.95 * memory as f64
        {
            tracing::warn!("that is nearly all of {}: make batch_size smaller", size_text(memory));
        }
        if let Some(free) = self.disk_free
            && free < self.disk_needed
        {
            let needed = size_text(self.disk_needed);
            tracing::warn!("checkpoints and result need {needed} of disk, of which {} are free", size_text(free));
        }
    }
}

fn ahead(rows: &Rows, steps: Range<u64>, batching: Batching) -> Ahead<'_> {
    let mut ahead = Ahead { largest: Vec::new(), smallest: Vec::new(), tokens: 0 };
    let (mut most, mut least) = (0, usize::MAX);
    for step in steps {
        let sequences = rows.of_step(step);
        ahead.tokens += tokens(&sequences);
        for places in batching.split(&sequences) {
            let area = batching.area(&sequences, &places);
            let batch = || places.iter().map(|&place| sequences[place]).collect();
            if area > most {
                (most, ahead.largest) = (area, batch());
            }
            if area < least {
                (least, ahead.smallest) = (area, batch());
            }
        }
    }
    ahead
}

fn tokens(sequences: &[&Sequence]) -> usize {
    sequences.iter().map(|sequence| sequence.ids.len()).sum()
}

fn bytes(tensors: &[(String, Tensor)]) -> u64 {
    tensors.iter().map(|(_, tensor)| (tensor.numel() * tensor.kind().elt_size_in_bytes()) as u64).sum()
}
