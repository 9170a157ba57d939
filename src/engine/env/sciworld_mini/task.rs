//! The three sorts of tasks: how each is worded, and which part of it is done.

use super::actions::Action;
use super::matter::State;
use super::world::{Id, Nature, World};

/// What is to be found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Quarry {
    Plant,
    Animal,
    Living,
    Lifeless,
}

impl Quarry {
    pub const ALL: [Quarry; 4] = [Quarry::Plant, Quarry::Animal, Quarry::Living, Quarry::Lifeless];

    pub fn fits(self, nature: Nature) -> bool {
        match self {
            Quarry::Plant => nature == Nature::Plant,
            Quarry::Animal => nature == Nature::Animal,
            Quarry::Living => nature != Nature::Lifeless,
            Quarry::Lifeless => nature == Nature::Lifeless,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Quarry::Plant => "a plant",
            Quarry::Animal => "an animal",
            Quarry::Living => "something that is alive",
            Quarry::Lifeless => "something small that is not alive",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Task {
    Change {
        subject: Id,
        into: State,
    },
    Find {
        quarry: Quarry,
        into: Id,
    },
    /// Above `threshold` degrees Celsius it goes into the first of `boxes`, else into the second.
    Measure {
        subject: Id,
        threshold: i64,
        boxes: [Id; 2],
    },
}

/// What has been done for a task.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Progress {
    /// What was focused on last.
    pub focus: Option<Id>,
    /// The temperature that was read last, of the thing that the task is about.
    pub reading: Option<i64>,
    /// The thing was in an appliance that can do it.
    was_treated: bool,
    failed: bool,
}

/// The scores of a step towards the goal and of a second one; the end makes 100 of them.
const FIRST: i64 = 30;
const SECOND: i64 = 30;
const WHOLE: i64 = 100;
const FAILURE: i64 = -100;

impl Task {
    /// The task in words, as it is first seen.
    pub fn text(&self, world: &World) -> String {
        let name = |id: Id| world.things[id].name().to_string();
        let place = |id: Id| format!("the {} in the {}", name(id), name(world.room_of(id)));
        match self {
            Task::Change { subject, into } => {
                let verb = match into {
                    State::Solid => "freeze",
                    State::Liquid => "melt",
                    State::Gas => "boil",
                };
                let name = name(*subject);
                format!("Task: {verb} the {name}. Find it, focus on it, and then bring it about.")
            }
            Task::Find { quarry, into } => {
                format!("Task: find {}. Focus on it, and then move it into {}.", quarry.name(), place(*into))
            }
            Task::Measure { subject, threshold, boxes: [above, other] } => {
                let flask = world.things[*subject].place.map(name).unwrap_or_default();
                format!(
                    "Task: find out how warm the {} in the {flask} is. Focus on it, then use the thermometer on it. If it \
                     is above {threshold} degrees Celsius, move the {flask} into {}, else into {}.",
                    name(*subject),
                    place(*above),
                    place(*other)
                )
            }
        }
    }

    /// Takes note of what an action brought about.
    pub fn watch(&self, world: &World, action: Action, progress: &mut Progress) {
        if let Action::Focus(id) = action {
            progress.focus = Some(id);
            progress.failed |= !self.is_about(world, id);
        }
        match (self, action) {
            (Task::Measure { subject, .. }, Action::Use(_, on)) if on == *subject => {
                progress.reading = world.things[on].matter.as_ref().map(|matter| matter.celsius.round() as i64);
            }
            (Task::Measure { subject, boxes, .. }, _) => {
                let right = self.right_box(progress);
                progress.failed |= boxes.iter().any(|id| world.is_within(*subject, *id) && Some(*id) != right);
            }
            (Task::Change { subject, into }, _) => {
                progress.was_treated |=
                    world.around(*subject).any(|outer| can_bring_about(world, outer, *subject, *into));
            }
            _ => {}
        }
    }

    fn is_about(&self, world: &World, id: Id) -> bool {
        match self {
            Task::Change { subject, .. } | Task::Measure { subject, .. } => id == *subject,
            Task::Find { quarry, .. } => quarry.fits(world.things[id].nature),
        }
    }

    /// The box that the reading asks for.
    pub fn right_box(&self, progress: &Progress) -> Option<Id> {
        match self {
            Task::Measure { threshold, boxes: [above, other], .. } => {
                progress.reading.map(|celsius| if celsius > *threshold { *above } else { *other })
            }
            _ => None,
        }
    }

    /// From −100, a failure, to 100.
    pub fn score(&self, world: &World, progress: &Progress) -> i64 {
        if progress.failed {
            return FAILURE;
        }
        let Some(focus) = progress.focus else { return 0 };
        let (second, is_done) = match self {
            Task::Change { subject, into } => (progress.was_treated, world.things[*subject].state() == Some(*into)),
            Task::Find { into, .. } => (world.is_within(focus, world.agent), world.is_within(focus, *into)),
            Task::Measure { subject, .. } => {
                let right = self.right_box(progress);
                (right.is_some(), right.is_some_and(|right| world.is_within(*subject, right)))
            }
        };
        match (second, is_done) {
            (_, true) => WHOLE,
            (true, false) => FIRST + SECOND,
            (false, false) => FIRST,
        }
    }
}

/// Whether an appliance, as it runs, turns what is in it into that state.
fn can_bring_about(world: &World, appliance: Id, subject: Id, into: State) -> bool {
    let running = world.things[appliance].appliance.as_ref().filter(|appliance| appliance.is_on);
    let material = world.things[subject].matter.as_ref().map(|matter| matter.material);
    running.zip(material).is_some_and(|(appliance, material)| material.state_at(appliance.celsius) == into)
}
