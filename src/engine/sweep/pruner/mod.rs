//! Pruners: whether a trial is worth going on with.
//!
//! Each but `pbt`, which Optuna has not, decides as Optuna's of the same name and options does on the same history. What Optuna keeps in a pruner's memory (a resource that
//! the first trials decided) is kept in the study here, so that it outlives the process.

mod custom;
mod halving;
mod hyperband;
mod pbt;
mod percentile;
mod wilcoxon;

use serde_json::{Map, Value};

pub use self::custom::{Custom, Judge};
pub use self::halving::{Halving, HalvingOptions};
pub use self::hyperband::{Hyperband, HyperbandOptions};
pub use self::pbt::{Pbt, PbtOptions};
pub use self::percentile::{MEDIAN, Percentile, PercentileOptions};
pub use self::wilcoxon::{Wilcoxon, WilcoxonOptions};
use super::clones::Successor;
use super::history::{History, Placed};
use super::record::State;
use crate::engine::Result;

/// What a pruner says of a trial, and what it wants to be remembered for it.
#[derive(Debug, Default, PartialEq)]
pub struct Verdict {
    pub prune: bool,
    /// Of a pruned trial: what takes its place.
    pub successor: Option<Successor>,
    /// Attributes of the trial.
    pub marks: Map<String, Value>,
    /// Attributes of the study.
    pub study_marks: Map<String, Value>,
}

impl Verdict {
    pub fn of(prune: bool) -> Self {
        Verdict { prune, ..Verdict::default() }
    }
}

/// A resource that the first complete trials decide by their last step, and that the study keeps from then on under a name.
fn kept(history: &History, name: &str, verdict: &mut Verdict, of: impl FnOnce(u64) -> u64) -> Option<u64> {
    if let Some(known) = history.system_attrs.get(name).and_then(Value::as_u64) {
        return Some(known);
    }
    let last = history.of_state(State::Complete).filter_map(|trial| trial.record.last_report()).map(|(step, _)| step);
    let found = of(last.max()?.max(0) as u64);
    verdict.study_marks.insert(name.to_string(), found.into());
    Some(found)
}

pub trait Pruner {
    /// `trial` is one of the history, and runs.
    fn judge(&self, history: &History, trial: &Placed) -> Result<Verdict>;

    /// The part of the history that a sampler learns from, where trials that were treated differently do not compare.
    fn peers(&self, _history: &History, _place: u64) -> Option<History> {
        None
    }
}

/// Lets every trial come to its end.
pub struct Never;

impl Pruner for Never {
    fn judge(&self, _: &History, _: &Placed) -> Result<Verdict> {
        Ok(Verdict::default())
    }
}
