//! Draws one iteration's tasks and has the policy play them.

use std::collections::HashSet;
use std::sync::Once;

use serde_json::Map;

use super::options::RolloutOptions;
use crate::engine::env::Environment;
use crate::engine::model::Model;
use crate::engine::rollout::{self, Episode, PlayOptions, Seat, check_failures, observation_hash, prompt_hash};
use crate::engine::{Error, Result, random};

/// Of one environment in an iteration: more would not be read by anybody in a year.
const MOST_EPISODES: usize = 1_000_000;

/// Of environments in one rollout: beyond it their streams of random numbers would be those of the next iteration.
const MOST_ENVIRONMENTS: usize = 1000;

/// What it takes.
pub(super) struct Collector<'a> {
    pub model: &'a Model,
    pub options: RolloutOptions<'a>,
    pub iteration: u64,
}

impl Collector<'_> {
    /// The episodes of one iteration, `episodes` of each environment in place of what the options say.
    pub fn play(&self, environments: &[Box<dyn Environment>], episodes: Option<usize>) -> Result<Vec<Episode>> {
        if environments.len() > MOST_ENVIRONMENTS {
            let expected = format!("at most {MOST_ENVIRONMENTS} environments");
            return Err(Error::option("envs", expected, environments.len()));
        }
        let mut seats = Vec::new();
        for (index, environment) in environments.iter().enumerate() {
            seats.extend(self.seats(environment.as_ref(), index as u64, episodes)?);
        }
        let play = PlayOptions {
            sampling: self.options.sampling,
            max_new_tokens: self.options.max_new_tokens,
            batch_size: self.options.rollout_batch_size,
            as_served: false,
        };
        let episodes = rollout::play(self.model, seats, &play, &mut |_| {})?;
        check_failures(episodes.iter().map(|episode| episode.ending.failure()))?;
        self.tell_dropped_thoughts(&episodes)?;
        Ok(episodes)
    }

    /// Says once that episodes keep thoughts which a server's next prompt would not show the model.
    fn tell_dropped_thoughts(&self, episodes: &[Episode]) -> Result<()> {
        static TOLD: Once = Once::new();
        let tokenizer = self.model.tokenizer()?;
        let count = episodes.iter().filter(|e| tokenizer.drops_thoughts_of(&e.messages, &Map::new())).count();
        if count > 0 {
            TOLD.call_once(|| {
                tracing::warn!(
                    "{count} of {} episodes have thoughts in earlier turns: they are played and trained with them, but this \
                     chat template shows a served model earlier turns without",
                    episodes.len()
                );
            });
        }
        Ok(())
    }

    /// Fresh instances of an environment, each with a task that is not held out.
    fn seats(&self, environment: &dyn Environment, index: u64, episodes: Option<usize>) -> Result<Vec<Seat>> {
        let about = environment.describe();
        let name = environment.label();
        let end = about.num_tasks.map_or(u64::MAX, |tasks| tasks.saturating_sub(1));
        let last = end.min(self.options.last_task_id);
        // An environment that has no such ids is drawn from as a whole; what is held out stays out by its prompt.
        let asked = self.options.first_task_id;
        let first = if last < asked { 0 } else { asked };
        if first != asked && self.iteration == 0 {
            tracing::warn!("{name} has no task {asked} (first_task_id): tasks are drawn from 0 to {last}");
        }
        let count = match episodes {
            Some(count) => count,
            None => self.options.num_rollouts.of(&name)?,
        };
        if count > MOST_EPISODES {
            return Err(Error::option("num_rollouts", format!("at most {MOST_EPISODES} episodes"), count));
        }
        let (seed, place) = (self.options.seed, self.iteration * MOST_ENVIRONMENTS as u64 + index);
        let mut tasks = random::stream(seed, "ppo tasks", place);
        let (mut seats, mut taken) = (Vec::with_capacity(count), HashSet::new());
        let excluded: HashSet<&str> = self.options.exclude_prompts.iter().map(String::as_str).collect();
        let held_out: HashSet<u64> = self.options.exclude_tasks.get(&name).into_iter().flatten().copied().collect();
        let mut attempts = 0;
        while seats.len() < count {
            attempts += 1;
            if attempts > 100 * count + 1000 {
                return Err(Error::message(format!(
                    "environment {name}: tasks {first} to {last} hold fewer than {count} that are not held out"
                )));
            }
            let range = last - first + 1;
            let task_id = first + random::below(&mut tasks, range);
            if taken.contains(&task_id) || held_out.contains(&task_id) {
                continue;
            }
            let mut fresh = environment.fresh()?;
            if self.is_held_out(fresh.as_mut(), task_id, &excluded) {
                continue;
            }
            taken.insert(task_id);
            let stream = random::stream(seed, &format!("ppo rollout {place}"), seats.len() as u64);
            seats.push(Seat { environment: fresh, task_id, stream });
        }
        Ok(seats)
    }

    /// A task that breaks on opening is not held out: it is played, and counted as failed.
    fn is_held_out(&self, environment: &mut dyn Environment, task_id: u64, excluded: &HashSet<&str>) -> bool {
        if excluded.is_empty() {
            return false;
        }
        let opened = environment.reset(task_id).and_then(|observation| Ok((observation, environment.messages()?)));
        opened.is_ok_and(|(observation, messages)| {
            excluded.contains(prompt_hash(&messages).as_str())
                || excluded.contains(observation_hash(&observation).as_str())
        })
    }
}
