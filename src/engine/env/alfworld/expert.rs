//! The expert: find the object, take it, clean or heat or cool it, bring it where it belongs; or carry it to a lamp.
//!
//! The strategy is that of the original's hand-coded agent: it knows what the player has seen and nothing else, looks
//! first where things of a class may be, in the order of the opening from its end, and closes again what it opened.
//! It differs in two ways. The original never notices that it put something down since the command is called `move`
//! (a bug that fails most tasks with two objects). And this one remembers every receptacle it has looked into, where
//! the original keeps the last place of each class, so that it does not look twice; it draws nothing at random.

use super::household::{Appliance, Household};
use super::state::{Action, Flag, State};
use super::task::TaskType;
use super::things::Index;

/// What the player has seen and done so far.
#[derive(Debug, Clone)]
pub struct Memory {
    /// By receptacle: its content when it was last seen, kept up with what the player took and put.
    seen: Vec<Option<Vec<Index>>>,
    /// By receptacle: whether the player opened it and has not closed it.
    opened: Vec<bool>,
    /// The receptacle that the player went to last.
    facing: Option<Index>,
    /// Where the object in the hand came from.
    origin: Option<Index>,
}

impl Memory {
    pub fn new(household: &Household) -> Self {
        let receptacles = household.receptacles.len();
        Memory { seen: vec![None; receptacles], opened: vec![false; receptacles], facing: None, origin: None }
    }

    /// Takes in what an action showed; `state` is the state that it led to.
    pub fn note(&mut self, household: &Household, state: &State, action: Action) {
        match action {
            Action::Go(receptacle) => self.facing = Some(receptacle),
            Action::Open(receptacle) => self.opened[usize::from(receptacle)] = true,
            Action::Close(receptacle) => self.opened[usize::from(receptacle)] = false,
            Action::Take(_, receptacle) => self.origin = Some(receptacle),
            Action::Put(..) => self.origin = None,
            _ => {}
        }
        let shown = match action {
            Action::Go(receptacle) | Action::Open(receptacle) | Action::ExamineReceptacle(receptacle) => {
                state.is_accessible(household, receptacle).then_some(receptacle)
            }
            Action::Take(_, receptacle) | Action::Put(_, receptacle) => {
                self.seen[usize::from(receptacle)].is_some().then_some(receptacle)
            }
            _ => None,
        };
        if let Some(receptacle) = shown {
            self.seen[usize::from(receptacle)] = Some(state.content(receptacle).to_vec());
        }
    }
}

/// The next action, or `None` when everything has been looked into in vain or the task is of a kind without an expert.
pub fn next(household: &Household, state: &State, memory: &Memory) -> Option<Action> {
    if household.task.sliced {
        return None;
    }
    Expert { household, state, memory }.next()
}

/// Why [`next`] takes an action, in a sentence.
pub fn reason(household: &Household, state: &State, action: Action) -> String {
    let command = super::text::command(household, action);
    let rest = command.split_once(' ').map_or("", |(_, rest)| rest);
    let place = rest.strip_prefix("to ").unwrap_or(rest);
    match action {
        Action::Go(_) if state.held.is_empty() => format!("I do not carry what the task needs, so I go on to {place}."),
        Action::Go(_) => format!("With what I carry I have to go to {place} next."),
        Action::Open(_) => format!("{rest} is closed, and I need it open."),
        Action::Close(_) => format!("{rest} is open, and I am done with it. I close it before I go on."),
        Action::Take(..) => "Here is what the task needs.".to_string(),
        Action::Put(..) => "Here I can put what I carry.".to_string(),
        Action::Clean(..) => "The task wants it clean, and here I can clean it.".to_string(),
        Action::Heat(..) => "The task wants it hot, and here I can heat it.".to_string(),
        Action::Cool(..) => "The task wants it cool, and here I can cool it.".to_string(),
        Action::Use(_) => "I carry what I have to look at, and here is the lamp.".to_string(),
        _ => format!("I have not seen yet what is at {}.", rest.strip_prefix("at ").unwrap_or(rest)),
    }
}

