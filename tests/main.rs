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
//! The one integration binary.

/// The layers keep their arrows.
mod arch;
/// The command line as a user meets it.
mod cli;
/// Every script under tests/lua.
mod lua;
/// The LuaCATS stubs and the live modules name the same functions.
mod stubs;
