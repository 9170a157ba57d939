//! Tensors in 8 bits (Dettmers et al. 2022, "8-bit Optimizers via Block-wise Quantization"): each block of 256 numbers has
//! its own scale, and a byte names one of 256 levels that are dense near 0, as bitsandbytes lays them out.

use tch::{Kind, Tensor};

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
    /// The levels in order, `[256]` float32 in −1..1 or 0..1.
    levels: Tensor,
    /// Half-way between neighbours, `[255]`.
    bounds: Tensor,
}

impl Blocks {
    /// Zeros of the shape of `like`. `signed`: whether numbers below 0 will come.
    pub fn zeros_like(like: &Tensor, signed: bool) -> Self {
        let levels = Tensor::from_slice(&levels(signed)).to_device(like.device());
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

/// The 256 levels: bitsandbytes' dynamic map with 7 exponent bits. Decade by decade from 1e-6 to 1, each with twice as
/// many levels as the one below, in the middle of equal parts of 0.1..1 of the decade; beside them 0 and 1.
fn levels(signed: bool) -> Vec<f32> {
    let mut levels = vec![0.0, 1.0];
    for decade in 0..7i32 {
        let parts = 1usize << if signed { decade } else { decade + 1 };
        let scale = 10f64.powi(decade - 6);
        // In float32, as there.
        let edge = |i: usize| (0.1 + 0.9 * i as f64 / parts as f64) as f32;
        for i in 0..parts {
            let level = (scale * f64::from((edge(i) + edge(i + 1)) / 2.0)) as f32;
            levels.push(level);
            if signed {
                levels.push(-level);
            }
        }
    }
    levels.sort_by(f32::total_cmp);
    levels
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    #[test]
    fn there_are_256_levels_of_either_kind() {
        for signed in [false, true] {
            let levels = levels(signed);
            assert_eq!(levels.len(), 256);
            assert!(levels.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }

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
