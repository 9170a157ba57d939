//! Missions: what they say, and when they count as done.
//!
//! A clause names an act and one or two groups of objects ("put the red ball next to a box"); clauses are joined by
//! "and", by ", then" or by " after you". The objects that a description means are fixed when the episode begins.

use super::geometry::Point;
use super::world::{Cell, Colour, DoorState, Kind, Move, ObjectId, World};

/// Where an object lies, seen from the agent's first position, in the room in which it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    Left,
    Right,
    Front,
    Behind,
}

impl Place {
    /// In the order in which levels draw them.
    pub const ALL: [Place; 4] = [Place::Left, Place::Right, Place::Front, Place::Behind];

    fn phrase(self) -> &'static str {
        match self {
            Place::Left => " on your left",
            Place::Right => " on your right",
            Place::Front => " in front of you",
            Place::Behind => " behind you",
        }
    }

    fn holds(self, offset: Point, forward: Point) -> bool {
        let (ahead, aside) = (forward.dot(offset), forward.turned_right().dot(offset));
        match self {
            Place::Left => aside < 0,
            Place::Right => aside > 0,
            Place::Front => ahead > 0,
            Place::Behind => ahead < 0,
        }
    }
}

/// A description of objects, and those that it means. `None` matches everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Descriptor {
    pub kind: Option<Kind>,
    pub colour: Option<Colour>,
    pub place: Option<Place>,
    /// What the description means; never changes after [`find`](Self::find). Walls are among the grey things.
    pub things: Vec<Cell>,
    /// Where those things were when last looked for.
    pub positions: Vec<Point>,
}

impl Descriptor {
    pub fn new(kind: Option<Kind>, colour: Option<Colour>, place: Option<Place>) -> Self {
        Descriptor { kind, colour, place, things: Vec::new(), positions: Vec::new() }
    }

    pub fn of(kind: Kind, colour: Colour) -> Self {
        Self::new(Some(kind), Some(colour), None)
    }

    /// Looks for everything that the description means from where the agent stands.
    pub fn find(&mut self, world: &World) {
        let (room, forward) = (world.room_of(world.agent), world.facing.vector());
        self.things.clear();
        self.positions.clear();
        for (at, cell) in world.by_columns() {
            let placed = |place: Place| room.contains(at) && place.holds(at - world.agent, forward);
            if self.matches(world, cell) && self.place.is_none_or(placed) {
                self.things.push(cell);
                self.positions.push(at);
            }
        }
    }

    /// Looks where the known things are now. Carried ones are nowhere.
    pub fn refresh(&mut self, world: &World) {
        let known = |cell: &Cell| self.things.contains(cell);
        self.positions =
            world.by_columns().filter(|(_, cell)| *cell != Cell::Empty && known(cell)).map(|(at, _)| at).collect();
    }

    fn matches(&self, world: &World, cell: Cell) -> bool {
        let (kind, colour) = match cell {
            Cell::Empty => return false,
            Cell::Wall => (None, Colour::Grey),
            Cell::Object(id) => (Some(world.object(id).kind), world.object(id).colour),
        };
        self.kind.is_none_or(|wanted| kind == Some(wanted)) && self.colour.is_none_or(|wanted| colour == wanted)
    }

    pub fn contains(&self, id: ObjectId) -> bool {
        self.things.contains(&Cell::Object(id))
    }

    fn phrase(&self) -> String {
        format!(
            "{article} {colour}{space}{kind}{place}",
            article = if self.things.len() > 1 { "a" } else { "the" },
            colour = self.colour.map_or("", Colour::name),
            space = if self.colour.is_some() { " " } else { "" },
            kind = self.kind.map_or("object", Kind::name),
            place = self.place.map_or("", Place::phrase),
        )
    }
}

