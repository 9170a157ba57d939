//! Evaluation: a model, or a player that is none, on the same numbered tasks.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::candidate::Candidate;
use super::protocol::Protocol;
use super::results::{Judged, Results, Row};
use super::summary::EnvironmentScore;
use crate::engine::env::{Environment, Instructions};
use crate::engine::generate::Sampling;
use crate::engine::rollout::players::{self, Player};
use crate::engine::rollout::{self, Seat};
use crate::engine::track::progress::Progress;
use crate::engine::{Error, Result, plan, random};

/// Of one environment: more would not be judged in a year.
const MOST_SAMPLES: u64 = 1_000_000;

/// Which tasks are played, and how the model speaks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvalOptions {
    /// Episodes per environment: tasks `first_task_id ..`, one each.
    pub num_eval_samples: u64,
    pub first_task_id: u64,
    /// These tasks, instead of `num_eval_samples` from `first_task_id` on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_ids: Option<Vec<u64>>,
    /// 0 is greedy.
    pub temperature: f64,
    pub top_k: i64,
    pub top_p: f64,
    /// Per turn.
    pub max_new_tokens: usize,
    /// Every turn's prompt is rendered anew, as a chat server does.
    pub as_served: bool,
    /// Episodes per task: sample i is played with the seed `seed` + i - 1.
    pub samples_per_task: u64,
    pub seed: u64,
    /// Level of the interval, between 0 and 1.
    pub confidence: f64,
    /// Episodes side by side: decides memory and speed, not results.
    pub batch_size: usize,
}

impl Default for EvalOptions {
    fn default() -> Self {
        EvalOptions {
            num_eval_samples: 200,
            first_task_id: 0,
            task_ids: None,
            temperature: 0.7,
            top_k: 0,
            top_p: 1.0,
            max_new_tokens: 256,
            as_served: false,
            samples_per_task: 1,
            seed: 0,
            confidence: 0.80,
            batch_size: 128,
        }
    }
}

impl EvalOptions {
    pub fn validate(&self) -> Result<()> {
        let counts = [
            ("num_eval_samples", self.num_eval_samples),
            ("max_new_tokens", self.max_new_tokens as u64),
            ("batch_size", self.batch_size as u64),
            ("samples_per_task", self.samples_per_task),
        ];
        for (key, value) in counts {
            if value < 1 {
                return Err(Error::option(key, "an integer of at least 1", value));
            }
        }
        if self.num_eval_samples > MOST_SAMPLES {
            return Err(Error::option("num_eval_samples", format!("at most {MOST_SAMPLES}"), self.num_eval_samples));
        }
        if self.samples_per_task > MOST_SAMPLES {
            return Err(Error::option("samples_per_task", format!("at most {MOST_SAMPLES}"), self.samples_per_task));
        }
        if self.samples_per_task > 1 && self.temperature == 0.0 {
            let expected = "1 where the temperature is 0: greedy replies are all the same";
            return Err(Error::option("samples_per_task", expected, self.samples_per_task));
        }
        if let Some(ids) = &self.task_ids {
            let mut known = HashSet::new();
            match ids.iter().find(|id| !known.insert(**id)) {
                Some(id) => return Err(Error::option("task_ids", "each task once", format!("task {id} twice"))),
                None if ids.is_empty() => {
                    return Err(Error::option("task_ids", "at least one task id", "an empty list"));
                }
                None => {}
            }
        }
        if !(self.confidence > 0.0 && self.confidence < 1.0) {
            return Err(Error::option("confidence", "a number between 0 and 1", self.confidence));
        }
        self.sampling().validate()
    }

    /// Makes checked options small where this process is a plan, and notes them as they were: a few tasks by a model, or by
    /// another player, which `who` names.
    pub fn cut_in_plan(&mut self, who: &str, environments: &[String]) {
        if !plan::active() {
            return;
        }
        let few = plan::EPISODES as u64;
        // The pipeline's own setting was cut before it came here.
        let real = match plan::was("evaluation.num_eval_samples") {
            Some(count) if self.num_eval_samples == few.min(count) => count,
            _ => self.num_eval_samples,
        };
        let (names, first) = (environments.join(", "), self.first_task_id);
        let here = plan::here(real as usize, plan::EPISODES);
        plan::note(format!("{who}: {real} tasks each of {names}, from {first} on{here}"));
        self.num_eval_samples = self.num_eval_samples.min(few);
        if let Some(ids) = &mut self.task_ids {
            ids.truncate(plan::EPISODES);
        }
        self.batch_size = self.batch_size.min(plan::EPISODES);
        self.max_new_tokens = self.max_new_tokens.min(plan::NEW_TOKENS);
        self.samples_per_task = self.samples_per_task.min(2);
    }

