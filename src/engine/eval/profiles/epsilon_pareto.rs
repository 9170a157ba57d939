//! ε-Pareto dominance: who is not clearly worse anywhere and a little better somewhere.
//!
//! The validators' rule from August to October 2025 (affine-cortex, `affine/sampling.py` at 2ca3b18, 14 October; the same rule
//! with its last constants since f643d67, 11 October). Unlike [`rank`](super::super::rank) it has no intervals: a difference is
//! held against its standard error. Every subset of environments has one winner, who takes its points: 1 for a subset of one, 2ˢ
//! for one of s > 1.
//!
//! Where upstream leaves a result open, it is settled here: among models with as many dominations and the same first block the first
//! one given wins, where upstream's choice depends on Python's hash seed. A model has one first block, the earliest of its
//! environments'. Not here: which miners could be queried (all count as such), and the burned share, which is 0 unless a
//! validator asks for one.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::rank::{Contender, RankedModel, environments, subsets_of};
use crate::engine::{Error, Result};

/// More episodes than this do not make a standard error smaller.
const COUNT_CAP: u64 = 1000;

/// Eligibility looks at no larger count than this.
const ELIGIBLE_CAP: u64 = 2000;

/// The rule's constants.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EpsilonParetoOptions {
    /// The tolerance of "not worse": at least this much.
    pub eps_floor: f64,
    /// The tolerance of "not worse": this many standard errors of the difference; with 0 `eps_floor` alone.
    pub z_not_worse: f64,
    /// The margin of "better": at least this much, but never more than the tolerance.
    pub eps_win: f64,
    /// The margin of "better": this many standard errors of the difference; with 0 `eps_win` alone.
    pub z_win: f64,
    /// A model needs this share of the largest count in every environment, which is capped at 2000, plus ten.
    pub eligible_share: f64,
    /// A model needs at least this many episodes in every environment.
    pub min_samples: u64,
}

impl Default for EpsilonParetoOptions {
    fn default() -> Self {
        EpsilonParetoOptions {
            eps_floor: 0.005,
            z_not_worse: 1.28,
            eps_win: 0.015,
            z_win: 0.5,
            eligible_share: 0.10,
            min_samples: 100,
        }
    }
}

impl EpsilonParetoOptions {
    pub fn validate(&self) -> Result<()> {
        let numbers = [
            ("eps_floor", self.eps_floor),
            ("z_not_worse", self.z_not_worse),
            ("eps_win", self.eps_win),
            ("z_win", self.z_win),
            ("eligible_share", self.eligible_share),
        ];
        match numbers.iter().find(|(_, number)| !(number.is_finite() && *number >= 0.0)) {
            Some((name, number)) => Err(Error::option(*name, "a number of at least 0", number)),
            None => Ok(()),
        }
    }

    /// What two means may differ by: the tolerance of "not worse" and the margin of "better".
    pub fn thresholds(&self, a: Mean, b: Mean) -> Thresholds {
        let error = (a.variance() + b.variance()).sqrt();
        let not_worse = self.eps_floor.max(self.z_not_worse * error);
        Thresholds { not_worse, better: self.eps_win.max(self.z_win * error).min(not_worse) }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    pub not_worse: f64,
    pub better: f64,
}

/// A model's mean score on one environment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mean {
    pub mean: f64,
    pub n: u64,
}

