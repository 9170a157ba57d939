//! The texts: commands, what follows each, and the opening. The sentences are those of the original's grammar; a game's
//! [dialect](super::dialect) decides where its versions differ.

use std::fmt::Write;

use super::dialect::Wording;
use super::household::Household;
use super::state::{Action, Flag, State};
use super::things::Index;

pub const NOTHING_HAPPENS: &str = "Nothing happens.";

const WELCOME: &str = "-= Welcome to TextWorld, ALFRED! =-";

/// What `help` lists: each command with its explanation, which begins in one column except where upstream's does not.
const HELP: [(&str, &str); 13] = [
    ("look:                             ", "look around your current location"),
    ("inventory:                        ", "check your current inventory"),
    ("go to (receptacle):               ", "move to a receptacle"),
    ("open (receptacle):                ", "open a receptacle"),
    ("close (receptacle):               ", "close a receptacle"),
    ("take (object) from (receptacle):  ", "take an object from a receptacle"),
    ("move (object) to (receptacle):  ", "place an object in or on a receptacle"),
    ("examine (something):              ", "examine a receptacle or an object"),
    ("use (object):                     ", "use an object"),
    ("heat (object) with (receptacle):  ", "heat an object using a receptacle"),
    ("clean (object) with (receptacle): ", "clean an object using a receptacle"),
    ("cool (object) with (receptacle):  ", "cool an object using a receptacle"),
    ("slice (object) with (object):     ", "slice an object using a sharp object"),
];

/// The opening: a welcome, the room, the task.
pub fn opening(household: &Household, state: &State) -> String {
    let room = match household.receptacles_at(state.at) {
        [] => {
            let receptacles = household.receptacles.iter().filter(|receptacle| receptacle.location.is_some());
            middle_of_the_room(receptacles.map(|receptacle| receptacle.name.as_str()))
        }
        _ => look(household, state),
    };
    format!("{WELCOME}\n\n{room}\n\n{}", household.sentence)
}

/// The words that a player types for `action`.
pub fn command(household: &Household, action: Action) -> String {
    let object = |index: Index| household.object(index).name.as_str();
    let receptacle = |index: Index| household.receptacle(index).name.as_str();
    match action {
        Action::Look => "look".to_string(),
        Action::Inventory => "inventory".to_string(),
        Action::Help => "help".to_string(),
        Action::ExamineReceptacle(r) => format!("examine {}", receptacle(r)),
        Action::ExamineObject(o) => format!("examine {}", object(o)),
        Action::Go(r) => format!("go to {}", receptacle(r)),
        Action::Open(r) => format!("open {}", receptacle(r)),
        Action::Close(r) => format!("close {}", receptacle(r)),
        Action::Take(o, r) => format!("take {} from {}", object(o), receptacle(r)),
        Action::Put(o, r) => match household.dialect.command {
            Wording::Put => format!("put {} in/on {}", object(o), receptacle(r)),
            Wording::Move => format!("move {} to {}", object(o), receptacle(r)),
        },
        Action::Clean(o, r) => format!("clean {} with {}", object(o), receptacle(r)),
        Action::Heat(o, r) => format!("heat {} with {}", object(o), receptacle(r)),
        Action::Cool(o, r) => format!("cool {} with {}", object(o), receptacle(r)),
        Action::Use(o) => format!("use {}", object(o)),
        Action::Slice(o, knife) => format!("slice {} with {}", object(o), object(knife)),
    }
}

