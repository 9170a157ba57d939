//! A PDDL problem: the things of a room, the facts at the start, the goal.

use std::collections::{BTreeMap, HashMap};

use super::lisp::{self, Expression};

/// The types of ALFWorld's domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Agent,
    Location,
    Receptacle,
    Object,
    ReceptacleType,
    ObjectType,
}

impl Kind {
    pub fn named(name: &str) -> Option<Kind> {
        Some(match name {
            "agent" => Kind::Agent,
            "location" => Kind::Location,
            "receptacle" => Kind::Receptacle,
            "object" => Kind::Object,
            "rtype" => Kind::ReceptacleType,
            "otype" => Kind::ObjectType,
            _ => return None,
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            Kind::Agent => "agent",
            Kind::Location => "location",
            Kind::Receptacle => "receptacle",
            Kind::Object => "object",
            Kind::ReceptacleType => "rtype",
            Kind::ObjectType => "otype",
        }
    }
}

/// The domain's predicates that decide something: an action, a text, a goal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Predicate {
    AtLocation,
    ReceptacleAtLocation,
    ObjectAtLocation,
    Openable,
    Opened,
    InReceptacle,
    IsReceptacleObject,
    InReceptacleObject,
    ReceptacleType,
    CanContain,
    ObjectType,
    Holds,
    HoldsAny,
    Pickupable,
    Cleanable,
    Heatable,
    Coolable,
    Toggleable,
    Sliceable,
    IsClean,
    IsHot,
    IsCool,
    IsOn,
    IsToggled,
    IsSliced,
}

impl Predicate {
    /// By its name in lower case, with what its arguments are.
    pub fn named(name: &str) -> Option<(Predicate, &'static [Kind])> {
        use Kind::*;
        Some(match name {
            "atlocation" => (Predicate::AtLocation, &[Agent, Location]),
            "receptacleatlocation" => (Predicate::ReceptacleAtLocation, &[Receptacle, Location]),
            "objectatlocation" => (Predicate::ObjectAtLocation, &[Object, Location]),
            "openable" => (Predicate::Openable, &[Receptacle]),
            "opened" => (Predicate::Opened, &[Receptacle]),
            "inreceptacle" => (Predicate::InReceptacle, &[Object, Receptacle]),
            "isreceptacleobject" => (Predicate::IsReceptacleObject, &[Object]),
            "inreceptacleobject" => (Predicate::InReceptacleObject, &[Object, Object]),
            "receptacletype" => (Predicate::ReceptacleType, &[Receptacle, ReceptacleType]),
            "cancontain" => (Predicate::CanContain, &[ReceptacleType, ObjectType]),
            "objecttype" => (Predicate::ObjectType, &[Object, ObjectType]),
            "holds" => (Predicate::Holds, &[Agent, Object]),
            "holdsany" => (Predicate::HoldsAny, &[Agent]),
            "pickupable" => (Predicate::Pickupable, &[Object]),
            "cleanable" => (Predicate::Cleanable, &[Object]),
            "heatable" => (Predicate::Heatable, &[Object]),
            "coolable" => (Predicate::Coolable, &[Object]),
            "toggleable" => (Predicate::Toggleable, &[Object]),
            "sliceable" => (Predicate::Sliceable, &[Object]),
            "isclean" => (Predicate::IsClean, &[Object]),
            "ishot" => (Predicate::IsHot, &[Object]),
            "iscool" => (Predicate::IsCool, &[Object]),
            "ison" => (Predicate::IsOn, &[Object]),
            "istoggled" => (Predicate::IsToggled, &[Object]),
            "issliced" => (Predicate::IsSliced, &[Object]),
            _ => return None,
        })
    }
}

/// The domain's predicates on which nothing depends: facts with them are read and only give their things a name.
const WITHOUT_CONSEQUENCE: [&str; 7] = [
    "isreceptacleobjectfull",
    "wasinreceptacle",
    "checked",
    "examined",
    "holdsanyreceptacleobject",
    "full",
    "moveable",
];

