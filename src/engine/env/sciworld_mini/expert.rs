//! The demonstrator: what to do next, from wherever the episode stands. It knows where everything is.

use super::actions::THERMOMETER;
use super::matter::State;
use super::task::{Progress, Task};
use super::world::{Id, World};

/// The next action towards the goal; `None` when it can no longer be reached.
pub fn next(world: &World, task: &Task, progress: &Progress) -> Option<String> {
    let expert = Expert { world, progress };
    match *task {
        Task::Change { subject, into } => expert.change(subject, into),
        Task::Find { quarry, into } => {
            let fits = |id: &Id| {
                let thing = &world.things[*id];
                thing.is_portable && thing.matter.is_none() && quarry.fits(thing.nature)
            };
            let quarry = progress.focus.filter(fits).or_else(|| (0..world.things.len()).find(fits))?;
            expert.focus(quarry).or_else(|| expert.bring(quarry, into))
        }
        Task::Measure { subject, .. } => {
            let flask = world.things[subject].place?;
            let focus = expert.focus(subject);
            focus.or_else(|| match task.right_box(progress) {
                None => expert.measure(subject),
                Some(right) => expert.bring(flask, right),
            })
        }
    }
}

struct Expert<'a> {
    world: &'a World,
    progress: &'a Progress,
}

impl Expert<'_> {
    fn name(&self, id: Id) -> &str {
        self.world.things[id].name()
    }

    /// A step towards a room; nothing when that is here.
    fn walk(&self, room: Id) -> Option<String> {
        let next = *self.world.way(self.world.here(), room).first()?;
        let (door, _) = self.world.doors_here().find(|(_, beyond)| *beyond == next)?;
        let is_open = self.world.doors.get(door)?.is_open;
        let name = self.name(next);
        Some(if is_open { format!("go to {name}") } else { format!("open door to {name}") })
    }

    /// A step towards having something in reach; nothing when it is.
    fn reach(&self, id: Id) -> Option<String> {
        let is_shut = |outer: &Id| self.world.things[*outer].lid == Some(false);
        let shut = self.world.around(id).filter(is_shut).last();
        self.walk(self.world.room_of(id)).or_else(|| Some(format!("open {}", self.name(shut?))))
    }

    /// A step towards having focused on something; nothing once that is done.
    fn focus(&self, id: Id) -> Option<String> {
        if self.progress.focus == Some(id) {
            return None;
        }
        self.reach(id).or_else(|| Some(format!("focus on {}", self.name(id))))
    }

    fn take(&self, id: Id) -> Option<String> {
        if self.world.is_within(id, self.world.agent) {
            return None;
        }
        self.reach(id).or_else(|| Some(format!("pick up {}", self.name(id))))
    }

    /// A step towards having something in a holder; nothing once it is there.
    fn bring(&self, id: Id, holder: Id) -> Option<String> {
        if self.world.is_within(id, holder) {
            return None;
        }
        let open = || (self.world.things[holder].lid == Some(false)).then(|| format!("open {}", self.name(holder)));
        let put = || Some(format!("move {} to {}", self.name(id), self.name(holder)));
        self.take(id).or_else(|| self.reach(holder)).or_else(open).or_else(put)
    }

    fn measure(&self, subject: Id) -> Option<String> {
        let thermometer = self.world.things.iter().position(|thing| thing.name() == THERMOMETER)?;
        let read = || Some(format!("use {THERMOMETER} on {}", self.name(subject)));
        self.take(thermometer).or_else(|| self.reach(subject)).or_else(read)
    }

    fn change(&self, subject: Id, into: State) -> Option<String> {
        let thing = &self.world.things[subject];
        let material = thing.matter.as_ref()?.material;
        let does_it = |id: &Id| {
            let appliance = self.world.things[*id].appliance.as_ref();
            appliance.is_some_and(|appliance| !appliance.is_broken && material.state_at(appliance.celsius) == into)
        };
        let appliance = (0..self.world.things.len()).find(does_it)?;
        // What holds it is brought along, unless that cannot be carried.
        let held = thing.place.filter(|holder| self.world.things[*holder].is_portable).unwrap_or(subject);
        let switch = || {
            let is_off = !self.world.things[appliance].appliance.as_ref()?.is_on;
            is_off.then(|| format!("activate {}", self.name(appliance)))
        };
        let focus = self.focus(subject).or_else(|| self.bring(held, appliance));
        let there = focus.or_else(|| self.reach(appliance)).or_else(switch);
        there.or_else(|| Some("wait".to_string()))
    }
}
