//! Two models on the same tasks, task by task: is the difference more than luck, and how many tasks would tell?
//!
//! Beside the verdict by the validators' rule ([`dominance`](super::dominance)), which compares two means as if the models had played
//! different tasks. Tasks differ in difficulty, and what both models find hard says nothing about which is better; pairing
//! takes it out.
//!
//! Episodes are paired where task and seed are the same. Tests and intervals look at tasks: where a task was played with several seeds,
//! its difference is the mean over them, because episodes of one task are not independent. [`mcnemar`] counts successes,
//! so it is made only where every task was played with one seed.

pub mod bootstrap;
pub mod holm;
pub mod mcnemar;
pub mod needed;
pub mod wilcoxon;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use bootstrap::{
    BootstrapInterval, BootstrapOptions, Method, difference_interval, overall_interval, score_interval,
};
pub use holm::holm;
pub use mcnemar::{McNemar, mcnemar};
pub use needed::{ScoreTasks, SuccessTasks};
pub use wilcoxon::{Wilcoxon, wilcoxon};

use crate::engine::{Error, Result};

/// One judged episode: failed ones are left out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judged {
    pub task_id: u64,
    /// What the model's luck came from; the same for all where each task was played once.
    pub seed: u64,
    /// From 0 to 1.
    pub score: f64,
    pub success: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CompareOptions {
    /// The level of the interval and of the tests that [`needed`] plans for, between 0 and 1.
    pub level: f64,
    /// Bootstrap resamples, at least 100.
    pub resamples: usize,
    pub seed: u64,
    /// How often a difference of the size seen should be found: from 0.5 to below 1.
    pub power: f64,
}

impl Default for CompareOptions {
    fn default() -> Self {
        let BootstrapOptions { level, resamples, seed } = BootstrapOptions::default();
        CompareOptions { level, resamples, seed, power: needed::DEFAULT_POWER }
    }
}

impl CompareOptions {
    pub fn validate(&self) -> Result<()> {
        self.bootstrap().validate()?;
        if !(0.5..1.0).contains(&self.power) {
            return Err(Error::option("power", "a number from 0.5 to below 1", self.power));
        }
        Ok(())
    }

    fn bootstrap(&self) -> BootstrapOptions {
        BootstrapOptions { level: self.level, resamples: self.resamples, seed: self.seed }
    }
}

/// A candidate against a baseline on one environment. Differences are candidate − baseline.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Tasks that both played with the same seed.
    pub tasks: u64,
    /// Episodes of those tasks that have a partner.
    pub pairs: u64,
    /// Episodes of either model without a partner; they are in no other number.
    pub unpaired: u64,
    /// The mean difference over tasks, from −1 to 1; 0 without tasks.
    pub difference: f64,
    /// Its sample standard deviation over tasks (n − 1); 0 for fewer than two.
    pub sd: f64,
    /// The bootstrap interval of `difference`; `None` without tasks.
    pub interval: Option<BootstrapInterval>,
    /// Of the scores.
    pub wilcoxon: Wilcoxon,
    /// Of the successes; `None` where a task was played with several seeds.
    pub mcnemar: Option<McNemar>,
    /// Tasks that would find `difference`; `None` where there is none, or fewer than two tasks.
    pub needed_scores: Option<ScoreTasks>,
    /// Tasks that would find the difference in successes; `None` where there is none or `mcnemar` is.
    pub needed_successes: Option<SuccessTasks>,
}

/// Several environments, with p-values that count how many were looked at.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparisons {
    pub environments: BTreeMap<String, Comparison>,
    /// The environments that one of the two alone played; they are in nothing else.
    pub unshared: Vec<String>,
    /// Wilcoxon's p-values by Holm's correction over the environments.
    pub wilcoxon_holm: BTreeMap<String, f64>,
    /// McNemar's exact p-values by Holm's correction over the environments that have one.
    pub mcnemar_holm: BTreeMap<String, f64>,
}