#[derive(Debug, Clone)]
pub struct Fact {
    /// `None` when nothing depends on it.
    pub predicate: Option<Predicate>,
    pub things: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct Problem {
    /// Every declared thing, by its id in lower case.
    pub things: BTreeMap<String, Kind>,
    /// What is true at the start.
    pub facts: Vec<Fact>,
    pub goal: Expression,
}

impl Problem {
    pub fn read(text: &str) -> Result<Self, String> {
        let problem = lisp::read(text)?;
        let Some(("define", sections)) = problem.headed() else {
            return Err("expected (define (problem …) …)".to_string());
        };
        let mut parts: HashMap<&str, &[Expression]> = HashMap::new();
        for section in sections {
            match section.headed() {
                Some((name @ ("problem" | ":domain" | ":objects" | ":init" | ":goal"), rest)) => {
                    if parts.insert(name, rest).is_some() {
                        return Err(format!("two sections ({name} …)"));
                    }
                }
                // The requirements are the domain's; the metric is the sum of costs, which no text shows.
                Some((":requirements" | ":metric", _)) => {}
                Some((name, _)) => return Err(format!("the section ({name} …) is a PDDL construct not known here")),
                None => return Err(format!("expected a section like (:init …), got {section}")),
            }
        }
        let part = |name: &str| parts.get(name).copied().ok_or_else(|| format!("the section ({name} …) is missing"));
        let things = read_things(part(":objects")?)?;
        let facts = part(":init")?.iter().filter_map(|fact| read_fact(fact, &things).transpose());
        let facts = facts.collect::<Result<Vec<_>, _>>()?;
        match part(":goal")? {
            [goal] => Ok(Problem { facts, goal: goal.clone(), things }),
            other => Err(format!("(:goal …): expected one condition, got {}", other.len())),
        }
    }
}

/// `a b - object c - location`: variables of a quantifier and the things of a problem are declared alike.
pub fn declarations(items: &[Expression]) -> Result<Vec<(&str, Kind)>, String> {
    let mut declared: Vec<(&str, Kind)> = Vec::new();
    let mut waiting = Vec::new();
    let mut items = items.iter();
    while let Some(item) = items.next() {
        match item.word() {
            Some("-") => {
                let name = items.next().and_then(Expression::word).unwrap_or("nothing");
                // `(exists (?l - location, ?r - receptacle) …)`: the comma belongs to the word, and no thing has that
                // type. None of ALFWorld's goals is written so.
                let kind = Kind::named(name).ok_or_else(|| format!("the type \"{name}\" is not known here"))?;
                declared.extend(waiting.drain(..).map(|name| (name, kind)));
            }
            Some(name) => waiting.push(name),
            None => return Err(format!("expected a name, got {item}")),
        }
    }
    // PDDL gives what has no type the type `object`.
    declared.extend(waiting.into_iter().map(|name| (name, Kind::Object)));
    Ok(declared)
}

fn read_things(items: &[Expression]) -> Result<BTreeMap<String, Kind>, String> {
    let mut things = BTreeMap::new();
    for (name, kind) in declarations(items)? {
        if things.insert(name.to_string(), kind).is_some() {
            return Err(format!("(:objects …): {name} is declared twice"));
        }
    }
    Ok(things)
}

/// `None` for what says nothing: a distance, or that something is not the case.
fn read_fact(fact: &Expression, things: &BTreeMap<String, Kind>) -> Result<Option<Fact>, String> {
    let (name, arguments) = fact.headed().ok_or_else(|| format!("(:init …): expected a fact, got {fact}"))?;
    if name == "=" || name == "not" {
        return Ok(None);
    }
    let arguments = arguments.iter().map(|argument| argument.word().ok_or(argument));
    let arguments: Vec<&str> = arguments.collect::<Result<_, _>>().map_err(|_| unreadable(fact, "names"))?;
    let mut kinds = Vec::with_capacity(arguments.len());
    for argument in &arguments {
        kinds.push(*things.get(*argument).ok_or_else(|| format!("(:init …): {fact}: {argument} is not declared"))?);
    }
    let predicate = match Predicate::named(name) {
        Some((predicate, expected)) if kinds == expected => Some(predicate),
        Some((_, expected)) => {
            let expected: Vec<&str> = expected.iter().map(|kind| kind.name()).collect();
            return Err(unreadable(fact, &expected.join(" and ")));
        }
        None if WITHOUT_CONSEQUENCE.contains(&name) => None,
        None => return Err(format!("(:init …): {fact}: the predicate {name} is not known here")),
    };
    Ok(Some(Fact { predicate, things: arguments.into_iter().map(str::to_string).collect() }))
}

fn unreadable(fact: &Expression, expected: &str) -> String {
    format!("(:init …): {fact}: expected {expected}")
}
