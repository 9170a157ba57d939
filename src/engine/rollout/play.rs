//! A model plays episodes, many side by side.

use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use serde_json::Map;

use super::episode::{Episode, Turn};
use crate::engine::env::{Ending, Environment, EpisodeState};
use crate::engine::generate::{Reply, Sampling, Session};
use crate::engine::model::Model;
use crate::engine::text::Message;
use crate::engine::text::conversation::Conversation;
use crate::engine::{Error, Result};

/// An environment with the task that it plays next, and the stream its player draws from.
pub struct Seat {
    pub environment: Box<dyn Environment>,
    pub task_id: u64,
    pub stream: ChaCha8Rng,
}

/// How the model speaks while it plays.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlayOptions {
    pub sampling: Sampling,
    /// Per turn.
    pub max_new_tokens: usize,
    /// Episodes side by side: decides memory and speed, not results.
    pub batch_size: usize,
    /// Every turn's prompt is the chat template over the messages so far, as a chat server makes it, in place of the ids that
    /// were read and said before.
    pub as_served: bool,
}

impl Seat {
    /// The same task with the same luck, in a new instance of the environment.
    pub(super) fn again(&self) -> Result<Seat> {
        Ok(Seat { environment: self.environment.fresh()?, task_id: self.task_id, stream: self.stream.clone() })
    }
}

/// Plays one episode per seat. An episode whose environment broke is played once more when the others have ended: a
/// server may be back by then. `on_ended` hears how many more episodes have ended.
pub fn play(
    model: &Model,
    seats: Vec<Seat>,
    options: &PlayOptions,
    on_ended: &mut dyn FnMut(usize),
) -> Result<Vec<Episode>> {
    let mut played = play_all(model, seats, options, on_ended)?;
    let broken: Vec<usize> = (0..played.len()).filter(|&place| played[place].0.failed()).collect();
    if !broken.is_empty() {
        tracing::warn!("{} of {} episodes failed and are played once more", broken.len(), played.len());
        let seats = broken.iter().map(|&place| played[place].1.again()).collect::<Result<_>>()?;
        let again = play_all(model, seats, options, &mut |_| {})?;
        broken.into_iter().zip(again).for_each(|(place, episode)| played[place] = episode);
    }
    Ok(played.into_iter().map(|(episode, _)| episode).collect())
}

/// The episodes of all seats, each with the seat that it was played in.
fn play_all(
    model: &Model,
    seats: Vec<Seat>,
    options: &PlayOptions,
    on_ended: &mut dyn FnMut(usize),
) -> Result<Vec<(Episode, Seat)>> {
    let mut played = Vec::with_capacity(seats.len());
    let mut seats = seats.into_iter().peekable();
    while seats.peek().is_some() {
        let batch: Vec<Seat> = seats.by_ref().take(options.batch_size).collect();
        played.extend(play_batch(model, batch, options, on_ended)?);
    }
    Ok(played)
}

fn play_batch(
    model: &Model,
    seats: Vec<Seat>,
    options: &PlayOptions,
    on_ended: &mut dyn FnMut(usize),
) -> Result<Vec<(Episode, Seat)>> {
    let mut episodes: Vec<Conversing> =
        seats.into_iter().map(|seat| Conversing::open(model, seat, options.as_served)).collect::<Result<_>>()?;
    let mut session = Session::new(model, episodes.len());
    // The episodes in the session's rows.
    let mut rows: Vec<usize> = (0..episodes.len()).collect();
    loop {
        let playing: Vec<usize> = (0..rows.len()).filter(|&row| episodes[rows[row]].state.ending().is_none()).collect();
        on_ended(rows.len() - playing.len());
        if playing.is_empty() {
            break;
        }
        if playing.len() < rows.len() {
            session.select(&playing);
            rows = playing.iter().map(|&row| rows[row]).collect();
        }
        for (row, &place) in rows.iter().enumerate() {
            let (known, unread) = episodes[place].unread();
            session.rewind(row, known);
            session.feed(row, unread);
        }
        let mut streams: Vec<ChaCha8Rng> = rows.iter().map(|&place| episodes[place].stream.clone()).collect();
        let replies = session.reply(&mut streams, &options.sampling, options.max_new_tokens, &[])?;
        for ((&place, reply), stream) in rows.iter().zip(replies).zip(streams) {
            episodes[place].stream = stream;
            episodes[place].hear(model, reply)?;
            episodes[place].lasted = episodes[place].began.elapsed();
        }
    }
    Ok(episodes.into_iter().map(Conversing::close).collect())
}

/// An episode that a model plays, with all that was said. What the environment gets wrong ends this episode only; what the
/// model or tokenizer gets wrong is an error of the run.
struct Conversing {
    /// With the stream as it was in the beginning.
    seat: Seat,
    label: String,
    state: EpisodeState,
    stream: ChaCha8Rng,
    conversation: Conversation,
    /// As a chat server has it: the ids of the next turn's prompt.
    served: Option<Vec<i64>>,
    /// The ids that the session knows.
    known: Vec<i64>,
    logprobs: Vec<f32>,
    turns: Vec<Turn>,
    unanswered: Vec<i64>,
    messages: Vec<Message>,
    began: Instant,
    /// From its beginning to the last thing that happened in it.
    lasted: Duration,
}

