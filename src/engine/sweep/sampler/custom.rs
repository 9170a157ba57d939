//! A sampler that somebody wrote: any function of the trial's place, the parameter and the history.

use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use super::{Draw, Marks, Sampler};
use crate::engine::sweep::distribution::Distribution;
use crate::engine::sweep::history::History;
use crate::engine::{Error, Result};

/// What is asked: a value for the parameter of that name, or nothing where a random one will do.
pub type Choose = Box<dyn Fn(&Question) -> Result<Option<Value>>>;

pub struct Question<'a> {
    pub name: &'a str,
    pub distribution: &'a Distribution,
    pub place: u64,
    pub history: &'a History,
    /// Of this trial and this parameter alone.
    pub stream: ChaCha8Rng,
}

pub struct Custom(pub Choose);

impl Sampler for Custom {
    fn suggest(&self, draw: &Draw, _: &Marks, _: &[&str], name: &str, distribution: &Distribution) -> Result<f64> {
        let stream = draw.stream(&format!("custom {name}"));
        let question = Question { name, distribution, place: draw.place, history: draw.history, stream };
        let Some(given) = (self.0)(&question)? else { return Ok(draw.uniform(name, distribution)) };
        distribution.taken(&given).ok_or_else(|| Error::option(name, format!("{distribution} from the sampler"), given))
    }
}
