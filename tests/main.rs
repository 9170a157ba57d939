mod optimizer;
mod rl_golden;
//! The integration tests, in one binary: every further one would link libtorch again.

mod eval;
mod golden;
mod sat;

mod track;
mod parity;
