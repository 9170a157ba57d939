//! The expert's moves: a stack of subgoals, the one on top decides. It follows minigrid's `BabyAIBot`: the same subgoals
//! and the same choices, so on most tasks the same moves. It only uses what it has seen.
//!
//! Unlike upstream's it
//!
//! * gives up where that one fails an assertion or turns in circles;
//! * can begin in the middle of an episode, also with something in its hands;
//! * never closes a door, which no text action does: what the mission wants opened must be closed still, so such doors
//!   are the last to be explored;
//! * explores a locked door rather when its key has been seen; upstream asks for one key after the other for ever.

use std::rc::Rc;

use super::map::Map;
use crate::engine::env::babyai::game::Game;
use crate::engine::env::babyai::geometry::Point;
use crate::engine::env::babyai::mission::{Act, Descriptor, Joint, Mission};
use crate::engine::env::babyai::world::{Cell, DoorState, Kind, Move, ObjectId, World};

/// Changes of plan without a move.
const MAX_REPLANS: usize = 200;

/// The bot cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stuck;

#[derive(Clone)]
pub enum Target {
    /// A description in the mission, by its number.
    Mission(usize),
    /// A description of the bot's own, looked up when it was made.
    Found(Rc<Descriptor>),
    Door(ObjectId),
    Cell(Point),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Face the target.
    Face,
    /// Face an empty cell beside it.
    PutNext,
    /// Face a door to open it.
    Open,
    /// Face a cell that has not been seen. Given up as soon as anything happens.
    Explore,
}

/// What to do with the key after unlocking a door.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Key {
    Undecided,
    PutDown,
    Keep,
}

#[derive(Clone)]
pub enum Subgoal {
    Open(Key),
    Drop,
    PickUp,
    GoNextTo(Target, Why),
    Explore,
}

pub struct Bot {
    pub map: Map,
    pub stack: Vec<Subgoal>,
    moved: bool,
}

impl Bot {
    pub fn new(game: &Game) -> Self {
        let mut bot = Bot { map: Map::new(&game.world), stack: Vec::new(), moved: false };
        bot.map.observe(&game.world);
        for step in pending(&game.mission).iter().rev() {
            bot.add(step);
        }
        bot.free_hands(game);
        bot
    }

    pub fn go(&mut self, target: Target, why: Why) {
        self.stack.push(Subgoal::GoNextTo(target, why));
    }

    fn add(&mut self, Pending { act, first }: &Pending) {
        let target = Target::Mission(*first);
        match act {
            Act::GoTo(_) => self.go(target, Why::Face),
            Act::Open { .. } => {
                self.stack.push(Subgoal::Open(Key::Undecided));
                self.go(target, Why::Open);
            }
            Act::PickUp { .. } => {
                self.stack.extend([Subgoal::Drop, Subgoal::PickUp]);
                self.go(target, Why::Face);
            }
            Act::PutNext { .. } => {
                self.stack.push(Subgoal::Drop);
                self.go(Target::Mission(first + 1), Why::PutNext);
                self.stack.push(Subgoal::PickUp);
                self.go(target, Why::Face);
            }
        }
    }

    /// What is in the hands as the bot begins is either what has to be put somewhere, or put down if the hands will be
    /// needed.
    fn free_hands(&mut self, game: &Game) {
        let (Some(held), steps) = (game.world.carrying, pending(&game.mission)) else { return };
        if let Some(Pending { act: Act::PutNext { object, .. }, .. }) = steps.first()
            && object.contains(held)
        {
            self.stack.truncate(self.stack.len() - 2);
            return;
        }
        let needed = steps.iter().any(|step| matches!(step.act, Act::PickUp { .. } | Act::PutNext { .. }));
        if needed && let Some(place) = self.map.drop_place(&game.world, None) {
            self.stack.push(Subgoal::Drop);
            self.go(Target::Cell(place), Why::Face);
        }
    }

    /// The next move, or `None` when nothing is left to do. The game must make it before the next call.
    pub fn next(&mut self, game: &Game) -> Result<Option<Move>, Stuck> {
        self.map.observe(&game.world);
        if self.moved {
            self.settle(&game.world)?;
        }
        while matches!(self.stack.last(), Some(Subgoal::Explore | Subgoal::GoNextTo(_, Why::Explore))) {
            self.stack.pop();
        }
        for _ in 0..MAX_REPLANS {
            if self.map.exhausted() {
                return Err(Stuck);
            }
            let Some(top) = self.stack.last().cloned() else { return Ok(None) };
            if let Some(action) = self.plan(top, game)? {
                self.moved = true;
                return Ok(Some(action));
            }
        }
        Err(Stuck)
    }

    /// The subgoal that chose the last move is over if it was one of a single move. A key is put down only now: the
    /// place must be free when it is needed.
    fn settle(&mut self, world: &World) -> Result<(), Stuck> {
        let key = match self.stack.last() {
            Some(Subgoal::Drop | Subgoal::PickUp) => Key::Keep,
            Some(Subgoal::Open(key)) => *key,
            Some(Subgoal::GoNextTo(..) | Subgoal::Explore) | None => return Ok(()),
        };
        self.stack.pop();
        if key == Key::PutDown {
            let place = self.map.drop_place(world, None).ok_or(Stuck)?;
            self.stack.push(Subgoal::Drop);
            self.go(Target::Cell(place), Why::Face);
        }
        Ok(())
    }

