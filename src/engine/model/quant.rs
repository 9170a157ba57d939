//! Frozen weights in few bits: NF4 as bitsandbytes stores it (Dettmers et al. 2023) and int8, both with a scale per
//! block of 64 numbers, the largest magnitude among them.
//!
//! Storage per number: int8 8.5 bits, NF4 4.5, NF4 with its scales quantised in turn 4.13. The tensors of a linear are
//! dequantised each time it is used, forward and backward; only its input keeps a gradient.

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::engine::native::quant::{BLOCK, NESTED_BLOCK, Nested, Stored};
use crate::engine::tensor::dynamic_map::dynamic_map;
use crate::engine::{Error, Result};

/// Numbers that are quantised at a time: whole blocks of scales.
const PIECE: i64 = BLOCK * NESTED_BLOCK * 16;
/// bitsandbytes divides by no less.
const SMALLEST: f64 = 1e-38;

/// The quantiles of the standard normal distribution that NF4's sixteen codes stand for, brought to -1 to 1
/// (appendix E of the paper, in float32's digits).
const NF4: [f32; 16] = [
    -1.0,
    -0.696_192_8,
    -0.525_073_05,
    -0.394_917_5,
    -0.284_441_38,
    -0.184_773_43,
    -0.091_050_036,
    0.0,
    0.079_580_3,
    0.160_930_2,
    0.246_112_3,
    0.337_915_24,
    0.440_709_83,
    0.562_617,
    0.722_956_84,
    1.0,
];

/// How a base's projections are stored; embeddings, norms and the head keep the model's dtype.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    Int8,
    Nf4,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantization {
    pub scheme: Scheme,
    /// NF4's scales are quantised too, to 8 bits.
    pub double: bool,
}

impl Quantization {
    pub fn new(scheme: Scheme, double: bool) -> Result<Self> {
        match (scheme, double) {
            (Scheme::Int8, true) => Err(Error::option("double_quantize", "true only with quantize = \"nf4\"", "true")),
            _ => Ok(Quantization { scheme, double }),
        }
    }

    pub fn name(self) -> &'static str {
        match self.scheme {
            Scheme::Int8 => "int8",
            Scheme::Nf4 => "nf4",
        }
    }
}

/// A quantised weight.
#[derive(Debug)]
pub struct Quantized {
    stored: Stored,
    /// The dtype it had and dequantises to.
    kind: Kind,
    /// ‖W − dequantised‖ / ‖W‖, Frobenius, against the weight in the dtype it had.
    pub error: f64,
}

impl Quantized {
    /// `weight`: `[out, in]`. Beside the result no more than a few megabytes are taken.
    pub fn new(weight: &Tensor, quantization: Quantization) -> Self {
        let _no_grad = tch::no_grad_guard();
        let (out, input) = weight.size2().expect("a linear's weight has two dimensions");
        let pieces = weight.flatten(0, -1).split(PIECE, 0);
        let coder = Coder::new(quantization.scheme, weight.device());
        let (codes, scales): (Vec<_>, Vec<_>) = pieces.iter().map(|piece| coder.encode(piece)).unzip();
        let (codes, scales) = (Tensor::cat(&codes, 0), Tensor::cat(&scales, 0));
        let (scales, nested) = match quantization.double {
            true => {
                let (codes, nested) = nest(&scales);
                (codes, Some(nested))
            }
            false => (scales, None),
        };
        let stored = Stored { codes, scales, table: coder.table(), nested, out, input };
        let error = error(&stored, &pieces);
        Quantized { stored, kind: weight.kind(), error }
    }

    /// `x Wᵀ` in the dtype of `x`.
    pub fn linear(&self, x: &Tensor) -> Tensor {
        self.stored.linear(x)
    }

    /// The weight that is computed with, `[out, in]` in the dtype it had.
    pub fn dequantized(&self) -> Tensor {
        self.stored.dequantized(&Tensor::empty([0], (self.kind, self.stored.codes.device())))
    }

    pub fn size(&self) -> (i64, i64) {
        (self.stored.out, self.stored.input)
    }

    /// Bytes that its tensors take.
    pub fn bytes(&self) -> usize {
        self.tensors().iter().map(|(_, tensor)| tensor.numel() * tensor.kind().elt_size_in_bytes()).sum()
    }

    /// Bytes in the dtype it had.
    pub fn plain_bytes(&self) -> usize {
        (self.stored.out * self.stored.input) as usize * self.kind.elt_size_in_bytes()
    }

    /// What it is stored as, with the ends of the tensors' names (bitsandbytes').
    pub fn tensors(&self) -> Vec<(&'static str, &Tensor)> {
        let stored = &self.stored;
        let mut all = vec![("", &stored.codes), (".absmax", &stored.scales)];
        all.extend(stored.table.as_ref().map(|table| (".quant_map", table)));
        if let Some(nested) = &stored.nested {
            all.extend([
                (".nested_absmax", &nested.scales),
                (".nested_quant_map", &nested.book),
                (".nested_offset", &nested.offset),
            ]);
        }
        all
    }

