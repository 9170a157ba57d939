//! Players that are no model: the expert, a random player, one constant action, a one-line rule. They set the scale on
//! which a model's score is read.

use std::time::Instant;

use rand_chacha::ChaCha8Rng;

use super::outcome::Outcome;
use super::play::Seat;
use crate::engine::env::{Environment, EpisodeState, Parsed};
use crate::engine::text::Message;
use crate::engine::{Result, cancel, random};

/// Who plays.
#[derive(Debug, Clone, PartialEq)]
pub enum Player {
    Expert,
    Random,
    /// The same action every turn.
    Constant(String),
    Rule,
}

impl Player {
    /// As results name it.
    pub fn name(&self) -> String {
        match self {
            Player::Expert => "expert".to_string(),
            Player::Random => "random play".to_string(),
            Player::Constant(answer) => format!("constant answer {answer:?}"),
            Player::Rule => "one-line rule".to_string(),
        }
    }
}

/// Plays one episode, and plays it once more when the environment broke. `None` when the player has no first action: the
/// environment has no such player, or its expert sees no way.
pub fn play(mut seat: Seat, player: &Player) -> Result<Option<Outcome>> {
    match play_once(&mut seat, player)? {
        Some(outcome) if outcome.failed() => play_once(&mut seat.again()?, player),
        outcome => Ok(outcome),
    }
}

/// The episode of a player that has no first action: nothing was done.
pub fn unplayed(seat: &Seat) -> Outcome {
    let mut state = EpisodeState::new(seat.environment.describe());
    state.cut();
    Outcome::of(&state, seat.environment.label(), seat.task_id, Vec::new(), 0.0)
}

fn play_once(seat: &mut Seat, player: &Player) -> Result<Option<Outcome>> {
    let Seat { environment, task_id, stream } = seat;
    let (label, mut stream, began) = (environment.label(), stream.clone(), Instant::now());
    let mut state = EpisodeState::new(environment.describe());
    let mut messages = match environment.reset(*task_id).and_then(|_| environment.messages()) {
        Ok(messages) => messages,
        Err(error) => {
            state.fail(&label, *task_id, &error)?;
            Vec::new()
        }
    };
    while state.ending().is_none() {
        cancel::check()?;
        let environment = environment.as_mut();
        let action = choose(environment, player, &mut stream);
        match action.and_then(|action| action.map(|action| act(&mut state, environment, action)).transpose()) {
            Ok(Some((said, heard))) => {
                messages.push(Message::assistant(said));
                if state.ending().is_none() {
                    messages.push(Message::user(heard));
                }
            }
            Ok(None) if state.turns() == 0 => return Ok(None),
            // Who gives up ends the episode from outside.
            Ok(None) => state.cut(),
            Err(error) => state.fail(&label, *task_id, &error)?,
        }
    }
    Ok(Some(Outcome::of(&state, label, *task_id, messages, began.elapsed().as_secs_f64())))
}

/// One turn: the action, and what the environment told of it.
fn act(state: &mut EpisodeState, environment: &mut dyn Environment, action: String) -> Result<(String, String)> {
    let step = state.act(environment, &action)?;
    Ok((action, step.observation))
}

fn choose(environment: &mut dyn Environment, player: &Player, stream: &mut ChaCha8Rng) -> Result<Option<String>> {
    match player {
        Player::Expert => environment.demonstrator().map_or(Ok(None), |player| player.expert()),
        Player::Random => {
            environment.baselines().map_or(Ok(None), |players| players.random_action(&mut |n| random::below(stream, n)))
        }
        Player::Rule => environment.baselines().map_or(Ok(None), |players| players.rule()),
        // A constant answer is a reply like a model's own.
        Player::Constant(reply) => match environment.parse(reply)? {
            Parsed::Action(action) => Ok(Some(action)),
            Parsed::Complaint(_) => Ok(Some(reply.clone())),
        },
    }
}
