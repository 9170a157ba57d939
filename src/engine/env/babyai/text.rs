//! AgentGym's text over the game: what the agent reads, and what each text action does.
//!
//! The words and their order are those of AgentGym's wrapper (agentenv-babyai at 3ef9235), byte for byte, double blanks
//! and all. Goals and lava, which the wrapper also knows, occur in none of the 40 levels.

use std::fmt::Write;

use super::geometry::Point;
use super::paths::Paths;
use super::view::{Frame, Image, SIZE};
use super::world::{Colour, Kind, Move, World, code};

pub const UNKNOWN: &str = "The action is not recognized. Please check valid actions.";
pub const NO_CHANGE: &str = "No change in state.";
pub const COMPLETED: &str = "\n The task is completed.";

/// Our own, in the same form, where the wrapper has nothing true to say.
pub const FAILED: &str = "\n The task has failed.";
pub const OUT_OF_MOVES: &str = "\n The limit of moves is reached.";

/// The action that lists the actions; every action with `check` in it counts as this one.
pub const CHECK: &str = "check available actions";

const BARRIER: &str = "There is a barrier in front of you, you can't move forward.";
const OCCUPIED: &str = "You cannot drop the object, as there is already an object in front of you.";
const EMPTY_HANDED: &str = "You cannot drop the object, as you are not carrying anything.";

/// What the agent reads in one situation, and what it can do there.
#[derive(Debug, Clone)]
pub struct Scene {
    pub description: String,
    /// The text actions in their order, with their low-level moves. [`CHECK`] is the last, without moves.
    pub actions: Vec<(String, Vec<Move>)>,
    /// Why some other actions cannot be done; a later entry replaces an earlier one.
    refusals: Vec<(String, String)>,
}

impl Scene {
    /// `image` is what the agent sees; on the first turn of level 23 it is older than the world.
    pub fn of(world: &World, image: &Image) -> Self {
        let sightings = sightings(world, image);
        let mut scene = Scene { description: describe(world, &sightings), actions: Vec::new(), refusals: Vec::new() };
        let blocked: Vec<Point> = sightings.iter().filter(|it| it.blocks()).map(|it| it.at).collect();
        let paths = Paths::search(world, &blocked);
        scene.add_moves(&sightings);
        match world.carrying {
            None => {
                let portable = sightings.iter().filter(|it| it.is_portable());
                scene.add_walks("pickup", portable, &paths, Some(Move::PickUp));
                scene.refuse("drop", EMPTY_HANDED);
            }
            Some(_) if blocked.contains(&world.front()) => scene.refuse("drop", OCCUPIED),
            Some(_) => scene.allow("drop", vec![Move::Drop]),
        }
        scene.add_doors(world, &sightings, &paths);
        scene.add_walks("go to", sightings.iter().filter(|it| it.thing != Thing::Wall), &paths, None);
        scene.allow(CHECK, Vec::new());
        scene
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.actions.iter().map(|(name, _)| name.as_str())
    }

    pub fn moves(&self, action: &str) -> Option<&[Move]> {
        self.actions.iter().find(|(name, _)| name == action).map(|(_, moves)| moves.as_slice())
    }

    /// What is answered to an action that is not among the actions.
    pub fn refusal(&self, action: &str) -> &str {
        self.refusals.iter().rev().find(|(name, _)| name == action).map_or(UNKNOWN, |(_, reason)| reason)
    }

    /// The line that ends every observation.
    pub fn list(&self) -> String {
        let quoted: Vec<String> = self.names().map(|name| format!("\"{name}\"")).collect();
        format!("\nAvailable actions: [{}]", quoted.join(", "))
    }

    /// The answer to [`CHECK`].
    pub fn sentence(&self) -> String {
        format!("You can take the following actions: {}", self.names().collect::<Vec<_>>().join(", "))
    }

    fn allow(&mut self, action: impl Into<String>, moves: Vec<Move>) {
        let action = action.into();
        match self.actions.iter_mut().find(|(name, _)| *name == action) {
            Some((_, old)) => *old = moves,
            None => self.actions.push((action, moves)),
        }
    }

    fn refuse(&mut self, action: impl Into<String>, reason: impl Into<String>) {
        self.refusals.push((action.into(), reason.into()));
    }