struct Expert<'a> {
    household: &'a Household,
    state: &'a State,
    memory: &'a Memory,
}

impl Expert<'_> {
    fn next(&self) -> Option<Action> {
        let task = &self.household.task;
        let class = task.object?;
        let Some(&held) = self.state.held.first() else { return self.fetch(class) };
        if !self.serves(held, class) {
            return self.put_away(held);
        }
        match task.kind {
            TaskType::LookInLight => self.light(task.lamp?),
            TaskType::Clean if !self.state.has(held, Flag::Clean) => {
                self.treat(Appliance::Sink, |sink| Action::Clean(held, sink))
            }
            TaskType::Heat if !self.state.has(held, Flag::Hot) => {
                self.treat(Appliance::Microwave, |microwave| Action::Heat(held, microwave))
            }
            TaskType::Cool if !self.state.has(held, Flag::Cool) => {
                self.treat(Appliance::Fridge, |fridge| Action::Cool(held, fridge))
            }
            TaskType::MovableReceptacle | TaskType::Other => None,
            _ => self.deliver(held),
        }
    }

    /// Whether an object is one that the task can be done with.
    fn serves(&self, object: Index, class: Index) -> bool {
        let about = self.household.object(object);
        about.types.contains(&class)
            && match self.household.task.kind {
                TaskType::Clean => about.cleanable,
                TaskType::Heat => about.heatable,
                TaskType::Cool => about.coolable,
                _ => true,
            }
    }

    /// Takes an object that is needed, or looks on for one.
    fn fetch(&self, class: Index) -> Option<Action> {
        let delivered = match self.household.task.kind {
            TaskType::PickTwo => self.begun(class),
            _ => None,
        };
        let wanted = |object| self.household.object(object).pickupable && self.serves(object, class);
        let known = self.known(|receptacle, object| Some(receptacle) != delivered && wanted(object));
        match self.nearest(&known) {
            Some((object, receptacle)) => Some(self.approach(receptacle).unwrap_or(Action::Take(object, receptacle))),
            None => self.search(class),
        }
    }

    /// The seen objects that `wanted` accepts, each with its receptacle, which goes first in `wanted`.
    fn known(&self, wanted: impl Fn(Index, Index) -> bool) -> Vec<(Index, Index)> {
        let seen = self.memory.seen.iter().enumerate().filter_map(|(r, seen)| Some((r as Index, seen.as_ref()?)));
        let all = seen.flat_map(|(r, content)| content.iter().map(move |&object| (object, r)));
        all.filter(|(object, receptacle)| wanted(*receptacle, *object)).collect()
    }

    /// One of `found`, rather one at this location.
    fn nearest(&self, found: &[(Index, Index)]) -> Option<(Index, Index)> {
        found.iter().find(|(_, receptacle)| self.is_here(*receptacle)).or(found.first()).copied()
    }

    /// Looks into the next receptacle that has not been looked into.
    fn search(&self, class: Index) -> Option<Action> {
        let unseen = |receptacle: &Index| self.memory.seen[usize::from(*receptacle)].is_none();
        if let Some(receptacle) = self.memory.facing.filter(unseen).filter(|&receptacle| self.is_here(receptacle)) {
            return Some(match self.state.is_accessible(self.household, receptacle) {
                true => Action::ExamineReceptacle(receptacle),
                false => Action::Open(receptacle),
            });
        }
        let reachable = |receptacle: &Index| self.household.receptacle(*receptacle).location.is_some();
        let left: Vec<Index> =
            (0..self.household.receptacles.len() as Index).rev().filter(unseen).filter(reachable).collect();
        let likely = left.iter().find(|receptacle| self.household.takes_class(**receptacle, class));
        let receptacle = *likely.or(left.first())?;
        match self.is_here(receptacle) {
            // Another receptacle at this location: there is no going to it.
            true => self.approach(receptacle).or(Some(Action::ExamineReceptacle(receptacle))),
            false => self.approach(receptacle),
        }
    }

    fn light(&self, class: Index) -> Option<Action> {
        let is_lamp = |object: Index| {
            let about = self.household.object(object);
            about.toggleable && about.types.contains(&class)
        };
        match self.nearest(&self.known(|_, object| is_lamp(object))) {
            Some((lamp, receptacle)) if self.is_here(receptacle) => Some(Action::Use(lamp)),
            Some((_, receptacle)) => Some(self.leave_for(receptacle)),
            None => self.search(class),
        }
    }

    /// Uses an appliance of a kind, the first in the order of the opening unless one is here; it need not be open.
    fn treat(&self, appliance: Appliance, action: impl Fn(Index) -> Action) -> Option<Action> {
        let suitable =
            self.receptacles(|receptacle| self.household.receptacle(receptacle).use_for.contains(&appliance));
        let here = suitable.iter().find(|receptacle| self.is_here(**receptacle));
        match here {
            Some(&receptacle) => Some(action(receptacle)),
            None => suitable.first().map(|&receptacle| self.leave_for(receptacle)),
        }
    }

    fn deliver(&self, held: Index) -> Option<Action> {
        let targets = self.receptacles(|receptacle| self.is_target(receptacle, held));
        let begun = match self.household.task.kind {
            TaskType::PickTwo => self.household.task.object.and_then(|class| self.begun(class)),
            _ => None,
        };
        let begun = begun.filter(|receptacle| targets.contains(receptacle));
        let facing = self.memory.facing.filter(|&receptacle| targets.contains(&receptacle) && self.is_here(receptacle));
        let target = begun.or(facing).or(targets.last().copied())?;
        Some(self.approach(target).unwrap_or(Action::Put(held, target)))
    }

    /// The receptacle in which the first of two objects already is; the same one wherever the player stands.
    fn begun(&self, class: Index) -> Option<Index> {
        let target = self.household.task.receptacle?;
        let is_target = |receptacle: Index| self.household.receptacle(receptacle).types.contains(&target);
        let delivered = |receptacle, object| is_target(receptacle) && self.serves(object, class);
        self.known(delivered).first().map(|(_, receptacle)| *receptacle)
    }

    fn is_target(&self, receptacle: Index, object: Index) -> bool {
        let class = self.household.task.receptacle;
        class.is_some_and(|class| self.household.receptacle(receptacle).types.contains(&class))
            && self.household.accepts(receptacle, object)
    }

    /// Brings a useless object back to where it came from, or to any place that takes it.
    fn put_away(&self, held: Index) -> Option<Action> {
        let possible = self.receptacles(|receptacle| self.household.accepts(receptacle, held));
        let origin = self.memory.origin.filter(|origin| possible.contains(origin));
        let target = origin.or_else(|| possible.iter().copied().find(|receptacle| self.is_here(*receptacle)));
        let target = target.or(possible.first().copied())?;
        Some(self.approach(target).unwrap_or(Action::Put(held, target)))
    }

    /// The receptacles that can be reached and fit, in the order of the opening.
    fn receptacles(&self, fits: impl Fn(Index) -> bool) -> Vec<Index> {
        let all = 0..self.household.receptacles.len() as Index;
        all.filter(|&receptacle| self.household.receptacle(receptacle).location.is_some() && fits(receptacle)).collect()
    }

    fn is_here(&self, receptacle: Index) -> bool {
        self.household.receptacle(receptacle).location == Some(self.state.at)
    }

    /// The next step until hands reach into the receptacle; `None` when they do.
    fn approach(&self, receptacle: Index) -> Option<Action> {
        match self.is_here(receptacle) {
            false => Some(self.leave_for(receptacle)),
            true if !self.state.is_accessible(self.household, receptacle) => Some(Action::Open(receptacle)),
            true => None,
        }
    }

    /// Closes what was opened here, then goes.
    fn leave_for(&self, receptacle: Index) -> Action {
        let open = self.receptacles(|here| {
            self.is_here(here) && self.memory.opened[usize::from(here)] && self.state.is_open(here)
        });
        open.first().map_or(Action::Go(receptacle), |&here| Action::Close(here))
    }
}
