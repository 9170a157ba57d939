//! What stays of an execution: the run folder, the trackers that its numbers go to besides, and the progress that a person
//! watches.

pub mod alarms;
pub mod episodes;
pub mod follow;
pub mod frames;
pub mod metric;
pub mod progress;
pub mod row_step;
pub mod run;
pub mod tensorboard;
pub mod tracker;
pub mod transfer;
pub mod wandb;

pub use metric::{Metric, Metrics};
pub use progress::Progress;
pub use run::Run;
pub use tensorboard::TensorBoard;
pub use tracker::{Place, Tracker};
pub use transfer::Transfer;
pub use wandb::Wandb;
