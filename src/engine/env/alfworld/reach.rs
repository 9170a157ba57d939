//! What can become true at best: every fact that some action could bring about, without asking whether it goes together
//! with the others. A goal that fails even here can never be reached.

use super::goal::View;
use super::household::{Appliance, Household, Object};
use super::problem::Predicate;
use super::state::Flag;
use super::things::Index;

pub struct Reach<'a> {
    household: &'a Household,
    /// By object: whether it can be in the hand.
    holdable: Vec<bool>,
    appliances: Vec<Appliance>,
    has_knife: bool,
}

impl<'a> Reach<'a> {
    pub fn of(household: &'a Household) -> Self {
        let start = &household.start;
        let reachable = |r: usize| household.receptacles[r].location.is_some();
        let holdable: Vec<bool> = (0..household.objects.len())
            .map(|o| {
                let within = |content: &Vec<Index>| content.binary_search(&(o as Index)).is_ok();
                let taken = || (0..household.receptacles.len()).any(|r| reachable(r) && within(&start.contents[r]));
                start.held.contains(&(o as Index)) || (household.objects[o].pickupable && taken())
            })
            .collect();
        let receptacles = household.receptacles.iter().filter(|receptacle| receptacle.location.is_some());
        Reach {
            household,
            appliances: receptacles.flat_map(|receptacle| receptacle.use_for.iter().copied()).collect(),
            has_knife: household.objects.iter().zip(&holdable).any(|(object, holdable)| *holdable && object.is_knife),
            holdable,
        }
    }

    fn is_holdable(&self, object: Index) -> bool {
        self.holdable[usize::from(object)]
    }

    fn can_be_in(&self, object: Index, receptacle: Index) -> bool {
        let place = self.household.receptacle(receptacle);
        let put = place.location.is_some() && self.is_holdable(object) && self.household.accepts(receptacle, object);
        put || self.household.start.content(receptacle).contains(&object)
    }

    fn can_be_at(&self, object: Index, location: Index) -> bool {
        let mut here = self.household.receptacles_at(location).iter();
        let lies = self.household.start.lying[usize::from(location)].contains(&object);
        lies || here.any(|&receptacle| self.can_be_in(object, receptacle))
    }

    fn can_become(&self, object: Index, flag: Flag) -> bool {
        let is_treated = |appliance, suits: fn(&Object) -> bool| {
            self.appliances.contains(&appliance) && self.is_holdable(object) && suits(self.household.object(object))
        };
        let mut receptacles = 0..self.household.receptacles.len() as Index;
        let changes = match flag {
            Flag::Clean => is_treated(Appliance::Sink, |object| object.cleanable),
            Flag::Hot => is_treated(Appliance::Microwave, |object| object.heatable),
            Flag::Cool => is_treated(Appliance::Fridge, |object| object.coolable),
            Flag::On | Flag::Toggled => {
                let is_in = |receptacle: Index| {
                    self.household.receptacle(receptacle).location.is_some() && self.can_be_in(object, receptacle)
                };
                self.household.object(object).toggleable && receptacles.any(is_in)
            }
            Flag::Sliced => self.household.object(object).sliceable && self.has_knife,
        };
        changes || self.household.start.has(object, flag)
    }
}

impl View for Reach<'_> {
    fn is(&self, predicate: Predicate, first: Index, second: Index, wanted: bool) -> bool {
        let household = self.household;
        if let Some(flag) = Flag::of(predicate) {
            return !wanted || self.can_become(first, flag);
        }
        match predicate {
            Predicate::AtLocation => {
                !wanted || household.start.at == second || !household.receptacles_at(second).is_empty()
            }
            Predicate::ObjectAtLocation => !wanted || self.can_be_at(first, second),
            Predicate::Opened => {
                let receptacle = household.receptacle(first);
                let opens = receptacle.openable && receptacle.location.is_some();
                !wanted || opens || household.start.is_open(first)
            }
            Predicate::InReceptacle => !wanted || self.can_be_in(first, second),
            Predicate::Holds => !wanted || self.is_holdable(second),
            Predicate::HoldsAny => !wanted || self.holdable.contains(&true) || household.start.hands_full,
            _ => household.is(predicate, first, second) == wanted,
        }
    }
}
