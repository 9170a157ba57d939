//! Two models task by task: the rows of `models/results.jsonl.zst` behind a summary's numbers, compared by
//! [`compare`](crate::engine::eval::compare).

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::runs::RunFolder;
use super::summary::{Scores, Summary};
use super::{titles, words};
use crate::engine::Result;
use crate::engine::eval::compare::{CompareOptions, Comparison, Comparisons, Judged, compare_all};
use crate::engine::eval::results::{Results, Row, protocol_differences};

/// Everybody whose tasks are known.
#[derive(Debug, Default)]
pub struct Contest {
    pub contestants: Vec<Contestant>,
    /// In the order of the summaries.
    pub environments: Vec<String>,
    /// Whose are not, and why.
    pub remarks: Vec<String>,
}

/// A model of a run.
#[derive(Debug)]
pub struct Contestant {
    pub run: usize,
    /// `RL`; with several runs `RL of run-a`.
    pub title: String,
    /// At the temperature of the evaluation.
    pub sampled: Vec<Row>,
    /// With greedy decoding; may be empty.
    pub greedy: Vec<Row>,
}

impl Contest {
    pub fn of(runs: &[RunFolder]) -> Result<Self> {
        let (mut contest, mut files) = (Contest::default(), BTreeMap::<PathBuf, Vec<Row>>::new());
        for (number, run) in runs.iter().enumerate() {
            let Some(summary) = &run.summary else { continue };
            let news = summary.environments.iter().filter(|env| !contest.environments.contains(env));
            contest.environments.extend(news.cloned().collect::<Vec<_>>());
            let Some(name) = &summary.results else {
                contest.remarks.push(format!("{}: its summary names no file of results task by task", run.name));
                continue;
            };
            let Some(path) = run.worked_on(name) else {
                contest.remarks.push(format!("{}: {} is not there", run.name, name.display()));
                continue;
            };
            if !files.contains_key(&path) {
                files.insert(path.clone(), Results::at(&path).read()?);
            }
            contest.enter(number, runs, summary, &files[&path]);
        }
        Ok(contest)
    }

    fn enter(&mut self, run: usize, runs: &[RunFolder], summary: &Summary, rows: &[Row]) {
        for model in &summary.order {
            let title = match runs.len() {
                1 => titles::of(model),
                _ => format!("{} of {}", titles::of(model), runs[run].name),
            };
            let known = summary.sources.get(model).and_then(|source| source.fingerprint.as_deref());
            let behind = |scores: Option<&Scores>| scores.and_then(|scores| rows_behind(model, known, scores, rows));
            match behind(summary.models.get(model)) {
                Some(sampled) => {
                    let greedy = behind(summary.greedy.models.get(model)).unwrap_or_default();
                    self.contestants.push(Contestant { run, title, sampled, greedy });
                }
                None => self.remarks.push(format!("{title}: no rows of the results give the summary's numbers")),
            }
        }
    }

    /// Who is compared with whom: within a run every model with every earlier one, the last one first; then every other run's last
    /// one with the first run's.
    fn pairs(&self) -> Vec<(&Contestant, &Contestant)> {
        let mut by_run: BTreeMap<usize, Vec<&Contestant>> = BTreeMap::new();
        for contestant in &self.contestants {
            by_run.entry(contestant.run).or_default().push(contestant);
        }
        let lasts: Vec<&Contestant> = by_run.values().filter_map(|models| models.last().copied()).collect();
        let within = by_run.values().flat_map(|models| {
            let places = (0..models.len()).rev().flat_map(|late| (0..late).rev().map(move |early| (late, early)));
            places.map(|(late, early)| (models[late], models[early])).collect::<Vec<_>>()
        });
        within.chain(lasts.iter().skip(1).map(|last| (*last, lasts[0]))).collect()
    }

    /// The comparisons at the temperature of the evaluation, then those of greedy decoding.
    pub fn comparisons(&self, options: &CompareOptions) -> Result<Vec<Pairing>> {
        let mut found = Vec::new();
        for setting in [Setting::Sampled, Setting::Greedy] {
            for (candidate, against) in self.pairs() {
                found.extend(pairing(candidate, against, setting, options)?);
            }
        }
        let rank = |row: &PairedRow| self.environments.iter().position(|env| *env == row.env);
        for pairing in &mut found {
            pairing.rows.sort_by_key(rank);
        }
        Ok(found)
    }
}

