//! AgentGym: what its five environments have in common, and its protocol over HTTP.
//!
//! `extract` reads the action out of a reply and `kind` knows each environment's conventions; the native environments
//! use both. `client` plays on a server, `server` is one, `key` keeps strangers out.

pub mod client;
pub mod extract;
pub mod key;
pub mod kind;
pub mod server;

pub use key::ApiKey;
pub use kind::Kind;

use crate::engine::text::Message;

/// The opening turns: instructions, the model's consent, the first observation. AgentGym has no system role.
pub fn opening(kind: Kind, instructions: &str, observation: &str) -> Vec<Message> {
    vec![Message::user(instructions), Message::assistant(kind.consent()), Message::user(observation)]
}
