//! A household: what never changes while a game is played.

use super::dialect::Dialect;
use super::goal::Goal;
use super::problem::{Kind, Predicate, Problem};
use super::state::{Flag, State};
use super::task::Task;
use super::things::{Index, Things};

#[derive(Debug)]
pub struct Household {
    pub dialect: Dialect,
    /// `Your task is to: …`
    pub sentence: String,
    pub task: Task,
    pub locations: Vec<Location>,
    pub receptacles: Vec<Receptacle>,
    pub objects: Vec<Object>,
    /// The class of a receptacle, the class of an object that may be in it; sorted.
    can_contain: Vec<(Index, Index)>,
    pub goal: Goal,
    pub start: State,
}

#[derive(Debug, Default)]
pub struct Location {
    /// `loc 12`
    pub name: String,
    pub receptacles: Vec<Index>,
}

#[derive(Debug, Default)]
pub struct Receptacle {
    /// `drawer 3`
    pub name: String,
    pub types: Vec<Index>,
    /// A receptacle without one is never reached.
    pub location: Option<Index>,
    pub openable: bool,
    pub use_for: Vec<Appliance>,
    /// For each object, whether it may be put here.
    pub accepts: Vec<bool>,
}

/// What a receptacle does to the object in the agent's hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appliance {
    Sink,
    Microwave,
    Fridge,
}

impl Appliance {
    /// By the class of the receptacle. A bathtub is no sink.
    fn of(class: &str) -> Option<Appliance> {
        match class {
            "sinkbasintype" => Some(Appliance::Sink),
            "microwavetype" => Some(Appliance::Microwave),
            "fridgetype" => Some(Appliance::Fridge),
            _ => None,
        }
    }
}

#[derive(Debug, Default)]
pub struct Object {
    /// `apple 1`
    pub name: String,
    pub types: Vec<Index>,
    pub pickupable: bool,
    pub cleanable: bool,
    pub heatable: bool,
    pub coolable: bool,
    pub toggleable: bool,
    pub sliceable: bool,
    pub is_knife: bool,
    /// A plate, a box: its content is told when it is examined.
    pub is_container: bool,
    pub content: Vec<Index>,
}

impl Household {
    pub fn new(problem: &Problem, dialect: Dialect, sentence: String) -> Result<Self, String> {
        let things = Things::of(problem)?;
        let mut household = Household {
            dialect,
            sentence,
            task: Task::of(&problem.goal, &things),
            locations: things.named(Kind::Location).map(|name| Location { name, ..Default::default() }).collect(),
            receptacles: things.named(Kind::Receptacle).map(|name| Receptacle { name, ..Default::default() }).collect(),
            objects: things.named(Kind::Object).map(|name| Object { name, ..Default::default() }).collect(),
            can_contain: Vec::new(),
            goal: Goal::compile(&problem.goal, &things)?,
            start: State::empty(&things),
        };
        household.place_agent(problem, &things)?;
        for fact in &problem.facts {
            let Some(predicate) = fact.predicate else { continue };
            let numbers: Vec<Index> = fact.things.iter().map(|id| things.number(id)).collect::<Result<_, _>>()?;
            match *numbers.as_slice() {
                [thing] => household.add_property(predicate, thing),
                [first, second] => household.add_relation(predicate, first, second, &things)?,
                _ => {}
            }
        }
        household.sort();
        household.note_what_fits();
        if !household.goal.is_reachable(&household) {
            return Err(format!(
                "the goal cannot be reached: nothing done in this room makes it true: {}",
                problem.goal
            ));
        }
        Ok(household)
    }

    fn place_agent(&mut self, problem: &Problem, things: &Things) -> Result<(), String> {
        let agents = problem.things.values().filter(|kind| **kind == Kind::Agent).count();
        if agents != 1 {
            return Err(format!("expected one agent, got {agents}"));
        }
        let starts = problem.facts.iter().filter(|fact| fact.predicate == Some(Predicate::AtLocation));
        let mut starts: Vec<&str> = starts.filter_map(|fact| fact.things.last().map(String::as_str)).collect();
        starts.dedup();
        match *starts.as_slice() {
            [location] => self.start.at = things.number(location)?,
            [] => return Err("the agent is at no location".to_string()),
            [first, second, ..] => return Err(format!("the agent is at two locations, {first} and {second}")),
        }
        Ok(())
    }

