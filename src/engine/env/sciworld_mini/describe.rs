//! What the agent is told of the things around.

use super::matter::State;
use super::world::{Hold, Id, World};

/// `a` or `an` before a name; nothing before matter.
pub fn with_article(world: &World, id: Id) -> String {
    let thing = &world.things[id];
    let name = thing.name();
    match name.chars().next() {
        _ if thing.matter.is_some() => name.to_string(),
        Some('a' | 'e' | 'i' | 'o' | 'u') => format!("an {name}"),
        _ => format!("a {name}"),
    }
}

/// A thing with its condition and what is in it.
pub fn thing(world: &World, id: Id) -> String {
    let it = &world.things[id];
    let mut text = with_article(world, id);
    if let Some(appliance) = it.appliance.as_ref().filter(|appliance| appliance.has_switch) {
        text.push_str(if appliance.is_on { ", switched on" } else { ", switched off" });
    }
    match (it.hold, it.lid) {
        (None, _) => {}
        (Some(_), Some(false)) => text.push_str(", closed"),
        (Some(hold), lid) => {
            if lid.is_some() {
                text.push_str(", open");
            }
            let content: Vec<String> = world.content(id).map(|inner| thing(world, inner)).collect();
            let held = if content.is_empty() { "nothing".to_string() } else { content.join("; ") };
            text.push_str(if hold == Hold::In { " (inside: " } else { " (on it: " });
            text.push_str(&held);
            text.push(')');
        }
    }
    text
}

pub fn room(world: &World) -> String {
    let here = world.here();
    let mut text = format!("You are in the {}. You notice:", world.things[here].name());
    for id in world.content(here).filter(|id| *id != world.agent) {
        text.push_str(&format!("\n\t{}", thing(world, id)));
    }
    for (number, beyond) in world.doors_here() {
        let open = if world.doors[number].is_open { "open" } else { "closed" };
        text.push_str(&format!("\n\tthe door to the {}, {open}", world.things[beyond].name()));
    }
    text
}

pub fn inventory(world: &World) -> String {
    let carried: Vec<String> = world.content(world.agent).map(|id| format!("\n\t{}", thing(world, id))).collect();
    if carried.is_empty() { "You carry nothing.".to_string() } else { format!("You carry:{}", carried.concat()) }
}

/// A thing on its own, as someone who looks closely sees it.
pub fn closely(world: &World, id: Id) -> String {
    match world.things[id].state() {
        Some(State::Solid) => format!("{}, which is solid.", thing(world, id)),
        Some(State::Liquid) => format!("{}, which is liquid.", thing(world, id)),
        Some(State::Gas) => format!("{}, which is a gas.", thing(world, id)),
        None => format!("{}.", thing(world, id)),
    }
}
