//! `affine rollouts`: what was played and trained on, as text.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::output::put;
use crate::engine::track::episodes::{EPISODES, EpisodeRow, Episodes, Kind};
use crate::engine::{Error, Result};
use crate::lua::report::Report;

/// Look at the episodes and records that a run kept a sample of
#[derive(Args)]
pub struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    Show(Show),
}

/// Show episodes of a run, or what there is of them
///
/// Without a filter a table of what there is; with one the episodes that it leaves, role by role with the rewards at the turns. What is
/// trained is green, or in ⟦…⟧ where the output is no terminal or NO_COLOR is set.
#[derive(Args)]
struct Show {
    /// The folder of a run; by default the newest in runs/ that has such a sample
    #[arg(value_name = "RUN")]
    run: Option<PathBuf>,
    /// A stage of training, such as rl or sft
    #[arg(long)]
    stage: Option<String>,
    #[arg(long, value_name = "N")]
    iteration: Option<u64>,
    /// An environment's label
    #[arg(long, value_name = "NAME")]
    env: Option<String>,
    /// How an episode ended
    #[arg(long, value_parser = ["terminated", "truncated", "failed"])]
    ending: Option<String>,
    /// On 0..1
    #[arg(long, value_name = "SCORE")]
    min_score: Option<f64>,
    /// On 0..1
    #[arg(long, value_name = "SCORE")]
    max_score: Option<f64>,
    /// Why it is in the sample
    #[arg(long, value_parser = ["best", "worst", "random"])]
    picked: Option<String>,
    /// The most episodes to show
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Every trained token on a line of its own, with its numbers
    #[arg(long)]
    tokens: bool,
}

/// How many are shown unless asked otherwise.
const FEW: usize = 4;

pub fn run(options: Options) -> std::result::Result<(), Failure> {
    let Action::Show(options) = options.action;
    let text = show(&options).map_err(|error| Failure::Script(Report::of(&error)))?;
    put(text);
    Ok(())
}

fn show(options: &Show) -> Result<String> {
    let run = options.run.clone().unwrap_or_else(newest);
    let found = Episodes::of_run(&run)?;
    if found.rows.is_empty() {
        let hint = "training keeps a sample of its episodes there; --stage, --iteration and --env choose among them";
        return Err(Error::hinted(format!("{}: no episodes were kept in it", run.join(EPISODES).display()), hint));
    }
    let mut text = found.left_out.map_or_else(String::new, |left_out| format!("{EPISODES}: {left_out}\n\n"));
    match options.is_filter() {
        true => text += &options.episodes(&found.rows)?,
        false => text += &table(&found.rows),
    }
    Ok(text)
}

/// The newest run with a sample, or else the newest of all.
fn newest() -> PathBuf {
    let runs = Path::new("runs");
    let folders = std::fs::read_dir(runs).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    // Their names begin with their times.
    let sampled = folders.filter(|folder| !folder.ends_with("latest") && folder.join(EPISODES).exists());
    sampled.max().unwrap_or_else(|| runs.join("latest"))
}

impl Show {
    fn is_filter(&self) -> bool {
        let named = [&self.stage, &self.env, &self.ending, &self.picked].iter().any(|filter| filter.is_some());
        let bounded = self.min_score.is_some() || self.max_score.is_some();
        named || bounded || self.iteration.is_some() || self.limit.is_some() || self.tokens
    }

    fn leaves(&self, row: &EpisodeRow) -> bool {
        let is = |wanted: &Option<String>, found: Option<&String>| wanted.is_none() || wanted.as_ref() == found;
        let at_least = self.min_score.is_none_or(|least| row.score.is_some_and(|score| score >= least));
        let at_most = self.max_score.is_none_or(|most| row.score.is_some_and(|score| score <= most));
        let iteration = self.iteration.is_none_or(|iteration| iteration == row.iteration);
        let named = is(&self.stage, Some(&row.stage)) && is(&self.env, row.env.as_ref());
        named
            && iteration
            && at_least
            && at_most
            && is(&self.ending, row.ending.as_ref())
            && is(&self.picked, row.picked.as_ref())
    }

    fn episodes(&self, rows: &[EpisodeRow]) -> Result<String> {
        let left: Vec<&EpisodeRow> = rows.iter().filter(|row| self.leaves(row)).collect();
        if left.is_empty() {
            let hint = "without a filter the command tells what there is";
            return Err(Error::hinted(format!("none of the {} episodes is left by these filters", rows.len()), hint));
        }
        let limit = self.limit.unwrap_or(FEW);
        let coloured = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let mut text = String::new();
        for row in left.iter().take(limit) {
            text += &head(row);
            text += &body(row, coloured);
            if self.tokens {
                text += &tokens(row);
            }
            text.push('\n');
        }
        if left.len() > limit {
            let _ = writeln!(text, "{} more; --limit {} shows all", left.len() - limit, left.len());
        }
        Ok(text)
    }
}

