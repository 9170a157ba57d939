//! What stays of an execution: the run folder, and the progress that a person watches.

pub mod progress;
pub mod run;

pub use progress::Progress;
pub use run::Run;
