//! One episode below the text: minigrid's BabyAI levels, move by move.

use super::geometry::Point;
use super::mission::{Mission, Verdict};
use super::view::{self, Image};
use super::world::{Cell, Code, Move, World};

/// What one move led to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moved {
    pub verdict: Verdict,
    /// 1 − 0.9·(moves made / limit) on success, else 0.
    pub reward: f64,
    /// The limit of moves is reached; the game itself goes on.
    pub truncated: bool,
}

/// An episode of a level, as minigrid 3.2.0 plays it.
#[derive(Debug, Clone)]
pub struct Game {
    pub(super) world: World,
    pub(super) mission: Mission,
    text: String,
    first_image: Image,
    steps: u32,
    max_steps: u32,
}

impl Game {
    pub(super) fn begin(world: World, mission: Mission, max_steps: u32) -> Self {
        let (text, first_image) = (mission.text(), view::image(&world));
        Game { world, mission, text, first_image, steps: 0, max_steps }
    }

    /// Level 23 begins with the first object of the mission in the agent's hands. Its place is still known as the old
    /// one, and the first image was made before.
    pub(super) fn take_the_first_object(&mut self) {
        let object = self.mission.descriptors().first().and_then(|it| it.things.first().copied());
        if let Some(Cell::Object(id)) = object
            && let Some(at) = self.world.object(id).position
        {
            self.world.set(at, Cell::Empty);
            self.world.carrying = Some(id);
        }
    }

    /// The mission in minigrid's words, with the order of its parts.
    pub fn mission(&self) -> &str {
        &self.text
    }

    /// Moves made.
    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// The limit of moves.
    pub fn max_steps(&self) -> u32 {
        self.max_steps
    }

    /// Column, row and direction (0 right, 1 down, 2 left, 3 up) of the agent.
    pub fn pose(&self) -> [i32; 3] {
        let world = &self.world;
        [world.agent.x, world.agent.y, world.facing as i32]
    }

    /// All cells encoded, `cells[y][x]`.
    pub fn cells(&self) -> Vec<Vec<Code>> {
        let world = &self.world;
        let row = |y| (0..world.width).map(|x| world.encode(world.cell(Point::new(x, y)))).collect();
        (0..world.height).map(row).collect()
    }

    /// Type, colour and state of what is carried.
    pub fn carried(&self) -> Option<Code> {
        self.world.carrying.map(|id| self.world.encode(Cell::Object(id)))
    }

    /// The observation before any move. Where the agent begins with an object in its hands, this still shows the
    /// object where it was taken from, as minigrid's does.
    pub fn first_image(&self) -> Image {
        self.first_image
    }

    /// What the agent sees now, `image[x][y]`.
    pub fn image(&self) -> Image {
        view::image(&self.world)
    }

    /// One move. It can be made after the end as well.
    pub fn step(&mut self, action: Move) -> Moved {
        self.steps += 1;
        self.world.act(action);
        if action == Move::Drop {
            self.mission.refresh(&self.world);
        }
        let verdict = self.mission.verify(&self.world, action);
        let reward = match verdict {
            Verdict::Success => 1.0 - 0.9 * (f64::from(self.steps) / f64::from(self.max_steps)),
            Verdict::Continue | Verdict::Failure => 0.0,
        };
        Moved { verdict, reward, truncated: self.steps >= self.max_steps }
    }
}
