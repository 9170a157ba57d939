//! Rotary position embedding (Su et al. 2021), in the rotate-half form of transformers' Qwen3.

use tch::{Device, Kind, Tensor};

use super::compute::KernelChoice;
use crate::engine::native::blocks;

/// cos and sin for every position, `[positions, head_dim]`, computed in float32 and kept in the model's dtype.
#[derive(Debug)]
pub struct Rope {
    cos: Tensor,
    sin: Tensor,
}

/// cos and sin of one forward pass, `[B or 1, T, head_dim]`: computed once, used by every layer.
pub struct Rotation {
    cos: Tensor,
    sin: Tensor,
}

impl Rope {
    pub fn new(positions: i64, head_dim: i64, theta: f64, kind: Kind, device: Device) -> Self {
        let float = (Kind::Float, device);
        let exponent = Tensor::arange_start_step(0, head_dim, 2, float) / head_dim as f64;
        let inverse_frequency = Tensor::pow_scalar(theta, &exponent).reciprocal();
        let angle = Tensor::arange(positions, float).outer(&inverse_frequency);
        let angle = Tensor::cat(&[&angle, &angle], -1);
        Rope { cos: angle.cos().to_kind(kind), sin: angle.sin().to_kind(kind) }
    }

    /// `positions`: `[B, T]` int64.
    pub fn at(&self, positions: &Tensor) -> Rotation {
        let pick = |table: &Tensor| {
            let size = positions.size();
            table.index_select(0, &positions.flatten(0, -1)).view([size[0], size[1], -1])
        };
        Rotation { cos: pick(&self.cos), sin: pick(&self.sin) }
    }

    /// Positions `0..length`, the same for every row.
    pub fn from_start(&self, length: i64) -> Rotation {
        let pick = |table: &Tensor| table.narrow(0, 0, length).unsqueeze(0);
        Rotation { cos: pick(&self.cos), sin: pick(&self.sin) }
    }
}

impl Rotation {
    /// `x`: `[B, T, heads, head_dim]`, turned by its position.
    pub fn apply(&self, x: &Tensor, kernels: KernelChoice) -> Tensor {
        if kernels.take(x) {
            return blocks::rotary(x, &self.cos, &self.sin);
        }
        let (cos, sin) = (self.cos.unsqueeze(2), self.sin.unsqueeze(2));
        let halves = x.chunk(2, -1);
        let rotated = Tensor::cat(&[&halves[1].neg(), &halves[0]], -1);
        x * cos + rotated * sin
    }
}
