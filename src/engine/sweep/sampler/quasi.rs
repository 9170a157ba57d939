//! Points that fill the space evenly: Sobol's sequence over the parameters of the study.
//!
//! A trial has the point of its place, and a parameter the dimension of its place among the parameters of the trials before, in the order in
//! which they appeared, and of its own trial. So nothing has to be written down, and processes that work side by side share one sequence.
//! Of trials side by side that each bring a parameter which no trial had before, both have it in the same dimension, and one of the two has
//! another later on: then its first points lie less evenly. Optuna's `QMCSampler` counts its points in the journal and draws the first
//! trial at random, as it does not know the parameters then.

use serde::Deserialize;

use super::{Draw, Marks, Sampler, sobol};
use crate::engine::Result;
use crate::engine::sweep::distribution::Distribution;
use crate::engine::sweep::history::History;

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QuasiOptions {
    /// Without it every study has the same points, of which the first is the corner of all lowest values.
    pub scramble: bool,
}

impl Default for QuasiOptions {
    fn default() -> Self {
        QuasiOptions { scramble: true }
    }
}

pub struct Quasi(pub QuasiOptions);

impl Sampler for Quasi {
    fn suggest(&self, draw: &Draw, _: &Marks, before: &[&str], name: &str, distribution: &Distribution) -> Result<f64> {
        let dimension = dimension(draw.history, before, name);
        if dimension >= sobol::DIMENSIONS {
            return Ok(draw.uniform(name, distribution));
        }
        let scramble = self.0.scramble.then_some(draw.seed);
        Ok(distribution.at(sobol::coordinate(draw.place, dimension, scramble)))
    }
}

/// The parameter's place among all that the study knows, in the order in which they appeared.
fn dimension(history: &History, before: &[&str], name: &str) -> usize {
    let known = history.trials.iter().flat_map(|trial| trial.record.parameters.iter().map(|p| p.name.as_str()));
    let mut names: Vec<&str> = Vec::new();
    for name in known.chain(before.iter().copied()).chain([name]) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.iter().position(|known| *known == name).expect("it was put there")
}
