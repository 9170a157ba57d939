//! What decides an environment's episodes beside the task, so that results say it and a run that goes on compares it.

use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use crate::engine::{Error, Result, utf8};

/// What decides an environment's episodes beside the task.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Identity {
    /// The instructions in the opening messages, where there is more than one text that they could be.
    pub instructions: Option<Instructions>,
    /// The version of the generator that the tasks come from, where they come from one.
    pub generator: Option<u32>,
    /// The options that it was made with, by name; null where there are none.
    pub settings: Value,
}

/// Which instructions a conversation begins with: an evaluation says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Instructions {
    /// `affine` for our own words, the original's name for its text (`agentgym`; `upstream` for the Affine subnet's),
    /// else `custom`.
    pub source: &'static str,
    /// Of the text, in hex.
    pub sha256: String,
}

impl Instructions {
    /// The text that an option `instructions` gives: it, or that in the file which it names. One line that ends like a
    /// text file's name, or is one, is read.
    pub fn given(option: &str) -> Result<String> {
        let path = Path::new(option);
        let looks_like_a_file = path.extension().is_some_and(|extension| extension == "txt" || extension == "md");
        if option.contains('\n') || !(looks_like_a_file || path.is_file()) {
            return Ok(option.to_string());
        }
        let bytes = std::fs::read(path).map_err(|error| Error::file(path, format!("instructions: {error}")))?;
        let text = utf8::text(&bytes).map_err(|problem| Error::file(path, format!("instructions: {problem}")))?;
        Ok(text.to_string())
    }
}

/// Options as [`Identity::settings`], but those of these names, which decide no episode or are told otherwise.
pub fn settings_but<T: Serialize>(options: &T, names: &[&str]) -> Value {
    let mut settings = serde_json::to_value(options).unwrap_or_default();
    if let Some(settings) = settings.as_object_mut() {
        settings.retain(|name, _| !names.contains(&name.as_str()));
    }
    settings
}
