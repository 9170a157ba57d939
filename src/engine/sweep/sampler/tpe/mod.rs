//! The tree-structured Parzen estimator, as Optuna 5 has it: of points where good trials are dense the one where others are thinnest.
//!
//! Written here and not taken from a crate, as the crates that there are follow the papers of 2011 and 2013 and not what Optuna has found to
//! work since (kernel widths, weights, groups, running trials). References: Watanabe, "Tree-structured Parzen estimator: understanding its
//! algorithm components and their roles for better empirical performance" (2023); optuna/samplers/_tpe of Optuna 5.0.

mod mixture;
mod spaces;
mod split;

use serde::Deserialize;
use serde_json::{Map, Value};

pub use self::mixture::Mixture;
use super::{Draw, Marks, Sampler};
use crate::engine::Result;
use crate::engine::sweep::distribution::Distribution;
use crate::engine::sweep::history::{History, Placed};
use crate::engine::sweep::record::State;

/// Under which names a trial tells others what it was given before it asks for it, in pieces of [`PIECE`] characters.
const RELATIVE: &str = "tpe:relative_params";
const PIECE: usize = 2045;

#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TpeOptions {
    /// So many complete or pruned trials are drawn at random first.
    pub n_startup_trials: usize,
    pub n_ei_candidates: usize,
    /// Whether parameters are chosen together; of one objective they are unless it is said.
    pub multivariate: Option<bool>,
    /// Whether those of one branch of a script are chosen together, too. Otherwise only what every trial has is.
    pub group: bool,
}

impl Default for TpeOptions {
    fn default() -> Self {
        TpeOptions { n_startup_trials: 10, n_ei_candidates: 24, multivariate: None, group: true }
    }
}

pub struct Tpe(pub TpeOptions);

impl Tpe {
    fn is_starting(&self, history: &History) -> bool {
        let finished = history.of_state(State::Complete).chain(history.of_state(State::Pruned));
        finished.take(self.0.n_startup_trials).count() < self.0.n_startup_trials
    }

    fn choose(&self, draw: &Draw, space: &[(String, Distribution)]) -> Vec<f64> {
        let [good, others] = densities(draw.history, space);
        let names: Vec<&str> = space.iter().map(|(name, _)| name.as_str()).collect();
        let mut stream = draw.stream(&format!("tpe {}", names.join(",")));
        let mut best = (f64::NEG_INFINITY, Vec::new());
        for _ in 0..self.0.n_ei_candidates.max(1) {
            let point = good.sample(&mut stream);
            let gain = good.log_density(&point) - others.log_density(&point);
            if best.1.is_empty() || gain > best.0 {
                best = (gain, point);
            }
        }
        best.1
    }
}

impl Sampler for Tpe {
    fn joint(&self, draw: &Draw) -> Result<Vec<(String, f64, Distribution)>> {
        let is_joint = self.0.multivariate.unwrap_or(draw.history.directions.len() == 1);
        if !is_joint || self.is_starting(draw.history) {
            return Ok(Vec::new());
        }
        let spaces = if self.0.group { spaces::groups(draw.history) } else { spaces::common(draw.history) };
        let mut joint = Vec::new();
        for space in spaces {
            let values = self.choose(draw, &space);
            joint
                .extend(space.into_iter().zip(values).map(|((name, distribution), value)| (name, value, distribution)));
        }
        Ok(joint)
    }

    fn suggest(&self, draw: &Draw, _: &Marks, _: &[&str], name: &str, distribution: &Distribution) -> Result<f64> {
        if self.is_starting(draw.history) {
            return Ok(draw.uniform(name, distribution));
        }
        Ok(self.choose(draw, &[(name.to_string(), distribution.clone())])[0])
    }
}

/// The densities of the good trials and of the others over some parameters.
pub fn densities(history: &History, space: &[(String, Distribution)]) -> [Mixture; 2] {
    let (good, others) = split::split(history);
    let distributions: Vec<Distribution> = space.iter().map(|(_, distribution)| distribution.clone()).collect();
    let of = |trials: &[&Placed], uniform| {
        let rows: Vec<Vec<f64>> = trials.iter().filter_map(|trial| row(trial, space)).collect();
        Mixture::new(&rows, &distributions, uniform)
    };
    [of(&good, history.directions.len() > 1), of(&others, false)]
}

/// A trial's values of some parameters, where it has them all.
fn row(trial: &Placed, space: &[(String, Distribution)]) -> Option<Vec<f64>> {
    let planned = match trial.record.state {
        State::Running => planned(&trial.record.system_attrs),
        _ => Map::new(),
    };
    let value = |(name, distribution): &(String, Distribution)| match trial.record.parameter(name) {
        Some(parameter) => distribution.internal(&parameter.distribution.external(parameter.value)),
        None => distribution.internal(planned.get(name)?),
    };
    space.iter().map(value).collect()
}

/// What a running trial will be given, as it told.
fn planned(attrs: &Map<String, Value>) -> Map<String, Value> {
    let pieces = (0..).map_while(|piece| attrs.get(&format!("{RELATIVE}:{piece}"))?.as_str());
    serde_json::from_str(&pieces.collect::<String>()).unwrap_or_default()
}

/// The attributes that tell it, so that trials beside this one stay away from it.
pub fn plan(joint: &[(String, f64, Distribution)]) -> Marks {
    if joint.is_empty() {
        return Marks::new();
    }
    let external =
        |(name, value, distribution): &(String, f64, Distribution)| (name.clone(), distribution.external(*value));
    let text = Value::Object(joint.iter().map(external).collect()).to_string();
    let letters: Vec<char> = text.chars().collect();
    let piece =
        |(place, letters): (usize, &[char])| (format!("{RELATIVE}:{place}"), letters.iter().collect::<String>().into());
    letters.chunks(PIECE).enumerate().map(piece).collect()
}
