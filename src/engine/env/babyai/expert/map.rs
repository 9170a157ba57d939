//! What the expert has seen of the maze, and its searches over that.

use std::cell::Cell as Counter;
use std::collections::VecDeque;

use crate::engine::env::babyai::geometry::Point;
use crate::engine::env::babyai::view::{self, Frame};
use crate::engine::env::babyai::world::{Cell, Kind, World};

/// Cells that all searches of one plan may visit together: a few tenths of a second. Upstream's bot can run for ever.
const MAX_VISITS: usize = 20_000_000;

/// The eight cells around one, in a circle.
const AROUND: [Point; 8] = [
    Point::new(-1, -1),
    Point::new(0, -1),
    Point::new(1, -1),
    Point::new(1, 0),
    Point::new(1, 1),
    Point::new(0, 1),
    Point::new(-1, 1),
    Point::new(-1, 0),
];

/// A way to a cell.
pub struct Route {
    /// The cells to walk over, the agent's own left out, the goal included. Empty when the agent stands on the goal.
    pub path: Vec<Point>,
    pub goal: Point,
    /// Objects stand in the way.
    pub blocked: bool,
}

pub struct Map {
    width: i32,
    height: i32,
    seen: Vec<bool>,
    visits: Counter<usize>,
}

/// Where a search came from, cell by cell, and the order in which it went.
struct Trace {
    order: Vec<Point>,
    from: Vec<Option<Point>>,
    reached: Option<Point>,
}

impl Map {
    pub fn new(world: &World) -> Self {
        let (width, height) = (world.width, world.height);
        Map { width, height, seen: vec![false; (width * height) as usize], visits: Counter::new(0) }
    }

    /// All searches together have taken too long.
    pub fn exhausted(&self) -> bool {
        self.visits.get() > MAX_VISITS
    }

    fn index(&self, at: Point) -> Option<usize> {
        let inside = (0..self.width).contains(&at.x) && (0..self.height).contains(&at.y);
        inside.then_some((at.y * self.width + at.x) as usize)
    }

    pub fn seen(&self, at: Point) -> bool {
        self.index(at).is_some_and(|index| self.seen[index])
    }

    /// Takes in what the agent sees now.
    pub fn observe(&mut self, world: &World) {
        let (frame, visible) = (Frame::of(world), view::visible(world));
        for (x, column) in visible.iter().enumerate() {
            for (y, _) in column.iter().enumerate().filter(|(_, visible)| **visible) {
                if let Some(index) = self.index(frame.at(x, y)) {
                    self.seen[index] = true;
                }
            }
        }
    }

    /// The shortest way to the nearest accepted cell over what has been seen; around objects if there is such a way,
    /// else, if `through` allows it, with objects in the way.
    pub fn route(&self, world: &World, through: bool, accept: impl Fn(Point, Cell) -> bool) -> Option<Route> {
        let start = [(world.agent, world.facing.vector())];
        let free = self.search(world, &start, false, &accept);
        if let Some(goal) = free.reached {
            return Some(self.route_of(&free, None, goal));
        }
        if !through {
            return None;
        }
        let starts: Vec<(Point, Point)> = free.order.iter().map(|&at| (at, Point::new(1, 0))).collect();
        let blocked = self.search(world, &starts, true, &accept);
        blocked.reached.map(|goal| self.route_of(&blocked, Some(&free), goal))
    }

    /// A way with objects on it begins where the free search has been, whose steps lead there.
    fn route_of(&self, trace: &Trace, before: Option<&Trace>, goal: Point) -> Route {
        let mut path = self.walk_back(trace, goal);
        if let (Some(before), Some(&root)) = (before, path.last()) {
            path.extend(self.walk_back(before, root).into_iter().skip(1));
        }
        path.reverse();
        path.remove(0);
        Route { path, goal, blocked: before.is_some() }
    }

    fn walk_back(&self, trace: &Trace, goal: Point) -> Vec<Point> {
        std::iter::successors(Some(goal), |&at| self.index(at).and_then(|index| trace.from[index])).collect()
    }

    /// Breadth first; straight on before turning. Does not go on from cells that were not seen, walls, doors that are
    /// not open, and, unless `through`, objects.
    fn search(
        &self,
        world: &World,
        starts: &[(Point, Point)],
        through: bool,
        accept: &impl Fn(Point, Cell) -> bool,
    ) -> Trace {
        let count = self.seen.len();
        let mut trace = Trace { order: Vec::new(), from: vec![None; count], reached: None };
        let mut queued = vec![false; count];
        let mut queue: VecDeque<(Point, Point)> = VecDeque::new();
        let mut push = |queue: &mut VecDeque<_>, from: &mut [Option<Point>], at, heading, parent| {
            if let Some(index) = self.index(at)
                && !std::mem::replace(&mut queued[index], true)
            {
                from[index] = parent;
                queue.push_back((at, heading));
            }
        };
        for &(at, heading) in starts {
            push(&mut queue, &mut trace.from, at, heading, None);
        }
        while let Some((at, heading)) = queue.pop_front() {
            self.visits.set(self.visits.get() + 1);
            trace.order.push(at);
            let cell = world.cell(at);
            if accept(at, cell) {
                trace.reached = Some(at);
                break;
            }
            let passable = match cell {
                Cell::Empty => true,
                Cell::Wall => false,
                Cell::Object(id) if world.object(id).kind == Kind::Door => world.object(id).is_open_door(),
                Cell::Object(_) => through,
            };
            if !self.seen(at) || !passable {
                continue;
            }
            let across = Point::new(heading.y, heading.x);
            for next in [heading, across, -across, -heading] {
                push(&mut queue, &mut trace.from, at + next, next, Some(at));
            }
        }
        trace
    }

    /// A cell to put something down, where it is in nobody's way if there is such a cell; never `except`.
    pub fn drop_place(&self, world: &World, except: Option<Point>) -> Option<Point> {
        let empty =
            |at: Point, cell: Cell| at != world.agent && Some(at) != except && self.seen(at) && cell == Cell::Empty;
        let harmless = |at: Point, cell: Cell| empty(at, cell) && self.is_harmless(world, at, except);
        self.route(world, false, harmless)
            .or_else(|| self.route(world, false, empty))
            .or_else(|| self.route(world, true, harmless))
            .or_else(|| self.route(world, true, empty))
            .map(|route| route.goal)
    }

    /// Something put here leaves the free cells around it connected and every object around it accessible.
    fn is_harmless(&self, world: &World, at: Point, except: Option<Point>) -> bool {
        #[derive(PartialEq, Clone, Copy)]
        enum Class {
            Free,
            Wall,
            /// An object, or what may become or turn out to be one.
            Thing,
        }
        let class = AROUND.map(|offset| {
            let near = at + offset;
            if !self.seen(near) {
                return Class::Thing;
            }
            let free = match world.cell(near) {
                Cell::Wall => return Class::Wall,
                Cell::Empty => true,
                Cell::Object(id) => world.object(id).is_open_door(),
            };
            if (free || near == world.agent) && Some(near) != except { Class::Free } else { Class::Thing }
        });
        let free = |index: usize| class[index % 8] == Class::Free;
        let changes = (0..8).filter(|&index| free(index) != free(index + 1)).count();
        let enclosed = |index: usize| class[index] == Class::Thing && !free(index + 7) && !free(index + 1);
        changes <= 2 && !(0..8).any(enclosed)
    }
}
