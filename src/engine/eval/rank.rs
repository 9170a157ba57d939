//! Ranking many models as the Affine validators do: frontiers over every subset of environments, points per subset,
//! weights.
//!
//! Sources: affine-cortex `affine/sampling.py` and `affine/validator.py` at 74b788c (October 2025, profile `beta80`)
//! and at 5d363ef (November 2025, profile `beta80_layers`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::dominance::{Dominance, Outcome, Standing, compare, dominance};
use super::interval::{DEFAULT_LEVEL, interval};
use crate::engine::{Error, Result};

/// A model needs this share of the largest count in every environment, which is capped at [`COUNT_CAP`], plus ten.
const ELIGIBLE_SHARE: f64 = 0.10;
const COUNT_CAP: u64 = 5000;

/// 2¹² subsets: more would take minutes and say nothing.
const MAX_ENVIRONMENTS: usize = 12;

/// How a subset's points are sized and shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// A subset of one environment is worth 1 point, one of s > 1 is worth 2ˢ; its frontier shares equally.
    #[default]
    Beta80,
    /// Only the six largest sizes count; size s is worth 2ˢ shared by its subsets. The frontier shares by the squared
    /// geometric mean, halved with each rank.
    Beta80Layers,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RankOptions {
    pub profile: Profile,
    /// The level of the intervals, between 0 and 1.
    pub level: f64,
    /// Fewer episodes than this lose every comparison.
    pub min_samples: u64,
}

impl Default for RankOptions {
    fn default() -> Self {
        RankOptions { profile: Profile::Beta80, level: DEFAULT_LEVEL, min_samples: 200 }
    }
}

/// What a model achieved on one environment: the sum of its `n` normalised scores, and when it was published.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    pub sum: f64,
    pub n: u64,
    pub first_block: u64,
}

/// A model that no episode was judged for: published after everyone else.
const NOTHING: Tally = Tally { sum: 0.0, n: 0, first_block: u64::MAX };

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contender {
    pub name: String,
    pub environments: BTreeMap<String, Tally>,
}

/// A cell of the validators' table; as text `acc/[lower,upper]/n` in percent, the winner between stars.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Cell {
    pub mean: f64,
    pub lower: f64,
    pub upper: f64,
    pub n: u64,
    pub winner: bool,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let star = if self.winner { "*" } else { "" };
        let [mean, lower, upper] = [self.mean, self.lower, self.upper].map(|share| 100.0 * share);
        write!(f, "{star}{mean:.2}/[{lower:.2},{upper:.2}]/{}{star}", self.n)
    }
}

/// The share of a subset's points that each model of its frontier gets; they sum to 1.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Subset {
    pub environments: Vec<String>,
    pub shares: BTreeMap<String, f64>,
}

/// `C`: what a profile tells of an environment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RankedModel<C = Cell> {
    pub name: String,
    /// Enough episodes in every environment.
    pub eligible: bool,
    pub environments: BTreeMap<String, C>,
    /// How many of the ranked models it dominates on all environments.
    pub dominates: usize,
    /// Points by the size of the subset.
    pub layer_points: BTreeMap<usize, f64>,
    pub points: f64,
    /// The share of all points; sums to 1 over the models.
    pub weight: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ranking {
    /// In the order given.
    pub models: Vec<RankedModel>,
    pub subsets: Vec<Subset>,
    /// Who leads each environment; among equals the earliest, then the first given.
    pub winners: BTreeMap<String, String>,
    /// The episodes that eligibility asks for.
    pub required: BTreeMap<String, u64>,
    /// Nobody is eligible: all models were ranked, and the first one given gets the whole weight.
    pub fallback: bool,
}

