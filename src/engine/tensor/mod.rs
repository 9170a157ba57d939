//! Shapes, and tensors in files.

pub mod safetensors;
pub mod shape;
