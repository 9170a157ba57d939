//! What the agent sees: the 7×7 cells ahead of it, turned so that it looks up from the middle of the last row.

use super::geometry::Point;
use super::world::{Cell, Code, Kind, World, code};

/// Cells along a side of the view.
pub const SIZE: usize = 7;

/// Encoded cells, `image[x][y]`, as minigrid's observation holds them.
pub type Image = [[Code; SIZE]; SIZE];

/// The agent's own cell in the view.
const AGENT: (usize, usize) = (SIZE / 2, SIZE - 1);

/// Translates cells of the view into cells of the world.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    corner: Point,
    forward: Point,
    right: Point,
}

impl Frame {
    pub fn of(world: &World) -> Self {
        let forward = world.facing.vector();
        let right = forward.turned_right();
        let corner = world.agent + forward.times(SIZE as i32 - 1) - right.times(SIZE as i32 / 2);
        Frame { corner, forward, right }
    }

    /// The world's cell at column `x` and row `y` of the view.
    pub fn at(&self, x: usize, y: usize) -> Point {
        self.corner - self.forward.times(y as i32) + self.right.times(x as i32)
    }

    /// The world's cell diagonally beyond the last of the view: the bound that AgentGym's path search computes.
    pub fn beyond(&self) -> Point {
        self.corner + (self.right - self.forward).times(SIZE as i32)
    }

    pub fn corner(&self) -> Point {
        self.corner
    }

    pub fn contains(&self, at: Point) -> bool {
        let inside = at - self.corner;
        let (x, y) = (self.right.dot(inside), -self.forward.dot(inside));
        (0..SIZE as i32).contains(&x) && (0..SIZE as i32).contains(&y)
    }
}

/// Which cells of the view can be seen. Light spreads from the agent row by row, to the sides and ahead; walls and
/// doors that are not open stop it, but are seen themselves.
pub fn visible(world: &World) -> [[bool; SIZE]; SIZE] {
    let frame = Frame::of(world);
    let opaque = |x: usize, y: usize| match world.cell(frame.at(x, y)) {
        Cell::Empty => false,
        Cell::Wall => true,
        Cell::Object(id) => {
            let object = world.object(id);
            object.kind == Kind::Door && !object.is_open_door()
        }
    };
    let mut seen = [[false; SIZE]; SIZE];
    seen[AGENT.0][AGENT.1] = true;
    for y in (0..SIZE).rev() {
        let rightward = (0..SIZE - 1).map(|x| (x, x + 1));
        let leftward = (1..SIZE).rev().map(|x| (x, x - 1));
        for (x, next) in rightward.chain(leftward) {
            if !seen[x][y] || opaque(x, y) {
                continue;
            }
            seen[next][y] = true;
            if y > 0 {
                seen[next][y - 1] = true;
                seen[x][y - 1] = true;
            }
        }
    }
    seen
}

/// The observation: seen cells encoded, the rest as unseen. The agent's own cell shows what it carries.
pub fn image(world: &World) -> Image {
    let (frame, seen) = (Frame::of(world), visible(world));
    let mut image = [[[code::UNSEEN, 0, 0]; SIZE]; SIZE];
    for (x, column) in image.iter_mut().enumerate() {
        for (y, cell) in column.iter_mut().enumerate() {
            if seen[x][y] {
                *cell = world.encode(world.cell(frame.at(x, y)));
            }
        }
    }
    image[AGENT.0][AGENT.1] = world.encode(world.carrying.map_or(Cell::Empty, Cell::Object));
    image
}
