//! Players that are no model: the expert, a random player, one constant action, a one-line rule. They set the scale on
//! which a model's score is read.

use rand_chacha::ChaCha8Rng;

use super::play::Seat;
use crate::engine::env::{Ending, Environment, EpisodeState, Parsed};
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

/// What became of an episode without a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    pub normalised_score: f64,
    pub success: bool,
    pub ending: Ending,
}

/// Plays one episode, and plays it once more when the environment broke. `None` when the player has no first action: the
/// environment has no such player, or its expert sees no way.
pub fn play(mut seat: Seat, player: &Player) -> Result<Option<Outcome>> {
    let outcome = play_once(&mut seat, player)?;
    match &outcome {
        Some(Outcome { ending: Ending::Failed(_), .. }) => play_once(&mut seat.again()?, player),
        _ => Ok(outcome),
    }
}

fn play_once(seat: &mut Seat, player: &Player) -> Result<Option<Outcome>> {
    let Seat { environment, task_id, stream } = seat;
    let (label, mut stream) = (environment.label(), stream.clone());
    let mut state = EpisodeState::new(environment.describe());
    if let Err(error) = environment.reset(*task_id) {
        state.fail(&label, *task_id, &error)?;
    }
    while state.ending().is_none() {
        cancel::check()?;
        let environment = environment.as_mut();
        let action = choose(environment, player, &mut stream);
        match action.and_then(|action| action.map(|action| state.act(environment, &action)).transpose()) {
            Ok(Some(_)) => {}
            Ok(None) if state.turns() == 0 => return Ok(None),
            // Who gives up ends the episode from outside.
            Ok(None) => state.cut(),
            Err(error) => state.fail(&label, *task_id, &error)?,
        }
    }
    Ok(Some(Outcome {
        normalised_score: state.normalised_score(),
        success: state.is_success(),
        ending: state.ending().cloned().expect("the episode was played to its end"),
    }))
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
