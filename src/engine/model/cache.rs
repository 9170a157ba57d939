//! Keys and values of what a batch of rows has read so far.
//!
//! Every row is laid out from slot 0 at its own positions, whatever the other rows hold. One rule makes this exact: a
//! query at position p attends to slots 0..=p. Padding at the end of a short row writes to slots after its last real
//! token; no real query looks there before a real token has overwritten them.

use tch::{Device, Kind, Tensor};

use crate::engine::native::attention;

pub struct Cache {
    layers: Vec<(Tensor, Tensor)>,
    capacity: i64,
    /// How often the tensors gave way to others.
    moves: u64,
}

/// Room is made in multiples of so many positions.
const BLOCK: i64 = 256;

impl Cache {
    /// Room for `capacity` positions of `rows` rows in each of `layers` layers.
    pub fn new(layers: i64, rows: i64, heads: i64, head_dim: i64, capacity: i64, kind: Kind, device: Device) -> Self {
        let empty = || Tensor::zeros([rows, heads, capacity, head_dim], (kind, device));
        Cache { layers: (0..layers).map(|_| (empty(), empty())).collect(), capacity, moves: 0 }
    }

    /// Positions that there is room for.
    pub fn capacity(&self) -> i64 {
        self.capacity
    }

    /// Another number after the tensors gave way to others: what was recorded on the old ones is void.
    pub fn moves(&self) -> u64 {
        self.moves
    }

    /// Makes room for positions below `needed`, and for a quarter more. A step that is captured as a CUDA graph reads all
    /// the room, so that much is the most that it reads in vain (and a block); a growing row makes every tensor move, and a
    /// graph be captured anew, once in at least a block of tokens.
    pub fn reserve(&mut self, needed: i64) {
        if needed <= self.capacity {
            return;
        }
        let capacity = (needed + needed / 4 + BLOCK - 1) / BLOCK * BLOCK;
        for (keys, values) in &mut self.layers {
            for tensor in [keys, values] {
                *tensor = tensor.constant_pad_nd([0, 0, 0, capacity - self.capacity]);
            }
        }
        self.capacity = capacity;
        self.moves += 1;
    }

    /// Keeps the named rows, in that order.
    pub fn select(&mut self, rows: &Tensor) {
        for (keys, values) in &mut self.layers {
            *keys = keys.index_select(0, rows);
            *values = values.index_select(0, rows);
        }
        self.moves += 1;
    }

    /// As [`Cache::extend`] and the attention of `q`, `[B, query heads, 1, head_dim]`, for one new token per row.
    pub(super) fn decode(&self, layer: usize, q: &Tensor, keys: &Tensor, values: &Tensor, span: &Span) -> Tensor {
        let (held_keys, held_values) = &self.layers[layer];
        attention::decode(q, keys, values, held_keys, held_values, &span.slots.flatten(0, -1))
    }

    /// Writes `keys` and `values` (`[B, heads, T, head_dim]`) of one layer at `slots` and returns what the layer holds
    /// below `length`.
    pub(super) fn extend(&mut self, layer: usize, keys: &Tensor, values: &Tensor, span: &Span) -> (Tensor, Tensor) {
        let slots = span.slots.expand_as(keys);
        let (held_keys, held_values) = &mut self.layers[layer];
        let _ = held_keys.scatter_(2, &slots, keys);
        let _ = held_values.scatter_(2, &slots, values);
        (held_keys.narrow(2, 0, span.length), held_values.narrow(2, 0, span.length))
    }
}

/// Where a step writes and what its queries may see: computed once, used by every layer.
pub(super) struct Span {
    /// `[B, 1, T, 1]` int64
    slots: Tensor,
    /// Slots in use by any row.
    length: i64,
    /// `[B, 1, T, length]` bool, true where a query attends.
    pub mask: Tensor,
}

impl Span {
    /// `positions`: `[B, T]` int64; `length`: one more than the largest of them.
    pub fn new(positions: &Tensor, length: i64) -> Self {
        let slots = positions.unsqueeze(1).unsqueeze(-1);
        let mask = Tensor::arange(length, (Kind::Int64, positions.device())).le_tensor(&slots);
        Span { slots, length, mask }
    }
}
