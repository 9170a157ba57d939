//! The engine: tensors, model, training, environments, judging. Pure Rust, no Lua in it.
//!
//! Read in this order: [`error`], [`text`], [`model`], [`generate`], [`train`], [`env`], [`rl`], [`eval`].

pub mod cancel;
pub mod data;
pub mod env;
pub mod error;
pub mod file;
pub mod random;
pub mod rl;
pub mod text;
pub mod train;

pub use error::{Error, Result};
