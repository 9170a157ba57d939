//! Plays one iteration's episodes and asks policy, value head and reference about every token of them.

use std::cell::Cell;
use std::collections::HashSet;
use std::sync::Once;
use std::time::Instant;

use serde_json::Map;
use tch::{Device, Kind, Tensor};

use super::options::PpoOptions;
use super::rollout::{Rollout, Sample};
use crate::engine::env::Environment;
use crate::engine::model::head::Head;
use crate::engine::model::value_head::ValueHead;
use crate::engine::model::{Mode, Model, Qwen3};
use crate::engine::rollout::{self, Ending, Episode, PlayOptions, Seat, check_failures, observation_hash, prompt_hash};
use crate::engine::train::batch::{Batch, Sequence};
use crate::engine::train::passes::Passes;
use crate::engine::{Error, Result, random};

/// Of one environment in an iteration: more would not be read by anybody in a year.
const MOST_EPISODES: usize = 1_000_000;

/// What it takes.
pub(super) struct Collector<'a> {
    pub model: &'a Model,
    pub reference: &'a Qwen3,
    pub value_head: &'a ValueHead,
    pub options: &'a PpoOptions,
    pub iteration: u64,
}

impl Collector<'_> {
    pub fn collect(&self, environments: &[Box<dyn Environment>], episodes: Option<usize>) -> Result<Rollout> {
        let started = Instant::now();
        let mut seats = Vec::new();
        for (index, environment) in environments.iter().enumerate() {
            seats.extend(self.seats(environment.as_ref(), index as u64, episodes)?);
        }
        let play = PlayOptions {
            sampling: self.options.sampling(),
            max_new_tokens: self.options.max_new_tokens,
            batch_size: self.options.rollout_batch_size,
        };
        let episodes = rollout::play(self.model, seats, &play, &mut |_| {})?;
        check_failures(episodes.iter().map(|episode| &episode.ending))?;
        self.tell_dropped_thoughts(&episodes)?;
        let samples = self.look(&episodes)?;
        let seconds = started.elapsed().as_secs_f64();
        Ok(Rollout { episodes, samples, seconds, is_used: Cell::new(false) })
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
            None => self.options.episodes(&name)?,
        };
        if count > MOST_EPISODES {
            return Err(Error::option("num_rollouts", format!("at most {MOST_EPISODES} episodes"), count));
        }
        let (seed, place) = (self.options.seed, self.iteration * 1000 + index);
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

    /// Values, log-probs and reference log-probs of every episode's action tokens.
    fn look(&self, episodes: &[Episode]) -> Result<Vec<Sample>> {
        let _no_grad = tch::no_grad_guard();
        let played: Vec<&Episode> = episodes.iter().filter(|e| !e.failed() && !e.turns.is_empty()).collect();
        let mut samples: Vec<Sample> = played.iter().map(|episode| Sample::new(episode)).collect();
        let sequences: Vec<Sequence> =
            played.iter().map(|episode| Sequence::new(episode.ids.clone(), episode.mask.clone())).collect();
        let sequences: Vec<&Sequence> = sequences.iter().collect();
        let mut passes = Passes::new(self.options.batching());
        passes.each(&sequences, self.model.net.device(), &mut |batch, places| {
            let (policy, values) = self.pass(&self.model.net, batch);
            let (reference, _) = self.pass(self.reference, batch);
            let mut token = 0;
            for &place in places {
                let sample = &mut samples[place];
                for t in sequences[place].trained() {
                    sample.trainer_logprobs[t] = policy[token];
                    sample.reference_logprobs[t] = reference[token];
                    sample.values[t] = values[token];
                    token += 1;
                }
            }
            Ok(())
        })?;
        if self.options.bootstrap_truncated {
            self.bootstrap(&played, &mut samples)?;
        }
        Ok(samples)
    }

    /// The value of each state in which an episode was cut.
    ///
    /// It is read where the model would have begun its next reply: values are trained at the positions that predict a
    /// token of a reply, and the first of them is such a one. The end of the last reply is not: nothing is said there,
    /// so nothing ever trains the value there.
    fn bootstrap(&self, played: &[&Episode], samples: &mut [Sample]) -> Result<()> {
        let context = self.model.net.config.max_position_embeddings as usize;
        let cut = played.iter().enumerate().filter(|(_, episode)| episode.ending == Ending::Truncated);
        let (owners, states): (Vec<usize>, Vec<Sequence>) = cut
            .filter_map(|(place, episode)| state_of_cut(episode, context).map(|ids| (place, ids)))
            .map(|(place, ids)| (place, Sequence::new(ids.clone(), vec![false; ids.len()])))
            .unzip();
        let states: Vec<&Sequence> = states.iter().collect();
        let mut passes = Passes::new(self.options.batching());
        passes.each(&states, self.model.net.device(), &mut |batch, places| {
            let hidden = self.model.net.hidden_of(&batch.ids, batch.layout(None), Mode::Inference).flatten(0, 1);
            let values = to_vec(&self.value_head.forward(&hidden.index_select(0, &batch.last)));
            for (&place, value) in places.iter().zip(values) {
                samples[owners[place]].bootstrap = value;
            }
            Ok(())
        })
    }

    /// Log-probs and values of the trained tokens.
    fn pass(&self, net: &Qwen3, batch: &Batch) -> (Vec<f64>, Vec<f64>) {
        let hidden = net.hidden_of(&batch.ids, batch.layout(None), Mode::Inference).flatten(0, 1);
        let at_tokens = hidden.index_select(0, &batch.at);
        let scores = Head::new(net, self.options.temperature).logprobs_in_chunks(&at_tokens, &batch.targets, false);
        let values = self.value_head.forward(&at_tokens);
        (to_vec(&scores.logprobs), to_vec(&values))
    }
}

