//! The house: rooms and doors, things inside things, and heat that flows.

use super::matter::{Material, ROOM, State};

/// A thing's place in [`World::things`].
pub type Id = usize;

/// How a thing holds others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Hold {
    In,
    On,
}

/// What changes the temperature of what it holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Appliance {
    pub celsius: f64,
    pub is_on: bool,
    /// A cold appliance runs by itself.
    pub has_switch: bool,
    pub is_broken: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Matter {
    pub material: &'static Material,
    pub celsius: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Nature {
    Lifeless,
    Plant,
    Animal,
}

#[derive(Debug, Clone)]
pub struct Thing {
    /// Empty for matter, which is called by its state.
    pub label: String,
    /// What it is in or on; a room is in nothing.
    pub place: Option<Id>,
    pub hold: Option<Hold>,
    /// Whether it is open, where it can be closed.
    pub lid: Option<bool>,
    pub is_portable: bool,
    /// It keeps the temperature of what it holds while it is closed.
    pub is_insulated: bool,
    pub appliance: Option<Appliance>,
    pub matter: Option<Matter>,
    pub nature: Nature,
}

impl Thing {
    pub fn new(label: &str, place: Option<Id>) -> Self {
        Thing {
            label: label.to_string(),
            place,
            hold: None,
            lid: None,
            is_portable: false,
            is_insulated: false,
            appliance: None,
            matter: None,
            nature: Nature::Lifeless,
        }
    }

    pub fn name(&self) -> &str {
        self.matter.as_ref().map_or(&self.label, |matter| matter.material.name_at(matter.celsius))
    }

    pub fn state(&self) -> Option<State> {
        self.matter.as_ref().map(|matter| matter.material.state_at(matter.celsius))
    }

    /// A liquid or a gas is carried in what holds it.
    pub fn can_be_picked_up(&self) -> bool {
        self.is_portable && self.state().is_none_or(|state| state == State::Solid)
    }

    fn shows_its_content(&self) -> bool {
        self.hold.is_some() && self.lid != Some(false)
    }
}

#[derive(Debug, Clone)]
pub struct Door {
    pub rooms: [Id; 2],
    pub is_open: bool,
}

impl Door {
    /// The room behind it, seen from `room`.
    pub fn beyond(&self, room: Id) -> Option<Id> {
        match self.rooms {
            [one, other] if one == room => Some(other),
            [other, one] if one == room => Some(other),
            _ => None,
        }
    }
}

/// What flows between matter and its surroundings in a tick: a share of the difference.
const FLOW_IN_APPLIANCE: f64 = 0.08;
const FLOW_IN_AIR: f64 = 0.01;

#[derive(Debug, Clone)]
pub struct World {
    pub things: Vec<Thing>,
    pub doors: Vec<Door>,
    /// The one who acts; carries things as their holder.
    pub agent: Id,
}

impl World {
    pub fn add(&mut self, thing: Thing) -> Id {
        self.things.push(thing);
        self.things.len() - 1
    }

    /// What `id` is in, and what that is in, outwards to the room.
    pub fn around(&self, id: Id) -> impl Iterator<Item = Id> {
        std::iter::successors(self.things[id].place, |outer| self.things[*outer].place)
    }

    pub fn room_of(&self, id: Id) -> Id {
        self.around(id).last().unwrap_or(id)
    }

    pub fn here(&self) -> Id {
        self.room_of(self.agent)
    }

    pub fn content(&self, id: Id) -> impl Iterator<Item = Id> {
        (0..self.things.len()).filter(move |inner| self.things[*inner].place == Some(id))
    }

    /// Whether something is in `holder`, at whatever depth.
    pub fn is_within(&self, id: Id, holder: Id) -> bool {
        self.around(id).any(|outer| outer == holder)
    }

    /// The things that can be seen and reached, those that lie open in the room first.
    pub fn reachable(&self) -> Vec<Id> {
        let mut found: Vec<Id> = self.content(self.here()).filter(|id| *id != self.agent).collect();
        found.extend(self.content(self.agent));
        let mut next = 0;
        while let Some(&id) = found.get(next) {
            if self.things[id].shows_its_content() {
                found.extend(self.content(id));
            }
            next += 1;
        }
        found
    }

    pub fn doors_here(&self) -> impl Iterator<Item = (usize, Id)> {
        let here = self.here();
        self.doors.iter().enumerate().filter_map(move |(number, door)| Some((number, door.beyond(here)?)))
    }

    /// The rooms on the shortest way from `from` to `to`, without `from`.
    pub fn way(&self, from: Id, to: Id) -> Vec<Id> {
        let mut came_from = vec![None; self.things.len()];
        let mut queue = std::collections::VecDeque::from([from]);
        while let Some(room) = queue.pop_front() {
            for next in self.doors.iter().filter_map(|door| door.beyond(room)) {
                if next != from && came_from[next].is_none() {
                    came_from[next] = Some(room);
                    queue.push_back(next);
                }
            }
        }
        let mut way: Vec<Id> = std::iter::successors(Some(to), |room| came_from[*room]).collect();
        way.pop();
        way.reverse();
        way
    }

    /// One moment passes.
    pub fn tick(&mut self) {
        let flows: Vec<Option<(f64, f64)>> = (0..self.things.len()).map(|id| self.surroundings(id)).collect();
        for (thing, flow) in self.things.iter_mut().zip(flows) {
            if let (Some(matter), Some((celsius, share))) = (&mut thing.matter, flow) {
                matter.celsius += (celsius - matter.celsius) * share;
            }
        }
    }

    /// The temperature around a thing, and how fast it takes that on; nothing in a closed flask.
    fn surroundings(&self, id: Id) -> Option<(f64, f64)> {
        for outer in self.around(id).map(|outer| &self.things[outer]) {
            if outer.is_insulated && outer.lid == Some(false) {
                return None;
            }
            match &outer.appliance {
                Some(appliance) if appliance.is_on => return Some((appliance.celsius, FLOW_IN_APPLIANCE)),
                _ => {}
            }
        }
        Some((ROOM, FLOW_IN_AIR))
    }
}
