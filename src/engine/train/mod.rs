//! Training: what every algorithm shares. The rules that tell algorithms apart live with the algorithms.
//!
//! - [`adamw`]: the optimizer, with its state in our hands
//! - [`schedule`]: the learning rate's course over a run

pub mod adamw;
pub mod schedule;
