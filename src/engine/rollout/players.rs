//! Players that are no model: the expert, a random player, one constant action, a one-line rule. They set the scale on
//! which a model's score is read.

use rand_chacha::ChaCha8Rng;

use super::episode::{Ending, failure};
use super::play::Seat;
use crate::engine::env::{Environment, Parsed};
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
    let (task_id, mut stream) = (*task_id, stream.clone());
    let (description, label) = (environment.describe(), environment.label());
    let broken = |error| -> Result<Option<Outcome>> {
        let ending = failure(&label, task_id, &error)?;
        Ok(Some(Outcome { normalised_score: 0.0, success: false, ending }))
    };
    if let Err(error) = environment.reset(task_id) {
        return broken(error);
    }
    // A player who gives up ends the episode from outside.
    let (mut score, mut ending) = (description.score_range.0, Ending::Truncated);
    for turn in 0..description.max_turns {
        cancel::check()?;
        let step = match act(environment.as_mut(), player, &mut stream) {
            Ok(Some(action)) => environment.step(&action),
            Ok(None) if turn == 0 => return Ok(None),
            Ok(None) => break,
            Err(error) => Err(error),
        };
        let step = match step {
            Ok(step) => step,
            Err(error) => return broken(error),
        };
        score = step.score;
        if let Some(end) = Ending::after(&step, turn + 1, &description) {
            ending = end;
            break;
        }
    }
    Ok(Some(Outcome {
        normalised_score: description.normalise(score),
        success: score >= description.success_threshold,
        ending,
    }))
}

fn act(environment: &mut dyn Environment, player: &Player, stream: &mut ChaCha8Rng) -> Result<Option<String>> {
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
