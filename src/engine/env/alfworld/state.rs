//! The state machine: which actions a moment allows and what each does. It is ALFWorld's PDDL domain by hand, with the
//! habits of the planner that grounds it upstream (Fast Downward as TextWorld 1.7 calls it):
//!
//! - An action that would change nothing does not exist: there is no going to where one is, nor to another receptacle at
//!   the same location.
//! - Objects can be examined in the hand only. The domain means to allow it for objects in reach as well, but spells a
//!   type `location,` there, which nothing has.

use super::household::{Appliance, Household};
use super::problem::{Kind, Predicate};
use super::things::{Index, Things};

/// What can become true of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flag {
    Clean = 1,
    Hot = 2,
    Cool = 4,
    On = 8,
    Toggled = 16,
    Sliced = 32,
}

impl Flag {
    pub fn of(predicate: Predicate) -> Option<Flag> {
        Some(match predicate {
            Predicate::IsClean => Flag::Clean,
            Predicate::IsHot => Flag::Hot,
            Predicate::IsCool => Flag::Cool,
            Predicate::IsOn => Flag::On,
            Predicate::IsToggled => Flag::Toggled,
            Predicate::IsSliced => Flag::Sliced,
            _ => return None,
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(u8);

impl Flags {
    pub fn has(self, flag: Flag) -> bool {
        self.0 & flag as u8 != 0
    }

    pub fn insert(&mut self, flag: Flag) {
        self.0 |= flag as u8;
    }

    fn remove(&mut self, flag: Flag) {
        self.0 &= !(flag as u8);
    }

    fn toggle(&mut self, flag: Flag) {
        self.0 ^= flag as u8;
    }
}

/// What changes while a game is played. Lists of objects are in ascending order.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// The agent's location.
    pub at: Index,
    /// By receptacle: whether it was opened, also where it cannot be.
    pub opened: Vec<bool>,
    /// By receptacle: the objects in it.
    pub contents: Vec<Vec<Index>>,
    /// By receptacle: the objects that were taken out of it and have not come back. Upstream remembers these, and lists
    /// them as lying on the floor when they are at the receptacle's location again.
    pub taken: Vec<Vec<Index>>,
    /// By location: the objects there, in a receptacle or not.
    pub lying: Vec<Vec<Index>>,
    pub held: Vec<Index>,
    pub hands_full: bool,
    /// By object.
    pub flags: Vec<Flags>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Look,
    Inventory,
    Help,
    ExamineReceptacle(Index),
    ExamineObject(Index),
    Go(Index),
    Open(Index),
    Close(Index),
    /// An object, a receptacle.
    Take(Index, Index),
    Put(Index, Index),
    Clean(Index, Index),
    Heat(Index, Index),
    Cool(Index, Index),
    Use(Index),
    /// What is sliced, the knife.
    Slice(Index, Index),
}

impl State {
    /// Of a household without facts.
    pub fn empty(things: &Things) -> Self {
        let (receptacles, locations) = (things.count(Kind::Receptacle), things.count(Kind::Location));
        State {
            at: 0,
            opened: vec![false; receptacles],
            contents: vec![Vec::new(); receptacles],
            taken: vec![Vec::new(); receptacles],
            lying: vec![Vec::new(); locations],
            held: Vec::new(),
            hands_full: false,
            flags: vec![Flags::default(); things.count(Kind::Object)],
        }
    }

    pub fn content(&self, receptacle: Index) -> &[Index] {
        &self.contents[usize::from(receptacle)]
    }

    pub fn is_open(&self, receptacle: Index) -> bool {
        self.opened[usize::from(receptacle)]
    }

    pub fn has(&self, object: Index, flag: Flag) -> bool {
        self.flags[usize::from(object)].has(flag)
    }

    /// Whether hands reach into the receptacle.
    pub fn is_accessible(&self, household: &Household, receptacle: Index) -> bool {
        !household.receptacle(receptacle).openable || self.is_open(receptacle)
    }

    /// Every action that the moment allows, in no particular order.
    pub fn actions(&self, household: &Household) -> Vec<Action> {
        let mut actions = vec![Action::Look, Action::Inventory];
        if household.dialect.has_help {
            actions.push(Action::Help);
        }
        for (number, receptacle) in household.receptacles.iter().enumerate() {
            let number = number as Index;
            match receptacle.location {
                Some(location) if location == self.at => self.add_actions_at(household, number, &mut actions),
                Some(_) => actions.push(Action::Go(number)),
                None => {}
            }
        }
        for &held in &self.held {
            actions.push(Action::ExamineObject(held));
            if household.object(held).is_knife {
                let sliceable = self.lying[usize::from(self.at)].iter().filter(|&&at| household.object(at).sliceable);
                actions.extend(sliceable.map(|&object| Action::Slice(object, held)));
            }
        }
        actions
    }

    /// What can be done with a receptacle in front of the agent.
    fn add_actions_at(&self, household: &Household, number: Index, actions: &mut Vec<Action>) {
        let receptacle = household.receptacle(number);
        actions.push(Action::ExamineReceptacle(number));
        if receptacle.openable {
            actions.push(if self.is_open(number) { Action::Close(number) } else { Action::Open(number) });
        }
        let accessible = self.is_accessible(household, number);
        for &object in self.content(number) {
            if accessible && !self.hands_full && household.object(object).pickupable {
                actions.push(Action::Take(object, number));
            }
            // A lamp can be switched on in a closed drawer.
            if household.object(object).toggleable {
                actions.push(Action::Use(object));
            }
        }
        for &held in &self.held {
            if accessible && household.accepts(number, held) {
                actions.push(Action::Put(held, number));
            }
            // A fridge or a microwave need not be open, and the object stays in the hand.
            for appliance in &receptacle.use_for {
                let object = household.object(held);
                match appliance {
                    Appliance::Sink if object.cleanable => actions.push(Action::Clean(held, number)),
                    Appliance::Microwave if object.heatable => actions.push(Action::Heat(held, number)),
                    Appliance::Fridge if object.coolable => actions.push(Action::Cool(held, number)),
                    _ => {}
                }
            }
        }
    }

    /// Does an action that [`Self::actions`] offers.
    pub fn apply(&mut self, household: &Household, action: Action) {
        match action {
            Action::Look | Action::Inventory | Action::Help => {}
            Action::ExamineReceptacle(_) | Action::ExamineObject(_) => {}
            Action::Go(receptacle) => {
                if let Some(location) = household.receptacle(receptacle).location {
                    self.at = location;
                }
            }
            Action::Open(receptacle) => self.opened[usize::from(receptacle)] = true,
            Action::Close(receptacle) => self.opened[usize::from(receptacle)] = false,
            Action::Take(object, receptacle) => {
                remove(&mut self.contents[usize::from(receptacle)], object);
                insert(&mut self.taken[usize::from(receptacle)], object);
                remove(&mut self.lying[usize::from(self.at)], object);
                insert(&mut self.held, object);
                self.hands_full = true;
            }
            Action::Put(object, receptacle) => {
                insert(&mut self.contents[usize::from(receptacle)], object);
                remove(&mut self.taken[usize::from(receptacle)], object);
                insert(&mut self.lying[usize::from(self.at)], object);
                remove(&mut self.held, object);
                self.hands_full = false;
            }
            Action::Clean(object, _) => self.flags[usize::from(object)].insert(Flag::Clean),
            Action::Heat(object, _) => {
                self.flags[usize::from(object)].insert(Flag::Hot);
                self.flags[usize::from(object)].remove(Flag::Cool);
            }
            Action::Cool(object, _) => {
                self.flags[usize::from(object)].insert(Flag::Cool);
                self.flags[usize::from(object)].remove(Flag::Hot);
            }
            Action::Use(object) => {
                self.flags[usize::from(object)].toggle(Flag::On);
                self.flags[usize::from(object)].insert(Flag::Toggled);
            }
            Action::Slice(object, _) => self.flags[usize::from(object)].insert(Flag::Sliced),
        }
    }
}

fn insert(list: &mut Vec<Index>, object: Index) {
    if let Err(place) = list.binary_search(&object) {
        list.insert(place, object);
    }
}

fn remove(list: &mut Vec<Index>, object: Index) {
    if let Ok(place) = list.binary_search(&object) {
        list.remove(place);
    }
}
