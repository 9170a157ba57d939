//! What the episodes of an evaluation add up to, for each environment and over all.
//!
//! [`EnvironmentScore`] is the row of a summary's table; this is what else there is to know. Failed episodes, in which the
//! environment broke, are counted and in no other number; an episode that scored 0 is judged like any other.
//!
//! With several samples a task, episodes of one task are not independent: the bootstrap interval draws tasks, with each task's mean,
//! while the Beta rule of `lower` and `upper` counts every episode, as the validators do, and is then too narrow.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::compare::bootstrap::quantile;
use super::compare::{BootstrapInterval, BootstrapOptions, overall_interval, score_interval};
use super::summary::EnvironmentScore;
use crate::engine::{Error, Result};

/// An episode's score counts as accurate above this.
const ACCURATE: f64 = 0.5;

/// What is added to every value before a geometric mean and taken off after it.
const SMOOTHING: f64 = 0.01;

/// An episode in numbers. What a source does not tell is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpisodeNumbers {
    pub task_id: u64,
    /// From 0 to 1.
    pub score: f64,
    pub success: bool,
    /// The environment broke; a score that is not a number counts as that too.
    #[serde(default)]
    pub failed: bool,
    /// The model's replies.
    pub turns: u64,
    /// Replies from which the environment could take no action, or which it refused.
    #[serde(default)]
    pub invalid_actions: Option<u64>,
    /// That the model produced.
    #[serde(default)]
    pub tokens: Option<u64>,
    #[serde(default)]
    pub seconds: Option<f64>,
}

impl EpisodeNumbers {
    fn broken(&self) -> bool {
        self.failed || self.score.is_nan()
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MetricOptions {
    /// The k of pass@k and avg@k, each at least 1.
    pub k: Vec<u64>,
    /// Its level is that of all intervals.
    pub bootstrap: BootstrapOptions,
}

impl Default for MetricOptions {
    fn default() -> Self {
        MetricOptions { k: vec![1], bootstrap: BootstrapOptions::default() }
    }
}

/// One environment. Without judged episodes every number is 0, as in [`EnvironmentScore`], and what is optional is `None`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Metrics {
    /// `n`, `failed`, `mean`, `sd`, `success_rate` and the Beta rule's `lower` and `upper`.
    #[serde(flatten)]
    pub score: EnvironmentScore,
    /// Tasks with a judged episode.
    pub tasks: u64,
    /// Judged episodes that scored exactly 0.
    pub zeros: u64,
    pub median: f64,
    /// The share of episodes that scored above 0.5, whatever the environment calls a success.
    pub accuracy: f64,
    /// See [`geometric_mean`].
    pub geometric_mean: f64,
    /// The bootstrap interval of the mean over tasks of each task's mean score.
    pub bootstrap: Option<BootstrapInterval>,
    /// By k, where a task has that many judged samples.
    pub at: BTreeMap<u64, AtK>,
    /// Invalid actions among all turns of the episodes that tell; `None` where none does or no turn was taken.
    pub invalid_action_rate: Option<f64>,
    /// Means per judged episode, over those that tell.
    pub turns: Option<f64>,
    pub tokens: Option<f64>,
    pub seconds: Option<f64>,
}

/// What k samples a task achieve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct AtK {
    /// Tasks with at least k judged samples; the others are in neither number.
    pub tasks: u64,
    /// The chance that one of k samples is a success, estimated without bias from all samples of a task ([`pass_at_k`]), mean over tasks.
    pub pass: f64,
    /// The mean score of a task's first k judged samples, in the order given, mean over tasks.
    pub avg: f64,
}

