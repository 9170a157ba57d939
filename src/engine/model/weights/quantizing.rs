//! Weights that are quantised while they are read.

use tch::Tensor;

use super::Weights;
use crate::engine::Result;
use crate::engine::model::linear::Linear;
use crate::engine::model::quant::{Quantization, Quantized};
use crate::engine::model::weight::Weight;

/// Quantises each projection as soon as it is read, so that no more than one of them is whole at a time.
pub struct Quantizing<'a> {
    pub from: &'a mut dyn Weights,
    pub quantization: Quantization,
}

impl Weights for Quantizing<'_> {
    fn take(&mut self, name: &str, shape: &[i64]) -> Result<Tensor> {
        self.from.take(name, shape)
    }

    fn linear(&mut self, name: &str, shape: &[i64]) -> Result<Linear> {
        let weight = self.from.take(name, shape)?;
        Ok(Linear::new(Weight::Quantized(Quantized::new(&weight, self.quantization))))
    }
}
