//! Population-based training: at regular steps the worst trials end, and clones of the best ones, with somewhat other rates, take their place.
//!
//! Jaderberg and others, "Population based training of neural networks" (2017), with truncation selection. A clone begins from its origin's
//! checkpoint (weights, optimizer, step), so what changes is what can change in mid-training: parameters from a range of real numbers.
//! Choices and integers (a rank) stay as the origin has them.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Pruner, Verdict};
use crate::engine::sweep::abandoned;
use crate::engine::sweep::clones::{self, Successor};
use crate::engine::sweep::distribution::Distribution;
use crate::engine::sweep::history::{History, Placed};
use crate::engine::sweep::record::State;
use crate::engine::sweep::study::seed_of;
use crate::engine::{Error, Result, random};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PbtOptions {
    /// Steps between two selections.
    pub interval: i64,
    /// Which part of the trials ends, and which part they are replaced by.
    #[serde(default = "quarter")]
    pub share: f64,
    /// A clone's rates are its origin's, times this or divided by it.
    #[serde(default = "fifth")]
    pub factor: f64,
}

fn quarter() -> f64 {
    0.25
}

fn fifth() -> f64 {
    1.2
}

pub struct Pbt(PbtOptions);

impl Pbt {
    pub fn new(options: PbtOptions) -> Result<Self> {
        if options.interval < 1 {
            return Err(Error::option("pruner.interval", "at least 1 step", options.interval));
        }
        if !(options.share > 0.0 && options.share <= 0.5) {
            return Err(Error::option("pruner.share", "above 0, at most 0.5", options.share));
        }
        if !(options.factor >= 1.0 && options.factor.is_finite()) {
            return Err(Error::option("pruner.factor", "at least 1", options.factor));
        }
        Ok(Pbt(options))
    }

    /// The trials that stand comparison at a step, the best first: each by its last report by then, if that is no older than an interval.
    fn ranked<'a>(&self, history: &'a History, step: i64) -> Vec<(f64, &'a Placed)> {
        let direction = history.direction();
        let goes_on = |trial: &&Placed| matches!(trial.record.state, State::Running | State::Complete);
        let latest = |trial: &'a Placed| {
            let (at, value) = trial.record.reports.range(..=step).next_back()?;
            let loss = if value.is_nan() { f64::INFINITY } else { direction.loss(*value) };
            (step - at < self.0.interval).then_some((loss, trial))
        };
        let mut ranked: Vec<(f64, &Placed)> = history.trials.iter().filter(goes_on).filter_map(latest).collect();
        ranked.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.place.cmp(&b.1.place)));
        ranked
    }

    /// The origin's parameters, those of them changed that may be.
    fn explored(&self, origin: &Placed, draws: &mut impl rand::Rng) -> Map<String, Value> {
        let mut params = Map::new();
        for parameter in &origin.record.parameters {
            let Distribution::Float { .. } = parameter.distribution else { continue };
            let factor = if random::below(draws, 2) == 0 { self.0.factor } else { 1.0 / self.0.factor };
            let value = parameter.distribution.nearest(parameter.value * factor);
            params.insert(parameter.name.clone(), parameter.distribution.external(value));
        }
        params
    }
}

impl Pruner for Pbt {
    fn judge(&self, history: &History, trial: &Placed) -> Result<Verdict> {
        let Some((step, _)) = trial.record.last_report() else { return Ok(Verdict::default()) };
        if step < 1 || step % self.0.interval != 0 {
            return Ok(Verdict::default());
        }
        let ranked = self.ranked(history, step);
        let count = (ranked.len() as f64 * self.0.share) as usize;
        let rank = ranked.iter().position(|(_, other)| other.place == trial.place).unwrap_or(0);
        if rank + count < ranked.len() || count == 0 {
            return Ok(Verdict::default());
        }
        let mut draws = random::stream(seed_of(&history.system_attrs), &format!("sweep pbt {step}"), trial.place);
        let (loss, origin) = ranked[random::below(&mut draws, count as u64) as usize];
        if loss >= ranked[rank].0 {
            return Ok(Verdict::default());
        }
        let of = origin.record.number;
        abandoned::checkpoint(&origin.record).ok_or_else(|| clones::without_checkpoint(of))?;
        let successor = Successor { of, params: self.explored(origin, &mut draws) };
        Ok(Verdict { prune: true, successor: Some(successor), ..Verdict::default() })
    }
}
