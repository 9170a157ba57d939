//! Reinforcement learning: what an episode's rewards make of each token.
//!
//! In reading order: [`kl`] charges the distance to the reference, [`advantage`] assigns credit to tokens, [`loss`]
//! turns credit into gradients. All three are pure functions of numbers and tensors.

pub mod advantage;
pub mod kl;
pub mod loss;