    fn add_property(&mut self, predicate: Predicate, thing: Index) {
        let place = usize::from(thing);
        if let Some(flag) = Flag::of(predicate) {
            self.start.flags[place].insert(flag);
        }
        match predicate {
            Predicate::HoldsAny => self.start.hands_full = true,
            Predicate::Openable => self.receptacles[place].openable = true,
            Predicate::Opened => self.start.opened[place] = true,
            Predicate::Pickupable => self.objects[place].pickupable = true,
            Predicate::Cleanable => self.objects[place].cleanable = true,
            Predicate::Heatable => self.objects[place].heatable = true,
            Predicate::Coolable => self.objects[place].coolable = true,
            Predicate::Toggleable => self.objects[place].toggleable = true,
            Predicate::Sliceable => self.objects[place].sliceable = true,
            Predicate::IsReceptacleObject => self.objects[place].is_container = true,
            _ => {}
        }
    }

    fn add_relation(
        &mut self,
        predicate: Predicate,
        first: Index,
        second: Index,
        things: &Things,
    ) -> Result<(), String> {
        let (from, to) = (usize::from(first), usize::from(second));
        match predicate {
            Predicate::CanContain => self.can_contain.push((first, second)),
            Predicate::InReceptacleObject => self.objects[to].content.push(first),
            Predicate::InReceptacle => self.start.contents[to].push(first),
            Predicate::ObjectAtLocation => self.start.lying[to].push(first),
            Predicate::Holds => self.start.held.push(second),
            Predicate::ReceptacleAtLocation => {
                let receptacle = &mut self.receptacles[from];
                if receptacle.location.replace(second).is_some_and(|before| before != second) {
                    return Err(format!("{} is at two locations", receptacle.name));
                }
                self.locations[to].receptacles.push(first);
            }
            Predicate::ReceptacleType => {
                self.receptacles[from].types.push(second);
                let appliance = Appliance::of(things.id(Kind::ReceptacleType, second));
                self.receptacles[from].use_for.extend(appliance);
            }
            Predicate::ObjectType => {
                self.objects[from].types.push(second);
                let is_knife = matches!(things.id(Kind::ObjectType, second), "knifetype" | "butterknifetype");
                self.objects[from].is_knife |= is_knife;
            }
            _ => {}
        }
        Ok(())
    }

    /// Every list in the order of the things' ids, each thing once.
    fn sort(&mut self) {
        let tidy = |list: &mut Vec<Index>| {
            list.sort_unstable();
            list.dedup();
        };
        self.locations.iter_mut().for_each(|location| tidy(&mut location.receptacles));
        self.objects.iter_mut().for_each(|object| tidy(&mut object.content));
        self.start.contents.iter_mut().chain(&mut self.start.lying).for_each(tidy);
        tidy(&mut self.start.held);
        self.can_contain.sort_unstable();
    }

    fn note_what_fits(&mut self) {
        let allowed = &self.can_contain;
        for receptacle in &mut self.receptacles {
            let takes = |class: &Index| {
                let mut into = receptacle.types.iter();
                into.any(|into| allowed.binary_search(&(*into, *class)).is_ok())
            };
            let fits = |object: &Object| object.types.iter().any(takes);
            receptacle.accepts = self.objects.iter().map(fits).collect();
        }
    }

    pub fn receptacle(&self, index: Index) -> &Receptacle {
        &self.receptacles[usize::from(index)]
    }

    pub fn object(&self, index: Index) -> &Object {
        &self.objects[usize::from(index)]
    }

    pub fn accepts(&self, receptacle: Index, object: Index) -> bool {
        self.receptacle(receptacle).accepts[usize::from(object)]
    }

    /// Whether things of a class may be put into a receptacle.
    pub fn takes_class(&self, receptacle: Index, class: Index) -> bool {
        let types = &self.receptacle(receptacle).types;
        types.iter().any(|into| self.can_contain.binary_search(&(*into, class)).is_ok())
    }

    /// The facts that no action changes.
    pub fn is(&self, predicate: Predicate, first: Index, second: Index) -> bool {
        match predicate {
            Predicate::ReceptacleAtLocation => self.receptacle(first).location == Some(second),
            Predicate::Openable => self.receptacle(first).openable,
            Predicate::IsReceptacleObject => self.object(first).is_container,
            Predicate::InReceptacleObject => self.object(second).content.contains(&first),
            Predicate::ReceptacleType => self.receptacle(first).types.contains(&second),
            Predicate::CanContain => self.can_contain.binary_search(&(first, second)).is_ok(),
            Predicate::ObjectType => self.object(first).types.contains(&second),
            Predicate::Pickupable => self.object(first).pickupable,
            Predicate::Cleanable => self.object(first).cleanable,
            Predicate::Heatable => self.object(first).heatable,
            Predicate::Coolable => self.object(first).coolable,
            Predicate::Toggleable => self.object(first).toggleable,
            Predicate::Sliceable => self.object(first).sliceable,
            _ => false,
        }
    }

    /// The receptacles at a location.
    pub fn receptacles_at(&self, location: Index) -> &[Index] {
        &self.locations[usize::from(location)].receptacles
    }
}
