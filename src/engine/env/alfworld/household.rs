//! A household: what never changes while a game is played. Things are numbered by the order of their ids, because the
//! original lists things in that order.

use std::collections::{BTreeMap, HashMap};

use super::dialect::Dialect;
use super::goal::Goal;
use super::problem::{Kind, Predicate, Problem};
use super::state::{Flag, State};
use super::task::Task;

/// The number of an object, a receptacle, a location or a type among its like.
pub type Index = u16;

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
        let index = Things::of(problem)?;
        let mut household = Household {
            dialect,
            sentence,
            task: Task::of(&problem.goal, &index),
            locations: index.named(Kind::Location).map(|name| Location { name, ..Default::default() }).collect(),
            receptacles: index.named(Kind::Receptacle).map(|name| Receptacle { name, ..Default::default() }).collect(),
            objects: index.named(Kind::Object).map(|name| Object { name, ..Default::default() }).collect(),
            can_contain: Vec::new(),
            goal: Goal::compile(&problem.goal, &index)?,
            start: State::empty(&index),
        };
        household.place_agent(problem, &index)?;
        for fact in &problem.facts {
            let Some(predicate) = fact.predicate else { continue };
            let numbers: Vec<Index> = fact.things.iter().map(|id| index.number(id)).collect::<Result<_, _>>()?;
            match (predicate, numbers.as_slice()) {
                (Predicate::CanContain, &[receptacle, object]) => household.can_contain.push((receptacle, object)),
                (_, &[thing]) => household.add_property(predicate, thing),
                (_, &[first, second]) => household.add_relation(predicate, first, second, &index)?,
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

    fn place_agent(&mut self, problem: &Problem, index: &Things) -> Result<(), String> {
        let agents = problem.things.values().filter(|kind| **kind == Kind::Agent).count();
        if agents != 1 {
            return Err(format!("expected one agent, got {agents}"));
        }
        let mut starts = problem.facts.iter().filter(|fact| fact.predicate == Some(Predicate::AtLocation));
        match (starts.next().map(|fact| fact.things.as_slice()), starts.next()) {
            (Some([_, location]), None) => self.start.at = index.number(location)?,
            (None, _) => return Err("the agent is at no location".to_string()),
            _ => return Err("the agent is at two locations".to_string()),
        }
        Ok(())
    }

    fn add_property(&mut self, predicate: Predicate, thing: Index) {
        if predicate == Predicate::HoldsAny {
            self.start.hands_full = true;
        }
        let place = usize::from(thing);
        match predicate {
            Predicate::Openable => set(&mut self.receptacles, place, |receptacle| receptacle.openable = true),
            Predicate::Opened => set(&mut self.start.opened, place, |opened| *opened = true),
            _ => {}
        }
        if let Some(flag) = Flag::of(predicate) {
            set(&mut self.start.flags, place, |flags| flags.insert(flag));
        }
        set(&mut self.objects, place, |object| match predicate {
            Predicate::Pickupable => object.pickupable = true,
            Predicate::Cleanable => object.cleanable = true,
            Predicate::Heatable => object.heatable = true,
            Predicate::Coolable => object.coolable = true,
            Predicate::Toggleable => object.toggleable = true,
            Predicate::Sliceable => object.sliceable = true,
            Predicate::IsReceptacleObject => object.is_container = true,
            _ => {}
        });
    }

    fn add_relation(
        &mut self,
        predicate: Predicate,
        first: Index,
        second: Index,
        index: &Things,
    ) -> Result<(), String> {
        let (from, to) = (usize::from(first), usize::from(second));
        match predicate {
            Predicate::ReceptacleAtLocation => {
                set(&mut self.locations, to, |location| location.receptacles.push(first));
                let receptacle = self.receptacles.get_mut(from).ok_or("a receptacle without a number")?;
                if receptacle.location.replace(second).is_some_and(|before| before != second) {
                    return Err(format!("{} is at two locations", receptacle.name));
                }
            }
            Predicate::ReceptacleType => {
                let appliance = match index.id(Kind::ReceptacleType, second) {
                    "sinkbasintype" => Some(Appliance::Sink),
                    "microwavetype" => Some(Appliance::Microwave),
                    "fridgetype" => Some(Appliance::Fridge),
                    _ => None,
                };
                set(&mut self.receptacles, from, |receptacle| {
                    receptacle.types.push(second);
                    receptacle.use_for.extend(appliance);
                });
            }
            Predicate::ObjectType => {
                let is_knife = matches!(index.id(Kind::ObjectType, second), "knifetype" | "butterknifetype");
                set(&mut self.objects, from, |object| {
                    object.types.push(second);
                    object.is_knife |= is_knife;
                });
            }
            Predicate::InReceptacleObject => set(&mut self.objects, to, |object| object.content.push(first)),
            Predicate::InReceptacle => set(&mut self.start.contents, to, |content| content.push(first)),
            Predicate::ObjectAtLocation => set(&mut self.start.lying, to, |lying| lying.push(first)),
            Predicate::Holds => self.start.held.push(second),
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
            let takes = |class: &Index| receptacle.types.iter().any(|into| allowed.contains(&(*into, *class)));
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

fn set<T>(list: &mut [T], place: usize, change: impl FnOnce(&mut T)) {
    if let Some(item) = list.get_mut(place) {
        change(item);
    }
}

/// The things of a problem by kind, in the order of their ids. Objects, receptacles and locations without a fact take
/// part in nothing and get no number; upstream declares one of each class.
pub struct Things<'a> {
    ids: BTreeMap<Kind, Vec<&'a str>>,
    numbers: HashMap<&'a str, (Kind, Index)>,
    names: HashMap<&'a str, String>,
}

impl<'a> Things<'a> {
    fn of(problem: &'a Problem) -> Result<Self, String> {
        let mut with_fact: Vec<&str> = problem.facts.iter().flat_map(|fact| &fact.things).map(String::as_str).collect();
        with_fact.sort_unstable();
        with_fact.dedup();
        let mut things = Things { ids: BTreeMap::new(), numbers: HashMap::new(), names: display_names(&with_fact) };
        for (id, kind) in &problem.things {
            let takes_part = match kind {
                Kind::ReceptacleType | Kind::ObjectType | Kind::Agent => true,
                _ => with_fact.binary_search(&id.as_str()).is_ok(),
            };
            if takes_part {
                let ids = things.ids.entry(*kind).or_default();
                let number = Index::try_from(ids.len()).map_err(|_| format!("more than 65536 of {}", kind.name()))?;
                ids.push(id);
                things.numbers.insert(id, (*kind, number));
            }
        }
        Ok(things)
    }

    pub fn find(&self, id: &str) -> Option<(Kind, Index)> {
        self.numbers.get(id).copied()
    }

    fn number(&self, id: &str) -> Result<Index, String> {
        self.find(id).map(|(_, number)| number).ok_or_else(|| format!("{id} is not declared"))
    }

    pub fn count(&self, kind: Kind) -> usize {
        self.ids.get(&kind).map_or(0, Vec::len)
    }

    pub fn id(&self, kind: Kind, number: Index) -> &str {
        self.ids.get(&kind).and_then(|ids| ids.get(usize::from(number))).copied().unwrap_or_default()
    }

    fn named(&self, kind: Kind) -> impl Iterator<Item = String> {
        let ids = self.ids.get(&kind).into_iter().flatten();
        ids.map(|id| self.names.get(id).cloned().unwrap_or_default())
    }
}

/// `drawer_bar__minus_01_dot_20_bar_…` is shown as `drawer 3`: the class before the first `_bar_` (with `basin` behind it
/// where the id has that word) and a number. Numbers are handed out from the highest down, in the order of the ids.
fn display_names<'a>(sorted_ids: &[&'a str]) -> HashMap<&'a str, String> {
    let class = |id: &str| {
        let (class, _) = id.split_once("_bar_")?;
        Some(format!("{class}{}", if id.contains("basin") { "basin" } else { "" }))
    };
    let mut left: HashMap<String, usize> = HashMap::new();
    for class in sorted_ids.iter().filter_map(|id| class(id)) {
        *left.entry(class).or_default() += 1;
    }
    let mut name = |id: &str| match class(id) {
        // The blank at the end is upstream's.
        None => format!("{} ", readable(id)),
        Some(class) => {
            let number = left.entry(class.clone()).or_default();
            let name = format!("{} {number}", readable(&class));
            *number = number.saturating_sub(1);
            name
        }
    };
    sorted_ids.iter().map(|id| (*id, name(id))).collect()
}

/// Ids spell out the characters that PDDL does not allow.
fn readable(id: &str) -> String {
    id.replace("_minus_", "-").replace("_plus_", "+").replace("_dot_", ".").replace("_comma_", ",")
}