    /// The move of the subgoal on top, or `None` when it changed the stack instead.
    fn plan(&mut self, top: Subgoal, game: &Game) -> Result<Option<Move>, Stuck> {
        let world = &game.world;
        let only_if = |possible: bool, action: Move| if possible { Ok(Some(action)) } else { Err(Stuck) };
        match top {
            Subgoal::Drop => only_if(world.carrying.is_some() && world.cell(world.front()) == Cell::Empty, Move::Drop),
            Subgoal::PickUp => only_if(world.carrying.is_none(), Move::PickUp),
            Subgoal::Open(key) => self.plan_open(key, world),
            Subgoal::GoNextTo(target, why) => self.plan_walk(&target, why, game),
            Subgoal::Explore => self.plan_exploration(game),
        }
    }

    fn plan_open(&mut self, key: Key, world: &World) -> Result<Option<Move>, Stuck> {
        let (door, state) = front_door(world).ok_or(Stuck)?;
        match state {
            DoorState::Open => return Err(Stuck),
            DoorState::Locked if !has_key(world, door) => {
                self.stack.pop();
                self.fetch_key(door, world)?;
            }
            DoorState::Locked if key == Key::Undecided => {
                self.stack.pop();
                self.stack.push(Subgoal::Open(Key::PutDown));
            }
            DoorState::Locked | DoorState::Closed => return Ok(Some(Move::Toggle)),
        }
        Ok(None)
    }

    /// From before a locked door: get its key, come back and open it; what is carried is put down meanwhile.
    fn fetch_key(&mut self, door: ObjectId, world: &World) -> Result<(), Stuck> {
        let place = match world.carrying {
            Some(_) => Some(self.map.drop_place(world, None).ok_or(Stuck)?),
            None => None,
        };
        if let Some(place) = place {
            self.stack.push(Subgoal::PickUp);
            self.go(Target::Cell(place), Why::Face);
        }
        self.stack.push(Subgoal::Open(Key::Undecided));
        self.go(Target::Cell(world.front()), Why::Face);
        self.stack.push(Subgoal::PickUp);
        self.go(key_of(world, door), Why::Face);
        if let Some(place) = place {
            self.stack.push(Subgoal::Drop);
            self.go(Target::Cell(place), Why::Face);
        }
        Ok(())
    }

    /// To the nearest cell that has not been seen; else through a door, rather one that is not locked.
    fn plan_exploration(&mut self, game: &Game) -> Result<Option<Move>, Stuck> {
        let world = &game.world;
        if let Some(route) = self.map.route(world, true, |at, _| !self.map.seen(at)) {
            self.go(Target::Cell(route.goal), Why::Explore);
            return Ok(None);
        }
        let door_if = |wanted: &dyn Fn(ObjectId, DoorState) -> bool| {
            self.map.route(world, true, |_, cell| match cell {
                Cell::Object(id) => world.object(id).kind == Kind::Door && wanted(id, world.object(id).door),
                Cell::Empty | Cell::Wall => false,
            })
        };
        let route = door_if(&|id, state| state == DoorState::Closed && !self.is_reserved(game, id))
            .or_else(|| door_if(&|_, state| state == DoorState::Closed))
            .or_else(|| door_if(&|id, state| state == DoorState::Locked && self.knows_key(world, id)))
            .or_else(|| door_if(&|_, state| state == DoorState::Locked));
        let (door, state) = route.and_then(|route| world.object_at(route.goal)).ok_or(Stuck)?;
        let keep = state.door == DoorState::Locked && has_key(world, door);
        self.stack.pop();
        self.stack.push(Subgoal::Open(if keep { Key::Keep } else { Key::Undecided }));
        self.go(Target::Door(door), Why::Open);
        Ok(None)
    }

    /// The mission will ask for this door to be opened.
    fn is_reserved(&self, game: &Game, id: ObjectId) -> bool {
        let asks = |step: &Pending| matches!(step.act, Act::Open { door, .. } if door.contains(id));
        pending(&game.mission).iter().any(asks)
    }

    fn knows_key(&self, world: &World, door: ObjectId) -> bool {
        let colour = world.object(door).colour;
        let mut seen = world.objects.iter().filter(|it| it.position.is_some_and(|at| self.map.seen(at)));
        has_key(world, door) || seen.any(|it| it.kind == Kind::Key && it.colour == colour)
    }
}

/// A clause that is still to be done, and the number of its first description.
struct Pending<'a> {
    act: &'a Act,
    first: usize,
}

/// What is still to be done, in order.
fn pending(mission: &Mission) -> Vec<Pending<'_>> {
    fn collect<'a>(mission: &'a Mission, done: bool, first: usize, found: &mut Vec<Pending<'a>>) {
        match mission {
            Mission::One(clause) if !done => found.push(Pending { act: &clause.act, first }),
            Mission::One(_) => {}
            Mission::Joined(joint, parts) => {
                let [a, b] = parts.as_ref();
                let second = first + a.mission.descriptors().len();
                let mut both = [(a, first), (b, second)];
                if *joint == Joint::After {
                    both.reverse();
                }
                for (part, number) in both {
                    collect(&part.mission, done || part.done, number, found);
                }
            }
        }
    }
    let mut found = Vec::new();
    collect(mission, false, 0, &mut found);
    found
}

pub fn front_door(world: &World) -> Option<(ObjectId, DoorState)> {
    world.object_at(world.front()).filter(|(_, it)| it.kind == Kind::Door).map(|(id, it)| (id, it.door))
}

fn has_key(world: &World, door: ObjectId) -> bool {
    world.carried().is_some_and(|held| held.kind == Kind::Key && held.colour == world.object(door).colour)
}

pub fn key_of(world: &World, door: ObjectId) -> Target {
    let mut key = Descriptor::of(Kind::Key, world.object(door).colour);
    key.find(world);
    Target::Found(Rc::new(key))
}
