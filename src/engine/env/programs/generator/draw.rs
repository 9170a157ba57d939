//! Choices out of one random stream.

use rand_chacha::ChaCha8Rng;

use crate::engine::random::{below, stream};

/// The choices of one candidate program.
pub struct Draw {
    rng: ChaCha8Rng,
}

impl Draw {
    pub fn new(seed: u64, purpose: &str, index: u64) -> Self {
        Draw { rng: stream(seed, purpose, index) }
    }

    /// Uniform in `low..=high`.
    pub fn range(&mut self, low: i64, high: i64) -> i64 {
        low + below(&mut self.rng, (high - low + 1) as u64) as i64
    }

    /// One of `items`, which are not empty.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.index(items.len())]
    }

    /// Uniform in `0..length`, which is not empty.
    pub fn index(&mut self, length: usize) -> usize {
        below(&mut self.rng, length as u64) as usize
    }

    /// True once in `n` times.
    pub fn once_in(&mut self, n: u64) -> bool {
        below(&mut self.rng, n) == 0
    }

    /// An index, by weight.
    pub fn weighted(&mut self, weights: &[u64]) -> usize {
        let mut left = below(&mut self.rng, weights.iter().sum());
        for (index, &weight) in weights.iter().enumerate() {
            if left < weight {
                return index;
            }
            left -= weight;
        }
        weights.len() - 1
    }

    /// `count` values of `one`, joined.
    pub fn join(&mut self, count: i64, separator: &str, mut one: impl FnMut(&mut Draw) -> String) -> String {
        (0..count).map(|_| one(self)).collect::<Vec<_>>().join(separator)
    }
}
