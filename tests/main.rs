//! The integration tests, in one binary: every further one would link libtorch again.

/// The layers keep their arrows.
mod arch;
/// Bad input ends in one sentence.
mod bad_input;
/// Chat templates against the texts that transformers renders.
mod chat;
/// The command line as a user meets it.
mod cli;
/// Intervals, dominance and ranking against the validators' own results.
mod eval;
/// Sampling: batches, seeds, log-probs, ends.
mod generation;
/// Reads recorded data for the other tests.
mod golden;
/// Every script under tests/lua.
mod lua;
/// AdamW, schedules and clipping against PyTorch.
mod optimizer;
/// The model against transformers and PEFT.
mod parity;
/// PPO on toy models.
mod ppo;
/// Everything that the README shows, run.
mod readme;
/// Records in files.
mod records;
/// Advantages and losses against verl and TRL.
mod rl_golden;
/// Episodes and how they end.
mod rollout;
/// SAT against the subnet's own tasks and verdicts.
mod sat;
/// The LuaCATS stubs and the live modules name the same functions.
mod stubs;
/// Toy models, records and environments for the other tests.
mod tiny;
/// Tokenizers against transformers.
mod tokenizer;
/// Run folders and atomic files.
mod track;
/// Supervised fine-tuning on toy models.
mod training;
/// WebShop against recordings of the original.
mod webshop;
