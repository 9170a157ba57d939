//! Parzen's estimator: trials as a density over the space, a kernel for each of them and a broad one for the space itself.
//!
//! As Optuna's `_ParzenEstimator` of the defaults has it: a kernel is as wide as the way to its farther neighbour, within limits that become
//! narrower with more trials ("magic clip"); the oldest trials of many count less; a kernel is a product over the parameters, so that what
//! belongs together stays together.

use rand::Rng;

use crate::engine::random;
use crate::engine::sweep::distribution::Distribution;
use crate::engine::sweep::normal;

/// As many of the last trials count whole.
const RECENT: usize = 25;

/// What the kernel of the space itself counts.
const PRIOR: f64 = 1.0;

pub struct Mixture {
    log_weights: Vec<f64>,
    /// Sums of the weights up to each kernel.
    cumulated: Vec<f64>,
    columns: Vec<Column>,
}

/// One parameter in all kernels.
enum Column {
    /// The probability of each choice.
    Choice(Vec<Vec<f64>>),
    Number {
        kernels: Vec<Kernel>,
        distribution: Distribution,
        low: f64,
        high: f64,
    },
}

/// A normal distribution cut to the range.
struct Kernel {
    mean: f64,
    deviation: f64,
    /// The logarithm of what lies in the range.
    log_mass: f64,
}

impl Mixture {
    /// `observations`: for each trial, oldest first, its values of the parameters. `uniform`: all of them count the same.
    pub fn new(observations: &[Vec<f64>], space: &[Distribution], uniform: bool) -> Self {
        let mut weights = if uniform { vec![1.0; observations.len()] } else { weights(observations.len()) };
        weights.push(PRIOR);
        let total: f64 = weights.iter().sum();
        let column = |(place, distribution): (usize, &Distribution)| {
            Column::new(&observations.iter().map(|values| values[place]).collect::<Vec<_>>(), distribution)
        };
        let mut sum = 0.0;
        let cumulated = weights.iter().map(|weight| {
            sum += weight / total;
            sum
        });
        Mixture {
            cumulated: cumulated.collect(),
            log_weights: weights.iter().map(|weight| (weight / total).ln()).collect(),
            columns: space.iter().enumerate().map(column).collect(),
        }
    }

    pub fn sample(&self, rng: &mut impl Rng) -> Vec<f64> {
        let kernel = place_of(&self.cumulated, random::unit(rng));
        self.columns.iter().map(|column| column.sample(kernel, rng)).collect()
    }

    /// The logarithm of the density at a point.
    pub fn log_density(&self, point: &[f64]) -> f64 {
        let mut logs = self.log_weights.clone();
        for (column, value) in self.columns.iter().zip(point) {
            column.add_log_densities(*value, &mut logs);
        }
        let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if most == f64::NEG_INFINITY {
            return most;
        }
        logs.iter().map(|log| (log - most).exp()).sum::<f64>().ln() + most
    }
}

/// The first place whose sum reaches a share; the last where rounding leaves none.
fn place_of(cumulated: &[f64], share: f64) -> usize {
    cumulated.iter().position(|sum| share < *sum).unwrap_or(cumulated.len() - 1)
}

/// What the trials count: of more than [`RECENT`] the older ones rise from 1/n to 1.
fn weights(n: usize) -> Vec<f64> {
    let older = n.saturating_sub(RECENT);
    let first = 1.0 / n as f64;
    let rising = |place: usize| match older {
        1 => first,
        _ => first + (1.0 - first) * place as f64 / (older - 1) as f64,
    };
    (0..n).map(|place| if place < older { rising(place) } else { 1.0 }).collect()
}

impl Column {
    fn new(observations: &[f64], distribution: &Distribution) -> Self {
        match distribution {
            Distribution::Choice { choices } => Column::choices(observations, choices.len()),
            _ => Column::numbers(observations, distribution),
        }
    }

    fn choices(observations: &[f64], count: usize) -> Self {
        let kernels = observations.len() + 1;
        let even = PRIOR / kernels as f64;
        let total = |seen: f64| seen + even * count as f64;
        let seen = |observation: &f64| {
            let weight = |choice| if choice == *observation as usize { 1.0 + even } else { even };
            (0..count).map(|choice| weight(choice) / total(1.0)).collect()
        };
        let prior = vec![1.0 / count as f64; count];
        Column::Choice(observations.iter().map(seen).chain([prior]).collect())
    }