/// Ranks the eligible models, or all when none is.
pub fn rank(contenders: &[Contender], options: &RankOptions) -> Result<Ranking> {
    if !(options.level > 0.0 && options.level < 1.0) {
        return Err(Error::option("level", "a number between 0 and 1", options.level));
    }
    let environments = environments(contenders)?;
    let field = Field::new(contenders, &environments, options);
    let total_environments = environments.len();

    let mut layer_points = vec![BTreeMap::new(); contenders.len()];
    let mut subsets = Vec::new();
    for subset in subsets_of(total_environments) {
        let Some(worth) = options.profile.worth(subset.len(), total_environments) else { continue };
        let shares = field.shares(&subset);
        for &(model, share) in &shares {
            *layer_points[model].entry(subset.len()).or_insert(0.0) += worth * share;
        }
        subsets.push(Subset {
            environments: subset.iter().map(|&env| environments[env].clone()).collect(),
            shares: shares.into_iter().map(|(model, share)| (contenders[model].name.clone(), share)).collect(),
        });
    }
    let points: Vec<f64> = layer_points.iter().map(|layers: &BTreeMap<usize, f64>| layers.values().sum()).collect();
    let total: f64 = points.iter().sum();
    let fallback = !field.eligible.contains(&true);
    let weight = |model: usize| match fallback {
        true if model == 0 => 1.0,
        true => 0.0,
        false => points[model] / total,
    };

    let leaders: Vec<usize> = (0..total_environments).map(|env| field.leader(env)).collect();
    let cells = |model: usize| {
        let cell = |(env, name): (usize, &String)| (name.clone(), field.cell(env, model, leaders[env] == model));
        environments.iter().enumerate().map(cell).collect()
    };
    let models = layer_points.iter().enumerate().map(|(model, layers)| RankedModel {
        name: contenders[model].name.clone(),
        eligible: field.eligible[model],
        environments: cells(model),
        dominates: field.dominated_by(model),
        layer_points: layers.clone(),
        points: points[model],
        weight: weight(model),
    });
    Ok(Ranking {
        models: models.collect(),
        subsets,
        winners: environments.iter().cloned().zip(leaders.iter().map(|&m| contenders[m].name.clone())).collect(),
        required: environments.iter().cloned().zip(field.required.iter().copied()).collect(),
        fallback,
    })
}

/// The environments, sorted, of models that can be ranked.
pub(super) fn environments(contenders: &[Contender]) -> Result<Vec<String>> {
    let mut names = BTreeSet::new();
    if let Some(twice) = contenders.iter().find(|contender| !names.insert(&contender.name)) {
        return Err(Error::message(format!("two models to rank are named {}", twice.name)));
    }
    let environments: BTreeSet<&String> = contenders.iter().flat_map(|c| c.environments.keys()).collect();
    if environments.is_empty() || environments.len() > MAX_ENVIRONMENTS {
        let message = format!("models are ranked on 1 to {MAX_ENVIRONMENTS} environments, got {}", environments.len());
        return Err(Error::message(message));
    }
    Ok(environments.into_iter().cloned().collect())
}

impl Profile {
    /// The points of one subset of `size` out of `total` environments; `None` where that size does not count.
    fn worth(self, size: usize, total: usize) -> Option<f64> {
        let power = (1u64 << size) as f64;
        match self {
            Profile::Beta80 => Some(if size == 1 { 1.0 } else { power }),
            Profile::Beta80Layers if size + 5 < total => None,
            Profile::Beta80Layers => Some(power / binomial(total, size)),
        }
    }
}

/// Every comparison, made once. Environments and models are indices.
struct Field {
    profile: Profile,
    /// `[env][model]`.
    tallies: Vec<Vec<Tally>>,
    /// `[env][model]`.
    standings: Vec<Vec<Standing>>,
    /// `[env][model][other]`.
    outcomes: Vec<Vec<Vec<Outcome>>>,
    required: Vec<u64>,
    eligible: Vec<bool>,
    /// The models that are ranked, in the order given.
    pool: Vec<usize>,
}

impl Field {
    fn new(contenders: &[Contender], environments: &[String], options: &RankOptions) -> Self {
        let tally = |contender: &Contender, env| contender.environments.get(env).copied().unwrap_or(NOTHING);
        let tallies: Vec<Vec<Tally>> =
            environments.iter().map(|env| contenders.iter().map(|contender| tally(contender, env)).collect()).collect();
        let standing = |t: &Tally| {
            let (lower, upper) = interval(t.sum, t.n, options.level);
            Standing { lower, upper, n: t.n, first_block: t.first_block }
        };
        let standings: Vec<Vec<Standing>> = tallies.iter().map(|row| row.iter().map(standing).collect()).collect();
        let compare_all = |row: &Vec<Standing>| {
            row.iter().map(|a| row.iter().map(|b| compare(a, b, options.min_samples)).collect()).collect()
        };
        let required: Vec<u64> = tallies.iter().map(|row| required(row, options.min_samples)).collect();
        let enough = |model: usize| tallies.iter().zip(&required).all(|(row, &required)| row[model].n >= required);
        let eligible: Vec<bool> = (0..contenders.len()).map(enough).collect();
        let nobody = !eligible.contains(&true);
        Field {
            profile: options.profile,
            outcomes: standings.iter().map(compare_all).collect(),
            pool: (0..contenders.len()).filter(|&model| nobody || eligible[model]).collect(),
            tallies,
            standings,
            required,
            eligible,
        }
    }

    fn dominates(&self, model: usize, other: usize, subset: &[usize]) -> bool {
        dominance(subset.iter().map(|&env| self.outcomes[env][model][other])) == Dominance::Dominates
    }