/// What is said after `action`; `state` is the state that it led to.
pub fn feedback(household: &Household, state: &State, action: Action) -> String {
    let object = |index: Index| household.object(index).name.as_str();
    let receptacle = |index: Index| household.receptacle(index).name.as_str();
    match action {
        Action::Look => look(household, state),
        Action::Inventory => inventory(household, state),
        Action::Help => help(),
        Action::ExamineReceptacle(r) => examine_receptacle(household, state, r),
        Action::ExamineObject(o) => examine_object(household, state, o),
        Action::Go(r) => {
            let place = match household.dialect.arrival {
                Wording::Put => household.locations[usize::from(state.at)].name.as_str(),
                Wording::Move => receptacle(r),
            };
            format!("You arrive at {place}. {}", examine_receptacle(household, state, r))
        }
        Action::Open(r) => format!("You open the {}. {}", receptacle(r), examine_receptacle(household, state, r)),
        Action::Close(r) => format!("You close the {}.", receptacle(r)),
        Action::Take(o, r) => format!("You pick up the {} from the {}.", object(o), receptacle(r)),
        Action::Put(o, r) => match household.dialect.report {
            Wording::Put => format!("You put the {} in/on the {}.", object(o), receptacle(r)),
            Wording::Move => format!("You move the {} to the {}.", object(o), receptacle(r)),
        },
        Action::Clean(o, r) => format!("You clean the {} using the {}.", object(o), receptacle(r)),
        Action::Heat(o, r) => format!("You heat the {} using the {}.", object(o), receptacle(r)),
        Action::Cool(o, r) => format!("You cool the {} using the {}.", object(o), receptacle(r)),
        // Upstream's text asks whether the lamp was ever switched, so it never says "off".
        Action::Use(o) => format!("You turn on the {}.", object(o)),
        Action::Slice(o, knife) => format!("You sliced the {} with the {}.", object(o), object(knife)),
    }
}

/// At a location without receptacles (the start of most games) nothing is seen, other than in the opening: upstream
/// looks for the receptacles of that very location.
fn look(household: &Household, state: &State) -> String {
    let here = household.receptacles_at(state.at);
    if here.is_empty() {
        return middle_of_the_room(std::iter::empty());
    }
    let facing = listed(here.iter().map(|&r| household.receptacle(r).name.as_str()));
    // An object is listed once for every receptacle here that it was taken out of.
    let on_the_floor = state.lying[usize::from(state.at)].iter().flat_map(|object| {
        let left = here.iter().filter(|&&r| state.taken[usize::from(r)].binary_search(object).is_ok());
        left.map(|_| household.object(*object).name.as_str())
    });
    format!("You are facing the {facing}. Next to it, you see {}.", listed_with_article(on_the_floor))
}

fn middle_of_the_room<'a>(receptacles: impl Iterator<Item = &'a str>) -> String {
    let seen = listed_with_article(receptacles);
    format!("You are in the middle of a room. Looking quickly around you, you see {seen}.")
}

fn inventory(household: &Household, state: &State) -> String {
    match state.hands_full {
        true => {
            let held = state.held.iter().map(|&o| household.object(o).name.as_str());
            format!("You are carrying: {}.", listed_with_article(held))
        }
        false => "You are not carrying anything.".to_string(),
    }
}

fn examine_receptacle(household: &Household, state: &State, r: Index) -> String {
    let receptacle = household.receptacle(r);
    let content = || listed_with_article(state.content(r).iter().map(|&o| household.object(o).name.as_str()));
    match (receptacle.openable, state.is_open(r)) {
        (true, true) => format!("The {} is open. In it, you see {}.", receptacle.name, content()),
        (true, false) => format!("The {} is closed.", receptacle.name),
        (false, _) => format!("On the {}, you see {}.", receptacle.name, content()),
    }
}

/// The first line of the original's list that fits. A container's content goes before everything else.
fn examine_object(household: &Household, state: &State, o: Index) -> String {
    let object = household.object(o);
    let name = object.name.as_str();
    if object.is_container {
        let content = listed_with_article(object.content.iter().map(|&o| household.object(o).name.as_str()));
        return format!("This is a normal {name}. In it, you see {content}.");
    }
    let is = |flag| state.has(o, flag);
    match (is(Flag::Clean), is(Flag::Hot), is(Flag::Cool), is(Flag::Sliced)) {
        (true, true, _, true) => format!("This is a hot and clean sliced {name}."),
        (true, _, true, true) => format!("This is a cool and clean sliced {name}."),
        (true, _, _, true) => format!("This is a clean sliced {name}."),
        (_, true, _, true) => format!("This is a hot sliced {name}."),
        (_, _, true, true) => format!("This is a cool sliced {name}."),
        (true, true, _, _) => format!("This is a hot and clean {name}."),
        (true, _, true, _) => format!("This is a cool and clean {name}."),
        (_, true, _, _) => format!("This is a hot {name}."),
        (true, _, _, _) => format!("This is a clean {name}."),
        (_, _, true, _) => format!("This is a cold {name}."),
        _ if object.toggleable && is(Flag::Toggled) => format!("This {name} is on."),
        _ if object.sliceable && is(Flag::Sliced) => format!("This is a sliced {name}."),
        _ => format!("There's nothing special about {name}."),
    }
}