/// All environments together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Overall {
    /// Those with a judged episode; the others are in no mean.
    pub environments: u64,
    pub n: u64,
    pub failed: u64,
    /// The mean of the environments' means, each counting the same.
    pub mean: f64,
    /// The mean over all episodes, so that an environment counts by its episodes.
    pub weighted_mean: f64,
    /// The bootstrap interval of the environments' mean of task means, each counting the same.
    pub bootstrap: Option<BootstrapInterval>,
    /// The mean of the environments' success rates.
    pub success_rate: f64,
    /// Successes among all episodes.
    pub weighted_success_rate: f64,
    /// The mean of the environments' accuracies.
    pub accuracy: f64,
    /// Of the environments' means, see [`geometric_mean`].
    pub geometric_mean: f64,
    /// The environments with the highest and the lowest mean; among equals the first by name.
    pub best: Option<String>,
    pub worst: Option<String>,
    /// By k, over the environments that have that k, each counting the same. `tasks` is their sum.
    pub at: BTreeMap<u64, AtK>,
    /// As an environment's, over all episodes.
    pub invalid_action_rate: Option<f64>,
    pub turns: Option<f64>,
    pub tokens: Option<f64>,
    pub seconds: Option<f64>,
}

/// The metrics of every environment and of all together.
///
/// An error where an option is out of its range or a score is outside 0..1.
pub fn metrics(
    environments: &BTreeMap<String, Vec<EpisodeNumbers>>,
    options: &MetricOptions,
) -> Result<(BTreeMap<String, Metrics>, Overall)> {
    let mut rows = BTreeMap::new();
    for (name, episodes) in environments {
        rows.insert(name.clone(), environment(episodes, options)?);
    }
    let overall = overall(environments, &rows, options)?;
    Ok((rows, overall))
}

/// The metrics of one environment; errors as [`metrics`]'s.
pub fn environment(episodes: &[EpisodeNumbers], options: &MetricOptions) -> Result<Metrics> {
    if options.k.contains(&0) {
        return Err(Error::option("k", "integers of at least 1", 0));
    }
    let judged: Vec<&EpisodeNumbers> = episodes.iter().filter(|episode| !episode.broken()).collect();
    let pairs: Vec<(f64, bool)> = judged.iter().map(|episode| (episode.score, episode.success)).collect();
    let failed = (episodes.len() - judged.len()) as u64;
    let mut scores: Vec<f64> = pairs.iter().map(|(score, _)| *score).collect();
    scores.sort_by(f64::total_cmp);
    let tasks = by_task(&judged);
    let count = |is: fn(&f64) -> bool| scores.iter().filter(|score| is(score)).count();
    Ok(Metrics {
        score: EnvironmentScore::of(&pairs, failed, options.bootstrap.level),
        tasks: tasks.len() as u64,
        zeros: count(|score| *score == 0.0) as u64,
        median: if scores.is_empty() { 0.0 } else { quantile(&scores, 0.5) },
        accuracy: count(|score| *score > ACCURATE) as f64 / scores.len().max(1) as f64,
        geometric_mean: geometric_mean(&scores),
        bootstrap: score_interval(&task_means(&tasks), &options.bootstrap)?,
        at: options.k.iter().filter_map(|&k| Some((k, at_k(&tasks, k)?))).collect(),
        invalid_action_rate: invalid_action_rate(&judged),
        turns: mean(judged.iter().map(|episode| episode.turns as f64)),
        tokens: mean(judged.iter().filter_map(|episode| Some(episode.tokens? as f64))),
        seconds: mean(judged.iter().filter_map(|episode| episode.seconds)),
    })
}