/// The rows whose numbers the summary tells: of the model and the protocols that it names, and with its n and means. Where the summary
/// does not know the weights, the model is known by the folder that it lay in, and by its numbers.
fn rows_behind(model: &str, fingerprint: Option<&str>, scores: &Scores, rows: &[Row]) -> Option<Vec<Row>> {
    let is_told = |row: &&Row| {
        let hash = &row.protocol_hash;
        scores
            .get(&row.env)
            .is_some_and(|score| score.protocol.as_ref() == Some(hash) || score.protocols.contains(hash))
    };
    let mut by_weights: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in rows.iter().filter(is_told) {
        by_weights.entry(&row.model.fingerprint).or_default().push(row);
    }
    let mut candidates: Vec<(&str, Vec<&Row>)> = by_weights.into_iter().collect();
    candidates.retain(|(weights, _)| fingerprint.is_none_or(|known| known == *weights));
    candidates.sort_by_key(|(_, rows)| !lay_in(&rows[0].model.source, model));
    let (_, found) = candidates.into_iter().find(|(_, rows)| gives(rows, scores))?;
    Some(found.into_iter().cloned().collect())
}

/// Whether a folder is where a stage leaves its model: `models/rl_final` for `rl`.
fn lay_in(source: &str, model: &str) -> bool {
    let name = source.rsplit('/').next().unwrap_or(source);
    name.strip_suffix("_final").unwrap_or(name) == model
}

/// Whether rows come to these scores.
fn gives(rows: &[&Row], scores: &Scores) -> bool {
    scores.iter().all(|(env, told)| {
        let judged: Vec<f64> =
            rows.iter().filter(|row| row.env == *env && !row.failed()).map(|row| row.score).collect();
        let mean = judged.iter().sum::<f64>() / judged.len().max(1) as f64;
        judged.len() as u64 == told.score.n && (mean - told.score.mean).abs() < 1e-9
    })
}

/// How a model spoke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Setting {
    Sampled,
    Greedy,
}

impl Setting {
    fn rows(self, model: &Contestant) -> &[Row] {
        match self {
            Setting::Sampled => &model.sampled,
            Setting::Greedy => &model.greedy,
        }
    }
}

/// A candidate against another model.
#[derive(Debug, Clone, Serialize)]
pub struct Pairing {
    /// Of the candidate.
    pub run: usize,
    pub candidate: String,
    pub against: String,
    pub setting: Setting,
    pub rows: Vec<PairedRow>,
    /// Environments that were played under different protocols, with what differs.
    pub unlike: Vec<String>,
}

/// One environment of it; differences are candidate − other.
#[derive(Debug, Clone, Serialize)]
pub struct PairedRow {
    pub env: String,
    pub tasks: u64,
    pub difference: f64,
    pub lower: f64,
    pub upper: f64,
    /// Tasks that one of the two alone solved; `None` where a task was played several times.
    pub only_candidate: Option<u64>,
    pub only_against: Option<u64>,
    pub mcnemar_p: Option<f64>,
    pub mcnemar_holm: Option<f64>,
    pub wilcoxon_p: f64,
    pub wilcoxon_holm: f64,
    /// Tasks that would find a difference of this size.
    pub needed: Option<u64>,
}

fn pairing(
    candidate: &Contestant,
    against: &Contestant,
    setting: Setting,
    options: &CompareOptions,
) -> Result<Option<Pairing>> {
    let (ours, theirs) = (setting.rows(candidate), setting.rows(against));
    let differing = protocol_differences(ours, theirs);
    let judged = |rows: &[Row]| by_environment(rows.iter().filter(|row| !differing.contains_key(&row.env)));
    let (a, b) = (judged(ours), judged(theirs));
    let unlike: Vec<String> = differing.iter().map(|(env, names)| format!("{env} ({})", words::list(names))).collect();
    let is_shared = a.keys().any(|env| b.contains_key(env));
    if !is_shared && unlike.is_empty() {
        return Ok(None);
    }
    let rows = if is_shared { paired_rows(&compare_all(&a, &b, options)?) } else { Vec::new() };
    let run = candidate.run;
    Ok(Some(Pairing { run, candidate: candidate.title.clone(), against: against.title.clone(), setting, rows, unlike }))
}

