//! Shapes, dtypes and places that fit together, numbers of 8 bits, parts of a tensor, losses, values as text, tensors in files.

pub mod dtype;
pub mod dynamic_map;
pub mod index;
pub mod memory;
pub mod nn;
pub mod random;
pub mod safetensors;
pub mod shape;
pub mod show;

use tch::Tensor;

use super::{Error, Result};

/// What libtorch says in its own way, in ours; any other error stays.
pub fn explain(error: Error) -> Error {
    match error.to_string().as_str() {
        "ZeroDivisionError" => Error::message("an integer divided by zero"),
        text => memory::missing(text).unwrap_or(error),
    }
}

/// Whether two tensors go together by element: the shapes broadcast, the result fits into memory, and both are on one
/// device, where a single number on the CPU goes everywhere.
pub fn elementwise(a: &Tensor, b: &Tensor) -> Result<()> {
    let shape = shape::broadcast(&a.size(), &b.size())?;
    memory::afford(&shape, a.f_kind()?, a.device())?;
    match a.dim() == 0 || b.dim() == 0 {
        true => Ok(()),
        false => dtype::same_device(a, b),
    }
}