fn overall(
    environments: &BTreeMap<String, Vec<EpisodeNumbers>>,
    rows: &BTreeMap<String, Metrics>,
    options: &MetricOptions,
) -> Result<Overall> {
    let all: Vec<&EpisodeNumbers> = environments.values().flatten().filter(|episode| !episode.broken()).collect();
    let played: Vec<(&String, &Metrics)> = rows.iter().filter(|(_, row)| row.score.n > 0).collect();
    let over = |number: fn(&Metrics) -> f64| mean(played.iter().map(|(_, row)| number(row))).unwrap_or(0.0);
    let means: Vec<f64> = played.iter().map(|(_, row)| row.score.mean).collect();
    let best = played.iter().rev().max_by(|a, b| a.1.score.mean.total_cmp(&b.1.score.mean));
    let worst = played.iter().min_by(|a, b| a.1.score.mean.total_cmp(&b.1.score.mean));
    let of_tasks: Vec<Vec<f64>> = played
        .iter()
        .map(|(name, _)| {
            let judged: Vec<&EpisodeNumbers> = environments[*name].iter().filter(|episode| !episode.broken()).collect();
            task_means(&by_task(&judged))
        })
        .collect();
    let of_tasks: Vec<&[f64]> = of_tasks.iter().map(Vec::as_slice).collect();
    Ok(Overall {
        environments: played.len() as u64,
        n: all.len() as u64,
        failed: rows.values().map(|row| row.score.failed).sum(),
        mean: over(|row| row.score.mean),
        weighted_mean: mean(all.iter().map(|episode| episode.score)).unwrap_or(0.0),
        bootstrap: overall_interval(&of_tasks, &options.bootstrap)?,
        success_rate: over(|row| row.score.success_rate),
        weighted_success_rate: mean(all.iter().map(|episode| f64::from(u8::from(episode.success)))).unwrap_or(0.0),
        accuracy: over(|row| row.accuracy),
        geometric_mean: geometric_mean(&means),
        best: best.map(|(name, _)| name.to_string()),
        worst: worst.map(|(name, _)| name.to_string()),
        at: options.k.iter().filter_map(|&k| Some((k, at_k_overall(&played, k)?))).collect(),
        invalid_action_rate: invalid_action_rate(&all),
        turns: mean(all.iter().map(|episode| episode.turns as f64)),
        tokens: mean(all.iter().filter_map(|episode| Some(episode.tokens? as f64))),
        seconds: mean(all.iter().filter_map(|episode| episode.seconds)),
    })
}

/// The chance that at least one of `k` samples is a success, where `successes` of `samples` were: 1 − C(n−c, k)/C(n, k) without
/// bias, as a product (Chen et al. 2021, "Evaluating large language models trained on code", section 2.1).
///
/// `None` where there are fewer samples than `k`, more successes than samples, or `k` is 0.
pub fn pass_at_k(samples: u64, successes: u64, k: u64) -> Option<f64> {
    if k == 0 || k > samples || successes > samples {
        return None;
    }
    if samples - successes < k {
        return Some(1.0);
    }
    let none = (samples - successes + 1..=samples).map(|i| 1.0 - k as f64 / i as f64).product::<f64>();
    Some(1.0 - none)
}

/// The geometric mean of values from 0 to 1, smoothed: (Π (vᵢ + ε))^(1/n) − ε with ε = 0.01, and at least 0.
///
/// Unsmoothed, one value of 0 would make it 0 whatever the others are, and for scores that are only 0 or 1 it would say nothing. The
/// smoothing is that of the validators in 2026 (affine-cortex, `affine/src/scorer/utils.py` at c1ef7bd). 0 without
/// values. The profile `beta80_layers` shares its points by an unsmoothed one.
pub fn geometric_mean(values: &[f64]) -> f64 {
    // Of logarithms: a product over many episodes would underflow.
    let logarithms = mean(values.iter().map(|value| (value + SMOOTHING).ln()));
    logarithms.map_or(0.0, |mean| (mean.exp() - SMOOTHING).max(0.0))
}

fn by_task<'a>(judged: &[&'a EpisodeNumbers]) -> BTreeMap<u64, Vec<&'a EpisodeNumbers>> {
    let mut tasks: BTreeMap<u64, Vec<&EpisodeNumbers>> = BTreeMap::new();
    for episode in judged {
        tasks.entry(episode.task_id).or_default().push(episode);
    }
    tasks
}

fn task_means(tasks: &BTreeMap<u64, Vec<&EpisodeNumbers>>) -> Vec<f64> {
    tasks.values().filter_map(|samples| mean(samples.iter().map(|episode| episode.score))).collect()
}