    /// The same for each sample of a task.
    fn samples(&self) -> impl Iterator<Item = EvalOptions> + '_ {
        let sample = |index| EvalOptions { seed: self.seed.wrapping_add(index), samples_per_task: 1, ..self.clone() };
        (0..self.samples_per_task).map(sample)
    }

    pub(super) fn sampling(&self) -> Sampling {
        Sampling { temperature: self.temperature, top_k: self.top_k, top_p: self.top_p }
    }

    /// One seat per task. The stream depends on the seed and the task alone, so all models meet the same luck.
    fn seats(&self, environment: &dyn Environment) -> Result<Vec<Seat>> {
        let name = environment.describe().name;
        self.check_tasks(environment)?;
        self.tasks()
            .into_iter()
            .map(|task_id| {
                let stream = random::stream(self.seed, &format!("eval {name}"), task_id);
                Ok(Seat { environment: environment.fresh()?, task_id, stream })
            })
            .collect()
    }

    fn tasks(&self) -> Vec<u64> {
        let range = self.first_task_id..self.first_task_id.saturating_add(self.num_eval_samples);
        self.task_ids.clone().unwrap_or_else(|| range.collect())
    }

    fn check_tasks(&self, environment: &dyn Environment) -> Result<()> {
        let description = environment.describe();
        if let (Some(ids), Some(tasks)) = (&self.task_ids, description.num_tasks) {
            return match ids.iter().find(|id| **id >= tasks) {
                Some(id) => Err(Error::option("task_ids", format!("tasks below {tasks}"), id)),
                None => Ok(()),
            };
        }
        let end = self.first_task_id.saturating_add(self.num_eval_samples);
        match description.num_tasks {
            Some(tasks) if end > tasks => Err(Error::option(
                "num_eval_samples",
                format!("tasks below {tasks}, which is all that environment {} has", environment.label()),
                format!("tasks {} to {}", self.first_task_id, end - 1),
            )),
            _ => Ok(()),
        }
    }
}

/// What is done with the results task by task.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keeping {
    /// A file of results: what it holds of this model under this protocol is not played again, and what is played goes into
    /// it.
    pub results: Option<PathBuf>,
    /// Play tasks that it holds, too.
    pub again: bool,
    /// What else decides a score, by name: it counts in the protocol.
    pub also: Map<String, Value>,
}

/// One environment's result, with the tasks behind it.
pub struct Evaluation {
    /// Its label.
    pub environment: String,
    /// Which instructions the model was shown.
    pub instructions: Option<Instructions>,
    pub score: EnvironmentScore,
    /// The hashes of the protocols of all samples, which differ in the seed.
    pub protocols: Vec<String>,
    /// In the order of the samples, and of the tasks in each.
    pub rows: Vec<Row>,
}

/// Plays every environment's tasks.
pub fn run(
    candidate: Candidate,
    environments: &[Box<dyn Environment>],
    options: &EvalOptions,
    keeping: &Keeping,
) -> Result<(Judged, Vec<Evaluation>)> {
    options.validate()?;
    let file = keeping.results.as_ref().filter(|_| !plan::active()).map(Results::at);
    let judged = candidate.judged(file.is_some());
    let known = match &file {
        Some(file) if !keeping.again => file.read()?,
        _ => Vec::new(),
    };
    let mut evaluations = Vec::with_capacity(environments.len());
    for environment in environments {
        let environment = environment.as_ref();
        let (mut rows, mut protocols) = (Vec::new(), Vec::new());
        for options in options.samples() {
            let protocol = Protocol::of(candidate, environment, &options, &keeping.also)?;
            let (label, hash) = (environment.label(), protocol.hash());
            let known = known.iter().filter(|row| row.is_of(&judged, &hash, &label)).cloned().collect();
            protocols.push(hash.clone());
            let protocol = (protocol, hash);
            let judging = Judging { candidate, environment, options: &options, judged: &judged, protocol };
            rows.extend(judging.run(known, file.as_ref())?);
        }
        evaluations.push(Evaluation {
            environment: environment.label(),
            instructions: environment.identity().instructions,
            score: score_of(&rows, options.confidence)?,
            protocols,
            rows,
        });
    }
    Ok((judged, evaluations))
}

