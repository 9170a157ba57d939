//! Judging: what a model scored, how sure that is, and which model is better.
//!
//! [`interval`] bounds a mean score, [`summary`] is one model's result on one environment, [`dominance`] compares
//! two models and [`rank`] many, as the Affine validators do; [`false_alarms`] says how often such a comparison finds a
//! difference between equal models. [`run`] plays the episodes that are judged, [`results`] keeps what came of each task, under
//! the [`protocol`] that decides it.

pub mod candidate;
pub mod compare;
pub mod dominance;
pub mod false_alarms;
pub mod interval;
pub mod metrics;
pub mod overlap;
pub mod profiles;
pub mod protocol;
pub mod rank;
pub mod results;
pub mod run;
pub mod served;
pub mod summary;

pub use dominance::{Dominance, Outcome, Verdict, verdict};
pub use false_alarms::{FalseAlarms, false_alarms};
pub use interval::{DEFAULT_LEVEL, interval};
pub use rank::{Contender, RankOptions, Ranking, rank};
pub use summary::EnvironmentScore;
