//! A linear map's weight, `[out, in]`: as it is, once more as decoding reads it fastest, or in few bits.

use std::cell::RefCell;

use tch::{Kind, Tensor};

use super::compute::KernelChoice;
use super::quant::Quantized;
use crate::engine::native::linear::{self as native, Factors, Prepacked};

#[derive(Debug)]
pub enum Weight {
    Plain(Plain),
    Quantized(Quantized),
}

/// A weight as it is, and its prepacked form where one was made.
#[derive(Debug)]
pub struct Plain {
    pub tensor: Tensor,
    prepacked: RefCell<Option<Prepacked>>,
}

impl From<Tensor> for Plain {
    fn from(tensor: Tensor) -> Self {
        Plain { tensor, prepacked: RefCell::new(None) }
    }
}

impl From<Tensor> for Weight {
    fn from(tensor: Tensor) -> Self {
        Weight::Plain(tensor.into())
    }
}

impl Weight {
    /// `x Wᵀ` in the dtype of `x`.
    pub fn linear(&self, x: &Tensor, kernels: KernelChoice) -> Tensor {
        match self {
            Weight::Plain(weight) => native::linear(x, &weight.tensor, None, kernels.use_onednn()),
            Weight::Quantized(weight) => weight.linear(x),
        }
    }

    /// The numbers that are computed with, in the base's dtype.
    pub fn plain(&self) -> Tensor {
        match self {
            Weight::Plain(weight) => weight.tensor.shallow_clone(),
            Weight::Quantized(weight) => weight.dequantized(),
        }
    }

    /// `(out, in)`
    pub fn size(&self) -> (i64, i64) {
        match self {
            Weight::Plain(weight) => weight.tensor.size2().expect("a linear's weight has two dimensions"),
            Weight::Quantized(weight) => weight.size(),
        }
    }

    pub fn quantized(&self) -> Option<&Quantized> {
        match self {
            Weight::Plain(_) => None,
            Weight::Quantized(weight) => Some(weight),
        }
    }

    /// The tensors that it is kept as, with what their names add to the weight's.
    pub fn tensors(&self) -> Vec<(&'static str, &Tensor)> {
        match self {
            Weight::Plain(weight) => vec![("", &weight.tensor)],
            Weight::Quantized(weight) => weight.tensors(),
        }
    }

    /// The same weight, copied where it is being trained.
    pub fn snapshot(&self) -> Self {
        match self {
            Weight::Plain(weight) => Weight::Plain(weight.snapshot()),
            Weight::Quantized(weight) => Weight::Quantized(weight.share()),
        }
    }
}

impl Plain {
    /// `x Wᵀ + s · (x Aᵀ) Bᵀ`, without an adapter `x Wᵀ`; of decoded tokens through the prepacked form.
    pub fn linear(&self, x: &Tensor, adapter: Option<Factors>, kernels: KernelChoice) -> Tensor {
        let decoded = self.decode(x, adapter, kernels);
        decoded.unwrap_or_else(|| native::linear(x, &self.tensor, adapter, kernels.use_onednn()))
    }

    /// The same, where `x` are decoded tokens and the weight is prepacked as it is now.
    pub fn decode(&self, x: &Tensor, adapter: Option<Factors>, kernels: KernelChoice) -> Option<Tensor> {
        let prepacked = self.prepacked.borrow();
        let current = prepacked.as_ref().filter(|prepacked| is_decoding(x, kernels) && prepacked.is_of(&self.tensor));
        current.map(|prepacked| prepacked.linear(x, adapter))
    }

    /// Whether it gains from being prepacked for decoding and is not: frozen bfloat16 on the CPU, and too large for a cache.
    pub fn wants_prepacking(&self, kernels: KernelChoice) -> bool {
        const LARGE: usize = 1 << 18;
        let w = &self.tensor;
        let gains = kernels.take(w) && w.kind() == Kind::BFloat16 && !w.requires_grad() && w.numel() >= LARGE;
        gains && !self.prepacked.borrow().as_ref().is_some_and(|prepacked| prepacked.is_of(w))
    }

    pub fn prepack(&self) {
        *self.prepacked.borrow_mut() = Some(Prepacked::new(&self.tensor));
    }

    pub fn snapshot(&self) -> Self {
        snapshot(&self.tensor).into()
    }
}

/// One new token of a few rows: what a prepacked weight is for. Longer inputs never go through it, so that no number depends
/// on what was decoded before.
fn is_decoding(x: &Tensor, kernels: KernelChoice) -> bool {
    // Above so many rows a product waits for arithmetic, not for memory.
    const MOST_ROWS: i64 = 64;
    let size = x.size();
    size.len() == 3 && size[1] == 1 && size[0] <= MOST_ROWS && kernels.take(x) && !native::records_gradients()
}

/// A tensor that will not change: the same storage when it is frozen, a copy when it is being trained.
pub fn snapshot(tensor: &Tensor) -> Tensor {
    if tensor.requires_grad() { tensor.detach().copy() } else { tensor.shallow_clone() }
}
