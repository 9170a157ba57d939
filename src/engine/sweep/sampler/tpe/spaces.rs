//! Which parameters are chosen together.

use crate::engine::sweep::distribution::Distribution;
use crate::engine::sweep::history::{History, Placed};
use crate::engine::sweep::record::State;

/// Parameters that are chosen together, by name.
pub type Space = Vec<(String, Distribution)>;

fn finished(history: &History) -> impl DoubleEndedIterator<Item = &Placed> {
    history.trials.iter().filter(|trial| matches!(trial.record.state, State::Complete | State::Pruned))
}

fn of_trial(trial: &Placed) -> Space {
    trial.record.parameters.iter().map(|p| (p.name.clone(), p.distribution.clone())).collect()
}

/// In order, and without what there is nothing to choose of.
fn tidy(mut space: Space) -> Space {
    space.sort_by(|a, b| a.0.cmp(&b.0));
    space.retain(|(_, distribution)| !distribution.is_single());
    space
}

/// The parameters that every finished trial had, with one range.
pub fn common(history: &History) -> Vec<Space> {
    let mut trials = finished(history).rev();
    let Some(last) = trials.next() else { return Vec::new() };
    let mut space = of_trial(last);
    for trial in trials {
        space.retain(|(name, distribution)| {
            trial.record.parameter(name).is_some_and(|parameter| parameter.distribution == *distribution)
        });
    }
    Vec::from_iter(Some(tidy(space)).filter(|space| !space.is_empty()))
}

/// Groups of parameters that every finished trial had all of or none of: those of one branch of a script. Each with the range that it had
/// last, as a script may widen it.
pub fn groups(history: &History) -> Vec<Space> {
    let mut groups: Vec<Space> = Vec::new();
    for trial in finished(history) {
        let mut new = of_trial(trial);
        let has = |space: &Space, name: &str| space.iter().any(|(known, _)| known == name);
        let mut parted = Vec::new();
        for group in groups {
            let (inside, rest): (Space, Space) = new.into_iter().partition(|(name, _)| has(&group, name));
            let outside = group.into_iter().filter(|(name, _)| !has(&inside, name)).collect();
            new = rest;
            parted.extend([inside, outside]);
        }
        parted.push(new);
        parted.retain(|group| !group.is_empty());
        groups = parted;
    }
    groups.into_iter().map(tidy).filter(|group| !group.is_empty()).collect()
}
