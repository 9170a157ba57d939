//! Text in and out of a model: messages, tokenizer, chat template, and conversations as token ids.

pub mod conversation;
mod message;
pub mod template;
pub mod tokenizer;
pub mod train;

pub use conversation::Conversation;
pub use message::Message;
pub use template::ChatTemplate;
pub use tokenizer::Tokenizer;