impl Mean {
    /// The squared standard error, as if every score were 0 or 1.
    fn variance(self) -> f64 {
        let share = self.mean.clamp(0.0, 1.0);
        share * (1.0 - share) / self.n.clamp(1, COUNT_CAP) as f64
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Cell {
    pub mean: f64,
    pub n: u64,
    pub winner: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Subset {
    pub environments: Vec<String>,
    pub winner: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ranking {
    /// In the order given.
    pub models: Vec<RankedModel<Cell>>,
    pub subsets: Vec<Subset>,
    /// Who leads each environment.
    pub winners: BTreeMap<String, String>,
    /// The episodes that eligibility asks for.
    pub required: BTreeMap<String, u64>,
    /// Nobody is eligible: all models were ranked, and the first one given gets the whole weight.
    pub fallback: bool,
}

/// Ranks the eligible models, or all when none is. Errors as [`rank`](super::super::rank::rank)'s.
pub fn rank(contenders: &[Contender], options: &EpsilonParetoOptions) -> Result<Ranking> {
    options.validate()?;
    let names = environments(contenders)?;
    let field = Field::new(contenders, &names, options);
    let mut layer_points: Vec<BTreeMap<usize, f64>> = vec![BTreeMap::new(); contenders.len()];
    let (mut subsets, mut leaders) = (Vec::new(), Vec::new());
    for subset in subsets_of(names.len()) {
        let winner = field.winner(&subset);
        let worth = if subset.len() == 1 { 1.0 } else { (1u64 << subset.len()) as f64 };
        *layer_points[winner].entry(subset.len()).or_insert(0.0) += worth;
        if subset.len() == 1 {
            leaders.push(winner);
        }
        subsets.push(Subset {
            environments: subset.iter().map(|&env| names[env].clone()).collect(),
            winner: contenders[winner].name.clone(),
        });
    }
    let fallback = !field.eligible.contains(&true);
    let points: Vec<f64> = layer_points.iter().map(|layers| layers.values().sum()).collect();
    let total: f64 = points.iter().sum();
    let everything: Vec<usize> = (0..names.len()).collect();
    let models = layer_points.into_iter().enumerate().map(|(model, layer_points)| RankedModel {
        name: contenders[model].name.clone(),
        eligible: field.eligible[model],
        environments: names
            .iter()
            .enumerate()
            .map(|(env, name)| (name.clone(), field.cell(env, model, leaders[env])))
            .collect(),
        dominates: field.dominations(model, &everything),
        layer_points,
        points: points[model],
        weight: match fallback {
            true => f64::from(u8::from(model == 0)),
            false => points[model] / total,
        },
    });
    Ok(Ranking {
        models: models.collect(),
        subsets,
        winners: names.iter().cloned().zip(leaders.iter().map(|&model| contenders[model].name.clone())).collect(),
        required: names.iter().cloned().zip(field.required.iter().copied()).collect(),
        fallback,
    })
}

/// Environments and models are indices.
struct Field<'a> {
    options: &'a EpsilonParetoOptions,
    /// `[env][model]`.
    means: Vec<Vec<Mean>>,
    /// Of each model.
    first_blocks: Vec<u64>,
    required: Vec<u64>,
    eligible: Vec<bool>,
    /// The models that are ranked, in the order given.
    pool: Vec<usize>,
}

impl<'a> Field<'a> {
    fn new(contenders: &[Contender], names: &[String], options: &'a EpsilonParetoOptions) -> Self {
        let mean = |contender: &Contender, name| match contender.environments.get(name) {
            Some(tally) if tally.n > 0 => Mean { mean: tally.sum / tally.n as f64, n: tally.n },
            _ => Mean { mean: 0.0, n: 0 },
        };
        let means: Vec<Vec<Mean>> =
            names.iter().map(|name| contenders.iter().map(|contender| mean(contender, name)).collect()).collect();
        let required: Vec<u64> = means.iter().map(|row| required(row, options)).collect();
        let enough = |model: usize| means.iter().zip(&required).all(|(row, &required)| row[model].n >= required);
        let eligible: Vec<bool> = (0..contenders.len()).map(enough).collect();
        let nobody = !eligible.contains(&true);
        let first_block = |contender: &Contender| contender.environments.values().map(|tally| tally.first_block).min();
        Field {
            options,
            first_blocks: contenders.iter().map(|contender| first_block(contender).unwrap_or(u64::MAX)).collect(),
            pool: (0..contenders.len()).filter(|&model| nobody || eligible[model]).collect(),
            means,
            required,
            eligible,
        }
    }

    /// Whether `a` is worse nowhere and better somewhere, or earlier where all are within the tolerance.
    fn dominates(&self, a: usize, b: usize, subset: &[usize]) -> bool {
        let (mut worse, mut better, mut all_tie) = (false, false, true);
        for &env in subset {
            let (mean, other) = (self.means[env][a], self.means[env][b]);
            let margins = self.options.thresholds(mean, other);
            worse |= mean.mean < other.mean - margins.not_worse;
            better |= mean.mean >= other.mean + margins.better;
            all_tie &= (mean.mean - other.mean).abs() <= margins.not_worse;
        }
        (!worse && better) || (all_tie && self.first_blocks[a] < self.first_blocks[b])
    }

    /// How many models of the pool it dominates; none where it is not of the pool.
    fn dominations(&self, model: usize, subset: &[usize]) -> usize {
        let others = self.pool.iter().filter(|&&other| other != model && self.dominates(model, other, subset));
        if self.pool.contains(&model) { others.count() } else { 0 }
    }

    /// The most dominations; among equals the earliest, then the first given.
    fn winner(&self, subset: &[usize]) -> usize {
        let key = |&model: &usize| (Reverse(self.dominations(model, subset)), self.first_blocks[model]);
        self.pool.iter().copied().min_by_key(key).expect("an environment has a model that played it")
    }

    fn cell(&self, env: usize, model: usize, leader: usize) -> Cell {
        let Mean { mean, n } = self.means[env][model];
        Cell { mean, n, winner: model == leader }
    }
}

/// The episodes that eligibility asks for in one environment.
fn required(means: &[Mean], options: &EpsilonParetoOptions) -> u64 {
    let most = means.iter().map(|mean| mean.n).max().unwrap_or(0).min(ELIGIBLE_CAP);
    options.min_samples.max(10 + (options.eligible_share * most as f64) as u64)
}

#[cfg(test)]
mod tests {
    use super::super::super::rank::Tally;
    use super::*;

    #[test]
    fn the_published_thresholds_come_out() {
        let margins =
            EpsilonParetoOptions::default().thresholds(Mean { mean: 0.65, n: 200 }, Mean { mean: 0.60, n: 200 });
        assert!((margins.not_worse - 0.061885).abs() < 5e-7 && (margins.better - 0.024174).abs() < 5e-7, "{margins:?}");
    }

    #[test]
    fn the_margin_of_better_never_exceeds_the_tolerance() {
        let margins = EpsilonParetoOptions::default().thresholds(Mean { mean: 1.0, n: 1 }, Mean { mean: 0.0, n: 0 });
        assert_eq!((margins.not_worse, margins.better), (0.005, 0.005));
    }

    #[test]
    fn eight_environments_are_worth_the_published_total() {
        let tally = Tally { sum: 150.0, n: 200, first_block: 1 };
        let environments = (0..8).map(|i| (i.to_string(), tally)).collect();
        let ranking = rank(&[Contender { name: "only".to_string(), environments }], &EpsilonParetoOptions::default());
        let ranking = ranking.unwrap();
        assert_eq!((ranking.models[0].points, ranking.models[0].weight), (6552.0, 1.0));
    }

    #[test]
    fn options_out_of_range_are_refused() {
        let error = rank(&[], &EpsilonParetoOptions { z_win: -1.0, ..Default::default() }).unwrap_err();
        assert_eq!(error.to_string(), "z_win: expected a number of at least 0, got -1");
        assert!(rank(&[], &EpsilonParetoOptions::default()).is_err());
    }
}
