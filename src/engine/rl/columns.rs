//! What policy, value head and reference say of every token of a rollout.

use tch::{Device, Kind, Tensor};

use super::rollout::Sample;
use crate::engine::Result;
use crate::engine::model::head::Head;
use crate::engine::model::value_head::ValueHead;
use crate::engine::model::{Mode, Qwen3};
use crate::engine::rollout::{Ending, Episode};
use crate::engine::train::batch::{Batch, Batching, Sequence};
use crate::engine::train::passes::Passes;

/// Who is asked, and how.
pub(super) struct Columns<'a> {
    pub policy: &'a Qwen3,
    pub reference: &'a Qwen3,
    pub value_head: &'a ValueHead,
    /// At which the policy played.
    pub temperature: f64,
    pub batching: Batching,
}

/// What is said of one token.
struct Answer {
    logprob: f32,
    reference_logprob: f32,
    value: f32,
}

impl Columns<'_> {
    /// Fills in values, log-probs and reference log-probs of all action tokens. Of failed episodes nobody is asked.
    pub fn fill(&self, samples: &mut [Sample]) -> Result<()> {
        let _no_grad = tch::no_grad_guard();
        let played: Vec<&Sample> = samples.iter().filter(|sample| !sample.episode.failed()).collect();
        let answers = self.ask(&played)?;
        for (sample, answers) in samples.iter_mut().filter(|sample| !sample.episode.failed()).zip(answers) {
            for (t, answer) in answers {
                sample.trainer_logprobs[t] = answer.logprob;
                sample.reference_logprobs[t] = answer.reference_logprob;
                sample.values[t] = answer.value;
            }
        }
        Ok(())
    }

    /// Each sample's action tokens, by their positions.
    fn ask(&self, samples: &[&Sample]) -> Result<Vec<Vec<(usize, Answer)>>> {
        let sequences: Vec<Sequence> =
            samples.iter().map(|sample| Sequence::borrowed(&sample.episode.ids, &sample.episode.mask)).collect();
        let sequences: Vec<&Sequence> = sequences.iter().collect();
        let mut answers: Vec<Vec<(usize, Answer)>> = samples.iter().map(|_| Vec::new()).collect();
        Passes::new(self.batching).each(&sequences, self.policy.device(), &mut |batch, places| {
            let (policy, values) = self.pass(self.policy, batch);
            let (reference, _) = self.pass(self.reference, batch);
            let said = policy.into_iter().zip(reference).zip(values);
            let mut said =
                said.map(|((logprob, reference_logprob), value)| Answer { logprob, reference_logprob, value });
            for &place in places {
                answers[place].extend(sequences[place].trained().zip(&mut said));
            }
            Ok(())
        })?;
        Ok(answers)
    }

    /// The value of each state in which an episode was cut.
    ///
    /// It is read where the model would have begun its next reply: values are trained at the positions that predict a
    /// token of a reply, and the first of them is such a one. The end of the last reply is not: nothing is said there,
    /// so nothing ever trains the value there.
    pub fn bootstrap(&self, samples: &mut [Sample]) -> Result<()> {
        let _no_grad = tch::no_grad_guard();
        let context = self.policy.config.max_position_embeddings as usize;
        let cut = samples.iter_mut().filter(|sample| sample.episode.ending == Ending::Truncated);
        let (mut owners, states): (Vec<&mut Sample>, Vec<Sequence>) = cut
            .filter_map(|sample| state_of_cut(&sample.episode, context).map(|ids| (sample, ids)))
            .map(|(sample, ids)| {
                let untrained = vec![false; ids.len()];
                (sample, Sequence::new(ids, untrained))
            })
            .unzip();
        let states: Vec<&Sequence> = states.iter().collect();
        Passes::new(self.batching).each(&states, self.policy.device(), &mut |batch, places| {
            let hidden = self.policy.hidden_of(&batch.ids, batch.layout(None), Mode::Inference).flatten(0, 1);
            let values = to_vec(&self.value_head.forward(&hidden.index_select(0, &batch.last)));
            for (&place, value) in places.iter().zip(values) {
                owners[place].bootstrap = f64::from(value);
            }
            Ok(())
        })
    }

    /// Log-probs and values of the trained tokens.
    fn pass(&self, net: &Qwen3, batch: &Batch) -> (Vec<f32>, Vec<f32>) {
        let hidden = net.hidden_of(&batch.ids, batch.layout(None), Mode::Inference).flatten(0, 1);
        let at_tokens = hidden.index_select(0, &batch.at);
        let said = Head::new(net, self.temperature).logprobs_in_chunks(&at_tokens, &batch.targets, false);
        let values = self.value_head.forward(&at_tokens);
        (to_vec(&said.logprobs), to_vec(&values))
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

fn to_vec(tensor: &Tensor) -> Vec<f32> {
    let tensor = tensor.flatten(0, -1).to_kind(Kind::Float).to_device(Device::Cpu);
    let mut values = vec![0.0; tensor.numel()];
    tensor.copy_data(&mut values, tensor.numel());
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Map;

    use crate::engine::rollout::Turn;

    /// An opening of three ids, then replies of two with observations of three between them; cut at another observation.
    fn cut(turns: usize) -> Episode {
        let reply = |turn: usize| Turn {
            tokens: 3 + 5 * turn..5 + 5 * turn,
            reward: 0.0,
            info: Map::new(),
            prompt_differs: false,
        };
        Episode {
            environment: "cut".to_string(),
            task_id: 0,
            ids: (0..5 * turns as i64).collect(),
            mask: Vec::new(),
            logprobs: Vec::new(),
            turns: (0..turns).map(reply).collect(),
            invalid_actions: 0,
            repeated_actions: 0,
            unanswered: vec![90, 91, 92],
            score: 0.0,
            normalised_score: 0.0,
            reward_unit: 1.0,
            success: false,
            ending: Ending::Truncated,
            messages: Vec::new(),
            seconds: 0.0,
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