/// The conversation up to where the model would have replied next. Where the context is what cut the episode, the oldest
/// turns make room, as the opening says what the task is; `None` where the observation alone is too long: such a state is
/// worth nothing, because no reply to it is possible.
fn state_of_cut(episode: &Episode, context: usize) -> Option<Vec<i64>> {
    let opening = episode.turns.first()?.tokens.start;
    let ends = episode.turns.iter().map(|turn| turn.tokens.start).chain([episode.ids.len()]);
    let length = |from: usize| opening + episode.ids.len() - from + episode.unanswered.len();
    let from = ends.into_iter().find(|&from| length(from) < context)?;
    Some([&episode.ids[..opening], &episode.ids[from..], &episode.unanswered].concat())
}

fn to_vec(tensor: &Tensor) -> Vec<f64> {
    let tensor = tensor.flatten(0, -1).to_kind(Kind::Double).to_device(Device::Cpu);
    let mut values = vec![0.0; tensor.numel()];
    tensor.copy_data(&mut values, tensor.numel());
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::rollout::Turn;

    /// An opening of three ids, then replies of two with observations of three between them; cut at another observation.
    fn cut(turns: usize) -> Episode {
        let reply = |turn: usize| Turn { tokens: 3 + 5 * turn..5 + 5 * turn, reward: 0.0 };
        Episode {
            environment: "cut".to_string(),
            task_id: 0,
            ids: (0..5 * turns as i64).collect(),
            mask: Vec::new(),
            logprobs: Vec::new(),
            turns: (0..turns).map(reply).collect(),
            unanswered: vec![90, 91, 92],
            score: 0.0,
            normalised_score: 0.0,
            reward_unit: 1.0,
            success: false,
            ending: Ending::Truncated,
            messages: Vec::new(),
        }
    }

    #[test]
    fn a_state_is_the_whole_conversation_where_it_fits_and_else_without_the_oldest_turns() {
        let state = |context| state_of_cut(&cut(3), context);
        let whole: Vec<i64> = (0..15).chain([90, 91, 92]).collect();
        assert_eq!(state(19), Some(whole));
        // The model must be able to say another token.
        assert_eq!(state(18), Some([0, 1, 2].into_iter().chain(8..15).chain([90, 91, 92]).collect()));
        assert_eq!(state(13), Some(vec![0, 1, 2, 13, 14, 90, 91, 92]));
        assert_eq!(state(8), Some(vec![0, 1, 2, 90, 91, 92]));
        assert_eq!(state(6), None);
    }
}