    /// How many models of the pool `model` dominates on all environments.
    fn dominated_by(&self, model: usize) -> usize {
        let everything: Vec<usize> = (0..self.tallies.len()).collect();
        let others = self.pool.iter().filter(|&&other| self.dominates(model, other, &everything));
        if self.pool.contains(&model) { others.count() } else { 0 }
    }

    /// The models that no other dominates; all of them where each is dominated (a cycle).
    fn frontier(&self, subset: &[usize]) -> Vec<usize> {
        let undominated = |&model: &usize| !self.pool.iter().any(|&other| self.dominates(other, model, subset));
        let frontier: Vec<usize> = self.pool.iter().copied().filter(undominated).collect();
        if frontier.is_empty() { self.pool.clone() } else { frontier }
    }

    /// The frontier with each model's share of the subset's points.
    fn shares(&self, subset: &[usize]) -> Vec<(usize, f64)> {
        let mut frontier = self.frontier(subset);
        let equal = 1.0 / frontier.len() as f64;
        if self.profile == Profile::Beta80 {
            return frontier.into_iter().map(|model| (model, equal)).collect();
        }
        // A stable sort: exact ties keep the order given, upstream's depends on Python's hash seed.
        frontier.sort_by(|&a, &b| self.geometric_mean(b, subset).total_cmp(&self.geometric_mean(a, subset)));
        let raw =
            |(place, &model): (usize, &usize)| self.geometric_mean(model, subset).powi(2) * 0.5f64.powi(place as i32);
        let raw: Vec<f64> = frontier.iter().enumerate().map(raw).collect();
        let total: f64 = raw.iter().sum();
        frontier.into_iter().zip(raw).map(|(m, raw)| (m, if total > 0.0 { raw / total } else { equal })).collect()
    }

    /// Of the mean scores, each clamped to 0..1.
    fn geometric_mean(&self, model: usize, subset: &[usize]) -> f64 {
        let product: f64 = subset.iter().map(|&env| mean(&self.tallies[env][model]).clamp(0.0, 1.0)).product();
        product.powf(1.0 / subset.len() as f64)
    }

    /// The largest share of the environment; among equals the earliest, then the first given.
    fn leader(&self, env: usize) -> usize {
        let key = |&(model, share): &(usize, f64)| (share, std::cmp::Reverse(self.tallies[env][model].first_block));
        let mut shares = self.shares(&[env]);
        shares.sort_by(|a, b| key(b).partial_cmp(&key(a)).unwrap_or(std::cmp::Ordering::Equal));
        shares[0].0
    }

    fn cell(&self, env: usize, model: usize, winner: bool) -> Cell {
        let Standing { lower, upper, n, .. } = self.standings[env][model];
        Cell { mean: mean(&self.tallies[env][model]), lower, upper, n, winner }
    }
}

fn mean(tally: &Tally) -> f64 {
    if tally.n == 0 { 0.0 } else { tally.sum / tally.n as f64 }
}

/// The episodes that eligibility asks for in one environment.
fn required(tallies: &[Tally], min_samples: u64) -> u64 {
    let most = tallies.iter().map(|tally| tally.n).max().unwrap_or(0).min(COUNT_CAP);
    min_samples.max(10 + (ELIGIBLE_SHARE * most as f64) as u64)
}

/// The non-empty subsets of `0..total`, the smaller first, each and all in rising order.
pub(super) fn subsets_of(total: usize) -> Vec<Vec<usize>> {
    let members = |bits: u32| (0..total).filter(|env| bits >> env & 1 == 1).collect();
    let mut subsets: Vec<Vec<usize>> = (1..1u32 << total).map(members).collect();
    subsets.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
    subsets
}

fn binomial(total: usize, size: usize) -> f64 {
    (0..size).fold(1.0, |value, i| value * (total - i) as f64 / (i + 1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_environments_are_worth_the_published_totals() {
        let total = |profile: Profile| -> f64 {
            subsets_of(8).iter().filter_map(|subset| profile.worth(subset.len(), 8)).sum()
        };
        assert_eq!(total(Profile::Beta80), 6552.0);
        assert!((total(Profile::Beta80Layers) - 504.0).abs() < 1e-9);
        assert_eq!((Profile::Beta80Layers.worth(2, 8), Profile::Beta80Layers.worth(1, 6)), (None, Some(2.0 / 6.0)));
    }

    #[test]
    fn subsets_come_smaller_first_and_in_rising_order() {
        let expected: [&[usize]; 7] = [&[0], &[1], &[2], &[0, 1], &[0, 2], &[1, 2], &[0, 1, 2]];
        assert_eq!(subsets_of(3), expected);
    }
}
