//! NEFTune (Jain et al. 2023): uniform noise on the embeddings while training, ±α/√(L·C) for a sequence of L tokens.
//!
//! L is the sequence's own length, as in the paper. transformers takes the padded length of the batch instead, so that
//! there the noise depends on which sequences share a batch; the two agree where nothing is padded.

use tch::{Device, Kind, Tensor};

use super::batch::{Batch, Sequence};
use crate::engine::model::Qwen3;
use crate::engine::tensor::random::seeded;

/// Noise for a batch's embeddings, `[B, T, C]` in the model's dtype, 0 on padding. Drawn on the CPU, so that a seed
/// means the same on every device.
pub fn noise(net: &Qwen3, sequences: &[&Sequence], places: &[usize], batch: &Batch, alpha: f64, seed: i64) -> Tensor {
    let lengths: Vec<i64> = places.iter().map(|&place| sequences[place].ids.len() as i64).collect();
    let drawn = |(&place, &length): (&usize, &i64)| {
        // A stream per sequence: how a step is split into batches changes no noise.
        seeded(seed.wrapping_add(place as i64), || uniform(length, net.config.hidden_size, alpha))
    };
    let parts: Vec<Tensor> = places.iter().zip(&lengths).map(drawn).collect();
    let shape = batch.ids.size();
    let noise = match batch.packed {
        Some(_) => Tensor::cat(&parts, 0).unsqueeze(0),
        None => {
            let padded: Vec<Tensor> = parts
                .iter()
                .zip(&lengths)
                .map(|(part, length)| part.constant_pad_nd([0, 0, 0, shape[1] - length]))
                .collect();
            Tensor::stack(&padded, 0)
        }
    };
    noise.to_device(net.device()).to_kind(net.kind())
}

/// One sequence's noise, `[length, hidden_size]` float32, from libtorch's generator.
pub fn uniform(length: i64, hidden_size: i64, alpha: f64) -> Tensor {
    let magnitude = alpha / ((length * hidden_size) as f64).sqrt();
    Tensor::zeros([length, hidden_size], (Kind::Float, Device::Cpu)).uniform_(-magnitude, magnitude)
}
