//! affine: an embedded scripting host for training language models.
//!
//! Arrows run one way, and `tests/arch.rs` holds them:
//!
//! ```text
//! main → cli → lua → engine
//!
//! engine:  rl, eval → rollout, train → generate → model → text;  env → text, data;  all → tensor, device, error, cancel
//!          report → eval, track;  sweep → report;  hub, sandbox, track are leaves
//! ```
//!
//! [`engine`] trains, samples and judges, and knows no Lua. [`lua`] is the only folder that names mlua: it turns
//! Lua values into the engine's options and the engine's errors into messages with a script's line. [`cli`] is one
//! file per command.

pub mod cli;
pub mod engine;
pub mod lua;
