//! The scores of everybody who was judged, and who dominates whom.

use serde::Serialize;

use super::runs::RunFolder;
use super::summary::{Score, Scores as ByEnvironment, Summary};
use super::{titles, words};
use crate::engine::eval::{Dominance, Outcome};

/// The rows of the table, and the bars of every environment.
#[derive(Debug, Clone, Serialize)]
pub struct Scores {
    pub environments: Vec<String>,
    /// Of the intervals, as `80 %`.
    pub level: String,
    /// Episodes that a cell counts where it does not say.
    pub n: Option<u64>,
    pub rows: Vec<ScoreRow>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Player {
    Model,
    Greedy,
    Baseline,
}

/// A player over the environments.
#[derive(Debug, Clone, Serialize)]
pub struct ScoreRow {
    pub title: String,
    pub run: usize,
    pub run_name: String,
    pub player: Player,
    /// As many as there are environments.
    pub cells: Vec<Option<Cell>>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cell {
    pub mean: f64,
    pub lower: f64,
    pub upper: f64,
    pub n: u64,
    pub failed: u64,
    pub success_rate: f64,
    /// `0.370 [0.327, 0.415]`, with what is unlike the other cells.
    pub text: String,
}

impl Scores {
    /// `None` where no run has been judged.
    pub fn of(runs: &[RunFolder]) -> Option<Self> {
        let judged: Vec<(usize, &RunFolder, &Summary)> =
            runs.iter().enumerate().filter_map(|(i, run)| Some((i, run, run.summary.as_ref()?))).collect();
        let (_, _, first) = judged.first()?;
        let mut environments: Vec<String> = Vec::new();
        for env in judged.iter().flat_map(|(_, _, summary)| &summary.environments) {
            if !environments.contains(env) {
                environments.push(env.clone());
            }
        }
        let sampling = &first.sampling;
        let n = sampling.num_eval_samples.map(|tasks| tasks * sampling.samples_per_task.unwrap_or(1));
        let mut scores = Scores { environments, level: levels(&judged), n, rows: Vec::new() };
        for player in [Player::Model, Player::Greedy, Player::Baseline] {
            for (number, run, summary) in &judged {
                scores.add(player, *number, &run.name, summary);
            }
        }
        Some(scores)
    }

    fn add(&mut self, player: Player, run: usize, run_name: &str, summary: &Summary) {
        let (order, scores): (Vec<&str>, _) = match player {
            Player::Model => (summary.order.iter().map(String::as_str).collect(), &summary.models),
            Player::Greedy => (summary.order.iter().map(String::as_str).collect(), &summary.greedy.models),
            Player::Baseline => (titles::BASELINES.to_vec(), &summary.baselines),
        };
        for name in order {
            let Some(of_player) = scores.get(name) else { continue };
            let ending = if player == Player::Greedy { ", greedy" } else { "" };
            let cells = self.cells(of_player);
            let title = format!("{}{ending}", titles::of(name));
            // Who learned nothing plays the same in every run that judges the same tasks.
            let again = |row: &ScoreRow| row.player == Player::Baseline && row.title == title && row.cells == cells;
            if !self.rows.iter().any(again) {
                self.rows.push(ScoreRow { title, run, run_name: run_name.to_string(), player, cells });
            }
        }
    }

    fn cells(&self, scores: &ByEnvironment) -> Vec<Option<Cell>> {
        self.environments.iter().map(|env| scores.get(env).map(|score| self.cell(score))).collect()
    }

    /// What the row is called where rows of several runs are beside each other. A player that learned nothing is of no run, unless
    /// another one of that kind played otherwise.
    pub fn name(&self, row: &ScoreRow) -> String {
        let is_one = self.rows.iter().all(|other| other.run == row.run);
        let alike = || self.rows.iter().filter(|other| other.title == row.title).count();
        match is_one || row.player == Player::Baseline && alike() == 1 {
            true => row.title.clone(),
            false => format!("{}, {}", row.title, row.run_name),
        }
    }

    fn cell(&self, score: &Score) -> Cell {
        let row = score.score;
        let mut text = interval(score);
        if self.n != Some(row.n) {
            text += &format!(" n = {}", words::thousands(row.n));
        }
        if row.failed > 0 {
            text += &format!(", {} failed", words::thousands(row.failed));
        }
        let (mean, lower, upper) = (row.mean, row.lower, row.upper);
        Cell { mean, lower, upper, n: row.n, failed: row.failed, success_rate: row.success_rate, text }
    }
}

/// `0.370 [0.327, 0.415]`.
pub fn interval(score: &Score) -> String {
    let row = score.score;
    format!("{} [{}, {}]", words::score(row.mean), words::score(row.lower), words::score(row.upper))
}

fn levels(judged: &[(usize, &RunFolder, &Summary)]) -> String {
    let mut levels: Vec<String> = judged
        .iter()
        .map(|(_, _, summary)| {
            words::percent(summary.sampling.confidence.unwrap_or(crate::engine::eval::DEFAULT_LEVEL))
        })
        .collect();
    levels.dedup();
    levels.join(" / ")
}

/// Who dominates whom in one run.
#[derive(Debug, Clone, Serialize)]
pub struct Matrix {
    pub run_name: String,
    pub against: Vec<String>,
    pub rows: Vec<MatrixRow>,
}

#[derive(Debug, Clone, Serialize)]
pub struct MatrixRow {
    pub candidate: String,
    /// As many as there are others.
    pub cells: Vec<Option<MatrixCell>>,
}

#[derive(Debug, Clone, Serialize)]
pub struct MatrixCell {
    pub verdict: &'static str,
    /// By the rule in which the baseline was there first.
    pub strict: Option<&'static str>,
    /// `sat better`.
    pub environments: Vec<String>,
}

impl Matrix {
    pub fn of(run: &RunFolder) -> Option<Self> {
        let summary = run.summary.as_ref()?;
        let mut against: Vec<&String> = Vec::new();
        for verdict in &summary.verdicts {
            if !against.contains(&&verdict.against) {
                against.push(&verdict.against);
            }
        }
        // Models in their order, then players that learned nothing.
        let names = || summary.order.iter().map(String::as_str).chain(titles::BASELINES);
        against.sort_by_key(|name| names().position(|known| known == **name));
        let row = |model: &String| {
            let cell = |other: &&String| cell(summary, model, other);
            let cells: Vec<_> = against.iter().map(cell).collect();
            cells.iter().any(Option::is_some).then(|| MatrixRow { candidate: titles::of(model), cells })
        };
        let rows: Vec<MatrixRow> = summary.order.iter().rev().filter_map(row).collect();
        let against = against.iter().map(|name| titles::of(name)).collect();
        (!rows.is_empty()).then(|| Matrix { run_name: run.name.clone(), against, rows })
    }
}

fn cell(summary: &Summary, model: &str, other: &str) -> Option<MatrixCell> {
    let verdict = summary.verdicts.iter().find(|found| found.candidate == model && found.against == other)?;
    let outcome = |outcome: Outcome| match outcome {
        Outcome::Better => "better",
        Outcome::Worse => "worse",
        Outcome::Tie => "tie",
    };
    let names = summary.environments.iter();
    Some(MatrixCell {
        verdict: dominance(verdict.result.verdict),
        strict: verdict.result.strict.map(dominance),
        environments: names
            .filter_map(|env| Some(format!("{env} {}", outcome(*verdict.result.envs.get(env)?))))
            .collect(),
    })
}

fn dominance(found: Dominance) -> &'static str {
    match found {
        Dominance::Dominates => "dominates",
        Dominance::Dominated => "is dominated",
        Dominance::Neither => "neither",
    }
}
