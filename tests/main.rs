//! The integration tests, in one binary: every further one would link libtorch again.

/// The layers keep their arrows.
mod arch;
/// Chat templates against the texts that transformers renders.
mod chat;
/// The command line as a user meets it.
mod cli;
/// Intervals, dominance and ranking against the validators' own results.
mod eval;
/// Reads recorded data for the other tests.
mod golden;
/// Every script under tests/lua.
mod lua;
/// AdamW, schedules and clipping against PyTorch.
mod optimizer;
/// The model against transformers and PEFT.
mod parity;
/// Everything that the README shows, run.
mod readme;
/// Records in files.
mod records;
/// Advantages and losses against verl and TRL.
mod rl_golden;
/// SAT against the subnet's own tasks and verdicts.
mod sat;
/// The LuaCATS stubs and the live modules name the same functions.
mod stubs;
/// Tokenizers against transformers.
mod tokenizer;
/// Run folders and atomic files.
mod track;
