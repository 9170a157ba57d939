//! What the agent can do, and what comes of it.

use super::describe;
use super::world::{Hold, Id, World};

/// An action that was understood.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Action {
    LookAround,
    Inventory,
    Task,
    LookAt(Id),
    Open(Id),
    Close(Id),
    OpenDoor(usize),
    CloseDoor(usize),
    GoTo(Id),
    PickUp(Id),
    PutDown(Id),
    Move(Id, Id),
    Pour(Id, Id),
    Switch(Id, bool),
    /// Only the thermometer can be used, on anything.
    Use(Id, Id),
    Focus(Id),
    Wait(u32),
}

impl Action {
    /// How many moments it takes; a look takes none.
    pub fn moves(self) -> u32 {
        match self {
            Action::LookAround | Action::Inventory | Action::Task => 0,
            Action::Wait(moments) => moments,
            _ => 1,
        }
    }
}

pub const THERMOMETER: &str = "thermometer";

const NOT_UNDERSTOOD: &str = "That is not an action.";

/// An action with the one thing that it is done to.
type WithOne = fn(Id) -> Action;

/// Reads an action; the error is the observation. Case and spaces do not matter.
pub fn read(world: &World, text: &str) -> Result<Action, String> {
    let words = text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ");
    match words.as_str() {
        "look around" | "look" => return Ok(Action::LookAround),
        "inventory" => return Ok(Action::Inventory),
        "task" => return Ok(Action::Task),
        "wait" => return Ok(Action::Wait(10)),
        "wait1" => return Ok(Action::Wait(1)),
        _ => {}
    }
    let one = |prefix: &str| words.strip_prefix(prefix);
    let two = |prefix: &str, between: &[&str]| {
        let rest = words.strip_prefix(prefix)?;
        between.iter().find_map(|word| rest.split_once(word))
    };
    let named = |name: &str| find(world, name);
    if let Some(name) = one("go to ").map(without_article) {
        return Ok(Action::GoTo(room(world, name)?));
    }
    if let Some(name) = one("open ").or(one("close ")) {
        let opens = words.starts_with("open");
        if let Some(number) = door(world, without_article(name)) {
            return Ok(if opens { Action::OpenDoor(number) } else { Action::CloseDoor(number) });
        }
        return named(name).map(if opens { Action::Open } else { Action::Close });
    }
    if let Some((name, onto)) = two("move ", &[" to ", " into "]) {
        return Ok(Action::Move(named(name)?, named(onto)?));
    }
    if let Some((name, into)) = two("pour ", &[" into ", " in ", " to "]) {
        return Ok(Action::Pour(named(name)?, named(into)?));
    }
    if let Some((name, on)) = two("use ", &[" on "]) {
        return Ok(Action::Use(named(name)?, named(on)?));
    }
    for prefix in ["look at ", "look in ", "examine "] {
        if let Some(name) = one(prefix) {
            return named(name).map(Action::LookAt);
        }
    }
    let simple: [(&str, WithOne); 5] = [
        ("pick up ", Action::PickUp),
        ("put down ", Action::PutDown),
        ("activate ", |id| Action::Switch(id, true)),
        ("deactivate ", |id| Action::Switch(id, false)),
        ("focus on ", Action::Focus),
    ];
    let found = simple.iter().find_map(|(prefix, action)| Some((one(prefix)?, action)));
    let (name, action) = found.ok_or_else(|| NOT_UNDERSTOOD.to_string())?;
    named(name).map(action)
}

fn without_article(name: &str) -> &str {
    ["the ", "a ", "an "].iter().find_map(|article| name.strip_prefix(article)).unwrap_or(name)
}

/// Something in reach by its name; `water in cup` and `substance in cup` are understood too.
fn find(world: &World, name: &str) -> Result<Id, String> {
    let name = without_article(name);
    let reachable = world.reachable();
    let called = |id: &Id, name: &str| {
        let thing = &world.things[*id];
        thing.name() == name || (name == "substance" && thing.matter.is_some())
    };
    if let Some(id) = reachable.iter().find(|id| called(id, name)) {
        return Ok(*id);
    }
    let within = name.rsplit_once(" in ").and_then(|(inner, outer)| {
        let outer = without_article(outer);
        let is_in = |id: &&Id| world.things[**id].place.is_some_and(|place| world.things[place].name() == outer);
        reachable.iter().filter(is_in).find(|id| called(id, inner)).copied()
    });
    within.ok_or_else(|| format!("There is no {name} in reach."))
}

