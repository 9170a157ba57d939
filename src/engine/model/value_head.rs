//! The value head of PPO: one linear map from the policy's final hidden state to a number.

use std::path::Path;

use tch::{Device, Kind, Tensor};

use crate::engine::tensor::safetensors;
use crate::engine::{Error, Result};

/// The name of its file in a checkpoint.
pub const FILE: &str = "value_head.safetensors";

#[derive(Debug)]
pub struct ValueHead {
    /// `[1, C]` float32
    weight: Tensor,
    /// `[1]` float32
    bias: Tensor,
}

impl ValueHead {
    /// All zero: before training every state is worth nothing.
    pub fn new(hidden_size: i64, device: Device) -> Self {
        let zeros = |shape: &[i64]| Tensor::zeros(shape, (Kind::Float, device)).set_requires_grad(true);
        ValueHead { weight: zeros(&[1, hidden_size]), bias: zeros(&[1]) }
    }

    /// `hidden`: `[N, C]` → `[N]` float32
    pub fn forward(&self, hidden: &Tensor) -> Tensor {
        hidden.to_kind(Kind::Float).linear(&self.weight, Some(&self.bias)).squeeze_dim(-1)
    }

    pub fn parameters(&self) -> Vec<(String, Tensor)> {
        vec![
            ("value_head.weight".to_string(), self.weight.shallow_clone()),
            ("value_head.bias".to_string(), self.bias.shallow_clone()),
        ]
    }

    pub fn save(&self, folder: &Path) -> Result<()> {
        safetensors::write(folder.join(FILE), &self.parameters())
    }

    pub fn load(&mut self, folder: &Path) -> Result<()> {
        let file = safetensors::File::open(folder.join(FILE))?;
        for (name, mut parameter) in self.parameters() {
            let saved = file.tensor(&name, parameter.device())?;
            if saved.size() != parameter.size() {
                let problem = format!(
                    "tensor {name} has the shape {:?}, this model asks for {:?}",
                    saved.size(),
                    parameter.size()
                );
                return Err(Error::file(file.path(), problem));
            }
            tch::no_grad(|| parameter.copy_(&saved));
        }
        Ok(())
    }
}
