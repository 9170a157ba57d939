//! Reinforcement learning: what an episode's rewards make of each token.
//!
//! In reading order: [`kl`] charges the distance to the reference, [`advantage`] assigns credit to tokens, [`loss`]
//! turns credit into gradients: pure functions of numbers and tensors. [`collect`] plays the episodes of a [`rollout`],
//! `columns` has the networks' numbers for every token of it, [`gap`] proves that the policy which is updated is the one that
//! played, [`ppo`] is the algorithm, [`options`] its settings, [`report`] what it says of an iteration, `played` the record of
//! its environments, `cut` what a plan leaves.

pub mod advantage;
mod collect;
mod columns;
mod cut;
pub mod gap;
pub mod kl;
pub mod loss;
pub mod options;
mod played;
pub mod ppo;
pub mod report;
pub mod rollout;
mod samples;

use super::train::run::Naming;

/// Of the trainer in [`ppo`].
pub const NAMING: Naming = Naming { trainer: "ppo", unit: "iteration" };