impl Conversing {
    fn open(model: &Model, seat: Seat, as_served: bool) -> Result<Self> {
        let mut playing = Conversing {
            label: seat.environment.label(),
            state: EpisodeState::new(seat.environment.describe()),
            stream: seat.stream.clone(),
            seat,
            conversation: Conversation::default(),
            served: as_served.then(Vec::new),
            known: Vec::new(),
            logprobs: Vec::new(),
            turns: Vec::new(),
            unanswered: Vec::new(),
            messages: Vec::new(),
            began: Instant::now(),
            lasted: Duration::ZERO,
        };
        let Seat { environment, task_id, .. } = &mut playing.seat;
        match environment.reset(*task_id).and_then(|_| environment.messages()) {
            Ok(messages) => playing.begin(model, messages)?,
            Err(error) => playing.fail(&error)?,
        }
        Ok(playing)
    }

    fn begin(&mut self, model: &Model, messages: Vec<Message>) -> Result<()> {
        self.conversation = Conversation::open(model.tokenizer()?, &messages)?;
        if let Some(served) = &mut self.served {
            *served = self.conversation.ids().to_vec();
        }
        self.logprobs = vec![0.0; self.conversation.ids().len()];
        self.messages = messages;
        let tokens = self.conversation.len();
        if !has_room(model, tokens) {
            let context = model.net.config.max_position_embeddings;
            let problem = format!("its opening of {tokens} tokens leaves no room in this model's context of {context}");
            self.fail(&Error::environment(&self.label, problem))?;
        }
        Ok(())
    }

    fn fail(&mut self, error: &Error) -> Result<()> {
        self.state.fail(&self.label, self.seat.task_id, error)
    }

    /// The next turn's prompt: as how many of the ids that the session knows it begins, and what follows those.
    fn unread(&mut self) -> (usize, &[i64]) {
        let prompt = self.served.as_deref().unwrap_or(self.conversation.ids());
        let same = self.known.iter().zip(prompt).take_while(|(known, id)| known == id).count();
        // What follows the last token is known by reading it.
        let same = same.min(prompt.len() - 1);
        self.known.clear();
        self.known.extend_from_slice(prompt);
        (same, &self.known[same..])
    }

    /// Takes the model's reply through parsing and the environment's step to the next observation or the end.
    fn hear(&mut self, model: &Model, reply: Reply) -> Result<()> {
        let tokenizer = model.tokenizer()?;
        let prompt_differs = self.served.as_ref().is_some_and(|served| served != self.conversation.ids());
        let start = self.conversation.ids().len();
        self.conversation.push_reply(&reply.tokens);
        let end = self.conversation.ids().len();
        // The session sampled these itself.
        self.known.extend(&reply.tokens);
        self.logprobs.extend(&reply.logprobs);
        let said = tokenizer.decode(reply.content(), true)?;
        // A server hands on what was sampled, also where its prompt opened a thought.
        let text = if self.served.is_some() { said } else { tokenizer.whole_reply(said, &Map::new()) };
        self.messages.push(Message::assistant(text.clone()));

        let step = match self.state.hear(self.seat.environment.as_mut(), &text) {
            Ok(step) => step,
            Err(error) => return self.fail(&error),
        };
        self.turns.push(Turn { tokens: start..end, reward: step.reward, info: step.info, prompt_differs });
        if self.state.ending() == Some(&Ending::Terminated) {
            return Ok(());
        }
        let mut longer = self.conversation.clone();
        longer.push_observation(tokenizer, &step.observation)?;
        self.messages.push(Message::user(step.observation));
        let served = match &self.served {
            Some(_) => Some(Conversation::open(tokenizer, &self.messages)?.into_parts().0),
            None => None,
        };
        // What does not fit is left out: the trainer could not read it either.
        let length = served.as_ref().map_or(longer.len(), Vec::len);
        if self.state.ending().is_none() && has_room(model, length) {
            self.conversation = longer;
            self.served = served;
            self.logprobs.resize(self.conversation.ids().len(), 0.0);
        } else {
            self.messages.pop();
            self.unanswered = longer.ids()[end..].to_vec();
            self.state.cut();
        }
        Ok(())
    }

    fn close(self) -> (Episode, Seat) {
        let state = self.state;
        let (ids, mask) = self.conversation.into_parts();
        let episode = Episode {
            environment: self.label,
            task_id: self.seat.task_id,
            ids,
            mask,
            logprobs: self.logprobs,
            turns: self.turns,
            invalid_actions: state.complaints(),
            repeated_actions: state.repeated(),
            unanswered: self.unanswered,
            score: state.score(),
            normalised_score: state.normalised_score(),
            reward_unit: state.description().reward_unit(),
            success: state.is_success(),
            ending: state.ending().cloned().expect("every episode is played to its end"),
            messages: self.messages,
            seconds: self.lasted.as_secs_f64(),
        };
        (episode, self.seat)
    }
}

/// Whether the model can say another token after so many.
fn has_room(model: &Model, tokens: usize) -> bool {
    (tokens as i64) < model.net.config.max_position_embeddings
}
