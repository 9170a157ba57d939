//! What one forward pass trains on: padded ids, and the positions and numbers of the trained tokens.

use std::collections::BTreeMap;

use tch::{Device, Tensor};

/// One sequence with its mask and whatever numbers a rule needs per token.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sequence {
    pub ids: Vec<i64>,
    /// True on tokens that are trained on, `[ids.len()]`. The first token never is: nothing predicts it.
    pub mask: Vec<bool>,
    /// Columns of `[ids.len()]` by name; only entries on trained tokens are read.
    pub columns: BTreeMap<&'static str, Vec<f32>>,
}

impl Sequence {
    pub fn new(ids: Vec<i64>, mask: Vec<bool>) -> Self {
        Sequence { ids, mask, columns: BTreeMap::new() }
    }

    /// Positions of trained tokens, from 1 on.
    pub fn trained(&self) -> impl Iterator<Item = usize> + '_ {
        (1..self.ids.len()).filter(|&t| self.mask[t])
    }
}

/// Sequences side by side. N is the number of trained tokens in it.
pub struct Batch {
    /// `[B, T]` int64, padded at the end with 0: causal attention never looks there.
    pub ids: Tensor,
    /// `[N]` int64: where in the flattened `[B·T]` hidden states each trained token is predicted, one before it.
    pub at: Tensor,
    /// `[N]` int64: the trained tokens.
    pub targets: Tensor,
    /// `[B]` int64: each sequence's last position in the flattened hidden states.
    pub last: Tensor,
    columns: BTreeMap<&'static str, Tensor>,
    tokens: usize,
}

impl Batch {
    /// The batch of the sequences at `places`.
    pub fn new(sequences: &[&Sequence], places: &[usize], device: Device) -> Self {
        let sequences: Vec<&Sequence> = places.iter().map(|&place| sequences[place]).collect();
        let width = sequences.iter().map(|sequence| sequence.ids.len()).max().unwrap_or(0);
        let (mut ids, mut at, mut targets, mut last) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut columns: BTreeMap<&'static str, Vec<f32>> = BTreeMap::new();
        for (row, sequence) in sequences.iter().enumerate() {
            ids.extend(sequence.ids.iter().copied().chain(std::iter::repeat(0)).take(width));
            last.push((row * width + sequence.ids.len() - 1) as i64);
            for t in sequence.trained() {
                at.push((row * width + t - 1) as i64);
                targets.push(sequence.ids[t]);
            }
            for (name, column) in &sequence.columns {
                columns.entry(name).or_default().extend(sequence.trained().map(|t| column[t]));
            }
        }
        let on_device = |values: &[i64]| Tensor::from_slice(values).to_device(device);
        Batch {
            ids: on_device(&ids).view([sequences.len() as i64, width as i64]),
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

    /// N.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// A rule's numbers at the trained tokens, `[N]` float32.
    pub fn column(&self, name: &'static str) -> &Tensor {
        &self.columns[name]
    }
}

/// The places of the sequences of each batch, at most `batch_size` of them, alike in length so that little is padded.
/// Sums over all batches do not depend on the split but for rounding.
pub fn split(sequences: &[&Sequence], batch_size: usize) -> Vec<Vec<usize>> {
    let mut places: Vec<usize> = (0..sequences.len()).collect();
    places.sort_by_key(|&place| std::cmp::Reverse(sequences[place].ids.len()));
    places.chunks(batch_size).map(<[_]>::to_vec).collect()
}
