//! AgentGym's path search, over positions and directions, from what is in view.
//!
//! Upstream runs a breadth-first search per target; a state counts as visited only once it leaves the queue, so states
//! stand in the queue several times and the last one to reach a state becomes its parent. The step counts, and with
//! them the rewards, depend on which of several shortest paths comes out. Two facts make one search serve all targets:
//!
//! * every move changes the parity of column + row + direction, so a queue level only ever leads to the next one;
//! * of a level's queue with its repetitions, the first occurrence of each state decides which target state is found
//!   first, the last occurrence decides whose parent it becomes.
//!
//! So each level is kept twice, in the order of first and of last occurrences.

use super::geometry::{Direction, Point};
use super::view::Frame;
use super::world::{Move, World};

/// Cells along a side of the searched square: the view, and one cell behind it where the bounds include it.
const SIDE: usize = 8;

/// A position and a direction, as an index.
type State = usize;
const STATES: usize = SIDE * SIDE * 4;

/// The shortest paths from the agent to everywhere in view.
pub struct Paths {
    low: Point,
    /// Cells that may be entered.
    free: [bool; SIDE * SIDE],
    /// When a state left the queue.
    ranks: [Option<u16>; STATES],
    parents: [Option<(State, Move)>; STATES],
}

impl Paths {
    /// `blocked`: where something in view stands in the way. Doors never do.
    pub fn search(world: &World, blocked: &[Point]) -> Self {
        let frame = Frame::of(world);
        let (low, high) = bounds(frame.corner(), frame.beyond());
        let mut paths = Paths { low, free: [false; SIDE * SIDE], ranks: [None; STATES], parents: [None; STATES] };
        for x in low.x..=high.x {
            for y in low.y..=high.y {
                paths.set_free(Point::new(x, y), true);
            }
        }
        for &at in blocked {
            paths.set_free(at, false);
        }
        if let Some(start) = paths.state(world.agent, world.facing) {
            paths.fill(start);
        }
        paths
    }

    fn cell(&self, at: Point) -> Option<usize> {
        let (x, y) = (usize::try_from(at.x - self.low.x).ok()?, usize::try_from(at.y - self.low.y).ok()?);
        (x < SIDE && y < SIDE).then_some(y * SIDE + x)
    }

    fn set_free(&mut self, at: Point, free: bool) {
        if let Some(cell) = self.cell(at) {
            self.free[cell] = free;
        }
    }

    fn state(&self, at: Point, facing: Direction) -> Option<State> {
        self.cell(at).map(|cell| cell * 4 + facing as usize)
    }

    /// In upstream's order: forward, left, right.
    fn successors(&self, state: State) -> [(Move, Option<State>); 3] {
        let (cell, facing) = (state / 4, Direction::ALL[state % 4]);
        let at = self.low + Point::new((cell % SIDE) as i32, (cell / SIDE) as i32);
        [
            (Move::Forward, self.state(at + facing.vector(), facing)),
            (Move::Left, self.state(at, facing.turned_left())),
            (Move::Right, self.state(at, facing.turned_right())),
        ]
    }

    /// The states that a state puts into the queue.
    fn pushes(&self, state: State) -> impl Iterator<Item = (Move, State)> + '_ {
        let pushed = self.successors(state).into_iter().filter_map(|(action, next)| Some((action, next?)));
        pushed.filter(|&(_, next)| self.free[next / 4] && self.ranks[next].is_none())
    }

    fn fill(&mut self, start: State) {
        let mut next_rank = 0;
        let (mut by_first, mut by_last) = (vec![start], vec![start]);
        self.ranks[start] = Some(next_rank);
        while !by_first.is_empty() {
            let mut pushed = Vec::with_capacity(3 * by_last.len());
            for &parent in &by_last {
                let start = pushed.len();
                pushed.extend(self.pushes(parent));
                for &(action, state) in &pushed[start..] {
                    self.parents[state] = Some((parent, action));
                }
            }
            by_last = without_repetitions(pushed.iter().rev().map(|&(_, state)| state));
            by_last.reverse();
            by_first = without_repetitions(by_first.iter().flat_map(|&parent| self.pushes(parent)).map(|(_, s)| s));
            for &state in &by_first {
                next_rank += 1;
                self.ranks[state] = Some(next_rank);
            }
        }
    }

    /// The moves to stand before a cell and face it.
    pub fn to_face(&self, target: Point) -> Option<Vec<Move>> {
        self.path(Direction::ALL.map(|facing| self.state(target - facing.vector(), facing)))
    }

    /// The moves to stand on a cell.
    pub fn onto(&self, target: Point) -> Option<Vec<Move>> {
        self.path(Direction::ALL.map(|facing| self.state(target, facing)))
    }

    fn path(&self, targets: [Option<State>; 4]) -> Option<Vec<Move>> {
        let reached = targets.into_iter().flatten().filter_map(|state| Some((self.ranks[state]?, state)));
        let (_, mut state) = reached.min()?;
        let mut moves = Vec::new();
        while let Some((parent, action)) = self.parents[state] {
            moves.push(action);
            state = parent;
        }
        moves.reverse();
        Some(moves)
    }
}

/// The lowest and the highest cell that the search may enter. Upstream's bounds reach one cell behind the view where
/// a coordinate falls from the view's corner to the cell beyond its last.
fn bounds(corner: Point, beyond: Point) -> (Point, Point) {
    let range = |from: i32, to: i32| if to < from { (to, from) } else { (from, to - 1) };
    let (x, y) = (range(corner.x, beyond.x), range(corner.y, beyond.y));
    (Point::new(x.0, y.0), Point::new(x.1, y.1))
}

fn without_repetitions(states: impl Iterator<Item = State>) -> Vec<State> {
    let mut met = [false; STATES];
    states.filter(|&state| !std::mem::replace(&mut met[state], true)).collect()
}
