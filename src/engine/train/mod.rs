//! Training: what every algorithm shares. The rules that tell algorithms apart live with the algorithms.
//!
//! - [`batch`]: sequences side by side, and the positions and numbers of the trained tokens
//! - [`neftune`]: noise on embeddings
//! - [`step`]: the one step loop, blind to the algorithm
//! - [`adamw`]: the optimizer, with its state in our hands
//! - [`blockwise`]: state in 8 bits
//! - [`sgd`]: the plain optimizer
//! - [`optimizer`]: either of them over tensors that a script owns
//! - [`passes`]: which sequences share a forward pass, and what happens where memory runs out
//! - [`options`]: what the options of all trainers have in common
//! - [`run`]: where a trainer stands, what it has saved, how it is left
//! - [`output`]: the folder that a trainer writes to
//! - [`schedule`]: the learning rate's course over a run
//! - [`checkpoint`]: everything that decides the next step, in a folder
//! - [`compare`]: two such folders, to the bit
//! - [`bundle`]: a step whose numbers went wrong, in a folder
//! - [`spike`]: losses far above the usual
//! - [`sft`]: supervised fine-tuning

pub mod adamw;
pub mod batch;
pub mod blockwise;
pub mod bundle;
pub mod checkpoint;
pub mod compare;
pub mod neftune;
pub mod optimizer;
pub mod options;
pub mod output;
pub mod passes;
pub mod run;
pub mod schedule;
pub mod sft;
pub mod sgd;
pub mod spike;
pub mod step;

use serde::{Deserialize, Deserializer};

/// What is no number is `null` in JSON: for a report's numbers.
pub fn number<'de, D: Deserializer<'de>>(value: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(value)?.unwrap_or(f64::NAN))
}
