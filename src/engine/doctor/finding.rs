//! What an examination of something finds.

use serde::Serialize;

/// How a finding bears on the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Ok,
    /// Something optional is missing, or will be slow.
    Warn,
    /// Training cannot work like this.
    Fail,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub level: Level,
    /// `libtorch`, `disk`.
    pub subject: String,
    pub message: String,
    /// What to do about it.
    pub advice: Option<String>,
}

impl Finding {
    pub(super) fn ok(subject: &str, message: impl Into<String>) -> Self {
        Finding { level: Level::Ok, subject: subject.to_string(), message: message.into(), advice: None }
    }

    pub(super) fn warn(subject: &str, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Finding { level: Level::Warn, advice: Some(advice.into()), ..Finding::ok(subject, message) }
    }

    pub(super) fn fail(subject: &str, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Finding { level: Level::Fail, advice: Some(advice.into()), ..Finding::ok(subject, message) }
    }
}
