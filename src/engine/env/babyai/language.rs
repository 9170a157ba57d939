//! Levels whose missions are drawn from the whole language: any objects, acts and joints that the level allows.

use super::geometry::{Area, Direction};
use super::mission::{Act, Descriptor, Joint, Mission, Place};
use super::rooms::{Rejected, RoomAt, Rooms};
use super::world::{Colour, DoorState, Kind};

/// Descriptions tried, beyond the first, before the level is drawn again.
const DESCRIBE_TRIES: usize = 100;

const KINDS: &[Kind] = &[Kind::Box, Kind::Ball, Kind::Key, Kind::Door];
const PORTABLE: &[Kind] = &[Kind::Box, Kind::Ball, Kind::Key];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    GoTo,
    PickUp,
    Open,
    PutNext,
}

/// How clauses are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One clause.
    Clause,
    And,
    /// "then" or "after you", of clauses or of pairs with "and".
    Sequence,
}

/// What a level of this family allows. [`Language::FULL`] is everything.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Language {
    pub distractors: usize,
    pub locked_room_probability: f64,
    /// Descriptions may name a place.
    pub places: bool,
    /// Objects may be in the way; keys of locked doors are then not spoken of.
    pub unblocking: bool,
    /// What is spoken of may all be behind the lock.
    pub implicit_unlock: bool,
    pub verbs: &'static [Verb],
    pub forms: &'static [Form],
}

impl Language {
    pub const FULL: Language = Language {
        distractors: 18,
        locked_room_probability: 0.5,
        places: true,
        unblocking: true,
        implicit_unlock: true,
        verbs: &[Verb::GoTo, Verb::PickUp, Verb::Open, Verb::PutNext],
        forms: &[Form::Clause, Form::And, Form::Sequence],
    };

    /// Furnishes the rooms and draws the mission.
    pub fn draw(&self, rooms: &mut Rooms) -> Result<Mission, Rejected> {
        let locked = match rooms.random.unit() < self.locked_room_probability {
            true => Some(lock_a_room(rooms)?),
            false => None,
        };
        rooms.connect_all(&Colour::BY_NAME)?;
        rooms.add_distractors(None, self.distractors, false)?;
        rooms.place_agent_outside(locked)?;
        if !self.unblocking {
            rooms.require_reachable()?;
        }
        let mission = self.mission(rooms, locked, self.forms)?;
        if self.unblocking && speaks_of_a_key_to_a_lock(rooms, &mission) {
            return Err(Rejected);
        }
        Ok(mission)
    }

    fn mission(&self, rooms: &mut Rooms, locked: Option<RoomAt>, forms: &[Form]) -> Result<Mission, Rejected> {
        match rooms.random.choice(forms) {
            Form::Clause => self.act(rooms, locked).map(Mission::from),
            Form::And => {
                let first = self.mission(rooms, locked, &[Form::Clause])?;
                let second = self.mission(rooms, locked, &[Form::Clause])?;
                Ok(Mission::join(Joint::And, first, second))
            }
            Form::Sequence => {
                let first = self.mission(rooms, locked, &[Form::Clause, Form::And])?;
                let second = self.mission(rooms, locked, &[Form::Clause, Form::And])?;
                let joint = rooms.random.choice(&[Joint::Then, Joint::After]);
                Ok(Mission::join(joint, first, second))
            }
        }
    }

    fn act(&self, rooms: &mut Rooms, locked: Option<RoomAt>) -> Result<Act, Rejected> {
        let describe = |rooms: &mut Rooms, kinds: &[Kind]| self.description(rooms, locked, kinds);
        Ok(match rooms.random.choice(self.verbs) {
            Verb::GoTo => Act::GoTo(describe(rooms, KINDS)?),
            Verb::PickUp => Act::PickUp { object: describe(rooms, PORTABLE)?, strict: false },
            Verb::Open => Act::Open { door: describe(rooms, &[Kind::Door])?, strict: false },
            Verb::PutNext => {
                let object = describe(rooms, PORTABLE)?;
                Act::PutNext { object, beside: describe(rooms, KINDS)? }
            }
        })
    }

    /// A description that means something, and something that can be reached if nothing may have to be unlocked.
    fn description(&self, rooms: &mut Rooms, locked: Option<RoomAt>, kinds: &[Kind]) -> Result<Descriptor, Rejected> {
        let closed = locked.filter(|_| !self.implicit_unlock).map(|room| rooms.area(room));
        for _ in 0..=DESCRIBE_TRIES {
            let colour = match rooms.random.integers(0, Colour::BY_NAME.len() as i32 + 1) {
                0 => None,
                index => Some(Colour::BY_NAME[index as usize - 1]),
            };
            let kind = rooms.random.choice(kinds);
            let place = (self.places && rooms.coin()).then(|| rooms.random.choice(&Place::ALL));
            let mut descriptor = Descriptor::new(Some(kind), colour, place);
            descriptor.find(&rooms.world);
            let outside = |area: Area| descriptor.positions.iter().any(|&at| !area.contains(at));
            if !descriptor.things.is_empty() && closed.is_none_or(outside) {
                return Ok(descriptor);
            }
        }
        Err(Rejected)
    }
}

/// Locks one door of a room and puts the key into another room.
fn lock_a_room(rooms: &mut Rooms) -> Result<RoomAt, Rejected> {
    let (room, side) = loop {
        let room = rooms.random_room();
        let side = rooms.random.choice(&Direction::ALL);
        if rooms.neighbour(room, side).is_some() {
            break (room, side);
        }
    };
    let door = rooms.add_door(room, Some(side), None, Some(true))?;
    let key_room = loop {
        let other = rooms.random_room();
        if other != room {
            break other;
        }
    };
    let colour = rooms.world.object(door).colour;
    rooms.add_object(key_room, Some(Kind::Key), Some(colour))?;
    Ok(room)
}

/// Such a key may have to be given up at the lock, and the mission with it.
fn speaks_of_a_key_to_a_lock(rooms: &Rooms, mission: &Mission) -> bool {
    let locks = |colour: Colour| {
        let doors = rooms.world.objects.iter();
        doors.into_iter().any(|object| object.door == DoorState::Locked && object.colour == colour)
    };
    mission.descriptors().iter().any(|it| it.kind == Some(Kind::Key) && it.colour.is_some_and(locks))
}
