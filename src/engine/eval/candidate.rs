//! Who is judged: a model that is here, one behind an endpoint, or a player that is none.

use serde_json::{Value, json};

use super::protocol::Protocol;
use super::results::{Judged, Row};
use super::run::EvalOptions;
use super::served::Served;
use crate::engine::model::Model;
use crate::engine::rollout::endpoint::{self, Client, Speech};
use crate::engine::rollout::players::{self, Player};
use crate::engine::rollout::{self, PlayOptions, Seat};
use crate::engine::{Result, file};

#[derive(Clone, Copy)]
pub enum Candidate<'a> {
    Model(&'a Model),
    Endpoint(&'a Client),
    Player(&'a Player),
}

impl Candidate<'_> {
    /// `known_by_its_weights`: whether the fingerprint of a model, which reads them all, is wanted. Of an endpoint nobody sees
    /// weights: its fingerprint is its address and the model's name there.
    pub fn judged(&self, known_by_its_weights: bool) -> Judged {
        match self {
            Candidate::Model(model) => Judged::of(model, known_by_its_weights),
            Candidate::Player(player) => Judged::of_player(player),
            Candidate::Endpoint(client) => {
                let endpoint = client.endpoint();
                let source = format!("{} at {}", endpoint.model, endpoint.base_url.trim_end_matches('/'));
                let unknown = || "unknown".to_string();
                Judged {
                    fingerprint: file::sha256(source.as_bytes()),
                    source,
                    revision: None,
                    dtype: unknown(),
                    device: unknown(),
                    kernels: unknown(),
                }
            }
        }
    }

    /// Whether the model that a name stands for may have become another one.
    pub fn may_change(&self) -> bool {
        matches!(self, Candidate::Endpoint(_))
    }

    /// The chat template's hash; of an endpoint it is not known.
    pub fn chat_template(&self) -> Result<Value> {
        match self {
            Candidate::Model(model) => {
                let template = model.tokenizer()?.template_text();
                Ok(template.map_or(Value::Null, |text| json!(file::sha256(text.as_bytes()))))
            }
            Candidate::Endpoint(_) | Candidate::Player(_) => Ok(Value::Null),
        }
    }

    /// An endpoint always serves.
    pub fn is_served(&self, options: &EvalOptions) -> bool {
        options.as_served || matches!(self, Candidate::Endpoint(_))
    }

    /// Plays an episode per seat; the rows in that order. `protocol`: with its hash.
    pub fn play(
        &self,
        seats: Vec<Seat>,
        options: &EvalOptions,
        (judged, protocol): (&Judged, &(Protocol, String)),
        on_ended: &mut dyn FnMut(usize),
    ) -> Result<Vec<Row>> {
        let (sampling, max_new_tokens) = (options.sampling(), options.max_new_tokens);
        match self {
            Candidate::Model(model) => {
                let (batch_size, as_served) = (options.batch_size, options.as_served);
                let play = PlayOptions { sampling, max_new_tokens, batch_size, as_served };
                let episodes = rollout::play(model, seats, &play, on_ended)?;
                let row = |episode| {
                    let served = as_served.then(|| Served::of(model, episode, options.temperature)).transpose()?;
                    Ok(Row { served, ..Row::of_episode(episode, judged.clone(), protocol.clone()) })
                };
                episodes.iter().map(row).collect()
            }
            Candidate::Endpoint(client) => {
                let episodes = endpoint::play(client, seats, &Speech { sampling, max_new_tokens }, on_ended)?;
                let row = |episode| Row::of_endpoint(episode, judged.clone(), protocol.clone());
                Ok(episodes.into_iter().map(row).collect())
            }
            Candidate::Player(player) => {
                let row = |seat: Seat| {
                    // Where it sees no way, the task counts as played, with a score of 0.
                    let unplayed = players::unplayed(&seat);
                    let outcome = players::play(seat, player)?.unwrap_or(unplayed);
                    on_ended(1);
                    Ok(Row::of(outcome, judged.clone(), protocol.clone()))
                };
                seats.into_iter().map(row).collect()
            }
        }
    }
}
