//! What stays of an execution: the run folder, and the progress that a person watches.

pub mod progress;
pub mod run;
pub mod transfer;

pub use progress::Progress;
pub use run::Run;
pub use transfer::Transfer;
