//! The episode that an environment plays, or an error that says how one is begun.

use crate::engine::{Error, Result};

/// The episode of an environment, once one has begun.
#[derive(Debug, Clone)]
pub struct Begun<T> {
    /// The environment's.
    name: String,
    episode: Option<T>,
}

impl<T> Begun<T> {
    /// Before the first episode.
    pub fn none(name: impl Into<String>) -> Self {
        Begun { name: name.into(), episode: None }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn begin(&mut self, episode: T) -> &mut T {
        self.episode.insert(episode)
    }

    /// Leaves the episode that there may be, so that a reset that fails leaves none behind.
    pub fn leave(&mut self) {
        self.episode = None;
    }

    pub fn get(&self) -> Result<&T> {
        self.episode.as_ref().ok_or_else(|| not_begun(&self.name))
    }

    pub fn get_mut(&mut self) -> Result<&mut T> {
        self.episode.as_mut().ok_or_else(|| not_begun(&self.name))
    }

    /// The episode, which must not be over.
    pub fn going(&self, is_over: impl Fn(&T) -> bool) -> Result<&T> {
        match self.get()? {
            episode if is_over(episode) => Err(Error::environment(&self.name, "the episode is over; call reset first")),
            episode => Ok(episode),
        }
    }
}

/// Nothing can be asked of an episode that there is not.
pub fn not_begun(name: &str) -> Error {
    Error::environment(name, "no episode has begun; call reset first")
}
