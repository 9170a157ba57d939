//! One picture of a study: its history, what matters, all parameters beside each other, each parameter by itself. An SVG file that needs
//! nothing beside it; its colours follow the reader's scheme.

mod ink;
mod panels;
mod scale;

use super::distribution::Distribution;
use super::history::{History, Placed};
use super::importance::importance;
use super::record::State;
use crate::engine::{Error, Result};

/// What is drawn of a study.
struct Shown<'a> {
    history: &'a History,
    /// Complete trials with finite values.
    trials: Vec<&'a Placed>,
    /// Whether each of them is among the best tenth.
    is_best: Vec<bool>,
    /// The parameters and their shares, the most important first.
    parameters: Vec<Axis>,
}

struct Axis {
    name: String,
    share: f64,
    /// The widest range that it had.
    distribution: Distribution,
}

/// The picture of a study as SVG; an error where no trial is complete.
pub fn figure(history: &History) -> Result<String> {
    let is_finite =
        |trial: &&Placed| !trial.record.values.is_empty() && trial.record.values.iter().all(|v| v.is_finite());
    let trials: Vec<&Placed> = history.of_state(State::Complete).filter(is_finite).collect();
    if trials.is_empty() {
        return Err(Error::message(format!("the study {} has no complete trial that could be drawn", history.study)));
    }
    let losses: Vec<f64> = trials.iter().map(|trial| history.direction().loss(trial.record.values[0])).collect();
    let mut sorted = losses.clone();
    sorted.sort_by(f64::total_cmp);
    let bar = sorted[trials.len().div_ceil(10) - 1];
    let is_best = losses.iter().map(|loss| *loss <= bar).collect();
    let axis = |(name, share): (String, f64)| {
        let ranges = trials.iter().filter_map(|trial| Some(&trial.record.parameter(&name)?.distribution));
        let distribution = ranges.cloned().reduce(wider)?;
        Some(Axis { name, share, distribution })
    };
    let parameters = importance(history).into_iter().filter_map(axis).collect();
    Ok(panels::drawn(&Shown { history, trials, is_best, parameters }))
}

/// A range that holds both: ranges may change within a study.
fn wider(a: Distribution, b: Distribution) -> Distribution {
    use Distribution::{Float, Int};
    match (a, b) {
        (Float { low, high, log, step }, Float { low: l, high: h, .. }) => {
            Float { low: low.min(l), high: high.max(h), log, step }
        }
        (Int { low, high, log, step }, Int { low: l, high: h, .. }) => {
            Int { low: low.min(l), high: high.max(h), log, step }
        }
        (a, _) => a,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::sweep::history::tests::{history, record};
    use crate::engine::sweep::record::{Direction, Parameter, TrialRecord};

    fn trials(count: u64) -> Vec<TrialRecord> {
        let rank = Distribution::choice("r<1>", vec![4.into(), "all".into()]).unwrap();
        let rate = Distribution::float("lr", 1e-5, 1e-2, true, None).unwrap();
        let trial = |n: u64| {
            let mut trial = record(n, if n % 5 == 4 { State::Pruned } else { State::Complete });
            let at = n as f64 / count as f64;
            trial.set_parameter(Parameter { name: "lr".into(), value: rate.at(at), distribution: rate.clone() });
            trial.set_parameter(Parameter { name: "r<1>".into(), value: (n % 2) as f64, distribution: rank.clone() });
            trial.values = vec![if n == 7 { 1e9 } else { at }];
            trial
        };
        (0..count).map(trial).collect()
    }

    #[test]
    fn a_picture_stands_alone_and_names_what_it_shows() {
        let svg = figure(&history(Direction::Minimize, trials(30))).unwrap();
        assert!(svg.starts_with("<svg xmlns") && svg.trim_end().ends_with("</svg>"));
        for words in ["<title", "<desc", "prefers-color-scheme: dark", "lr", "r&lt;1&gt;", "PED-ANOVA", "0.01"] {
            assert!(svg.contains(words), "{words}");
        }
        assert!(!svg.contains("#FA01") && !svg.contains("NaN") && !svg.contains("r<1>"));
    }

    #[test]
    fn one_trial_is_drawn_and_none_is_an_error() {
        assert!(figure(&history(Direction::Maximize, trials(1))).is_ok());
        let error = figure(&history(Direction::Maximize, Vec::new())).unwrap_err().to_string();
        assert_eq!(error, "the study s has no complete trial that could be drawn");
    }
}
