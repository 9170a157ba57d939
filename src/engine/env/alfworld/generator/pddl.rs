//! A room of ours written as a PDDL problem of ALFWorld's domain.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::classes::{CONTAINERS, ObjectClass};
use super::{Aim, Builder, LAMPS, OPENABLE};
use crate::engine::env::alfworld::task::TaskType;

/// The domain speaks of these types, so they are declared in rooms without them as well.
const RECEPTACLE_TYPES_OF_THE_DOMAIN: [&str; 3] = ["SinkBasin", "Microwave", "Fridge"];
const OBJECT_TYPES_OF_THE_DOMAIN: [&str; 2] = ["Knife", "ButterKnife"];

/// `Apple_bar__plus_01_dot_20_bar_…`; a basin is part of its sink or tub and named behind it.
pub fn thing_id(class: &str, centimetres: [i64; 3]) -> String {
    let place = centimetres.map(|x| {
        let sign = if x < 0 { "_minus_" } else { "_plus_" };
        format!("_bar_{sign}{:02}_dot_{:02}", x.abs() / 100, x.abs() % 100)
    });
    match class {
        "SinkBasin" => format!("Sink{}_bar_SinkBasin", place.concat()),
        "BathtubBasin" => format!("Bathtub{}_bar_BathtubBasin", place.concat()),
        _ => format!("{class}{}", place.concat()),
    }
}

pub fn location_id(x: i64, y: i64, turn: u64, tilt: u64) -> String {
    let signed = |x: i64| if x < 0 { format!("_minus_{}", -x) } else { x.to_string() };
    format!("loc_bar_{}_bar_{}_bar_{turn}_bar_{tilt}", signed(x), signed(y))
}

pub fn problem(room: &Builder, task_type: TaskType, aim: Aim, start: usize) -> String {
    let mut text = "(define (problem household)\n(:domain alfred)\n(:objects\nagent1 - agent\n".to_string();
    write_things(&mut text, room, aim);
    text.push_str(")\n(:init\n");
    line(&mut text, format_args!("(atLocation agent1 {})", room.locations[start]));
    write_receptacles(&mut text, room);
    write_what_fits(&mut text, room, aim);
    write_objects(&mut text, room);
    line(&mut text, format_args!(")\n(:goal {})\n)", goal(task_type, aim)));
    text
}

fn object_classes<'a>(room: &'a Builder, aim: Aim) -> BTreeSet<&'a str> {
    room.objects.iter().map(|thing| thing.class).chain([aim.object.name]).collect()
}

fn receptacle_classes<'a>(room: &'a Builder) -> BTreeSet<&'a str> {
    room.receptacles.iter().map(|thing| thing.class).collect()
}

fn write_things(text: &mut String, room: &Builder, aim: Aim) {
    let mut object_types = object_classes(room, aim);
    object_types.extend(OBJECT_TYPES_OF_THE_DOMAIN);
    let mut receptacle_types = receptacle_classes(room);
    receptacle_types.extend(RECEPTACLE_TYPES_OF_THE_DOMAIN);
    object_types.iter().for_each(|class| line(text, format_args!("{class}Type - otype")));
    receptacle_types.iter().for_each(|class| line(text, format_args!("{class}Type - rtype")));
    room.objects.iter().for_each(|thing| line(text, format_args!("{} - object", thing.id)));
    room.receptacles.iter().for_each(|thing| line(text, format_args!("{} - receptacle", thing.id)));
    room.locations.iter().for_each(|id| line(text, format_args!("{id} - location")));
}

fn write_receptacles(text: &mut String, room: &Builder) {
    for (thing, &location) in room.receptacles.iter().zip(&room.stands_at) {
        let id = &thing.id;
        line(text, format_args!("(receptacleType {id} {}Type)", thing.class));
        line(text, format_args!("(receptacleAtLocation {id} {})", room.locations[location]));
        if OPENABLE.contains(&thing.class) {
            line(text, format_args!("(openable {id})"));
        }
    }
}

fn write_what_fits(text: &mut String, room: &Builder, aim: Aim) {
    let objects = object_classes(room, aim);
    for into in receptacle_classes(room) {
        let fits = |name: &&&str| ObjectClass::named(name).is_some_and(|class| class.fits(into));
        for what in objects.iter().filter(fits) {
            line(text, format_args!("(canContain {into}Type {what}Type)"));
        }
    }
}

fn write_objects(text: &mut String, room: &Builder) {
    for thing in &room.objects {
        line(text, format_args!("(objectType {} {}Type)", thing.id, thing.class));
        for property in properties(thing.class) {
            line(text, format_args!("({property} {})", thing.id));
        }
    }
    for &(object, place) in &room.inside {
        let (object, receptacle) = (&room.objects[object].id, &room.receptacles[place].id);
        line(text, format_args!("(inReceptacle {object} {receptacle})"));
        line(text, format_args!("(objectAtLocation {object} {})", room.locations[room.stands_at[place]]));
    }
    for &(object, location) in &room.on_the_floor {
        line(text, format_args!("(objectAtLocation {} {})", room.objects[object].id, room.locations[location]));
    }
    for &(inner, outer) in &room.nested {
        line(text, format_args!("(inReceptacleObject {} {})", room.objects[inner].id, room.objects[outer].id));
    }
}

fn properties(class: &str) -> Vec<&'static str> {
    let about = ObjectClass::named(class);
    let is = |property: fn(&ObjectClass) -> bool| about.is_some_and(property);
    let properties = [
        ("pickupable", about.is_some()),
        ("isReceptacleObject", CONTAINERS.iter().any(|(container, _)| *container == class)),
        ("cleanable", is(ObjectClass::is_cleanable)),
        ("heatable", is(ObjectClass::is_heatable)),
        ("coolable", is(ObjectClass::is_coolable)),
        ("sliceable", is(ObjectClass::is_sliceable)),
        ("toggleable", LAMPS.contains(&class)),
    ];
    properties.into_iter().filter(|(_, has)| *has).map(|(property, _)| property).collect()
}

fn goal(task_type: TaskType, aim: Aim) -> String {
    let (object, target) = (format!("{}Type", aim.object.name), format!("{}Type", aim.target));
    let placed = |thing: &str| format!("(objectType {thing} {object}) (inReceptacle {thing} ?r)");
    let one = |condition: &str| {
        let placed = placed("?o");
        format!("(exists (?r - receptacle ?o - object) (and (receptacleType ?r {target}) {placed}{condition}))")
    };
    match task_type {
        TaskType::Clean => one(" (cleanable ?o) (isClean ?o)"),
        TaskType::Heat => one(" (heatable ?o) (isHot ?o)"),
        TaskType::Cool => one(" (coolable ?o) (isCool ?o)"),
        TaskType::PickTwo => format!(
            "(exists (?r - receptacle ?o - object ?p - object) (and (receptacleType ?r {target}) {} {} (not (= ?o ?p))))",
            placed("?o"),
            placed("?p")
        ),
        TaskType::LookInLight => format!(
            "(and (exists (?lamp - object ?r - receptacle ?a - agent ?l - location) (and (objectType ?lamp {target}) \
             (toggleable ?lamp) (isToggled ?lamp) (inReceptacle ?lamp ?r) (receptacleAtLocation ?r ?l) \
             (atLocation ?a ?l))) (exists (?o - object ?a - agent) (and (objectType ?o {object}) (holds ?a ?o))))"
        ),
        _ => one(""),
    }
}

fn line(text: &mut String, line: std::fmt::Arguments) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{line}");
}
