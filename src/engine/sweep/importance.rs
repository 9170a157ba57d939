//! How much each parameter decides whether a trial is among the best tenth: PED-ANOVA, the default of Optuna 5.
//!
//! Where the good trials lie along a parameter is compared with where all of them lie; a parameter along which they lie alike matters little.
//! Watanabe, Bansal and Hutter, "PED-ANOVA: efficiently quantifying hyperparameter importance in arbitrary subspaces" (2023); for parameters
//! that not all trials have, Kaito and Watanabe, "Conditional PED-ANOVA" (2026). It says nothing of interactions.

use super::distribution::Distribution;
use super::history::{History, Placed};
use super::normal;
use super::pareto;
use super::record::State;

/// What tables and figures call it.
pub const METHOD: &str = "PED-ANOVA";

/// The share of the trials that is good.
const GOOD: f64 = 0.1;

/// Numbers are counted in at most so many bins.
const BINS: usize = 50;

/// As many trials of one range tell something.
const LEAST: usize = 2;

/// Of each parameter that a complete trial had, its share of what all of them decide, the most important first. Without two complete
/// trials all are equal.
pub fn importance(history: &History) -> Vec<(String, f64)> {
    let is_finite = |trial: &&Placed| trial.record.values.iter().all(|value| value.is_finite());
    let complete: Vec<&Placed> = history.of_state(State::Complete).collect();
    let trials: Vec<&Placed> = complete.iter().copied().filter(is_finite).collect();
    let mut names: Vec<&str> = Vec::new();
    for parameter in complete.iter().flat_map(|trial| &trial.record.parameters) {
        if !names.contains(&parameter.name.as_str()) {
            names.push(&parameter.name);
        }
    }
    let is_good = good(&trials, history);
    let of = |name: &&str| if trials.len() < LEAST { 0.0 } else { divergence_of(name, &trials, &is_good) };
    let raw: Vec<f64> = names.iter().map(of).collect();
    let total: f64 = raw.iter().sum();
    let share = |raw: f64| if total > 0.0 { raw / total } else { 1.0 / names.len() as f64 };
    let mut shares: Vec<(String, f64)> =
        names.iter().zip(&raw).map(|(name, raw)| (name.to_string(), share(*raw))).collect();
    shares.sort_by(|a, b| b.1.total_cmp(&a.1));
    shares
}

/// Whether each trial is good.
fn good(trials: &[&Placed], history: &History) -> Vec<bool> {
    let count = (GOOD * trials.len() as f64).ceil() as usize;
    let losses: Vec<Vec<f64>> = trials.iter().map(|trial| history.losses(trial)).collect();
    if history.directions.len() > 1 {
        let best = pareto::best(&losses, count);
        return (0..trials.len()).map(|place| best.contains(&place)).collect();
    }
    let mut sorted: Vec<f64> = losses.iter().map(|loss| loss[0]).collect();
    sorted.sort_by(f64::total_cmp);
    let last = count.checked_sub(1).map(|last| sorted[last]);
    losses.iter().map(|loss| last.is_some_and(|last| loss[0] <= last)).collect()
}

/// Over the ranges that a parameter had, each by itself.
fn divergence_of(name: &str, trials: &[&Placed], is_good: &[bool]) -> f64 {
    let mut ranges: Vec<(&Distribution, Vec<(f64, bool)>)> = Vec::new();
    for (trial, is_good) in trials.iter().zip(is_good) {
        let Some(parameter) = trial.record.parameter(name) else { continue };
        let observation = (parameter.value, *is_good);
        match ranges.iter_mut().find(|(range, _)| **range == parameter.distribution) {
            Some((_, observations)) => observations.push(observation),
            None => ranges.push((&parameter.distribution, vec![observation])),
        }
    }
    let all_good = is_good.iter().filter(|good| **good).count() as f64;
    let mut sum = 0.0;
    for (range, observations) in ranges {
        let all: Vec<f64> = observations.iter().map(|(value, _)| *value).collect();
        let good: Vec<f64> = observations.iter().filter(|(_, good)| *good).map(|(value, _)| *value).collect();
        if all.len() < LEAST || good.is_empty() || range.is_single() {
            continue;
        }
        let (of_good, of_all) = (good.len() as f64 / all_good, all.len() as f64 / trials.len() as f64);
        sum += of_good * of_good / of_all * pearson(range, &good, &all);
    }
    sum
}

/// Pearson's divergence of the good trials' density from that of all.
fn pearson(range: &Distribution, good: &[f64], all: &[f64]) -> f64 {
    let (good, all) = (density(&counts(range, good), range), density(&counts(range, all), range));
    let part = |(good, all): (&f64, &f64)| {
        let (good, all) = (good + 1e-12, all + 1e-12);
        all * (good / all - 1.0).powi(2)
    };
    good.iter().zip(&all).map(part).sum()
}

