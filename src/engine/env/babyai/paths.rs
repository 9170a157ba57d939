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

use super::view::Frame;
use super::world::{Direction, Move, Point, World};

/// Cells along a side of the searched square: the view, one of its bounds included.
const SIDE: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    at: Point,
    facing: Direction,
}

impl State {
    /// In upstream's order: forward, left, right.
    fn successors(self) -> [(Move, State); 3] {
        let State { at, facing } = self;
        [
            (Move::Forward, State { at: at + facing.vector(), facing }),
            (Move::Left, State { at, facing: facing.turned_left() }),
            (Move::Right, State { at, facing: facing.turned_right() }),
        ]
    }
}

/// How a state was reached: when it left the queue, from which state, by which move.
#[derive(Debug, Clone, Copy)]
struct Visit {
    rank: usize,
    parent: Option<(State, Move)>,
}

/// The shortest paths from the agent to everywhere in view.
pub struct Paths {
    low: Point,
    high: Point,
    visits: [Option<Visit>; SIDE * SIDE * 4],
}

impl Paths {
    /// `blocked`: where something in view stands in the way. Doors never do.
    pub fn search(world: &World, blocked: &[Point]) -> Self {
        let frame = Frame::of(world);
        let (low, high) = bounds(frame.corner(), frame.beyond());
        let mut paths = Paths { low, high, visits: [None; SIDE * SIDE * 4] };
        let start = State { at: world.agent, facing: world.facing };
        paths.fill(start, blocked);
        paths
    }

    fn index(&self, state: State) -> Option<usize> {
        let State { at, facing } = state;
        let inside = at.x >= self.low.x && at.x <= self.high.x && at.y >= self.low.y && at.y <= self.high.y;
        let (x, y) = (at.x - self.low.x, at.y - self.low.y);
        inside.then(|| (y as usize * SIDE + x as usize) * 4 + facing as usize)
    }

    fn visit(&self, state: State) -> Option<Visit> {
        self.index(state).and_then(|index| self.visits[index])
    }

    fn fill(&mut self, start: State, blocked: &[Point]) {
        let mut rank = 0;
        let mut record = |paths: &mut Paths, state: State, parent: Option<(State, Move)>| {
            if let Some(index) = paths.index(state) {
                paths.visits[index] = Some(Visit { rank, parent });
                rank += 1;
            }
        };
        record(self, start, None);
        let (mut by_first, mut by_last) = (vec![start], vec![start]);
        while !by_first.is_empty() {
            let firsts = without_repetitions(self.pushes(&by_first, blocked).map(|(state, ..)| state));
            let lasts: Vec<(State, State, Move)> = self.pushes(&by_last, blocked).collect();
            by_last = without_repetitions(lasts.iter().rev().map(|(state, ..)| *state));
            by_last.reverse();
            for &state in &firsts {
                let last = lasts.iter().rev().find(|(pushed, ..)| *pushed == state);
                record(self, state, last.map(|&(_, parent, action)| (parent, action)));
            }
            by_first = firsts;
        }
    }

    /// What the states of a level put into the queue: state, parent, move.
    fn pushes<'a>(
        &'a self,
        level: &'a [State],
        blocked: &'a [Point],
    ) -> impl Iterator<Item = (State, State, Move)> + 'a {
        let new = move |state: &State| {
            self.index(*state).is_some_and(|index| self.visits[index].is_none()) && !blocked.contains(&state.at)
        };
        level.iter().flat_map(move |&parent| {
            let pushed = parent.successors().into_iter().filter(move |(_, state)| new(state));
            pushed.map(move |(action, state)| (state, parent, action))
        })
    }

    /// The moves to stand before a cell and face it.
    pub fn to_face(&self, target: Point) -> Option<Vec<Move>> {
        self.path(Direction::ALL.map(|facing| State { at: target - facing.vector(), facing }))
    }

    /// The moves to stand on a cell.
    pub fn onto(&self, target: Point) -> Option<Vec<Move>> {
        self.path(Direction::ALL.map(|facing| State { at: target, facing }))
    }

    fn path(&self, targets: [State; 4]) -> Option<Vec<Move>> {
        let reached = targets.into_iter().filter_map(|state| self.visit(state));
        let mut visit = reached.min_by_key(|visit| visit.rank)?;
        let mut moves = Vec::new();
        while let Some((parent, action)) = visit.parent {
            moves.push(action);
            visit = self.visit(parent)?;
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
    let mut kept = Vec::new();
    for state in states {
        if !kept.contains(&state) {
            kept.push(state);
        }
    }
    kept
}
