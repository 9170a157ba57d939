//! The options that `env.make("abd", { … })` and `env.make("ded", { … })` share.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::generator::GeneratorOptions;
use super::runner::Runner;
use crate::engine::Result;
use crate::engine::env::settings_but;
use crate::engine::sandbox::{Limits, Sandbox, SandboxOptions};

/// Where tasks come from and how replies are judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProgramOptions {
    /// Rows of the data set: a file, a folder, an index of shards, the address of one of these, or a data set's name on
    /// the Hub. A task id is a row, counted from 0. Without it the tasks are the generator's.
    pub data: Option<String>,
    /// Which programs the generator makes; nothing beside `data`.
    pub generator: Option<GeneratorOptions>,
    /// What a program may use up; upstream's by default.
    pub limits: Limits,
    /// A text with its places (`{program}` and `{output}` for ABD, `{prompt}` for DED), or the path of a text file, in
    /// place of our own instructions.
    pub instructions: Option<String>,
    /// Judge as upstream does where that is odd.
    pub upstream_quirks: bool,
    /// The interpreter; without it the `python3` on the path.
    pub python: Option<PathBuf>,
    /// Run programs even where the kernel lacks the sandbox's walls.
    pub accept_risk: bool,
}

impl Default for ProgramOptions {
    fn default() -> Self {
        ProgramOptions {
            data: None,
            generator: None,
            limits: Limits::default(),
            instructions: None,
            upstream_quirks: true,
            python: None,
            accept_risk: false,
        }
    }
}

impl ProgramOptions {
    /// The options that decide tasks and judgements; the instructions are told by themselves.
    pub fn deciding(&self) -> serde_json::Value {
        settings_but(self, &["instructions", "python", "accept_risk"])
    }

    /// What runs the programs; an error where this machine cannot.
    pub fn runner(&self) -> Result<Runner> {
        self.limits.validate()?;
        let sandbox = SandboxOptions { python: self.python.clone(), accept_risk: self.accept_risk };
        let sandbox = Sandbox::shared(&sandbox)?;
        Ok(Runner { sandbox, limits: self.limits.clone(), upstream_quirks: self.upstream_quirks })
    }
}