    fn add_moves(&mut self, sightings: &[Sighting]) {
        self.allow("turn left", vec![Move::Left]);
        self.allow("turn right", vec![Move::Right]);
        match nearest_barrier(sightings) {
            Some(barrier) if barrier.ahead <= 1 => self.refuse("move forward", BARRIER),
            _ => self.allow("move forward", vec![Move::Forward]),
        }
    }

    /// Actions that begin by walking up to something. What cannot be reached is not counted.
    fn add_walks<'a>(
        &mut self,
        verb: &str,
        targets: impl Iterator<Item = &'a Sighting>,
        paths: &Paths,
        ending: Option<Move>,
    ) {
        let mut counts = Counts::default();
        for it in targets {
            let action = format!("{verb} {} {}", it.name, counts.of(it) + 1);
            match paths.to_face(it.at) {
                Some(mut moves) => {
                    moves.extend(ending);
                    self.allow(action, moves);
                    counts.add(it);
                }
                None => self.refuse_unreachable(action),
            }
        }
    }

    fn refuse_unreachable(&mut self, action: String) {
        let reason = format!("You cannot {action}, as there is no path leading to it.");
        self.refuse(action, reason);
    }

    fn add_doors(&mut self, world: &World, sightings: &[Sighting], paths: &Paths) {
        let mut counts = Counts::default();
        for it in sightings.iter().filter(|it| it.thing == Thing::Object(Kind::Door)) {
            counts.add(it);
            let door = format!("{} {}", it.name, counts.of(it));
            match it.state {
                OPEN => self.add_open_door(it, &door, paths),
                CLOSED => {
                    self.add_toggle(it, &door, &counts, paths);
                    let reason = format!("You cannot go through {door}, as it is closed. You should toggle it first.");
                    self.refuse(format!("go through {door}"), reason);
                }
                _ => {
                    let key = world.carried().filter(|held| held.kind == Kind::Key);
                    let problem = match key {
                        None => "you are not carrying a key",
                        Some(key) if Some(key.colour) != it.colour => {
                            "the color of the key you are carrying does not match the color of door"
                        }
                        Some(_) => {
                            self.add_toggle(it, &door, &counts, paths);
                            continue;
                        }
                    };
                    let action = format!("toggle and go through {door}");
                    let reason = format!("You cannot {action}, as {problem}.");
                    self.refuse(action, reason);
                }
            }
        }
    }

    fn add_open_door(&mut self, it: &Sighting, door: &str, paths: &Paths) {
        let action = format!("go through {door}");
        match paths.onto(it.at) {
            Some(moves) => self.allow(action, moves),
            None => self.refuse_unreachable(action),
        }
    }

    fn add_toggle(&mut self, it: &Sighting, door: &str, counts: &Counts, paths: &Paths) {
        let action = format!("toggle and go through {door}");
        match paths.to_face(it.at) {
            Some(mut moves) => {
                let before_it = moves.is_empty();
                moves.extend([Move::Toggle, Move::Forward]);
                self.allow(action, moves);
                if before_it {
                    self.allow("toggle", vec![Move::Toggle]);
                }
            }
            None => {
                // Where the number belongs, upstream prints its counters.
                let reason = format!(
                    "You cannot toggle and go through {} {}, as there is no path leading to it.",
                    it.name,
                    counts.as_python()
                );
                self.refuse(action, reason);
            }
        }
    }
}

const OPEN: u8 = 0;
const CLOSED: u8 = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Thing {
    Wall,
    Object(Kind),
}

/// Something in view.
#[derive(Debug, Clone)]
struct Sighting {
    thing: Thing,
    colour: Option<Colour>,
    state: u8,
    name: String,
    at: Point,
    /// Cells ahead of the agent.
    ahead: i32,
    /// Cells to its right; negative to its left.
    aside: i32,
}

impl Sighting {
    fn is_portable(&self) -> bool {
        matches!(self.thing, Thing::Object(Kind::Key | Kind::Ball | Kind::Box))
    }

    fn blocks(&self) -> bool {
        self.thing == Thing::Wall || self.is_portable()
    }
}

/// How many of a name have been seen, in the order of first sight.
#[derive(Default)]
struct Counts<'a>(Vec<(&'a str, usize)>);

impl<'a> Counts<'a> {
    fn of(&self, it: &Sighting) -> usize {
        self.0.iter().find(|(name, _)| *name == it.name).map_or(0, |(_, count)| *count)
    }

    fn add(&mut self, it: &'a Sighting) {
        match self.0.iter_mut().find(|(name, _)| *name == it.name) {
            Some((_, count)) => *count += 1,
            None => self.0.push((&it.name, 1)),
        }
    }