fn by_environment<'a>(rows: impl Iterator<Item = &'a Row>) -> BTreeMap<String, Vec<Judged>> {
    let mut judged: BTreeMap<String, Vec<Judged>> = BTreeMap::new();
    for row in rows.filter(|row| !row.failed()) {
        let (task_id, seed) = (row.task_id, row.protocol.seed());
        let episode = Judged { task_id, seed, score: row.score, success: row.success };
        judged.entry(row.env.clone()).or_default().push(episode);
    }
    judged
}

fn paired_rows(found: &Comparisons) -> Vec<PairedRow> {
    let row = |(env, comparison): (&String, &Comparison)| {
        // Tasks in common always have an interval.
        let interval = comparison.interval?;
        Some(PairedRow {
            env: env.clone(),
            tasks: comparison.tasks,
            difference: comparison.difference,
            lower: interval.lower,
            upper: interval.upper,
            only_candidate: comparison.mcnemar.map(|test| test.only_candidate),
            only_against: comparison.mcnemar.map(|test| test.only_baseline),
            mcnemar_p: comparison.mcnemar.map(|test| test.p),
            mcnemar_holm: found.mcnemar_holm.get(env).copied(),
            wilcoxon_p: comparison.wilcoxon.p,
            wilcoxon_holm: found.wilcoxon_holm[env],
            needed: comparison.needed_scores.map(|tasks| tasks.mean),
        })
    };
    found.environments.iter().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::engine::eval::protocol::Protocol;

    fn row(source: &str, fingerprint: &str, task: u64, score: f64, temperature: f64) -> Row {
        let protocol = json!({ "environment": "sat", "temperature": temperature });
        let hash = serde_json::from_value::<Protocol>(protocol.clone()).unwrap().hash();
        let row = json!({
            "model": { "source": source, "fingerprint": fingerprint, "dtype": "", "device": "", "kernels": "" },
            "env": "sat", "task_id": task, "score": score, "own_score": score, "success": score == 1.0, "ending": "terminated",
            "turns": 1, "tokens": 1, "total_tokens": 1, "seconds": 1.0, "time": 1.0, "messages": [],
            "protocol_hash": hash, "protocol": protocol,
        });
        serde_json::from_value(row).unwrap()
    }

    fn told(mean: f64, like: &Row) -> Scores {
        let score: Value = json!({
            "n": 2, "failed": 0, "mean": mean, "sd": 0.0, "success_rate": mean, "lower": 0.0, "upper": 1.0, "protocol": like.protocol_hash,
        });
        serde_json::from_value(json!({ "sat": score })).unwrap()
    }

    fn contestant(rows: &[Row]) -> Contestant {
        Contestant { run: 0, title: rows[0].model.source.clone(), sampled: rows.to_vec(), greedy: Vec::new() }
    }

    #[test]
    fn rows_of_weights_that_lay_in_the_same_folder_before_are_not_taken() {
        let rows = [
            row("models/rl_final", "old", 0, 0.0, 0.7),
            row("models/rl_final", "old", 1, 1.0, 0.7),
            row("models/rl_final", "new", 0, 1.0, 0.7),
            row("models/rl_final", "new", 1, 1.0, 0.7),
            row("models/rl_final", "new", 0, 0.0, 0.0),
        ];
        let found = |fingerprint: Option<&str>, mean: f64| {
            let rows = rows_behind("rl", fingerprint, &told(mean, &rows[0]), &rows)?;
            Some((rows.len(), rows[0].model.fingerprint.clone()))
        };
        assert_eq!(found(None, 1.0), Some((2, "new".to_string())));
        assert_eq!(found(None, 0.5), Some((2, "old".to_string())));
        assert_eq!(found(Some("old"), 1.0), None, "the summary tells other numbers");
        assert_eq!(found(None, 0.75), None);
    }

    #[test]
    fn what_was_played_otherwise_is_named_and_not_compared() {
        let ours = contestant(&[row("a", "a", 0, 1.0, 0.7), row("a", "a", 1, 1.0, 0.7)]);
        let theirs = contestant(&[row("b", "b", 0, 0.0, 0.0)]);
        let found = pairing(&ours, &theirs, Setting::Sampled, &CompareOptions::default()).unwrap().unwrap();
        assert_eq!((found.rows.len(), found.unlike), (0, vec!["sat (temperature)".to_string()]));
        assert!(pairing(&ours, &theirs, Setting::Greedy, &CompareOptions::default()).unwrap().is_none());
    }
}