/// A door by what it leads to: `door to kitchen`, `kitchen door`, `door to the kitchen`.
fn door(world: &World, name: &str) -> Option<usize> {
    let to = name.strip_prefix("door to ").map(without_article).or_else(|| name.strip_suffix(" door"))?;
    world.doors_here().find(|(_, beyond)| world.things[*beyond].name() == to).map(|(number, _)| number)
}

fn room(world: &World, name: &str) -> Result<Id, String> {
    let rooms = || world.things.iter().enumerate().filter(|(_, thing)| thing.place.is_none());
    rooms().find(|(_, room)| room.name() == name).map(|(id, _)| id).ok_or_else(|| format!("There is no place {name}."))
}

/// Does it, and says what comes of it.
pub fn act(world: &mut World, action: Action) -> String {
    done(world, action).unwrap_or_else(|refusal| refusal)
}

fn done(world: &mut World, action: Action) -> Result<String, String> {
    let name = |world: &World, id: Id| world.things[id].name().to_string();
    match action {
        Action::LookAround => Ok(describe::room(world)),
        Action::Inventory => Ok(describe::inventory(world)),
        // Told by the episode, which knows its task.
        Action::Task => Ok(String::new()),
        Action::LookAt(id) => Ok(describe::closely(world, id)),
        Action::Open(id) | Action::Close(id) => lid(world, id, matches!(action, Action::Open(_))),
        Action::OpenDoor(number) | Action::CloseDoor(number) => {
            let is_open = matches!(action, Action::OpenDoor(_));
            let before = std::mem::replace(&mut world.doors[number].is_open, is_open);
            let how = if is_open { "open" } else { "closed" };
            Ok(if before == is_open {
                format!("The door is {how} already.")
            } else {
                format!("The door is {how} now.")
            })
        }
        Action::GoTo(room) => go(world, room),
        Action::PickUp(id) => {
            if world.things[id].place == Some(world.agent) {
                return Err(format!("You carry the {} already.", name(world, id)));
            }
            can_be_taken(world, id)?;
            world.things[id].place = Some(world.agent);
            Ok(format!("You take the {}.", name(world, id)))
        }
        Action::PutDown(id) => {
            if !world.is_within(id, world.agent) {
                return Err(format!("You do not carry the {}.", name(world, id)));
            }
            can_be_taken(world, id)?;
            world.things[id].place = Some(world.here());
            Ok(format!("You put the {} on the floor.", name(world, id)))
        }
        Action::Move(id, holder) => {
            can_be_taken(world, id)?;
            place(world, id, holder)?;
            Ok(format!("The {} is with the {} now.", name(world, id), name(world, holder)))
        }
        Action::Pour(id, holder) => {
            let poured = match world.things[id].matter {
                Some(_) => id,
                None => world
                    .content(id)
                    .find(|inner| world.things[*inner].matter.is_some())
                    .ok_or_else(|| format!("There is nothing to pour in the {}.", name(world, id)))?,
            };
            place(world, poured, holder)?;
            Ok(format!("You pour the {} into the {}.", name(world, poured), name(world, holder)))
        }
        Action::Switch(id, on) => switch(world, id, on),
        Action::Use(tool, on) if name(world, tool) == THERMOMETER => {
            let celsius = world.things[on].matter.as_ref().map_or(super::matter::ROOM, |matter| matter.celsius);
            Ok(format!("The thermometer shows {} degrees Celsius for the {}.", celsius.round() as i64, name(world, on)))
        }
        Action::Use(tool, _) => Err(format!("The {} is of no use there.", name(world, tool))),
        Action::Focus(id) => Ok(format!("You turn your attention to the {}.", name(world, id))),
        Action::Wait(moments) => Ok(match moments {
            1 => "A moment passes.".to_string(),
            _ => "Some time passes.".to_string(),
        }),
    }
}

fn lid(world: &mut World, id: Id, open: bool) -> Result<String, String> {
    let thing = &mut world.things[id];
    let how = if open { "open" } else { "closed" };
    match &mut thing.lid {
        None => Err(format!("The {} cannot be opened or closed.", thing.name())),
        Some(is_open) if *is_open == open => Err(format!("The {} is {how} already.", thing.name())),
        Some(is_open) => {
            *is_open = open;
            Ok(format!("The {} is {how} now.", thing.name()))
        }
    }
}

