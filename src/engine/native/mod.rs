//! The little C++ that tch lacks: one file per reason, each behind a safe Rust function. build.rs compiles it against
//! libtorch's own headers.

pub mod attention;
pub mod blocks;
mod call;
pub mod graph;
pub mod kernels;
pub mod linear;
pub mod logprob;
pub mod quant;
pub mod storage;