fn at_k(tasks: &BTreeMap<u64, Vec<&EpisodeNumbers>>, k: u64) -> Option<AtK> {
    let enough: Vec<&Vec<&EpisodeNumbers>> = tasks.values().filter(|samples| samples.len() as u64 >= k).collect();
    let passed = |samples: &&Vec<&EpisodeNumbers>| {
        let successes = samples.iter().filter(|episode| episode.success).count();
        pass_at_k(samples.len() as u64, successes as u64, k)
    };
    let first = |samples: &&Vec<&EpisodeNumbers>| mean(samples.iter().take(k as usize).map(|episode| episode.score));
    Some(AtK {
        tasks: enough.len() as u64,
        pass: mean(enough.iter().filter_map(passed))?,
        avg: mean(enough.iter().filter_map(first))?,
    })
}

fn at_k_overall(played: &[(&String, &Metrics)], k: u64) -> Option<AtK> {
    let rows: Vec<&AtK> = played.iter().filter_map(|(_, row)| row.at.get(&k)).collect();
    Some(AtK {
        tasks: rows.iter().map(|row| row.tasks).sum(),
        pass: mean(rows.iter().map(|row| row.pass))?,
        avg: mean(rows.iter().map(|row| row.avg))?,
    })
}

fn invalid_action_rate(judged: &[&EpisodeNumbers]) -> Option<f64> {
    let told = judged.iter().filter_map(|episode| Some((episode.invalid_actions?, episode.turns)));
    let (invalid, turns) = told.fold((0, 0), |sum, (invalid, turns)| (sum.0 + invalid, sum.1 + turns));
    (turns > 0).then(|| invalid as f64 / turns as f64)
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, n) = values.fold((0.0, 0u64), |(sum, n), value| (sum + value, n + 1));
    (n > 0).then(|| sum / n as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn episode(task_id: u64, score: f64) -> EpisodeNumbers {
        EpisodeNumbers {
            task_id,
            score,
            success: score == 1.0,
            failed: false,
            turns: 4,
            invalid_actions: Some(1),
            tokens: Some(100),
            seconds: None,
        }
    }

    fn of(scores: &[f64]) -> Vec<EpisodeNumbers> {
        scores.iter().enumerate().map(|(task, score)| episode(task as u64, *score)).collect()
    }

    fn row(episodes: &[EpisodeNumbers]) -> Metrics {
        environment(episodes, &MetricOptions { k: vec![1, 2], ..MetricOptions::default() }).unwrap()
    }

    #[test]
    fn episodes_are_summed_up() {
        let row = row(&of(&[0.0, 1.0, 0.6, 0.2]));
        assert_eq!((row.score.n, row.tasks, row.zeros), (4, 4, 1));
        assert!((row.median - 0.4).abs() < 1e-15 && (row.score.mean - 0.45).abs() < 1e-15);
        assert_eq!((row.accuracy, row.score.success_rate), (0.5, 0.25));
        assert_eq!(
            (row.invalid_action_rate, row.turns, row.tokens, row.seconds),
            (Some(0.25), Some(4.0), Some(100.0), None)
        );
        assert_eq!((row.at[&1].pass, row.at.get(&2)), (0.25, None));
    }

    #[test]
    fn a_failed_episode_is_apart_from_one_that_scored_nothing() {
        let mut episodes = of(&[0.0, 1.0, 1.0, f64::NAN]);
        episodes[2].failed = true;
        episodes[2].turns = 1000;
        let row = row(&episodes);
        assert_eq!((row.score.n, row.score.failed, row.zeros, row.score.mean, row.turns), (2, 2, 1, 0.5, Some(4.0)));
    }

    #[test]
    fn nothing_played_is_no_number_that_is_none() {
        let row = row(&[]);
        assert_eq!((row.score.n, row.median, row.accuracy, row.geometric_mean), (0, 0.0, 0.0, 0.0));
        assert_eq!((row.bootstrap, row.invalid_action_rate, row.turns, row.at.len()), (None, None, None, 0));
        let (_, overall) = metrics(&BTreeMap::from([("a".to_string(), vec![])]), &MetricOptions::default()).unwrap();
        assert_eq!((overall.environments, overall.mean, overall.best, overall.bootstrap), (0, 0.0, None, None));
    }

    #[test]
    fn pass_at_k_is_the_share_of_draws_with_a_success() {
        // 5 samples, 2 successes: of the 10 pairs 3 have none, of the 10 triples 1 has none.
        let close = |got: Option<f64>, expected: f64| assert!((got.unwrap() - expected).abs() < 1e-15, "{got:?}");
        close(pass_at_k(5, 2, 1), 0.4);
        close(pass_at_k(5, 2, 2), 0.7);
        close(pass_at_k(5, 2, 3), 0.9);
        close(pass_at_k(5, 2, 4), 1.0);
        close(pass_at_k(5, 0, 5), 0.0);
        close(pass_at_k(100_000, 1, 1), 1e-5);
        assert_eq!((pass_at_k(4, 1, 5), pass_at_k(4, 1, 0), pass_at_k(4, 5, 1)), (None, None, None));
    }

    #[test]
    fn samples_of_a_task_count_together() {
        let episodes =
            [episode(7, 1.0), episode(7, 0.0), episode(7, 0.0), episode(9, 0.5), episode(9, 1.0), episode(11, 1.0)];
        let row = row(&episodes);
        assert_eq!((row.tasks, row.at[&1].tasks, row.at[&2].tasks), (3, 3, 2));
        assert!((row.at[&2].pass - (2.0 / 3.0 + 1.0) / 2.0).abs() < 1e-15, "{row:?}");
        assert!((row.at[&2].avg - (0.5 + 0.75) / 2.0).abs() < 1e-15, "{row:?}");
    }

    #[test]
    fn a_zero_lowers_a_geometric_mean_and_does_not_end_it() {
        assert!((geometric_mean(&[0.25, 1.0]) - ((0.26f64 * 1.01).sqrt() - 0.01)).abs() < 1e-15);
        assert!((geometric_mean(&[0.0, 1.0]) - ((0.01f64 * 1.01).sqrt() - 0.01)).abs() < 1e-15);
        assert!(geometric_mean(&[0.0; 5000]) < 1e-12 && geometric_mean(&[]) == 0.0);
        assert!((geometric_mean(&[0.7; 5000]) - 0.7).abs() < 1e-12);
    }

    #[test]
    fn environments_count_the_same_whatever_their_episodes() {
        let environments = BTreeMap::from([
            ("a".to_string(), of(&[1.0, 1.0, 1.0, 1.0, 0.0, 1.0])),
            ("b".to_string(), of(&[0.0, 1.0])),
            ("c".to_string(), vec![]),
        ]);
        let (rows, overall) = metrics(&environments, &MetricOptions::default()).unwrap();
        assert_eq!((rows.len(), overall.environments, overall.n), (3, 2, 8));
        assert!((overall.mean - (5.0 / 6.0 + 0.5) / 2.0).abs() < 1e-15 && overall.weighted_mean == 0.75);
        assert_eq!((overall.best.as_deref(), overall.worst.as_deref()), (Some("a"), Some("b")));
        let interval = overall.bootstrap.unwrap();
        assert!(interval.lower < overall.mean && overall.mean < interval.upper);
        assert!((overall.at[&1].pass - overall.success_rate).abs() < 1e-15);
    }

    #[test]
    fn among_equals_the_first_by_name_is_best_and_worst() {
        let environments = BTreeMap::from([("a".to_string(), of(&[1.0])), ("b".to_string(), of(&[1.0]))]);
        let (_, overall) = metrics(&environments, &MetricOptions::default()).unwrap();
        assert_eq!((overall.best.as_deref(), overall.worst.as_deref()), (Some("a"), Some("a")));
    }

    #[test]
    fn what_cannot_be_counted_is_refused() {
        assert!(environment(&of(&[1.5]), &MetricOptions::default()).is_err());
        assert!(environment(&[], &MetricOptions { k: vec![0], ..MetricOptions::default() }).is_err());
    }
}