/// What a clause asks for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Act {
    /// Stand before it and face it.
    GoTo(Descriptor),
    /// `strict`: opening or closing another door fails.
    Open {
        door: Descriptor,
        strict: bool,
    },
    /// `strict`: holding another object after a pick-up fails.
    PickUp {
        object: Descriptor,
        strict: bool,
    },
    PutNext {
        object: Descriptor,
        beside: Descriptor,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Clause {
    pub act: Act,
    /// What was carried when this clause was last verified.
    carried: Option<ObjectId>,
}

impl Clause {
    fn descriptors(&self) -> impl Iterator<Item = &Descriptor> {
        let (first, second) = match &self.act {
            Act::GoTo(it) | Act::Open { door: it, .. } | Act::PickUp { object: it, .. } => (it, None),
            Act::PutNext { object, beside } => (object, Some(beside)),
        };
        std::iter::once(first).chain(second)
    }

    fn descriptors_mut(&mut self) -> impl Iterator<Item = &mut Descriptor> {
        let (first, second) = match &mut self.act {
            Act::GoTo(it) | Act::Open { door: it, .. } | Act::PickUp { object: it, .. } => (it, None),
            Act::PutNext { object, beside } => (object, Some(beside)),
        };
        std::iter::once(first).chain(second)
    }

    fn verify(&mut self, world: &World, action: Move) -> Verdict {
        let before = std::mem::replace(&mut self.carried, world.carrying);
        let success = |reached: bool| if reached { Verdict::Success } else { Verdict::Continue };
        match &self.act {
            Act::GoTo(target) => success(target.positions.contains(&world.front())),
            Act::Open { door, strict } if action == Move::Toggle => match world.object_at(world.front()) {
                Some((id, object)) if door.contains(id) && object.door == DoorState::Open => Verdict::Success,
                Some((_, object)) if *strict && object.kind == Kind::Door => Verdict::Failure,
                _ => Verdict::Continue,
            },
            Act::PickUp { object, strict } if action == Move::PickUp => match world.carrying {
                Some(id) if before.is_none() && object.contains(id) => Verdict::Success,
                Some(_) if *strict => Verdict::Failure,
                _ => Verdict::Continue,
            },
            Act::PutNext { object, beside } if action == Move::Drop => {
                let dropped = before.filter(|&id| object.contains(id)).and_then(|id| world.object(id).position);
                success(dropped.is_some_and(|at| beside.positions.iter().any(|other| at.distance(*other) == 1)))
            }
            Act::Open { .. } | Act::PickUp { .. } | Act::PutNext { .. } => Verdict::Continue,
        }
    }

    fn phrase(&self) -> String {
        match &self.act {
            Act::GoTo(target) => format!("go to {}", target.phrase()),
            Act::Open { door, .. } => format!("open {}", door.phrase()),
            Act::PickUp { object, .. } => format!("pick up {}", object.phrase()),
            Act::PutNext { object, beside } => format!("put {} next to {}", object.phrase(), beside.phrase()),
        }
    }
}

/// What a move means for a mission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Continue,
    Success,
    Failure,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Joint {
    /// In any order.
    And,
    /// The first part, then the second.
    Then,
    /// The second part, then the first.
    After,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Mission {
    One(Clause),
    Joined(Joint, Box<[Part; 2]>),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Part {
    pub mission: Mission,
    pub done: bool,
}

impl From<Act> for Mission {
    fn from(act: Act) -> Self {
        Mission::One(Clause { act, carried: None })
    }
}

impl Mission {
    pub fn join(joint: Joint, first: Mission, second: Mission) -> Self {
        Mission::Joined(joint, Box::new([first, second].map(|mission| Part { mission, done: false })))
    }

    /// All clauses, in the order of the text.
    pub fn clauses(&self) -> Vec<&Clause> {
        match self {
            Mission::One(clause) => vec![clause],
            Mission::Joined(_, parts) => parts.iter().flat_map(|part| part.mission.clauses()).collect(),
        }
    }

    pub fn descriptors(&self) -> Vec<&Descriptor> {
        self.clauses().into_iter().flat_map(Clause::descriptors).collect()
    }

    fn each_descriptor(&mut self, change: &mut dyn FnMut(&mut Descriptor)) {
        match self {
            Mission::One(clause) => clause.descriptors_mut().for_each(change),
            Mission::Joined(_, parts) => parts.iter_mut().for_each(|part| part.mission.each_descriptor(change)),
        }
    }

    /// Fixes what the descriptions mean; before the first move.
    pub fn find(&mut self, world: &World) {
        self.each_descriptor(&mut |descriptor| descriptor.find(world));
    }

    /// Takes note of where things are; after every attempt to drop something, and only then.
    pub fn refresh(&mut self, world: &World) {
        self.each_descriptor(&mut |descriptor| descriptor.refresh(world));
    }

    /// The verdict after a move; must see every move.
    pub fn verify(&mut self, world: &World, action: Move) -> Verdict {
        let (joint, parts) = match self {
            Mission::One(clause) => return clause.verify(world, action),
            Mission::Joined(joint, parts) => (*joint, parts),
        };
        let [first, second] = parts.as_mut();
        match joint {
            Joint::And => {
                for part in [&mut *first, &mut *second] {
                    part.done = part.done || part.mission.verify(world, action) == Verdict::Success;
                }
                if first.done && second.done { Verdict::Success } else { Verdict::Continue }
            }
            Joint::Then => in_order(first, second, world, action),
            Joint::After => in_order(second, first, world, action),
        }
    }

    /// The walks across the maze that it can take, by which the step limit is set.
    pub fn walks(&self) -> u32 {
        self.clauses().iter().map(|clause| if matches!(clause.act, Act::PutNext { .. }) { 2 } else { 1 }).sum()
    }

    pub fn text(&self) -> String {
        match self {
            Mission::One(clause) => clause.phrase(),
            Mission::Joined(joint, parts) => {
                let word = match joint {
                    Joint::And => " and ",
                    Joint::Then => ", then ",
                    Joint::After => " after you ",
                };
                format!("{}{word}{}", parts[0].mission.text(), parts[1].mission.text())
            }
        }
    }
}

/// The move that finishes the first part is judged for the second as well.
fn in_order(first: &mut Part, second: &mut Part, world: &World, action: Move) -> Verdict {
    if !first.done {
        let verdict = first.mission.verify(world, action);
        first.done = verdict == Verdict::Success;
        if !first.done {
            return verdict;
        }
    }
    second.mission.verify(world, action)
}