/// What rows come to. More than 5 % of failed episodes are an error.
fn score_of(rows: &[Row], level: f64) -> Result<EnvironmentScore> {
    rollout::check_failures(rows.iter().map(|row| row.reason.as_deref()))?;
    let judged: Vec<(f64, bool)> =
        rows.iter().filter(|row| !row.failed()).map(|row| (row.score, row.success)).collect();
    let failed = (rows.len() - judged.len()) as u64;
    Ok(EnvironmentScore::of(&judged, failed, level))
}

/// A candidate in one environment, a sample of each task.
struct Judging<'a> {
    candidate: Candidate<'a>,
    environment: &'a dyn Environment,
    options: &'a EvalOptions,
    judged: &'a Judged,
    /// With its hash.
    protocol: (Protocol, String),
}

impl Judging<'_> {
    /// The rows in the order of the tasks. `known`: what was played before.
    fn run(self, known: Vec<Row>, file: Option<&Results>) -> Result<Vec<Row>> {
        let (label, tasks) = (self.environment.label(), self.options.tasks());
        let mut rows: HashMap<u64, Row> = known.into_iter().map(|row| (row.task_id, row)).collect();
        let seats = self.options.seats(self.environment)?;
        let mut seats: Vec<Seat> = seats.into_iter().filter(|seat| !rows.contains_key(&seat.task_id)).collect();
        if let (Some(file), true) = (file, seats.len() < tasks.len()) {
            let known = tasks.len() - seats.len();
            tracing::info!("evaluate {label}: {known} of {} tasks are in {}", tasks.len(), file.path().display());
            if self.candidate.may_change() {
                let source = &self.judged.source;
                tracing::warn!(
                    "they are by what was {source} then; where that is another model now, play them `again`"
                );
            }
        }
        // With a file, piece by piece into it, so that an interruption costs no more than one.
        let piece = if file.is_some() { self.options.batch_size } else { seats.len() };
        let mut progress = (!seats.is_empty()).then(|| Progress::new(format!("evaluate {label}"), seats.len() as u64));
        while let (Some(progress), false) = (&mut progress, seats.is_empty()) {
            let rest = seats.split_off(piece.min(seats.len()));
            let played = self.play(std::mem::replace(&mut seats, rest), progress)?;
            if let Some(file) = file {
                file.add(&played)?;
            }
            rows.extend(played.into_iter().map(|row| (row.task_id, row)));
        }
        if let Some(progress) = progress {
            progress.finish();
        }
        Ok(tasks.iter().filter_map(|task| rows.get(task).cloned()).collect())
    }

    fn play(&self, seats: Vec<Seat>, progress: &mut Progress) -> Result<Vec<Row>> {
        let who = (self.judged, &self.protocol);
        self.candidate.play(seats, self.options, who, &mut |ended| progress.tick(ended as u64))
    }
}

/// The same tasks by a player that is no model; `None` when the environment has no such player. A task in which the
/// player sees no way counts as played, with a score of 0.
pub fn baseline(
    environment: &dyn Environment,
    player: &Player,
    options: &EvalOptions,
    keeping: &Keeping,
) -> Result<Option<Evaluation>> {
    if !can_play(environment, player, options)? {
        return Ok(None);
    }
    let fresh = [environment.fresh()?];
    let (_, evaluations) = run(Candidate::Player(player), &fresh, options, keeping)?;
    Ok(evaluations.into_iter().next())
}

/// Whether the player has a first action in any of the tasks.
fn can_play(environment: &dyn Environment, player: &Player, options: &EvalOptions) -> Result<bool> {
    options.validate()?;
    for seat in options.seats(environment)? {
        if players::play(seat, player)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The best of the environment's constant answers on the tasks of `options`: choose it on other tasks than those it is
/// then judged on. `None` when there is none.
pub fn best_constant(environment: &dyn Environment, options: &EvalOptions) -> Result<Option<String>> {
    let mut best: Option<(f64, String)> = None;
    for action in environment.baselines().map_or_else(Vec::new, |players| players.constant_actions()) {
        let played = baseline(environment, &Player::Constant(action.clone()), options, &Keeping::default())?;
        if let Some(played) = played
            && best.as_ref().is_none_or(|(mean, _)| played.score.mean > *mean)
        {
            best = Some((played.score.mean, action));
        }
    }
    Ok(best.map(|(_, action)| action))
}
