//! Rollouts: a model, or another player, plays episodes of environments.
//!
//! [`episode`] is an episode as it was played, [`outcome`] what became of it whoever played, [`play`] has a model play many side by side, [`players`] are
//! those that are no model. Token ids are the truth: an [`Episode`] only ever extends its ids and is never rendered again from
//! text, so what the trainer reads is what the model read and said while playing.

pub mod endpoint;
pub mod episode;
pub mod outcome;
pub mod play;
pub mod players;

pub use super::env::Ending;
use super::file;
use super::text::Message;
pub use episode::{Episode, Turn, check_failures};
pub use outcome::Outcome;
pub use play::{PlayOptions, Seat, play};

/// SHA-256 (hex) of an episode's opening messages as JSON: two tasks with equal hashes show the model the same prompt.
pub fn prompt_hash(messages: &[Message]) -> String {
    // Whether a turn is trained shows the model nothing.
    let shown: Vec<Message> = messages.iter().map(|m| Message::new(&m.role, m.content.as_str())).collect();
    let text = serde_json::to_string(&shown).expect("messages are plain strings");
    file::sha256(text.as_bytes())
}

/// SHA-256 (hex) of an episode's first observation, in small letters and without regard to white space: what a prompt
/// is without its instructions, where the observation tells tasks apart.
pub fn observation_hash(observation: &str) -> String {
    let words: Vec<&str> = observation.split_ascii_whitespace().collect();
    file::sha256(words.join(" ").to_ascii_lowercase().as_bytes())
}
