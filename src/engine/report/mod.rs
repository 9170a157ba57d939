//! What a run came to, on one page: who was judged how, what the difference is worth, how training went, what was played.
//!
//! [`runs`] reads the folders; [`scores`], [`paired`], [`curves`], [`settings`] and [`transcripts`] make of them what is to be said, and
//! compute no statistics of their own: intervals and tests are those of [`eval`](super::eval). [`figures`] draw, and [`page`]
//! renders the same context as one HTML file that needs nothing beside it, and as Markdown for a model card.

pub mod curves;
pub mod figures;
pub mod page;
pub mod paired;
pub mod runs;
pub mod scores;
pub mod settings;
pub mod smooth;
pub mod summary;
pub mod titles;
pub mod transcripts;
pub mod verdict;
pub mod words;

use std::path::{Path, PathBuf};

use self::page::Context;
use self::runs::RunFolder;
use self::transcripts::Transcripts;
use crate::engine::{Result, file};

/// How a report is made.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The most bytes that the HTML may take. What the episodes' tokens are known by, then whole episodes, are left out until it
    /// does, from the middle of training outwards; the numbers at the points of curves where they would take much of it. What is
    /// larger still is said in the log.
    pub max_bytes: usize,
    /// Of the intervals that the report makes itself; what a summary holds has the summary's own.
    pub level: f64,
}

impl Default for Options {
    fn default() -> Self {
        Options { max_bytes: 5_000_000, level: super::eval::DEFAULT_LEVEL }
    }
}

/// A report of one or several runs.
pub struct Report {
    context: Context,
    transcripts: Transcripts,
    options: Options,
}

impl Report {
    /// Of run folders, the first one being the one that the others are compared with.
    ///
    /// What a folder does not have is said where it would stand. An error where a file is there and cannot be understood.
    pub fn of(runs: &[PathBuf], options: Options) -> Result<Self> {
        let runs = RunFolder::read_all(runs)?;
        let contest = paired::Contest::of(&runs)?;
        let transcripts = Transcripts::of(&runs, &contest);
        let context = Context::of(&runs, &contest, options.level)?;
        Ok(Report { context, transcripts, options })
    }

    /// One file without references to anything outside it.
    pub fn html(&self) -> Result<String> {
        page::html(&self.context, &self.transcripts, self.options.max_bytes)
    }

    /// The numbers alone, for a model card.
    pub fn markdown(&self) -> Result<String> {
        page::markdown(&self.context)
    }

    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        file::write_atomic(path, self.html()?.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A run with a long stage; its summary is of an evaluation as served that does not say how it sampled.
    fn run() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
        let row = |step: u32| json!({ "stage": "warm-up", "iteration": step, "kl": 1.0 / f64::from(step) });
        write("metrics.jsonl", (1..=120).map(|step| format!("{}\n", row(step))).collect());
        write("config.json", json!({ "hf_token": "hush", "headers": { "authorization": "hush" } }).to_string());
        let score = |mean: f64, served: Value| {
            json!({ "n": 40, "failed": 0, "mean": mean, "sd": 0.4, "success_rate": mean, "lower": mean - 0.1,
                    "upper": mean + 0.1, "served": served })
        };
        let served = json!({ "turns": 90, "differing_turns": 12, "logprob_change": 0.0315 });
        let summary = json!({
            "order": ["rl"], "environments": ["sat"], "models": { "rl": { "sat": score(0.5, served) } },
            "as_trained": { "sat": score(0.6, Value::Null) },
            "metrics": { "rl": { "envs": { "sat": {
                "median": 0.25, "success_rate": 0.5, "bootstrap": { "lower": 0.375, "upper": 0.625 }, "turns": 2.5,
                "at": { "1": { "pass": 0.5, "avg": 0.5 }, "4": { "pass": 0.75, "avg": 0.5 } }, "invalid_action_rate": 0.125,
            } } } },
        });
        write("summary.json", summary.to_string());
        folder
    }

    #[test]
    fn both_forms_say_what_is_known_and_nothing_else() {
        let folder = run();
        let report = Report::of(&[folder.path().to_path_buf()], Options::default()).unwrap();
        let (page, markdown) = (report.html().unwrap(), report.markdown().unwrap());
        for text in [&page, &markdown] {
            assert!(
                text.contains("RL, sat: as served 0.500 [0.400, 0.600], as trained 0.600 [0.500, 0.700]; 12 of 90")
            );
            assert!(
                text.contains(
                    "RL, sat: bootstrap [0.375, 0.625], median 0.250, success 0.500, pass@4 0.750, avg@4 0.500, 12.5 % of turns \
                     invalid, 2.5 turns"
                ),
                "{text}"
            );
            assert!(!text.contains("hush") && !text.contains("n = 0") && text.contains("0.600] n = 40"), "{text}");
        }
        assert!(page.contains("Thick, in lines of more than 100") && page.contains("<small>120 iterations</small>"));
        assert!(page.contains("<title>iteration 120: 0.0083</title>"));
    }

    #[test]
    fn where_room_is_scarce_the_numbers_at_points_go() {
        let folder = run();
        let report = |max_bytes| {
            let options = Options { max_bytes, ..Options::default() };
            Report::of(&[folder.path().to_path_buf()], options).unwrap().html().unwrap()
        };
        let (whole, least) = (report(5_000_000), report(0));
        assert!(least.len() < whole.len() && !least.contains("<title>iteration"));
        assert!(report(whole.len() - 1).len() < whole.len());
    }
}