fn go(world: &mut World, room: Id) -> Result<String, String> {
    let name = world.things[room].name().to_string();
    let door = world.doors_here().find(|(_, beyond)| *beyond == room).map(|(number, _)| world.doors[number].is_open);
    match door {
        _ if room == world.here() => Err(format!("You are in the {name} already.")),
        None => Err(format!("No door leads from here to the {name}.")),
        Some(false) => Err("The door is closed.".to_string()),
        Some(true) => {
            world.things[world.agent].place = Some(room);
            Ok(format!("You walk to the {name}."))
        }
    }
}

fn can_be_taken(world: &World, id: Id) -> Result<(), String> {
    let thing = &world.things[id];
    match (thing.can_be_picked_up(), thing.is_portable) {
        (true, _) => Ok(()),
        (false, true) => Err(format!("The {} would run through your fingers.", thing.name())),
        (false, false) => Err(format!("The {} stays where it is.", thing.name())),
    }
}

fn place(world: &mut World, id: Id, holder: Id) -> Result<(), String> {
    let (thing, into) = (&world.things[id], &world.things[holder]);
    match (into.hold, into.lid) {
        _ if id == holder || world.is_within(holder, id) => Err("Nothing can hold itself.".to_string()),
        (None, _) => Err(format!("The {} holds nothing.", into.name())),
        (Some(_), Some(false)) => Err(format!("The {} is closed.", into.name())),
        // What holds liquids holds one at a time.
        (Some(Hold::In), _)
            if thing.matter.is_some()
                && world.content(holder).any(|other| other != id && world.things[other].matter.is_some())
                && into.is_portable =>
        {
            Err(format!("There is something in the {} already.", into.name()))
        }
        _ => {
            world.things[id].place = Some(holder);
            Ok(())
        }
    }
}

fn switch(world: &mut World, id: Id, on: bool) -> Result<String, String> {
    let name = world.things[id].name().to_string();
    let how = if on { "on" } else { "off" };
    match &mut world.things[id].appliance {
        Some(appliance) if appliance.has_switch && appliance.is_broken => Err(format!("The {name} does not work.")),
        Some(appliance) if appliance.has_switch && appliance.is_on == on => {
            Err(format!("The {name} is {how} already."))
        }
        Some(appliance) if appliance.has_switch => {
            appliance.is_on = on;
            Ok(format!("The {name} is {how} now."))
        }
        _ => Err(format!("The {name} has no switch.")),
    }
}

/// Every action that does something here, in a fixed order.
pub fn admissible(world: &World) -> Vec<String> {
    let mut actions: Vec<String> = ["look around", "inventory", "task", "wait", "wait1"].map(String::from).to_vec();
    for (number, beyond) in world.doors_here() {
        let name = world.things[beyond].name();
        let is_open = world.doors[number].is_open;
        actions.push(if is_open { format!("go to {name}") } else { format!("open door to {name}") });
    }
    let reachable = world.reachable();
    let holders: Vec<Id> = reachable.iter().copied().filter(|id| can_hold_more(world, *id)).collect();
    for &id in &reachable {
        let thing = &world.things[id];
        let name = thing.name();
        actions.extend([format!("look at {name}"), format!("focus on {name}")]);
        if let Some(is_open) = thing.lid {
            actions.push(format!("{} {name}", if is_open { "close" } else { "open" }));
        }
        if let Some(appliance) = thing.appliance.as_ref().filter(|appliance| appliance.has_switch) {
            actions.push(format!("{} {name}", if appliance.is_on { "deactivate" } else { "activate" }));
        }
        if thing.can_be_picked_up() {
            let carried = thing.place == Some(world.agent);
            actions.push(format!("{} {name}", if carried { "put down" } else { "pick up" }));
            let onto = holders.iter().filter(|holder| Some(**holder) != thing.place && **holder != id);
            actions.extend(onto.map(|holder| format!("move {name} to {}", world.things[*holder].name())));
        }
        if name == THERMOMETER {
            let on = reachable.iter().filter(|other| **other != id);
            actions.extend(on.map(|other| format!("use {name} on {}", world.things[*other].name())));
        }
    }
    actions
}

fn can_hold_more(world: &World, id: Id) -> bool {
    world.things[id].hold.is_some() && world.things[id].lid != Some(false)
}
