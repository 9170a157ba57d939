//! Training: what every algorithm shares. The rules that tell algorithms apart live with the algorithms.
//!
//! - [`batch`]: sequences side by side, and the positions and numbers of the trained tokens
//! - [`neftune`]: noise on embeddings
//! - [`step`]: the one step loop, blind to the algorithm
//! - [`adamw`]: the optimizer, with its state in our hands
//! - [`blockwise`]: state in 8 bits
//! - [`sgd`]: the plain optimizer
//! - [`optimizer`]: either of them over tensors that a script owns
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
pub mod output;
pub mod schedule;
pub mod sft;
pub mod sgd;
pub mod spike;
pub mod step;

use std::cell::{Ref, RefCell, RefMut};

use super::model::Model;
use super::{Error, Result};
use adamw::AdamW;

/// A trainer for reading. Trainers call back into what their user wrote (`on_step`, environments), which may call the
/// trainer again: so they are borrowed only while nothing of the user's runs, or for reading.
pub fn reading<T>(trainer: &RefCell<T>) -> Result<Ref<'_, T>> {
    trainer.try_borrow().map_err(|_| busy())
}

/// A trainer for changing; an error while the call that led here reads it.
pub fn changing<T>(trainer: &RefCell<T>) -> Result<RefMut<'_, T>> {
    trainer.try_borrow_mut().map_err(|_| busy())
}

/// The optimizer's first tensors are the model's own. After `merge_lora` and `add_lora` they are not any more, and steps
/// would change tensors that no forward pass reads.
pub fn check_parameters(optimizer: &AdamW, model: &Model) -> Result<()> {
    let own = model.trained_part_of(&model.net);
    let mut trained = optimizer.params();
    let same = own.iter().all(|(_, own)| trained.next().is_some_and(|trained| trained.data_ptr() == own.data_ptr()));
    if same {
        return Ok(());
    }
    Err(Error::hinted(
        "the model's parameters are not those that this trainer was made for: its adapter was added, merged or replaced since",
        "make the trainer after the last change of the model's adapter",
    ))
}

fn busy() -> Error {
    Error::message("this trainer is at work in the call that led here")
}