    fn numbers(observations: &[f64], distribution: &Distribution) -> Self {
        let scale = |x: f64| distribution.scaled(x);
        let (low, high) = distribution.range().unwrap_or((0.0, 1.0));
        let half = distribution.step().unwrap_or(0.0) / 2.0;
        let (low, high) = (scale(low - half), scale(high + half));
        let means: Vec<f64> = observations.iter().map(|x| scale(*x)).collect();
        let deviations = deviations(&means, low, high);
        let kernel = |(mean, deviation): (f64, f64)| Kernel {
            mean,
            deviation,
            log_mass: normal::log_mass((low - mean) / deviation, (high - mean) / deviation),
        };
        let prior = (0.5 * (low + high), high - low);
        let kernels = means.into_iter().zip(deviations).chain([prior]).map(kernel).collect();
        Column::Number { kernels, distribution: distribution.clone(), low, high }
    }

    fn sample(&self, kernel: usize, rng: &mut impl Rng) -> f64 {
        let share = random::unit(rng);
        match self {
            Column::Choice(kernels) => {
                let mut sum = 0.0;
                let reaches = |weight: &f64| {
                    sum += weight;
                    share < sum
                };
                kernels[kernel].iter().position(reaches).unwrap_or(kernels[kernel].len() - 1) as f64
            }
            Column::Number { kernels, distribution, low, high } => {
                let Kernel { mean, deviation, .. } = kernels[kernel];
                let cut = normal::quantile(share, (low - mean) / deviation, (high - mean) / deviation);
                on_scale(cut * deviation + mean, distribution)
            }
        }
    }

    /// Adds the logarithm of each kernel's density at a value.
    fn add_log_densities(&self, value: f64, logs: &mut [f64]) {
        match self {
            Column::Choice(kernels) => {
                logs.iter_mut().zip(kernels).for_each(|(log, kernel)| *log += kernel[value as usize].ln());
            }
            Column::Number { kernels, distribution, low, high } => {
                let scale = |x: f64| distribution.scaled(x);
                let edges = distribution.step().map(|step| (scale(value - step / 2.0), scale(value + step / 2.0)));
                for (log, kernel) in logs.iter_mut().zip(kernels) {
                    *log += kernel.log_density(scale(value), edges, *low, *high);
                }
            }
        }
    }
}

impl Kernel {
    /// `edges`: of the step that the value stands for, where there are steps.
    fn log_density(&self, x: f64, edges: Option<(f64, f64)>, low: f64, high: f64) -> f64 {
        let from_mean = |x: f64| (x - self.mean) / self.deviation;
        match edges {
            Some((left, right)) => normal::log_mass(from_mean(left), from_mean(right)) - self.log_mass,
            None if x < low || x > high => f64::NEG_INFINITY,
            None => normal::log_density(from_mean(x)) - self.log_mass - self.deviation.ln(),
        }
    }
}

/// A number on the kernels' scale as a value of the parameter.
fn on_scale(x: f64, distribution: &Distribution) -> f64 {
    let x = if distribution.is_log() { x.exp() } else { x };
    let (low, high) = distribution.range().unwrap_or((x, x));
    match distribution.step() {
        Some(step) => (low + ((x - low) / step).round_ties_even() * step).clamp(low, high),
        None => x.clamp(low, high),
    }
}

/// How wide each kernel is.
fn deviations(means: &[f64], low: f64, high: f64) -> Vec<f64> {
    let n = means.len();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|a, b| means[*a].total_cmp(&means[*b]));
    let sorted: Vec<f64> = [low].into_iter().chain(order.iter().map(|place| means[*place])).chain([high]).collect();
    let narrowest = (high - low) / (2.0 + n as f64).min(100.0);
    let mut deviations = vec![0.0; n];
    for (rank, place) in order.into_iter().enumerate() {
        let (before, after) = (sorted[rank + 1] - sorted[rank], sorted[rank + 2] - sorted[rank + 1]);
        // The ends of the range are no neighbours, where there are others.
        let width = match rank {
            0 if n > 1 => after,
            _ if n > 1 && rank == n - 1 => before,
            _ => before.max(after),
        };
        deviations[place] = width.clamp(narrowest, high - low);
    }
    deviations
}
