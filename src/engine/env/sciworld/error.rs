//! Errors of this environment, which bear its name.

use crate::engine::Error;

pub const NAME: &str = "sciworld";

/// An error that ends the episode.
pub fn broken(problem: String) -> Error {
    Error::environment(NAME, problem)
}
