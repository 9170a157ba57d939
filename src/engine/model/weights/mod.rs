//! Where a model's tensors come from: a folder of safetensors files, quantised as they are read, or a random stream. And how
//! they are saved.

mod folder;
mod quantizing;
mod save;

use tch::{Device, Kind, Tensor};

use super::linear::Linear;
use crate::engine::Result;
pub use folder::Folder;
pub use quantizing::Quantizing;
pub use save::{SaveOptions, save};

/// One file with every tensor; where it is there, transformers reads it and no index.
const SINGLE: &str = "model.safetensors";
/// Names the file of every tensor.
const INDEX: &str = "model.safetensors.index.json";

/// A source of named tensors.
pub trait Weights {
    /// The tensor called `name`, which must have `shape`.
    fn take(&mut self, name: &str, shape: &[i64]) -> Result<Tensor>;

    /// A projection with the weight of that name.
    fn linear(&mut self, name: &str, shape: &[i64]) -> Result<Linear> {
        self.take(name, shape).map(Linear::new)
    }
}

/// New random weights: linears and head from N(0, 0.5/√in), the embedding from N(0, 0.02), norms 1.
///
/// The linears start larger than transformers' 0.02: a model this narrow learns several times slower from 0.02.
pub struct Random {
    pub kind: Kind,
    pub device: Device,
}

impl Weights for Random {
    fn take(&mut self, name: &str, shape: &[i64]) -> Result<Tensor> {
        let options = (Kind::Float, Device::Cpu);
        let tensor = match shape {
            [_, _] if name == "model.embed_tokens.weight" => Tensor::randn(shape, options) * 0.02,
            [_, input] => Tensor::randn(shape, options) * (0.5 / (*input as f64).sqrt()),
            _ => Tensor::ones(shape, options),
        };
        Ok(tensor.to_device(self.device).to_kind(self.kind))
    }
}
