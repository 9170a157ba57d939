//! Which curves there are, and which belong into one chart.

use crate::engine::track::follow::Stage;

/// In this order, as far as a stage has them; the rest follows by name.
const FIRST: [&str; 14] = [
    "score_mean",
    "success_mean",
    "loss",
    "kl",
    "entropy",
    "reward_mean",
    "turns_mean",
    "tokens_mean",
    "policy_loss",
    "value_loss",
    "explained_variance",
    "clip_fraction",
    "approx_kl",
    "grad_norm",
];

/// One chart: a key, or all that is inside of one.
pub struct Chart<'a> {
    pub stage: &'a Stage,
    pub title: String,
    pub lines: Vec<Curve<'a>>,
}

pub struct Curve<'a> {
    /// `sat` of `score_mean.sat`; empty where the chart has one line.
    pub label: &'a str,
    pub points: &'a [(f64, f64)],
}

impl Chart<'_> {
    /// The lowest and the highest of all lines' steps, and of their values.
    pub fn bounds(&self) -> ([f64; 2], [f64; 2]) {
        let none = [f64::INFINITY, f64::NEG_INFINITY];
        let points = self.lines.iter().flat_map(|line| line.points);
        points.fold((none, none), |(x, y), point| (widened(x, point.0), widened(y, point.1)))
    }
}

fn widened([low, high]: [f64; 2], value: f64) -> [f64; 2] {
    [low.min(value), high.max(value)]
}

/// The charts of all stages, in the order in which keys leaf through them.
pub fn charts(stages: &[Stage]) -> Vec<Chart<'_>> {
    stages.iter().flat_map(of_stage).collect()
}

/// The first chart of the last stage that has one: where the run is now.
pub fn newest(stages: &[Stage]) -> usize {
    let counts: Vec<usize> = stages.iter().map(|stage| of_stage(stage).len()).collect();
    let last = counts.iter().rposition(|count| *count > 0).unwrap_or(0);
    counts[..last].iter().sum()
}

fn of_stage(stage: &Stage) -> Vec<Chart<'_>> {
    let mut charts: Vec<Chart> = Vec::new();
    for (key, points) in &stage.curves {
        let (title, label) = key.split_once('.').unwrap_or((key, ""));
        let line = Curve { label, points };
        match charts.last_mut().filter(|chart| chart.title == title) {
            Some(chart) => chart.lines.push(line),
            None => charts.push(Chart { stage, title: title.to_string(), lines: vec![line] }),
        }
    }
    let place = |chart: &Chart| FIRST.iter().position(|title| *title == chart.title).unwrap_or(FIRST.len());
    charts.sort_by_key(place);
    charts
}
