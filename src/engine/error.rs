//! The one error of the engine. Every variant says what went wrong, where, and what would be right.

use std::fmt;
use std::path::{Path, PathBuf};

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An option out of its range, or options that contradict each other. `path` is the key as the user wrote it
    /// (`learning_rate`, `schedule.warmup_ratio`).
    #[error("{path}: expected {expected}, got {got}")]
    Option { path: String, expected: String, got: String },

    /// A file that cannot be read, written or understood.
    #[error("{}: {problem}", path.display())]
    File { path: PathBuf, problem: String },

    /// A sentence for the user, with a hint on what to do where there is one.
    #[error("{message}")]
    Message { message: String, hint: Option<String> },

    /// What libtorch refused: the first sentence of its text, the rest goes to the log.
    #[error("{0}")]
    Torch(String),

    /// Something in an environment: the episode is marked failed, the run goes on.
    #[error("environment {name}: {problem}")]
    Environment { name: String, problem: String },

    /// Ctrl-C or SIGTERM: the work stopped at a clean point.
    #[error("interrupted")]
    Interrupted,

    /// An error with the action that it stopped ("load checkpoint-40").
    #[error("{action}: {source}")]
    Context { action: String, source: Box<Error> },
}

impl Error {
    pub fn option(path: impl Into<String>, expected: impl Into<String>, got: impl fmt::Display) -> Self {
        Error::Option { path: path.into(), expected: expected.into(), got: got.to_string() }
    }

    pub fn file(path: impl AsRef<Path>, problem: impl fmt::Display) -> Self {
        Error::File { path: path.as_ref().to_path_buf(), problem: problem.to_string() }
    }

    pub fn message(message: impl Into<String>) -> Self {
        Error::Message { message: message.into(), hint: None }
    }

    pub fn hinted(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Error::Message { message: message.into(), hint: Some(hint.into()) }
    }

    pub fn environment(name: impl Into<String>, problem: impl fmt::Display) -> Self {
        Error::Environment { name: name.into(), problem: problem.to_string() }
    }

    /// What would help, where the error knows.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Error::Message { hint, .. } => hint.as_deref(),
            Error::Context { source, .. } => source.hint(),
            _ => None,
        }
    }

    pub fn is_interrupted(&self) -> bool {
        match self {
            Error::Interrupted => true,
            Error::Context { source, .. } => source.is_interrupted(),
            _ => false,
        }
    }
}

/// Names the action that an error stopped.
pub trait Context<T> {
    fn context(self, action: impl fmt::Display) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for Result<T, E> {
    fn context(self, action: impl fmt::Display) -> Result<T> {
        self.map_err(|e| Error::Context { action: action.to_string(), source: Box::new(e.into()) })
    }
}

impl From<tch::TchError> for Error {
    fn from(error: tch::TchError) -> Self {
        let text = match &error {
            tch::TchError::Torch(text) => text.clone(),
            other => other.to_string(),
        };
        tracing::debug!(target: "libtorch", "{text}");
        Error::Torch(first_sentence(&text))
    }
}

/// libtorch appends dispatcher lists and C++ frames to its messages; its first line is what a user can act on.
pub fn first_sentence(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("unknown libtorch error");
    let end = line.find("Exception raised from").unwrap_or(line.len());
    line[..end].trim().to_string()
}
