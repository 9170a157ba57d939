//! Tensors in 8 bits (Dettmers et al. 2022, "8-bit Optimizers via Block-wise Quantization"): each block of 256 numbers has
//! its own scale, and a byte names one of 256 levels that are dense near 0, as bitsandbytes lays them out.

use tch::{Kind, Tensor};

use crate::engine::tensor::dynamic_map::dynamic_map;

pub const BLOCK: i64 = 256;

/// Smaller tensors are not worth it and keep float32, as in bitsandbytes (`min_8bit_size`).
pub const LEAST: usize = 4096;

/// A tensor of many numbers at a byte each, and 4 bytes per block.
#[derive(Debug)]
pub struct Blocks {
    shape: Vec<i64>,
    /// `[numel]` uint8
    pub codes: Tensor,
    /// The largest absolute value of each block, `[blocks]` float32.
    pub absmax: Tensor,
    /// The levels in order, `[256]` float32: [`dynamic_map`].
    levels: Tensor,
    /// Half-way between neighbours, `[255]`.
    bounds: Tensor,
}

impl Blocks {
    /// Zeros of the shape of `like`. `signed`: whether numbers below 0 will come.
    pub fn zeros_like(like: &Tensor, signed: bool) -> Self {
        let levels = Tensor::from_slice(&dynamic_map(signed)).to_device(like.device());
        let bounds = (levels.narrow(0, 0, 255) + levels.narrow(0, 1, 255)) / 2.0;
        let numel = like.numel() as i64;
        let absmax = Tensor::zeros([(numel + BLOCK - 1) / BLOCK], (Kind::Float, like.device()));
        let codes = Tensor::zeros([numel], (Kind::Uint8, like.device()));
        let mut blocks = Blocks { shape: like.size(), codes, absmax, levels, bounds };
        blocks.set(&like.zeros_like().to_kind(Kind::Float));
        blocks
    }

    /// The numbers as float32 in their own shape.
    pub fn get(&self) -> Tensor {
        let numbers = padded(&self.levels.index_select(0, &self.codes.to_kind(Kind::Int64)));
        let numbers = numbers * self.absmax.unsqueeze(-1);
        numbers.flatten(0, -1).narrow(0, 0, self.codes.size()[0]).view(self.shape.as_slice())
    }

    /// Takes the nearest level for every number. In place, so that whoever holds the tensors sees it.
    pub fn set(&mut self, numbers: &Tensor) {
        let blocks = padded(&numbers.flatten(0, -1));
        let absmax = blocks.abs().amax([1], false);
        // A block of zeros has no scale; any will do.
        let scale = absmax.where_self(&absmax.gt(0.0), &absmax.ones_like());
        let codes = (blocks / scale.unsqueeze(-1)).bucketize(&self.bounds, true, false);
        self.codes.copy_(&codes.flatten(0, -1).narrow(0, 0, self.codes.size()[0]));
        self.absmax.copy_(&absmax);
    }
}

/// `[n]` → `[blocks, 256]`, filled up with zeros.
fn padded(flat: &Tensor) -> Tensor {
    let missing = (BLOCK - flat.size()[0] % BLOCK) % BLOCK;
    flat.constant_pad_nd([0, missing]).view([-1, BLOCK])
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    #[test]
    fn numbers_come_back_within_their_level_and_zeros_exactly() {
        let numbers = (Tensor::arange(600, (Kind::Float, Device::Cpu)) * 0.37).sin().view([20, 30]);
        let mut blocks = Blocks::zeros_like(&numbers, true);
        assert_eq!(blocks.get().abs().max().double_value(&[]), 0.0);
        blocks.set(&numbers);
        let error = (blocks.get() - &numbers).abs().max().double_value(&[]);
        assert!(error < 0.01, "{error}");
        assert_eq!(blocks.get().size(), [20, 30]);
    }
}
