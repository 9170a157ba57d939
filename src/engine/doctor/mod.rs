//! The machine under examination: what affine finds here, what it lacks, and how to get that.
//!
//! Nothing is changed and nothing is asked of the network. No finding holds a secret.

mod cuda;
mod environments;
mod hub;
mod programs;
mod sandbox;
mod system;
mod torch;

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
    fn ok(subject: &str, message: impl Into<String>) -> Self {
        Finding { level: Level::Ok, subject: subject.to_string(), message: message.into(), advice: None }
    }

    fn warn(subject: &str, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Finding { level: Level::Warn, advice: Some(advice.into()), ..Finding::ok(subject, message) }
    }

    fn fail(subject: &str, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Finding { level: Level::Fail, advice: Some(advice.into()), ..Finding::ok(subject, message) }
    }
}

/// Looks at everything, in the order in which a user meets it. Takes a second or two.
pub fn examine() -> Vec<Finding> {
    let mut findings = vec![torch::libtorch(), torch::bfloat16(), cuda::cuda(), system::memory()];
    findings.extend(system::disks());
    findings.extend(hub::hub());
    let python = programs::Python::find();
    findings.push(programs::python(python.as_ref()));
    findings.push(programs::java());
    findings.push(sandbox::sandbox());
    findings.extend(environments::data());
    findings
}
