//! Sweeps: a study and its trials, in Optuna's journal, so that Optuna and its dashboard work on the same file.
//!
//! Read in this order: [`study`] and [`trial`] are what is used; [`journal`] is the file, [`record`] what it tells of a trial,
//! [`history`] what of that decides anything; [`sampler`] chooses parameters ([`distribution`]), [`pruner`] ends trials; [`abandoned`] and
//! [`process`] are for those whose process died, [`clones`] for those that begin where another is, [`folders`] for what they leave on the disk; [`importance`], [`figure`], [`table`] and [`config_text`] say what came out.

pub mod abandoned;
pub mod budget;
pub mod clones;
pub mod config_text;
pub mod distribution;
pub mod figure;
pub mod folders;

mod heart;
pub mod history;
pub mod importance;
pub mod journal;
mod normal;
mod pareto;
mod process;
pub mod pruner;
mod python_json;
pub mod record;
pub mod sampler;
pub mod study;
pub mod table;
pub mod tasks;
#[cfg(test)]
mod tests;
pub mod trial;
mod unit;

pub use budget::{Budget, Done};
pub use clones::Successor;
pub use distribution::Distribution;
pub use folders::Keep;
pub use history::History;
pub use python_json::as_number;
pub use record::{Direction, State, TrialRecord};
pub use study::{Next, Study, StudyOptions};
pub use trial::Trial;