    /// The same tensors.
    pub fn share(&self) -> Self {
        let stored = &self.stored;
        let nested = stored.nested.as_ref().map(|nested| Nested {
            book: nested.book.shallow_clone(),
            scales: nested.scales.shallow_clone(),
            offset: nested.offset.shallow_clone(),
        });
        let stored = Stored {
            codes: stored.codes.shallow_clone(),
            scales: stored.scales.shallow_clone(),
            table: stored.table.as_ref().map(Tensor::shallow_clone),
            nested,
            ..*stored
        };
        Quantized { stored, ..*self }
    }
}

/// Makes codes of numbers.
enum Coder {
    Int8,
    /// The sixteen numbers.
    Nf4(Tensor),
}

impl Coder {
    fn new(scheme: Scheme, device: Device) -> Self {
        match scheme {
            Scheme::Int8 => Coder::Int8,
            Scheme::Nf4 => Coder::Nf4(Tensor::from_slice(&NF4).to_device(device)),
        }
    }

    /// The codes of `numbers`, flat, and a scale for each block.
    fn encode(&self, numbers: &Tensor) -> (Tensor, Tensor) {
        let blocks = in_blocks(&numbers.to_kind(Kind::Float), BLOCK);
        let largest = largest(&blocks);
        match self {
            Coder::Int8 => {
                let scales: Tensor = largest / 127.0;
                let codes = (blocks / scales.clamp_min(SMALLEST).unsqueeze(-1)).round().clamp(-127.0, 127.0);
                (codes.to_kind(Kind::Int8).flatten(0, -1), scales)
            }
            Coder::Nf4(book) => {
                let codes = nearest(&blocks, &largest, book);
                let pairs = codes.view([-1, 2]);
                let packed = pairs.select(1, 0) * 16 + pairs.select(1, 1);
                (packed.to_kind(Kind::Uint8), largest)
            }
        }
    }

    /// Row b: the numbers of b's high and low bits.
    fn table(&self) -> Option<Tensor> {
        match self {
            Coder::Int8 => None,
            Coder::Nf4(book) => {
                let high = book.repeat_interleave_self_int(16, 0, None);
                Some(Tensor::stack(&[high, book.repeat([16])], -1))
            }
        }
    }
}

/// ‖W − dequantised‖ / ‖W‖ of a weight in `pieces`.
fn error(stored: &Stored, pieces: &[Tensor]) -> f64 {
    let square = |tensor: &Tensor| tensor.square().sum(Kind::Double).double_value(&[]);
    let (mut apart, mut whole, mut block) = (0.0, 0.0, 0);
    for piece in pieces {
        let wide = piece.to_kind(Kind::Float);
        let count = wide.numel() as i64;
        let blocks = (count + BLOCK - 1) / BLOCK;
        let back = stored.blocks(block, blocks).dequantized(&wide).flatten(0, -1).narrow(0, 0, count);
        apart += square(&(back - &wide));
        whole += square(&wide);
        block += blocks;
    }
    (apart / whole.max(f64::MIN_POSITIVE)).sqrt()
}

/// `[blocks, block]`, the last one filled up with zeros.
fn in_blocks(tensor: &Tensor, block: i64) -> Tensor {
    let flat = tensor.flatten(0, -1);
    let missing = (block - flat.numel() as i64 % block) % block;
    flat.constant_pad_nd([0, missing]).view([-1, block])
}

fn largest(blocks: &Tensor) -> Tensor {
    blocks.abs().amax([-1], false)
}

/// The place in `book` (ascending) of the number nearest to each of `blocks` divided by its block's largest, flat.
fn nearest(blocks: &Tensor, largest: &Tensor, book: &Tensor) -> Tensor {
    let count = book.numel() as i64 - 1;
    let middles = (book.narrow(0, 0, count) + book.narrow(0, 1, count)) / 2.0;
    let scaled = (blocks * largest.clamp_min(SMALLEST).reciprocal().unsqueeze(-1)).clamp(-1.0, 1.0);
    scaled.flatten(0, -1).bucketize(&middles, true, false)
}

/// bitsandbytes' second quantisation: the scales less their mean, in 8 bits of the dynamic type.
fn nest(scales: &Tensor) -> (Tensor, Nested) {
    let offset = scales.mean(Kind::Float);
    let book = Tensor::from_slice(&dynamic_map(true)).to_device(scales.device());
    let blocks = in_blocks(&(scales - &offset), NESTED_BLOCK);
    let nested = largest(&blocks);
    let codes = nearest(&blocks, &nested, &book).narrow(0, 0, scales.numel() as i64).to_kind(Kind::Uint8);
    (codes, Nested { book, scales: nested, offset })
}
