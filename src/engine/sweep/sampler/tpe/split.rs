//! Which trials are good, as Optuna's TPE parts them: complete ones by their value, then pruned ones by how far they came.

use crate::engine::sweep::history::{History, Placed};
use crate::engine::sweep::pareto;
use crate::engine::sweep::record::State;

/// How many trials are good: a tenth, of a single objective at most 25.
fn good_count(finished: usize, objectives: usize) -> usize {
    let tenth = (0.1 * finished as f64).ceil() as usize;
    if objectives == 1 { tenth.min(25) } else { tenth }
}

/// The good trials and the others, among which are those that still run; each in the order of their places.
pub fn split(history: &History) -> (Vec<&Placed>, Vec<&Placed>) {
    let (mut complete, mut pruned): (Vec<&Placed>, Vec<&Placed>) =
        (history.of_state(State::Complete).collect(), history.of_state(State::Pruned).collect());
    let mut wanted = good_count(complete.len() + pruned.len(), history.directions.len());
    best_first(&mut complete, history, wanted.min(history.of_state(State::Complete).count()));
    pruned.sort_by(|a, b| {
        pruned_score(a, history).partial_cmp(&pruned_score(b, history)).unwrap_or(std::cmp::Ordering::Equal)
    });
    let mut good = Vec::new();
    let mut others: Vec<&Placed> = history.of_state(State::Running).collect();
    for trials in [complete, pruned] {
        let count = wanted.min(trials.len());
        wanted -= count;
        good.extend_from_slice(&trials[..count]);
        others.extend_from_slice(&trials[count..]);
    }
    good.sort_by_key(|trial| trial.place);
    others.sort_by_key(|trial| trial.place);
    (good, others)
}

/// Puts the `count` best complete trials first.
fn best_first(trials: &mut Vec<&Placed>, history: &History, count: usize) {
    if history.directions.len() == 1 {
        trials.sort_by(|a, b| history.losses(a)[0].total_cmp(&history.losses(b)[0]));
        return;
    }
    let all: Vec<Vec<f64>> = trials.iter().map(|trial| history.losses(trial)).collect();
    let best = pareto::best(&all, count);
    let rest = (0..trials.len()).filter(|place| !best.contains(place));
    *trials = best.iter().copied().chain(rest).map(|place| trials[place]).collect();
}

/// Less is better: who came farther, then who was better there.
fn pruned_score(trial: &Placed, history: &History) -> (f64, f64) {
    match trial.record.last_report() {
        Some((step, value)) if value.is_nan() => (-(step as f64), f64::INFINITY),
        Some((step, value)) => (-(step as f64), history.direction().loss(value)),
        None => (1.0, 0.0),
    }
}
