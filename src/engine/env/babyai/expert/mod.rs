//! The demonstrator: the bot's moves to the end of the episode, put into text actions.
//!
//! The game has no chance in it, so the bot plays a copy to the end first. A text action is right when it leads to a
//! state that the bot passes through, and the farther along the better: `go to red ball 1` stands for all the turns and
//! steps that lead there. An action must not skip what the bot did only to look around, or it would act on what cannot
//! be known from the observations.

mod bot;
mod map;
mod walk;

use std::hash::{DefaultHasher, Hash, Hasher};

use super::game::Game;
use super::mission::Verdict;
use super::play::{Mode, Play, make_moves};
use super::world::Move;
use bot::Bot;

/// Moves of a plan. The longest solutions seen took a few hundred.
const MAX_MOVES: usize = 2000;

/// Moves that a text action may save over the bot's, which turns around more than it has to.
const SHORTCUT: usize = 2;

/// A way to success, and how far the episode has followed it.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The state before each move, and after the last.
    states: Vec<u64>,
    /// The state in which the last action was advised.
    at: usize,
    /// The state to which that action leads.
    next: usize,
}

impl Plan {
    /// `None` when the bot gets stuck, fails, or does not succeed within the limit of moves.
    fn of(game: &Game) -> Option<Self> {
        let (mut game, mut states) = (game.clone(), Vec::new());
        let mut bot = Bot::new(&game);
        let left = game.max_steps().saturating_sub(game.steps()) as usize;
        for _ in 0..left.min(MAX_MOVES) {
            states.push(fingerprint(&game));
            let action = bot.next(&game).ok()??;
            match game.step(action).verdict {
                Verdict::Continue => {}
                Verdict::Failure => return None,
                Verdict::Success => {
                    states.push(fingerprint(&game));
                    return Some(Plan { states, at: 0, next: 0 });
                }
            }
        }
        None
    }
}

/// All that decides how the game goes on, the count of moves apart.
fn fingerprint(game: &Game) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&game.world, &game.mission).hash(&mut hasher);
    hasher.finish()
}

/// The next text action. `plan` is what the advice rests on; it is made again when the episode has left it.
pub(super) fn action(play: &Play, plan: &mut Option<Plan>, mode: Mode) -> Option<String> {
    let here = fingerprint(&play.game);
    // By number, not by likeness: the bot may look around and so come through a state twice.
    let place = |plan: &Plan| [plan.next, plan.at].into_iter().find(|&index| plan.states[index] == here);
    let from = plan.as_ref().and_then(place);
    if from.is_none() {
        *plan = Plan::of(&play.game);
    }
    let (plan, from) = (plan.as_mut()?, from.unwrap_or(0));
    if from + 1 == plan.states.len() {
        return None;
    }
    let tried = play.scene.actions.iter().filter(|(_, moves)| !moves.is_empty());
    let judged = tried.filter_map(|(name, moves)| Some((reach(play, moves, mode, plan, from)?, name)));
    // Of equally good ones the first.
    let (next, name) = judged.reduce(|best, other| if other.0 > best.0 { other } else { best })?;
    (plan.at, plan.next) = (from, next);
    Some(name.clone())
}

/// How far along the plan a text action leads; `None` when it leads astray.
fn reach(play: &Play, moves: &[Move], mode: Mode, plan: &Plan, from: usize) -> Option<usize> {
    let (mut game, mut image) = (play.game.clone(), play.image);
    let before = game.steps();
    let last = make_moves(&mut game, &mut image, moves, mode);
    let last_state = plan.states.len() - 1;
    if last.verdict == Verdict::Success {
        return Some(last_state);
    }
    let made = (game.steps() - before) as usize;
    let farthest = last_state.min(from + made + SHORTCUT);
    let reached = fingerprint(&game);
    (from + 1..=farthest).rev().find(|&index| plan.states[index] == reached)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bot's moves, as minigrid numbers them.
    fn moves(mut game: Game, limit: usize) -> Vec<u64> {
        let mut bot = Bot::new(&game);
        let mut made = Vec::new();
        while made.len() < limit
            && let Ok(Some(action)) = bot.next(&game)
        {
            made.push(action as u64);
            if game.step(action).verdict != Verdict::Continue {
                break;
            }
        }
        made
    }

    /// `AFFINE_PEER_BABYAI_BOT` names a file that scripts/dev/peer/babyai.py wrote with --bot.
    #[test]
    #[ignore = "needs minigrid: see scripts/dev/peer/babyai.py"]
    fn the_bot_makes_the_moves_of_minigrids_on_most_tasks() {
        let path = std::env::var_os("AFFINE_PEER_BABYAI_BOT").expect("AFFINE_PEER_BABYAI_BOT names the recording");
        let text = std::fs::read_to_string(path).unwrap();
        let rows: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let solved: Vec<&serde_json::Value> = rows.iter().filter(|row| row["solved"] == true).collect();
        let same = |row: &&&serde_json::Value| {
            let game = Game::new(row["task_id"].as_u64().unwrap()).unwrap();
            serde_json::json!(moves(game, 3000)) == row["bot"]
        };
        let count = solved.iter().filter(same).count();
        println!("the same moves on {count} of the {} tasks that minigrid's bot solves", solved.len());
        assert!(!solved.is_empty() && count * 10 >= solved.len() * 9);
    }
}
