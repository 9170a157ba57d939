//! A model behind an OpenAI-compatible endpoint plays episodes: vLLM, SGLang, llama.cpp, `transformers serve`, a vendor.
//!
//! [`Endpoint`] is what a user says of it, [`Client`] asks it, [`play`](play()) plays. A served
//! model is told the whole conversation as messages at each turn, and says text: there are no ids, so what it plays is judged
//! and never trained on.
//!
//! What goes wrong is one of four things (`problem`): it may pass, and is tried again; it concerns one conversation, whose
//! episode *failed*; the conversation is longer than the model's context, and the episode is cut; or it will be so for every
//! request (no server, no such model, a wrong key), and nothing more is asked.

mod answer;
mod asking;
mod client;
mod options;
pub mod play;
mod problem;
mod refused;
mod request;
mod secret;

pub use answer::{Finish, Usage};
pub use client::Client;
pub use options::Endpoint;
pub use play::{EndpointEpisode, Turn, play};
pub use request::Speech;