/// How many values lie in each bin of a range, or are each of the choices.
fn counts(range: &Distribution, values: &[f64]) -> Vec<f64> {
    let (bins, place): (usize, Box<dyn Fn(f64) -> f64>) = match range {
        Distribution::Choice { choices } => (choices.len(), Box::new(|value| value)),
        _ => {
            let (low, high) = range.range().unwrap_or((0.0, 1.0));
            let bins = match (range, range.step()) {
                (Distribution::Int { log: true, .. }, _) => (high - low + 1.0).log2().ceil() as usize + 1,
                (_, Some(step)) => ((high - low) / step).round() as usize + 1,
                _ => BINS,
            };
            let scale = |x: f64| range.scaled(x);
            let bins = bins.min(BINS);
            let (low, width) = (scale(low), (scale(high) - scale(low)) / (bins - 1) as f64);
            (bins, Box::new(move |value| ((scale(value) - low) / width - 0.5).ceil().clamp(0.0, (bins - 1) as f64)))
        }
    };
    let mut counts = vec![0.0; bins];
    values.iter().for_each(|value| counts[place(*value) as usize] += 1.0);
    counts
}

/// A smooth density over the bins: a kernel for each bin that has something in it, and a broad one.
fn density(counts: &[f64], range: &Distribution) -> Vec<f64> {
    let bins = counts.len();
    let seen: Vec<usize> = (0..bins).filter(|bin| counts[*bin] > 0.0).collect();
    let total: f64 = counts.iter().sum::<f64>() + 1.0;
    let kernels: Vec<Vec<f64>> = match range {
        Distribution::Choice { .. } => {
            let even = 1.0 / (seen.len() + 1) as f64;
            let of = |seen: Option<usize>| {
                let weight = |choice| even + if seen == Some(choice) { 1.0 } else { 0.0 };
                let sum = even * bins as f64 + seen.map_or(0.0, |_| 1.0);
                (0..bins).map(|choice| weight(choice) / sum).collect()
            };
            seen.iter().map(|choice| of(Some(*choice))).chain([of(None)]).collect()
        }
        _ => {
            let width = scotts_width(counts, &seen);
            let last = (bins - 1) as f64;
            let prior = normal_kernel(last / 2.0, last + 1.0, bins);
            seen.iter().map(|bin| normal_kernel(*bin as f64, width, bins)).chain([prior]).collect()
        }
    };
    let weights = seen.iter().map(|bin| counts[*bin]).chain([1.0]).map(|weight| weight / total);
    let mut density = vec![0.0; bins];
    for (kernel, weight) in kernels.iter().zip(weights) {
        density.iter_mut().zip(kernel).for_each(|(sum, share)| *sum += weight * share);
    }
    density
}

/// The shares of the bins in a normal distribution cut to all of them.
fn normal_kernel(mean: f64, deviation: f64, bins: usize) -> Vec<f64> {
    let mass = |from: f64, to: f64| normal::log_mass((from - mean) / deviation, (to - mean) / deviation);
    let all = mass(-0.5, bins as f64 - 0.5);
    (0..bins).map(|bin| (mass(bin as f64 - 0.5, bin as f64 + 0.5) - all).exp()).collect()
}

/// Scott's rule (1992), with the distance of the quartiles where that is less than the deviation.
fn scotts_width(counts: &[f64], seen: &[usize]) -> f64 {
    let total: f64 = counts.iter().sum();
    let weighted = |of: &dyn Fn(f64) -> f64| seen.iter().map(|bin| of(*bin as f64) * counts[*bin]).sum::<f64>();
    let mean = weighted(&|bin| bin) / total;
    let deviation = (weighted(&|bin| (bin - mean).powi(2)) / (total - 1.0).max(1.0)).sqrt();
    let mut sum = 0.0;
    let cumulated: Vec<f64> = seen
        .iter()
        .map(|bin| {
            sum += counts[*bin];
            sum
        })
        .collect();
    let first = cumulated.partition_point(|sum| *sum < (total / 4.0).floor());
    let third = cumulated.partition_point(|sum| *sum <= (total * 3.0 / 4.0).floor());
    let quartiles = seen[third.min(seen.len() - 1)] as f64 - seen[first] as f64;
    let width = 1.059 * (quartiles / 1.34).min(deviation) * total.powf(-0.2);
    // Narrower ones fall between the bins.
    width.max(0.5 / 1.64)
}