/// Compares two models on the environments that both played.
///
/// An error where an option is out of its range, a score is none, an episode (task and seed) is told twice, or no environment is shared.
pub fn compare_all(
    candidate: &BTreeMap<String, Vec<Judged>>,
    baseline: &BTreeMap<String, Vec<Judged>>,
    options: &CompareOptions,
) -> Result<Comparisons> {
    let mut environments = BTreeMap::new();
    for (name, episodes) in candidate {
        if let Some(others) = baseline.get(name) {
            environments.insert(name.clone(), compare(episodes, others, options)?);
        }
    }
    if environments.is_empty() {
        return Err(Error::message("models are compared on the environments that both played, and there is none"));
    }
    let unshared = candidate.keys().chain(baseline.keys()).filter(|name| !environments.contains_key(*name));
    let p_values =
        |p: fn(&Comparison) -> Option<f64>| environments.iter().filter_map(move |(name, c)| Some((name, p(c)?)));
    Ok(Comparisons {
        wilcoxon_holm: corrected(p_values(|comparison| Some(comparison.wilcoxon.p))),
        mcnemar_holm: corrected(p_values(|comparison| comparison.mcnemar.map(|test| test.p))),
        unshared: unshared.cloned().collect(),
        environments,
    })
}

fn corrected<'a>(p_values: impl Iterator<Item = (&'a String, f64)>) -> BTreeMap<String, f64> {
    let (names, p_values): (Vec<&String>, Vec<f64>) = p_values.unzip();
    names.into_iter().cloned().zip(holm(&p_values)).collect()
}

/// Compares two models on one environment; errors as [`compare_all`]'s.
pub fn compare(candidate: &[Judged], baseline: &[Judged], options: &CompareOptions) -> Result<Comparison> {
    options.validate()?;
    let (candidate, baseline) = (by_key(candidate)?, by_key(baseline)?);
    let mut tasks: BTreeMap<u64, Vec<(&Judged, &Judged)>> = BTreeMap::new();
    for (key, episode) in &candidate {
        if let Some(other) = baseline.get(key) {
            tasks.entry(key.0).or_default().push((episode, other));
        }
    }
    let pairs: usize = tasks.values().map(Vec::len).sum();
    let differences: Vec<f64> = tasks.values().map(|pairs| difference(pairs)).collect();
    let n = differences.len() as f64;
    let mean = differences.iter().sum::<f64>() / n.max(1.0);
    let squares: f64 = differences.iter().map(|difference| (difference - mean).powi(2)).sum();
    let sd = (squares / (n - 1.0).max(1.0)).sqrt();
    let mcnemar = (pairs == tasks.len()).then(|| {
        let alone =
            |side: fn(&(&Judged, &Judged)) -> bool| tasks.values().flatten().filter(|pair| side(pair)).count() as u64;
        mcnemar(alone(|(a, b)| a.success && !b.success), alone(|(a, b)| b.success && !a.success))
    });
    Ok(Comparison {
        tasks: tasks.len() as u64,
        pairs: pairs as u64,
        unpaired: (candidate.len() + baseline.len() - 2 * pairs) as u64,
        difference: mean,
        sd,
        interval: difference_interval(&differences, &options.bootstrap())?,
        wilcoxon: wilcoxon(&differences),
        mcnemar,
        needed_scores: (n > 1.0).then(|| needed::for_scores(mean, sd, options.level, options.power)).flatten(),
        needed_successes: mcnemar.and_then(|test| {
            let counts = (test.only_candidate, test.only_baseline);
            needed::for_successes(counts.0, counts.1, tasks.len() as u64, options.level, options.power)
        }),
    })
}

/// The mean difference of one task's pairs. Sums that differ by rounding alone give the same number, so that ties are ties.
fn difference(pairs: &[(&Judged, &Judged)]) -> f64 {
    let sum: f64 = pairs.iter().map(|(a, b)| a.score - b.score).sum();
    (sum / pairs.len() as f64 * 1e12).round() / 1e12
}

