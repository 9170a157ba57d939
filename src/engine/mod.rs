//! The engine: tensors, model, training, environments, judging. Pure Rust, no Lua in it.
//!
//! Read in this order: [`error`], [`text`], [`model`], [`generate`], [`train`], [`env`], [`rollout`], [`rl`], [`eval`].

pub mod attach;
pub mod bytes;
pub mod cancel;
pub mod data;
pub mod device;
pub mod digest;
pub mod doctor;
pub mod download;
pub mod env;
pub mod error;
pub mod eval;
pub mod file;
pub mod generate;
pub mod hub;
pub mod lock;
pub mod log;
pub mod model;
pub mod native;
pub mod pairs;
pub mod plan;
pub mod proxy;
pub mod random;
pub mod refusal;
pub mod report;
pub mod rl;
pub mod rollout;
pub mod sandbox;
pub mod secrets;
pub mod sentence;
pub mod shell;
pub mod signals;
pub mod sweep;
pub mod system;
pub mod tensor;
pub mod text;
mod torch_words;
pub mod track;
pub mod train;
pub mod utf8;

pub use error::{Error, Result};
