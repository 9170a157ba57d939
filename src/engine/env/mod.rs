//! Environments: numbered tasks that a policy plays turn by turn.
//!
//! The engine knows an environment only as the [`Environment`] trait; `lua/environment.rs` implements it for a Lua table.

pub mod abd;
mod abilities;
pub mod agentgym;
pub mod alfworld;
pub mod babyai;
mod begun;
pub mod ded;
mod description;
mod environment;
mod episode;
mod identity;
pub mod label;
mod one_turn;
pub mod programs;
pub mod python;
pub mod sat;
pub mod sciworld;
pub mod sciworld_mini;
pub mod setup;
pub mod textcraft;
pub mod webshop;

pub use abilities::{Baselines, Demonstrator, Explained, Facts};
pub use description::{Description, TurnLimit};
pub use environment::{Environment, Parsed, Step};
pub use episode::{Ending, EpisodeState};
use identity::settings_but;
pub use identity::{Identity, Instructions};
