//! How the bot walks: it looks for the way again before every move, for it may have seen more by then.

use super::bot::{Bot, Key, Stuck, Subgoal, Target, Why, front_door, key_of};
use crate::engine::env::babyai::game::Game;
use crate::engine::env::babyai::geometry::Point;
use crate::engine::env::babyai::mission::Descriptor;
use crate::engine::env::babyai::view::Frame;
use crate::engine::env::babyai::world::{Cell, DoorState, Kind, Move, ObjectId, World};

impl Bot {
    /// The next move on the way to a target, or `None` when the stack was changed instead.
    pub fn plan_walk(&mut self, target: &Target, why: Why, game: &Game) -> Result<Option<Move>, Stuck> {
        let world = &game.world;
        let Some((object, at)) = self.locate(target, why, game)? else {
            self.stack.push(Subgoal::Explore);
            return Ok(None);
        };
        let locked = object.filter(|&id| world.object(id).door == DoorState::Locked);
        if let Some(door) = locked.filter(|_| why == Why::Open && world.carrying.is_none()) {
            self.stack.pop();
            self.go(Target::Door(door), Why::Open);
            self.stack.push(Subgoal::PickUp);
            self.go(key_of(world, door), Why::Face);
            return Ok(None);
        }
        if at.distance(world.agent) == if why == Why::PutNext { 1 } else { 0 } {
            return Ok(Some(step_aside(world)));
        }
        if self.arrived(at, why, world) {
            return Ok(None);
        }
        self.walk_to(at, world)
    }

    /// Whether the target is faced as it should be; changes the stack then.
    fn arrived(&mut self, at: Point, why: Why, world: &World) -> bool {
        let front = world.front();
        if why != Why::PutNext {
            if at == front {
                self.stack.pop();
            }
            return at == front;
        }
        let beside = at.distance(front) == 1;
        match world.cell(front) {
            Cell::Empty if beside => {
                self.stack.pop();
                true
            }
            Cell::Object(id) if beside && world.object(id).is_open_door() => {
                // Nothing can be put into a doorway: go through it first.
                self.go(Target::Cell(front + world.facing.vector().times(2)), Why::Face);
                true
            }
            _ => false,
        }
    }

    fn walk_to(&mut self, at: Point, world: &World) -> Result<Option<Move>, Stuck> {
        let reaches = |point: Point, _: Cell| point == at;
        let way = self.map.route(world, false, reaches).filter(|route| !route.path.is_empty());
        let way = way.or_else(|| self.map.route(world, true, reaches));
        let Some(&next) = way.as_ref().and_then(|route| route.path.first()) else {
            self.stack.push(Subgoal::Explore);
            return Ok(None);
        };
        if next == world.front() {
            return self.step_ahead(world);
        }
        let right = world.facing.vector().turned_right();
        Ok(Some(match next - world.agent {
            step if step == right => Move::Right,
            step if step == -right => Move::Left,
            // Behind: turn to where the room is wider.
            _ if room_beside(world, -right) > room_beside(world, right) => Move::Left,
            _ => Move::Right,
        }))
    }

    /// Goes on, through a door that may have to be opened; moves what stands there out of the way.
    fn step_ahead(&mut self, world: &World) -> Result<Option<Move>, Stuck> {
        if let Some((_, state)) = front_door(world) {
            return match state {
                DoorState::Open => Ok(Some(Move::Forward)),
                DoorState::Locked => Err(Stuck),
                DoorState::Closed => {
                    self.stack.push(Subgoal::Open(Key::Undecided));
                    Ok(None)
                }
            };
        }
        if world.cell(world.front()) == Cell::Empty {
            return Ok(Some(Move::Forward));
        }
        let place = self.map.drop_place(world, None).ok_or(Stuck)?;
        if world.carrying.is_none() {
            self.stack.push(Subgoal::Drop);
            self.go(Target::Cell(place), Why::Face);
            self.stack.push(Subgoal::PickUp);
            return Ok(None);
        }
        let aside = self.map.drop_place(world, Some(place)).ok_or(Stuck)?;
        self.stack.push(Subgoal::PickUp);
        self.go(Target::Cell(place), Why::Face);
        self.stack.push(Subgoal::Drop);
        self.go(Target::Cell(aside), Why::Face);
        self.stack.push(Subgoal::PickUp);
        self.go(Target::Cell(world.front()), Why::Face);
        self.stack.push(Subgoal::Drop);
        self.go(Target::Cell(place), Why::Face);
        Ok(None)
    }

    /// The object, if it is one, and the cell of a target; `None` while nothing of what it describes has been seen.
    fn locate(&self, target: &Target, why: Why, game: &Game) -> Result<Option<(Option<ObjectId>, Point)>, Stuck> {
        let descriptor = match target {
            Target::Cell(at) => return Ok(Some((None, *at))),
            Target::Door(id) => {
                let at = game.world.object(*id).position.ok_or(Stuck)?;
                return Ok(Some((Some(*id), at)));
            }
            Target::Found(descriptor) => descriptor,
            Target::Mission(number) => game.mission.descriptors().get(*number).copied().ok_or(Stuck)?,
        };
        if descriptor.things.is_empty() {
            return Err(Stuck);
        }
        Ok(self.nearest(descriptor, why, &game.world))
    }

    /// The nearest of the described things that have been seen. Like upstream it pairs things and positions by their
    /// number, also when one of them has been picked up meanwhile and the positions have moved up.
    fn nearest(&self, descriptor: &Descriptor, why: Why, world: &World) -> Option<(Option<ObjectId>, Point)> {
        let adjacent = why == Why::PutNext;
        let too_late = |id: ObjectId| why == Why::Open && world.object(id).door == DoorState::Open;
        let mut best: Option<(usize, ObjectId, Point)> = None;
        for (thing, &at) in descriptor.things.iter().zip(&descriptor.positions) {
            let Cell::Object(id) = *thing else { continue };
            if world.carrying == Some(id) || !self.map.seen(at) || too_late(id) {
                continue;
            }
            let Some(route) = self.map.route(world, true, |point, _| point == at) else { continue };
            // A lower bound on the moves that it takes to clear the way.
            let clearing = match (route.blocked, world.carrying) {
                (false, _) => 0,
                (true, None) => 4,
                (true, Some(_)) => 7,
            };
            let distance = match route.path.len() + clearing {
                0 | 1 if adjacent => 3,
                0 => 2,
                distance => distance,
            };
            if best.is_none_or(|(least, ..)| distance < least) {
                best = Some((distance, id, at));
            }
        }
        best.map(|(_, id, at)| (Some(id), at))
    }
}

/// A move away from the cell under the agent.
fn step_aside(world: &World) -> Move {
    let free = |at: Point| match world.cell(at) {
        Cell::Empty => true,
        Cell::Wall => false,
        Cell::Object(id) => world.object(id).is_open_door(),
    };
    let right = world.facing.vector().turned_right();
    if free(world.front()) {
        Move::Forward
    } else if free(world.agent + right) {
        Move::Right
    } else {
        Move::Left
    }
}

/// Cells from the agent to the first wall or door in a direction, as far as the view reaches.
fn room_beside(world: &World, direction: Point) -> i32 {
    let frame = Frame::of(world);
    let mut distance = 1;
    loop {
        let at = world.agent + direction.times(distance);
        if !frame.contains(at) {
            return distance - 1;
        }
        match world.cell(at) {
            Cell::Wall => return distance,
            Cell::Object(id) if world.object(id).kind == Kind::Door => return distance,
            Cell::Empty | Cell::Object(_) => distance += 1,
        }
    }
}