/// A line per stage, iteration and environment.
fn table(rows: &[EpisodeRow]) -> String {
    let mut groups: BTreeMap<(&str, u64, &str), Vec<&EpisodeRow>> = BTreeMap::new();
    for row in rows {
        groups.entry((&row.stage, row.iteration, row.env.as_deref().unwrap_or("-"))).or_default().push(row);
    }
    let mut text = format!(
        "{:<8} {:>9}  {:<16} {:>4}  {:<14}  {}\n",
        "stage", "iteration", "environment", "n", "scores", "endings"
    );
    for ((stage, iteration, env), members) in groups {
        let scores: Vec<f64> = members.iter().filter_map(|row| row.score).collect();
        let least = scores.iter().copied().reduce(f64::min);
        let range = least.map_or_else(
            || "records".to_string(),
            |least| format!("{least:.3} to {:.3}", scores.iter().copied().fold(least, f64::max)),
        );
        let line =
            format!("{stage:<8} {iteration:>9}  {env:<16} {:>4}  {range:<14}  {}", members.len(), endings(&members));
        text += line.trim_end();
        text.push('\n');
    }
    text + "\nA sample: best and worst are chosen, so that a mean of these scores says nothing. A filter shows episodes: --iteration 1, --env NAME, --picked worst.\n"
}

fn endings(rows: &[&EpisodeRow]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for ending in rows.iter().filter_map(|row| row.ending.as_deref()) {
        *counts.entry(ending).or_default() += 1;
    }
    counts.iter().map(|(ending, n)| format!("{n} {ending}")).collect::<Vec<_>>().join(", ")
}

fn head(row: &EpisodeRow) -> String {
    let what = match row.kind {
        Kind::Episode => format!("{}, iteration {}, episode {}", row.stage, row.iteration, row.index),
        Kind::Record => format!("{}, record {}", row.stage, row.index),
    };
    let facts = [
        row.env.clone(),
        row.task_id.map(|task| format!("task {task}")),
        row.score.map(|score| format!("score {score}")),
        row.ending
            .clone()
            .map(|ending| row.reason.as_ref().map_or(ending.clone(), |reason| format!("{ending}: {reason}"))),
        row.picked.clone().map(|picked| format!("picked as {picked}")),
    ];
    let facts: Vec<String> = facts.into_iter().flatten().map(|fact| visible(&fact)).collect();
    format!("== {what}: {}\n", facts.join(", "))
}

fn body(row: &EpisodeRow, coloured: bool) -> String {
    let mut text = String::new();
    if row.pieces.is_empty() {
        for said in &row.messages {
            let _ = writeln!(text, "[{}]\n{}", visible(&said.role), visible(&said.content));
        }
        return text;
    }
    for (range, trained) in row.stretches() {
        text += &marked(&row.pieces[range.clone()].concat(), trained, coloured);
        let earned = row.turns.iter().find(|turn| turn.to == range.end).and_then(|turn| turn.reward);
        if let Some(reward) = earned {
            let _ = write!(text, "   (reward {reward})");
        }
    }
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

fn tokens(row: &EpisodeRow) -> String {
    let columns: Vec<_> = row.columns.named().collect();
    let mut text = format!("{:>6}  {:>8}  {:<24}", "token", "id", "text");
    for (name, _) in &columns {
        let _ = write!(text, " {name:>18}");
    }
    text.push('\n');
    let trained = row.mask.iter().flat_map(|&(from, to)| from..to);
    for (place, token) in trained.enumerate().filter(|(_, token)| *token < row.pieces.len()) {
        let piece = visible(&row.pieces[token]).replace('\n', "\\n");
        let _ = write!(text, "{token:>6}  {:>8}  {piece:<24}", row.ids[token]);
        for (_, column) in &columns {
            let number = column[place].map_or_else(|| "-".to_string(), |number| format!("{number:.4}"));
            let _ = write!(text, " {number:>18}");
        }
        text.push('\n');
    }
    text
}

fn marked(text: &str, trained: bool, coloured: bool) -> String {
    let text = visible(text);
    match (trained, coloured) {
        (true, true) => format!("\x1b[32m{text}\x1b[0m"),
        (true, false) => format!("⟦{text}⟧"),
        (false, true) => format!("\x1b[2m{text}\x1b[0m"),
        (false, false) => text,
    }
}

/// Control characters would act on the terminal; what is in a file is to be seen.
fn visible(text: &str) -> String {
    let is_plain = |c: char| !c.is_control() || c == '\n' || c == '\t';
    text.chars().map(|c| if is_plain(c) { c.to_string() } else { c.escape_default().to_string() }).collect()
}
