//! A game as the wrapper plays it: a text action is several moves, and then a look around.

use serde::{Deserialize, Serialize};

use super::game::{Game, Moved};
use super::mission::Verdict;
use super::text::Scene;
use super::view::Image;
use super::world::Move;

/// How an episode is scored and when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// What the task means. A text action stops at the move that ends the episode, and every end counts: success (the
    /// reward is minigrid's 1 − 0.9·moves/limit, from 0.1 up), failure (reward 0), and the limit of moves (truncated).
    /// All other steps have reward 0. The score is the reward of the success, else 0.
    #[default]
    Fixed,
    /// AgentGym's own scoring. Only the last low-level move of a text action counts, so `toggle and go through` loses a
    /// success at its toggle. A success with a reward of at most 0.5 and a failure do not end the episode. The limit of
    /// moves is ignored. A step that moves nothing (`check`, an invalid action) repeats the last reward, and the score
    /// is the sum of all rewards; after a slow success it grows without bound.
    Faithful,
}

/// The game and what the wrapper remembers of it.
#[derive(Debug, Clone)]
pub struct Play {
    pub game: Game,
    pub scene: Scene,
    /// The last image, by which the wrapper sees whether a move had an effect.
    pub image: Image,
}

impl Play {
    pub fn new(game: Game) -> Self {
        let image = game.first_image();
        Play { scene: Scene::of(&game.world, &image), image, game }
    }

    /// Makes the moves of a text action and looks around; gives what the last move led to.
    pub fn run(&mut self, moves: &[Move], mode: Mode) -> Moved {
        let last = make_moves(&mut self.game, &mut self.image, moves, mode);
        self.scene = Scene::of(&self.game.world, &self.image);
        last
    }
}

/// Makes moves until one shows no effect or, in the fixed mode, ends the episode.
pub fn make_moves(game: &mut Game, image: &mut Image, moves: &[Move], mode: Mode) -> Moved {
    let mut last = Moved { verdict: Verdict::Continue, reward: 0.0, truncated: false };
    for &action in moves {
        last = game.step(action);
        let before = std::mem::replace(image, game.image());
        let over = last.verdict != Verdict::Continue || last.truncated;
        if *image == before || (mode == Mode::Fixed && over) {
            break;
        }
    }
    last
}
