//! A pruner that somebody wrote.

use super::{Pruner, Verdict};
use crate::engine::Result;
use crate::engine::sweep::history::{History, Placed};

/// Whether the trial ends.
pub type Judge = Box<dyn Fn(&History, &Placed) -> Result<bool>>;

pub struct Custom(pub Judge);

impl Pruner for Custom {
    fn judge(&self, history: &History, trial: &Placed) -> Result<Verdict> {
        (self.0)(history, trial).map(Verdict::of)
    }
}