    /// As Python prints a dict.
    fn as_python(&self) -> String {
        let entries: Vec<String> = self.0.iter().map(|(name, count)| format!("'{name}': {count}")).collect();
        format!("{{{}}}", entries.join(", "))
    }
}

/// Everything in view from near to far; at the same distance the farthest row first, each from left to right.
fn sightings(world: &World, image: &Image) -> Vec<Sighting> {
    let frame = Frame::of(world);
    let (forward, right) = (world.facing.vector(), world.facing.vector().turned_right());
    let mut all = Vec::new();
    for y in 0..SIZE {
        for (x, column) in image.iter().enumerate() {
            let at = frame.at(x, y);
            if at.x < 0 || at.y < 0 || at == world.agent {
                continue;
            }
            let [kind, colour, state] = column[y];
            let thing = match kind {
                code::WALL => Thing::Wall,
                code::DOOR => Thing::Object(Kind::Door),
                code::KEY => Thing::Object(Kind::Key),
                code::BALL => Thing::Object(Kind::Ball),
                code::BOX => Thing::Object(Kind::Box),
                _ => continue,
            };
            let colour = Colour::from_code(colour);
            let (ahead, aside) = (forward.dot(at - world.agent), right.dot(at - world.agent));
            all.push(Sighting { thing, colour, state, name: name(thing, colour, state), at, ahead, aside });
        }
    }
    all.sort_by_key(|it| it.ahead.abs() + it.aside.abs());
    all
}

fn name(thing: Thing, colour: Option<Colour>, state: u8) -> String {
    let colour = colour.map_or("", Colour::name);
    match thing {
        Thing::Wall => String::new(),
        Thing::Object(Kind::Door) => {
            let state = match state {
                OPEN => "open",
                CLOSED => "closed",
                _ => "locked",
            };
            format!("{colour} {state} door")
        }
        Thing::Object(kind) => format!("{colour} {}", kind.name()),
    }
}

/// The nearest wall or box straight ahead.
fn nearest_barrier(sightings: &[Sighting]) -> Option<&Sighting> {
    sightings.iter().find(|it| it.aside == 0 && matches!(it.thing, Thing::Wall | Thing::Object(Kind::Box)))
}

fn describe(world: &World, sightings: &[Sighting]) -> String {
    let mut text = String::with_capacity(512);
    match sightings.is_empty() {
        true => text.push_str("You cannot see any objects within sight."),
        false => text.push_str("In front of you in this room, you can see several objects: "),
    }
    let mut counts = Counts::default();
    for it in sightings.iter().filter(|it| it.thing != Thing::Wall) {
        counts.add(it);
        let (name, number, ahead) = (&it.name, counts.of(it), it.ahead);
        // Writing to a string cannot fail.
        let _ = match it.aside {
            0 => write!(text, "There is a {name} {number} right in front of you {ahead} steps away.  "),
            aside => {
                let (steps, hand) = (aside.abs(), if aside > 0 { "right" } else { "left" });
                let ahead = format_args!("{ahead} steps in front of you and {steps} steps to your {hand}");
                write!(text, "There is a {name} {number} {ahead}.  ")
            }
        };
    }
    text.push_str("The room has walls around you. ");
    if let Some(it) = nearest_barrier(sightings) {
        let what = if it.thing == Thing::Wall { "wall" } else { "box" };
        let _ = write!(text, "You are facing a {what} {} steps away. ", it.ahead);
    }
    let _ = match world.carried() {
        Some(held) => write!(text, "You are carrying a {} {}.", held.colour.name(), held.kind.name()),
        None => write!(text, "You are not carrying anything."),
    };
    text
}

/// Why the expert takes an action: what it does for the goal, in a sentence. The expert's plan is one of moves and knows
/// no more than that they lead there.
pub fn reason(goal: &str, action: &str) -> String {
    let means = if action.starts_with("go to") {
        "What I have to reach next is in sight"
    } else if action.starts_with("pickup") {
        "What I need is in sight, and my hands are free"
    } else if action.starts_with("drop") {
        "I carry something that I have to put down here"
    } else if action.starts_with("toggle") {
        "What stands before me has to be open"
    } else if action.starts_with("go through") {
        "The way leads through this door"
    } else {
        "From where I stand I cannot act on anything yet that helps"
    };
    format!("My goal is to {goal}. {means}, so I take the action: {action}.")
}
