//! Text in and out of a model: messages, tokenizer, chat template, and conversations as token ids.

pub mod conversation;
pub mod template;
pub mod tokenizer;
pub mod train;
mod turns;

use serde::{Deserialize, Serialize};

pub use conversation::Conversation;
pub use template::ChatTemplate;
pub use tokenizer::Tokenizer;

/// One chat message. `role` is `system`, `user` or `assistant`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    pub role: String,
    pub content: String,
}

impl Message {
    pub fn new(role: &str, content: impl Into<String>) -> Self {
        Message { role: role.to_string(), content: content.into() }
    }
    pub fn user(content: impl Into<String>) -> Self {
        Self::new("user", content)
    }
    pub fn assistant(content: impl Into<String>) -> Self {
        Self::new("assistant", content)
    }
}
