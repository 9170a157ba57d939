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
        seats.into_iter().map(|seat| Conversing::open(model, seat)).collect::<Result<_>>()?;
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
            session.feed(row, episodes[place].unread());
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
    /// How many of the conversation's ids the session knows.
    known: usize,
    logprobs: Vec<f32>,
    turns: Vec<Turn>,
    unanswered: Vec<i64>,
    messages: Vec<Message>,
    began: Instant,
    /// From its beginning to the last thing that happened in it.
    lasted: Duration,
}

impl Conversing {
    fn open(model: &Model, seat: Seat) -> Result<Self> {
        let mut playing = Conversing {
            label: seat.environment.label(),
            state: EpisodeState::new(seat.environment.describe()),
            stream: seat.stream.clone(),
            seat,
            conversation: Conversation::default(),
            known: 0,
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
        self.logprobs = vec![0.0; self.conversation.ids().len()];
        self.messages = messages;
        if !has_room(model, &self.conversation) {
            let (tokens, context) = (self.conversation.len(), model.net.config.max_position_embeddings);
            let problem = format!("its opening of {tokens} tokens leaves no room in this model's context of {context}");
            self.fail(&Error::environment(&self.label, problem))?;
        }
        Ok(())
    }

    fn fail(&mut self, error: &Error) -> Result<()> {
        self.state.fail(&self.label, self.seat.task_id, error)
    }

    /// The ids that the session has not been fed. They leave as known.
    fn unread(&mut self) -> &[i64] {
        let from = std::mem::replace(&mut self.known, self.conversation.ids().len());
        &self.conversation.ids()[from..]
    }

    /// Takes the model's reply through parsing and the environment's step to the next observation or the end.
    fn hear(&mut self, model: &Model, reply: Reply) -> Result<()> {
        let tokenizer = model.tokenizer()?;
        let start = self.conversation.ids().len();
        self.conversation.push_reply(&reply.tokens);
        // The session sampled these itself.
        self.known = self.conversation.ids().len();
        self.logprobs.extend(&reply.logprobs);
        let text = tokenizer.whole_reply(tokenizer.decode(reply.content(), true)?, &Map::new());
        self.messages.push(Message::assistant(text.clone()));

        let step = match self.state.hear(self.seat.environment.as_mut(), &text) {
            Ok(step) => step,
            Err(error) => return self.fail(&error),
        };
        self.turns.push(Turn { tokens: start..self.known, reward: step.reward, info: step.info });
        if self.state.ending() == Some(&Ending::Terminated) {
            return Ok(());
        }
        let mut longer = self.conversation.clone();
        longer.push_observation(tokenizer, &step.observation)?;
        // What does not fit is left out: the trainer could not read it either.
        if self.state.ending().is_none() && has_room(model, &longer) {
            self.conversation = longer;
            self.logprobs.resize(self.conversation.ids().len(), 0.0);
            self.messages.push(Message::user(step.observation));
        } else {
            self.unanswered = longer.ids()[self.known..].to_vec();
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

/// Whether the model can say another token after this conversation.
fn has_room(model: &Model, conversation: &Conversation) -> bool {
    (conversation.len() as i64) < model.net.config.max_position_embeddings
}
