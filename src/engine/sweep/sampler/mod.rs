//! Samplers: what the next trial tries.
//!
//! What a sampler says depends on the study's seed, the trial's place, the parameter's name and the [`History`] as it was when the trial
//! began, and on nothing else: not on the order of the calls, nor on a crash between them (what left a checkpoint goes on, and what left none
//! is begun anew in its place, once). Of `quasi` the order of the calls decides as long as no trial before had the parameter. Trials that run
//! side by side do change what each of them sees: then the points differ from run to run with who was faster, except those of `random`,
//! of `grid`, and of `quasi` where all trials have the same parameters.

mod custom;
mod grid;
mod mersenne;
mod quasi;
mod sobol;
pub mod tpe;

use std::rc::Rc;

use serde_json::{Map, Value};

pub use self::custom::{Choose, Custom};
pub use self::grid::{Grid, GridOptions};
pub use self::quasi::{Quasi, QuasiOptions};
pub use self::tpe::{Tpe, TpeOptions};
use super::distribution::Distribution;
use super::history::History;
use crate::engine::{Result, random};

/// What a trial is asked for by.
pub struct Draw<'a> {
    pub seed: u64,
    pub place: u64,
    /// As it was when the trial began, without the trial.
    pub history: &'a History,
}

impl Draw<'_> {
    /// The stream of a purpose, of this trial alone.
    pub fn stream(&self, purpose: &str) -> rand_chacha::ChaCha8Rng {
        random::stream(self.seed, &format!("sweep {purpose}"), self.place)
    }

    /// A value evenly from the range.
    pub fn uniform(&self, name: &str, distribution: &Distribution) -> f64 {
        distribution.at(random::unit(&mut self.stream(name)))
    }
}

/// Attributes that a sampler leaves on a trial, for itself and for Optuna's.
pub type Marks = Map<String, Value>;

pub trait Sampler {
    /// Called once for a trial, before its parameters are known. Nothing where there is no further trial to make.
    fn begin(&self, _draw: &Draw) -> Result<Option<Marks>> {
        Ok(Some(Marks::new()))
    }

    /// Whether it comes to an end by itself.
    fn is_finite(&self) -> bool {
        false
    }

    /// Values of several parameters that belong together, called before the first parameter of a trial is suggested.
    fn joint(&self, _draw: &Draw) -> Result<Vec<(String, f64, Distribution)>> {
        Ok(Vec::new())
    }

    /// The value of a parameter that is in no joint ones. `marks` are those of the trial, `before` the names of those that it has already.
    fn suggest(
        &self,
        draw: &Draw,
        marks: &Marks,
        before: &[&str],
        name: &str,
        distribution: &Distribution,
    ) -> Result<f64>;
}

/// Which sampler a study has.
pub enum SamplerOptions {
    Random,
    Grid(GridOptions),
    Quasi(QuasiOptions),
    Tpe(TpeOptions),
    Custom(Choose),
}

impl SamplerOptions {
    /// `seed`: the study's.
    pub fn build(self, seed: u64) -> Result<Rc<dyn Sampler>> {
        Ok(match self {
            SamplerOptions::Random => Rc::new(Random),
            SamplerOptions::Grid(options) => Rc::new(Grid::new(options, seed)?),
            SamplerOptions::Quasi(options) => Rc::new(Quasi(options)),
            SamplerOptions::Tpe(options) => Rc::new(Tpe(options)),
            SamplerOptions::Custom(choose) => Rc::new(Custom(choose)),
        })
    }
}

/// Points evenly at random.
pub struct Random;

impl Sampler for Random {
    fn suggest(&self, draw: &Draw, _: &Marks, _: &[&str], name: &str, distribution: &Distribution) -> Result<f64> {
        Ok(draw.uniform(name, distribution))
    }
}