fn by_key(episodes: &[Judged]) -> Result<BTreeMap<(u64, u64), Judged>> {
    let mut found = BTreeMap::new();
    for episode in episodes {
        if !(0.0..=1.0).contains(&episode.score) {
            let path = format!("score of task {}", episode.task_id);
            return Err(Error::option(path, "a number from 0 to 1", episode.score));
        }
        if found.insert((episode.task_id, episode.seed), *episode).is_some() {
            let message = format!("task {} with seed {} is there twice", episode.task_id, episode.seed);
            return Err(Error::message(message));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(scores: &[f64]) -> Vec<Judged> {
        let judged =
            |(task, &score): (usize, &f64)| Judged { task_id: task as u64, seed: 0, score, success: score == 1.0 };
        scores.iter().enumerate().map(judged).collect()
    }

    #[test]
    fn what_pairing_shows_the_means_alone_do_not() {
        // Task difficulty varies widely; the candidate is a little better on every task.
        let baseline: Vec<f64> = (0..100).map(|i| f64::from(i) / 120.0).collect();
        let candidate: Vec<f64> = baseline.iter().enumerate().map(|(i, score)| score + 0.02 * (i % 3) as f64).collect();
        let found = compare(&judged(&candidate), &judged(&baseline), &CompareOptions::default()).unwrap();
        let interval = found.interval.unwrap();
        assert!(interval.lower > 0.0 && found.wilcoxon.p < 1e-9, "{found:?}");
        assert!(found.needed_scores.unwrap().mean < 20, "{found:?}");
        assert_eq!((found.tasks, found.pairs, found.unpaired), (100, 100, 0));
    }

    #[test]
    fn episodes_without_a_partner_are_counted_and_left_out() {
        let (mut a, b) = (judged(&[1.0, 0.0, 1.0, 1.0]), judged(&[0.0, 0.0, 1.0]));
        a[1].seed = 9;
        let found = compare(&a, &b, &CompareOptions::default()).unwrap();
        assert_eq!((found.tasks, found.unpaired, found.difference), (2, 3, 0.5));
        let test = found.mcnemar.unwrap();
        assert_eq!((test.only_candidate, test.only_baseline), (1, 0));
    }

    #[test]
    fn several_seeds_of_a_task_are_one_difference_and_no_count_of_successes() {
        let episode = |task_id, seed, score| Judged { task_id, seed, score, success: score == 1.0 };
        let a = [episode(0, 0, 1.0), episode(0, 1, 0.0), episode(1, 0, 1.0)];
        let b = [episode(0, 0, 0.0), episode(0, 1, 0.0), episode(1, 0, 0.0)];
        let found = compare(&a, &b, &CompareOptions::default()).unwrap();
        assert_eq!((found.tasks, found.pairs, found.difference, found.mcnemar), (2, 3, 0.75, None));
        assert_eq!(found.needed_successes, None);
    }

    #[test]
    fn nothing_in_common_has_no_interval_and_no_number_that_is_none() {
        let found = compare(&judged(&[]), &judged(&[1.0]), &CompareOptions::default()).unwrap();
        assert_eq!((found.tasks, found.unpaired, found.difference, found.sd, found.interval), (0, 1, 0.0, 0.0, None));
        assert_eq!((found.wilcoxon.p, found.mcnemar.unwrap().p, found.needed_scores), (1.0, 1.0, None));
    }

    #[test]
    fn p_values_pay_for_the_environments_looked_at() {
        let better: Vec<f64> = (0..40).map(|i| f64::from(u8::from(i % 4 != 0))).collect();
        let worse: Vec<f64> = (0..40).map(|i| f64::from(u8::from(i % 4 == 1))).collect();
        let models = |scores: &[f64]| ["a", "b"].map(|name| (name.to_string(), judged(scores))).into_iter().collect();
        let found = compare_all(&models(&better), &models(&worse), &CompareOptions::default()).unwrap();
        let alone = found.environments["a"].mcnemar.unwrap().p;
        assert!((found.mcnemar_holm["a"] - 2.0 * alone).abs() < 1e-15, "{found:?}");
        assert!((found.wilcoxon_holm["b"] - 2.0 * found.environments["b"].wilcoxon.p).abs() < 1e-15);
        let mut more: BTreeMap<String, Vec<Judged>> = models(&better);
        more.insert("c".to_string(), judged(&better));
        let found = compare_all(&more, &models(&worse), &CompareOptions::default()).unwrap();
        assert_eq!((found.unshared, found.environments.len()), (vec!["c".to_string()], 2));
        assert!(compare_all(&models(&better), &BTreeMap::new(), &CompareOptions::default()).is_err());
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        let options = CompareOptions::default();
        let mut twice = judged(&[1.0, 0.0]);
        twice[1].task_id = 0;
        let error = compare(&twice, &judged(&[1.0]), &options).unwrap_err();
        assert_eq!(error.to_string(), "task 0 with seed 0 is there twice");
        let error = compare(&judged(&[f64::NAN]), &judged(&[1.0]), &options).unwrap_err();
        assert_eq!(error.to_string(), "score of task 0: expected a number from 0 to 1, got NaN");
        assert!(compare(&[], &[], &CompareOptions { power: 1.0, ..options }).is_err());
    }
}