fn help() -> String {
    HELP.iter().fold("Available commands:\n".to_string(), |mut text, (command, explanation)| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {command}{explanation}");
        text
    })
}

/// `a`, `a, and b`, `a, b, and c`; `nothing` for an empty list.
fn listed<'a>(items: impl Iterator<Item = &'a str>) -> String {
    join(items, "")
}

fn listed_with_article<'a>(items: impl Iterator<Item = &'a str>) -> String {
    join(items, "a ")
}

fn join<'a>(items: impl Iterator<Item = &'a str>, article: &str) -> String {
    let items: Vec<&str> = items.collect();
    let mut text = String::new();
    for (index, item) in items.iter().enumerate() {
        let separator = match index {
            0 => "",
            _ if index + 1 == items.len() => ", and ",
            _ => ", ",
        };
        text.extend([separator, article, item]);
    }
    if text.is_empty() { "nothing".to_string() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::env::alfworld::dialect::Dialect;
    use crate::engine::env::alfworld::problem::Problem;

    /// A fridge and a counter share a location; an egg is in a bowl; a cup stands on the floor.
    const ROOM: &str = "(define (problem room) (:domain alfred) (:objects agent1 - agent
        apple_bar_1 egg_bar_1 knife_bar_1 bowl_bar_1 lamp_bar_1 cup_bar_1 - object
        counter_bar_1 fridge_bar_1 microwave_bar_1 sink_bar_1_bar_sinkbasin - receptacle
        loc_bar_1 loc_bar_2 loc_bar_3 - location
        AppleType EggType KnifeType BowlType LampType - otype
        CounterType FridgeType MicrowaveType SinkBasinType - rtype)
      (:init (atLocation agent1 loc_bar_3) (openable fridge_bar_1) (objectAtLocation cup_bar_1 loc_bar_1)
        (receptacleAtLocation counter_bar_1 loc_bar_1) (receptacleType counter_bar_1 CounterType)
        (receptacleAtLocation fridge_bar_1 loc_bar_1) (receptacleType fridge_bar_1 FridgeType)
        (receptacleAtLocation microwave_bar_1 loc_bar_2) (receptacleType microwave_bar_1 MicrowaveType)
        (receptacleAtLocation sink_bar_1_bar_sinkbasin loc_bar_2)
        (receptacleType sink_bar_1_bar_sinkbasin SinkBasinType)
        (inReceptacle apple_bar_1 counter_bar_1) (objectAtLocation apple_bar_1 loc_bar_1)
        (inReceptacle egg_bar_1 counter_bar_1) (objectAtLocation egg_bar_1 loc_bar_1)
        (inReceptacle bowl_bar_1 counter_bar_1) (inReceptacle knife_bar_1 counter_bar_1)
        (inReceptacle lamp_bar_1 fridge_bar_1) (isReceptacleObject bowl_bar_1) (inReceptacleObject egg_bar_1 bowl_bar_1)
        (objectType apple_bar_1 AppleType) (objectType egg_bar_1 EggType) (objectType knife_bar_1 KnifeType)
        (objectType bowl_bar_1 BowlType) (objectType lamp_bar_1 LampType)
        (pickupable apple_bar_1) (pickupable knife_bar_1) (pickupable bowl_bar_1) (pickupable cup_bar_1)
        (cleanable apple_bar_1) (heatable apple_bar_1) (coolable apple_bar_1) (sliceable apple_bar_1)
        (sliceable egg_bar_1) (toggleable lamp_bar_1)
        (canContain CounterType AppleType) (canContain FridgeType AppleType) (canContain CounterType KnifeType)
        (canContain CounterType BowlType))
      (:goal (exists (?o - object) (isToggled ?o))))";

    fn room() -> Household {
        let problem = Problem::read(ROOM).unwrap();
        Household::new(&problem, Dialect::of(Wording::Move), "Your task is to: see.".to_string()).unwrap()
    }

    /// Plays commands, each `command` or `command => what is said`.
    fn play(household: &Household, script: &str) -> State {
        let mut state = household.start.clone();
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (typed, expected) = line.split_once(" => ").unwrap_or((line, ""));
            let actions = state.actions(household).into_iter();
            let action = actions.clone().find(|action| command(household, *action) == typed);
            let said = match action {
                Some(action) => {
                    state.apply(household, action);
                    feedback(household, &state, action)
                }
                None => NOTHING_HAPPENS.to_string(),
            };
            assert!(expected.is_empty() || said == expected, "{line}: {said}");
        }
        state
    }

    #[test]
    fn the_opening_lists_the_room_and_a_later_look_does_not() {
        let household = room();
        let seen = "You are in the middle of a room. Looking quickly around you, you see a counter 1, a fridge 1, a \
                    microwave 1, and a sinkbasin 1.";
        assert_eq!(
            opening(&household, &household.start),
            format!("-= Welcome to TextWorld, ALFRED! =-\n\n{seen}\n\nYour task is to: see.")
        );
        play(
            &household,
            "look => You are in the middle of a room. Looking quickly around you, you see nothing.
             inventory => You are not carrying anything.",
        );
    }

    #[test]
    fn neighbours_share_a_location_and_what_moves_between_them_seems_to_lie_on_the_floor() {
        play(
            &room(),
            "go to counter 1 => You arrive at counter 1. On the counter 1, you see a apple 1, a bowl 1, a egg 1, and a knife 1.
             look => You are facing the counter 1, and fridge 1. Next to it, you see nothing.
             go to fridge 1 => Nothing happens.
             use lamp 1 => You turn on the lamp 1.
             use lamp 1 => You turn on the lamp 1.
             take egg 1 from counter 1 => Nothing happens.
             take apple 1 from counter 1 => You pick up the apple 1 from the counter 1.
             move apple 1 to fridge 1 => Nothing happens.
             open fridge 1 => You open the fridge 1. The fridge 1 is open. In it, you see a lamp 1.
             move apple 1 to fridge 1 => You move the apple 1 to the fridge 1.
             look => You are facing the counter 1, and fridge 1. Next to it, you see a apple 1.
             examine fridge 1 => The fridge 1 is open. In it, you see a apple 1, and a lamp 1.
             take apple 1 from fridge 1
             inventory => You are carrying: a apple 1.
             look => You are facing the counter 1, and fridge 1. Next to it, you see nothing.
             move apple 1 to counter 1
             look => You are facing the counter 1, and fridge 1. Next to it, you see a apple 1.
             close fridge 1 => You close the fridge 1.
             examine fridge 1 => The fridge 1 is closed.",
        );
    }

    #[test]
    fn an_object_is_described_by_the_first_line_that_fits() {
        play(
            &room(),
            "go to counter 1
             examine apple 1 => Nothing happens.
             take bowl 1 from counter 1
             examine bowl 1 => This is a normal bowl 1. In it, you see a egg 1.
             move bowl 1 to counter 1
             take apple 1 from counter 1
             examine apple 1 => There's nothing special about apple 1.
             cool apple 1 with fridge 1 => You cool the apple 1 using the fridge 1.
             examine apple 1 => This is a cold apple 1.
             go to microwave 1 => You arrive at microwave 1. On the microwave 1, you see nothing.
             heat apple 1 with microwave 1 => You heat the apple 1 using the microwave 1.
             examine apple 1 => This is a hot apple 1.
             clean apple 1 with sinkbasin 1 => You clean the apple 1 using the sinkbasin 1.
             examine apple 1 => This is a hot and clean apple 1.
             go to fridge 1
             cool apple 1 with fridge 1
             examine apple 1 => This is a cool and clean apple 1.
             move apple 1 to counter 1
             take knife 1 from counter 1
             slice apple 1 with knife 1 => You sliced the apple 1 with the knife 1.
             slice egg 1 with knife 1 => You sliced the egg 1 with the knife 1.
             slice cup 1 with knife 1 => Nothing happens.
             move knife 1 to counter 1
             take apple 1 from counter 1
             examine apple 1 => This is a cool and clean sliced apple 1.",
        );
    }
}
