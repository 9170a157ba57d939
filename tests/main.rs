//! The integration tests, in one binary: every further one would link libtorch again.

mod chat;
mod eval;
mod golden;
mod optimizer;
mod parity;
mod readme;
mod records;
mod rl_golden;
mod sat;
mod tokenizer;
mod track;
