//! Training: what every algorithm shares. The rules that tell algorithms apart live with the algorithms.
//!
//! - [`batch`]: sequences side by side, and the positions and numbers of the trained tokens
//! - [`step`]: the one step loop, blind to the algorithm
//! - [`adamw`]: the optimizer, with its state in our hands
//! - [`sgd`]: the plain optimizer
//! - [`optimizer`]: either of them over tensors that a script owns
//! - [`schedule`]: the learning rate's course over a run
//! - [`checkpoint`]: everything that decides the next step, in a folder
//! - [`sft`]: supervised fine-tuning

pub mod adamw;
pub mod batch;
pub mod checkpoint;
pub mod optimizer;
pub mod schedule;
pub mod sft;
pub mod sgd;
pub mod step;
