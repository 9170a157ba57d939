//! The batched decode loop: rows that a model reads and continues, turn after turn, over one key/value cache.

use rand_chacha::ChaCha8Rng;
use tch::Tensor;

use super::decode::Decoder;
use super::sampler::Sampling;
use crate::engine::model::Model;
use crate::engine::model::cache::Cache;
use crate::engine::{Result, cancel, random};

/// Why a reply ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// By an end token or a stop text.
    Stop,
    /// By `max_new_tokens` or the context.
    Length,
}

impl Finish {
    pub fn name(self) -> &'static str {
        match self {
            Finish::Stop => "stop",
            Finish::Length => "length",
        }
    }
}

/// What a row's model said in one turn.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The sampled ids, the end token among them.
    pub tokens: Vec<i64>,
    pub logprobs: Vec<f32>,
    pub finish: Finish,
    ended_by_token: bool,
}

impl Reply {
    fn new() -> Self {
        Reply { tokens: Vec::new(), logprobs: Vec::new(), finish: Finish::Length, ended_by_token: false }
    }

    /// The ids without the end token.
    pub fn content(&self) -> &[i64] {
        &self.tokens[..self.tokens.len() - usize::from(self.ended_by_token)]
    }
}

/// Rows in progress. Feed each row its tokens, take a reply of all rows, feed again.
pub struct Session<'m> {
    model: &'m Model,
    /// Dropped before the cache, which a graph of it reads.
    decoder: Decoder<'m>,
    cache: Cache,
    rows: Vec<Row>,
    /// Whether a single token per row was read: the weights are packed for that.
    decoding: bool,
}

#[derive(Clone, Default)]
struct Row {
    /// Positions that the cache holds.
    length: i64,
    /// Tokens that the model has not read yet.
    unread: Vec<i64>,
}

impl<'m> Session<'m> {
    pub fn new(model: &'m Model, rows: usize) -> Self {
        Session {
            model,
            decoder: Decoder::new(model),
            cache: model.net.empty_cache(rows as i64, 64),
            rows: vec![Row::default(); rows],
            decoding: false,
        }
    }

    /// Queues tokens for a row; the model reads them with the next reply.
    pub fn feed(&mut self, row: usize, tokens: &[i64]) {
        self.rows[row].unread.extend_from_slice(tokens);
    }

    /// Keeps the named rows, in that order; the others leave the batch.
    pub fn select(&mut self, rows: &[usize]) {
        let index: Vec<i64> = rows.iter().map(|&row| row as i64).collect();
        self.cache.select(&Tensor::from_slice(&index).to_device(self.model.net.device()));
        self.rows = rows.iter().map(|&row| self.rows[row].clone()).collect();
    }

    /// Has a row forget what follows its first `length` tokens.
    pub fn rewind(&mut self, row: usize, length: usize) {
        let row = &mut self.rows[row];
        row.unread.truncate(length.saturating_sub(row.length as usize));
        row.length = row.length.min(length as i64);
    }

    /// Tokens of a row so far, read or queued.
    fn total(&self, row: usize) -> i64 {
        self.rows[row].length + self.rows[row].unread.len() as i64
    }

    /// Every row's reply, decoded side by side until the last one ends. Row i draws from `streams[i]`.
    pub fn reply(
        &mut self,
        streams: &mut [ChaCha8Rng],
        sampling: &Sampling,
        max_new_tokens: usize,
        stop: &[String],
    ) -> Result<Vec<Reply>> {
        let context = self.model.net.config.max_position_embeddings;
        let mut replies = vec![Reply::new(); self.rows.len()];
        let mut active: Vec<bool> = (0..self.rows.len()).map(|row| self.total(row) < context).collect();
        let no_grad = tch::no_grad_guard();
        while active.contains(&true) {
            cancel::check()?;
            let logits = self.read();
            // A row that waits for the others draws nothing, so its stream does not depend on them.
            let draws: Vec<f64> = (0..self.rows.len())
                .map(|row| if active[row] { random::unit(&mut streams[row]) } else { 0.0 })
                .collect();
            let (tokens, logprobs) = sampling.sample(&logits, &draws, self.model.never_said());
            for row in (0..self.rows.len()).filter(|&row| active[row]).collect::<Vec<_>>() {
                let reply = &mut replies[row];
                reply.tokens.push(tokens[row]);
                reply.logprobs.push(logprobs[row]);
                self.rows[row].unread.push(tokens[row]);
                if self.model.eos_ids().contains(&tokens[row]) {
                    (reply.finish, reply.ended_by_token) = (Finish::Stop, true);
                    active[row] = false;
                } else if !stop.is_empty() && self.says(&reply.tokens, stop)? {
                    reply.finish = Finish::Stop;
                    active[row] = false;
                } else if reply.tokens.len() >= max_new_tokens || self.total(row) >= context {
                    active[row] = false;
                }
            }
        }
        drop(no_grad);
        Ok(replies)
    }

    fn says(&self, tokens: &[i64], stop: &[String]) -> Result<bool> {
        let text = self.model.tokenizer()?.decode(tokens, true)?;
        Ok(stop.iter().any(|stop| text.contains(stop.as_str())))
    }

    /// Reads every row's queued tokens and returns the logits that follow each row's last token, `[B, V]`.
    ///
    /// A row with nothing queued reads a dummy token at its next free slot; what that leaves in the cache is
    /// overwritten before anything looks at it.
    fn read(&mut self) -> Tensor {
        let net = &self.model.net;
        let last_position = net.config.max_position_embeddings - 1;
        let width = self.rows.iter().map(|row| row.unread.len()).max().unwrap_or(0).max(1);
        let (mut ids, mut positions) = (Vec::new(), Vec::new());
        let (mut last, mut length) = (Vec::new(), 0);
        for (b, row) in self.rows.iter_mut().enumerate() {
            let unread = std::mem::take(&mut row.unread);
            let start = row.length;
            positions.extend((0..width as i64).map(|j| (start + j).min(last_position)));
            last.push((b * width + unread.len().saturating_sub(1)) as i64);
            row.length += unread.len() as i64;
            length = length.max((start + width as i64).min(last_position + 1));
            ids.extend(unread.iter().copied().chain(std::iter::repeat(0)).take(width));
        }
        if width == 1 {
            if !self.decoding {
                // A reply of many tokens is worth the packing.
                net.prepack();
                self.decoding = true;
            }
            return self.decoder.step(&ids, &positions, length, &mut self.cache);
        }
        let shape = [self.rows.len() as i64, width as i64];
        let on_device = |values: &[i64]| Tensor::from_slice(values).to_device(net.device());
        let (ids, positions) = (on_device(&ids).view(shape), on_device(&positions).view(shape));
        let hidden = net.hidden_cached(&ids, &positions, length, &mut self.cache);
        net.logits(&hidden.flatten(0, 1).index_select(0, &on_device(&last)))
    }
}
