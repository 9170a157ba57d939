//! What one forward pass trains on: padded ids, and the positions and numbers of the trained tokens.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

use crate::engine::data::packing::best_fit;
use crate::engine::model::Layout;

/// One sequence with its mask and whatever numbers a rule needs per token: its own, or those of a record or an episode.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sequence<'a> {
    pub ids: Cow<'a, [i64]>,
    /// True on tokens that are trained on, `[ids.len()]`. The first token never is: nothing predicts it.
    pub mask: Cow<'a, [bool]>,
    /// Columns of `[ids.len()]` by name; only entries on trained tokens are read.
    pub columns: BTreeMap<Cow<'static, str>, Cow<'a, [f32]>>,
}

impl Sequence<'static> {
    pub fn new(ids: Vec<i64>, mask: Vec<bool>) -> Self {
        Sequence { ids: ids.into(), mask: mask.into(), columns: BTreeMap::new() }
    }
}

impl<'a> Sequence<'a> {
    pub fn borrowed(ids: &'a [i64], mask: &'a [bool]) -> Self {
        Sequence { ids: ids.into(), mask: mask.into(), columns: BTreeMap::new() }
    }

    /// Positions of trained tokens, from 1 on.
    pub fn trained(&self) -> impl Iterator<Item = usize> + '_ {
        (1..self.ids.len()).filter(|&t| self.mask[t])
    }
}

/// How the sequences of a forward pass lie beside each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shape {
    /// A row each, padded to the longest.
    Padded,
    /// End to end in one row, without padding; positions begin anew and attention ends with each sequence.
    OneRow,
}

/// How sequences share forward passes: decides memory and speed, not results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Batching {
    /// At most so many sequences.
    Sequences(usize, Shape),
    /// One row of at most so many tokens, filled by best fit. A longer sequence has a row of its own.
    Tokens(usize),
}

impl Batching {
    pub fn shape(self) -> Shape {
        match self {
            Batching::Sequences(_, shape) => shape,
            Batching::Tokens(_) => Shape::OneRow,
        }
    }

    /// The places of the sequences of each batch. Sums over all batches do not depend on the split but for rounding.
    pub fn split(self, sequences: &[&Sequence]) -> Vec<Vec<usize>> {
        match self {
            Batching::Sequences(size, _) => split(sequences, size),
            Batching::Tokens(limit) => {
                let lengths: Vec<usize> = sequences.iter().map(|sequence| sequence.ids.len()).collect();
                best_fit(&lengths, limit)
            }
        }
    }

    /// The tokens that a batch costs, padding included.
    pub fn area(self, sequences: &[&Sequence], places: &[usize]) -> usize {
        let lengths = places.iter().map(|&place| sequences[place].ids.len());
        match self.shape() {
            Shape::Padded => lengths.max().unwrap_or(0) * places.len(),
            Shape::OneRow => lengths.sum(),
        }
    }
}

/// Sequences of one forward pass. N is the number of trained tokens in it.
pub struct Batch {
    /// `[B, T]` int64, padded at the end with 0: causal attention never looks there.
    pub ids: Tensor,
    /// The sequences' lengths where they lie end to end in one row.
    pub packed: Option<Vec<i64>>,
    /// `[N]` int64: where in the flattened `[B·T]` hidden states each trained token is predicted, one before it.
    pub at: Tensor,
    /// `[N]` int64: the trained tokens.
    pub targets: Tensor,
    /// `[B]` int64: each sequence's last position in the flattened hidden states.
    pub last: Tensor,
    columns: BTreeMap<Cow<'static, str>, Tensor>,
    tokens: usize,
}

impl Batch {
    /// The batch of the sequences at `places`.
    pub fn new(sequences: &[&Sequence], places: &[usize], shape: Shape, device: Device) -> Self {
        let sequences: Vec<&Sequence> = places.iter().map(|&place| sequences[place]).collect();
        let lengths: Vec<usize> = sequences.iter().map(|sequence| sequence.ids.len()).collect();
        let (rows, width) = match shape {
            Shape::Padded => (sequences.len(), lengths.iter().copied().max().unwrap_or(0)),
            Shape::OneRow => (1, lengths.iter().sum()),
        };
        let (mut ids, mut at, mut targets, mut last) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut columns: BTreeMap<Cow<'static, str>, Vec<f32>> = BTreeMap::new();
        for sequence in &sequences {
            let start = ids.len();
            ids.extend_from_slice(&sequence.ids);
            last.push(ids.len() as i64 - 1);
            if shape == Shape::Padded {
                ids.resize(start + width, 0);
            }
            for t in sequence.trained() {
                at.push((start + t - 1) as i64);
                targets.push(sequence.ids[t]);
            }
            for (name, column) in &sequence.columns {
                columns.entry(name.clone()).or_default().extend(sequence.trained().map(|t| column[t]));
            }
        }
        let on_device = |values: &[i64]| Tensor::from_slice(values).to_device(device);
        Batch {
            ids: on_device(&ids).view([rows as i64, width as i64]),
            packed: (shape == Shape::OneRow).then(|| lengths.iter().map(|&length| length as i64).collect()),
            tokens: targets.len(),
            at: on_device(&at),
            targets: on_device(&targets),
            last: on_device(&last),
            columns: columns
                .into_iter()
                .map(|(name, column)| (name, Tensor::from_slice(&column).to_device(device)))
                .collect(),
        }
    }

    /// The batch as the model takes it, with `noise` to be added to its embeddings.
    pub fn layout<'a>(&'a self, noise: Option<&'a Tensor>) -> Layout<'a> {
        Layout { packed: self.packed.as_deref(), noise }
    }

    /// N.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// A rule's numbers at the trained tokens, `[N]` float32.
    pub fn column(&self, name: &str) -> &Tensor {
        &self.columns[name]
    }
}

/// At most `batch_size` sequences per batch, alike in length so that little is padded.
fn split(sequences: &[&Sequence], batch_size: usize) -> Vec<Vec<usize>> {
    let mut places: Vec<usize> = (0..sequences.len()).collect();
    places.sort_by_key(|&place| std::cmp::Reverse(sequences[place].ids.len()));
    places.chunks(batch_size).map(<[_]>::to_vec).collect()
}
