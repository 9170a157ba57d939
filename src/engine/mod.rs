//! The engine: tensors, model, training, environments, judging. Pure Rust, no Lua in it.
//!
//! Read in this order: [`error`], [`text`], [`model`], [`generate`], [`train`], [`env`], [`rl`], [`eval`].

pub mod cancel;
pub mod env;
pub mod error;
pub mod file;
pub mod log;
pub mod random;
pub mod text;

pub use error::{Error, Result};
