//! Rollouts: a model plays episodes of environments, many side by side.
//!
//! Token ids are the truth: an [`Episode`] only ever extends its ids and is never rendered again from text, so what
//! the trainer reads is what the model read and said while playing.

pub mod players;

use std::ops::Range;

use super::env::{Description, Environment, Parsed, Step, TurnLimit};
use super::generate::{Reply, Sampling, Session};
use super::model::Model;
use super::text::Message;
use super::text::conversation::Conversation;
use super::{Error, Result, file};
use rand_chacha::ChaCha8Rng;
use serde_json::Map;

/// How an episode ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The task came to its own end, which may be a deadline.
    Terminated,
    /// It was cut from outside, by the context or by a limit that is no part of the task.
    Truncated,
    /// The environment broke, for this reason: the episode is neither trained on nor judged.
    Failed(String),
}

impl Ending {
    fn by_limit(limit: TurnLimit) -> Self {
        match limit {
            TurnLimit::Task => Ending::Terminated,
            TurnLimit::Outside => Ending::Truncated,
        }
    }

    /// How an episode ends with a step after so many turns, if it does.
    fn after(step: &Step, turns: usize, description: &Description) -> Option<Self> {
        match step {
            Step { done: true, truncated: true, .. } => Some(Ending::by_limit(description.move_limit)),
            Step { done: true, .. } => Some(Ending::Terminated),
            _ if turns >= description.max_turns => Some(Ending::by_limit(description.turn_limit)),
            _ => None,
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            Ending::Terminated => "terminated",
            Ending::Truncated => "truncated",
            Ending::Failed(_) => "failed",
        }
    }
}

/// One reply of the model and what it earned.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// Where the reply lies in the episode's ids, its end token included.
    pub tokens: Range<usize>,
    pub reward: f64,
}

/// An episode as it was played.
#[derive(Debug, Clone)]
pub struct Episode {
    /// Its label.
    pub environment: String,
    pub task_id: u64,
    pub ids: Vec<i64>,
    /// True where the model produced the id.
    pub mask: Vec<bool>,
    /// The log-prob recorded while sampling; 0 where the model produced nothing. `[ids.len()]`
    pub logprobs: Vec<f32>,
    pub turns: Vec<Turn>,
    /// Of an episode that was cut: the ids of the observation that it was cut at, with what opens the reply to it.
    pub unanswered: Vec<i64>,
    /// On the environment's own scale, as are the turns' rewards.
    pub score: f64,
    /// On 0..1.
    pub normalised_score: f64,
    /// [`Description::reward_unit`].
    pub reward_unit: f64,
    pub success: bool,
    pub ending: Ending,
    /// The conversation as text, for people.
    pub messages: Vec<Message>,
}

impl Episode {
    pub fn failed(&self) -> bool {
        matches!(self.ending, Ending::Failed(_))
    }

    /// The sum of all turns' rewards.
    pub fn total_reward(&self) -> f64 {
        self.turns.iter().map(|turn| turn.reward).sum()
    }
}

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
    fn again(&self) -> Result<Seat> {
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

/// SHA-256 (hex) of an episode's opening messages as JSON: two tasks with equal hashes show the model the same prompt.
pub fn prompt_hash(messages: &[Message]) -> String {
    // Whether a turn is trained shows the model nothing.
    let shown: Vec<Message> = messages.iter().map(|m| Message::new(&m.role, m.content.as_str())).collect();
    let text = serde_json::to_string(&shown).expect("messages are plain strings");
    file::sha256(text.as_bytes())
}

/// SHA-256 (hex) of an episode's first observation, in small letters and without regard to white space: what a prompt
/// is without its instructions, where the observation tells tasks apart.
pub fn observation_hash(observation: &str) -> String {
    let words: Vec<&str> = observation.split_ascii_whitespace().collect();
    file::sha256(words.join(" ").to_ascii_lowercase().as_bytes())
}

fn play_batch(
    model: &Model,
    seats: Vec<Seat>,
    options: &PlayOptions,
    on_ended: &mut dyn FnMut(usize),
) -> Result<Vec<(Episode, Seat)>> {
    let mut games: Vec<Game> = seats.into_iter().map(|seat| Game::open(model, seat)).collect::<Result<_>>()?;
    let mut session = Session::new(model, games.len());
    // The games in the session's rows.
    let mut rows: Vec<usize> = (0..games.len()).collect();
    loop {
        let playing: Vec<usize> = (0..rows.len()).filter(|&row| games[rows[row]].ending.is_none()).collect();
        on_ended(rows.len() - playing.len());
        if playing.is_empty() {
            break;
        }
        if playing.len() < rows.len() {
            session.select(&playing);
            rows = playing.iter().map(|&row| rows[row]).collect();
        }
        for (row, &game) in rows.iter().enumerate() {
            session.feed(row, games[game].unread());
        }
        let mut streams: Vec<ChaCha8Rng> = rows.iter().map(|&game| games[game].stream.clone()).collect();
        let replies = session.reply(&mut streams, &options.sampling, options.max_new_tokens, &[])?;
        for ((&game, reply), stream) in rows.iter().zip(replies).zip(streams) {
            games[game].stream = stream;
            games[game].hear(model, reply)?;
        }
    }
    Ok(games.into_iter().map(Game::close).collect())
}

/// An episode being played. What the environment gets wrong ends this episode only; what the model or tokenizer gets
/// wrong is an error of the run.
struct Game {
    /// With the stream as it was in the beginning.
    seat: Seat,
    label: String,
    description: Description,
    stream: ChaCha8Rng,
    conversation: Conversation,
    /// How many of the conversation's ids the session knows.
    known: usize,
    logprobs: Vec<f32>,
    turns: Vec<Turn>,
    unanswered: Vec<i64>,
    messages: Vec<Message>,
    score: f64,
    ending: Option<Ending>,
}

impl Game {
    fn open(model: &Model, mut seat: Seat) -> Result<Self> {
        let Seat { environment, task_id, stream } = &mut seat;
        let (task_id, stream) = (*task_id, stream.clone());
        let (description, label) = (environment.describe(), environment.label());
        // Until a step says otherwise nothing is achieved, whatever number the environment has for that.
        let score = description.score_range.0;
        let opened = environment.reset(task_id).and_then(|_| environment.messages());
        let (messages, ending) = match opened {
            Ok(messages) => (messages, None),
            Err(error) => (Vec::new(), Some(failure(&label, task_id, &error)?)),
        };
        let conversation = match ending {
            None => Conversation::open(model.tokenizer()?, &messages)?,
            Some(_) => Conversation::default(),
        };
        let ending = match ending {
            None if !has_room(model, &conversation) => {
                let (tokens, context) = (conversation.len(), model.net.config.max_position_embeddings);
                let problem =
                    format!("its opening of {tokens} tokens leaves no room in this model's context of {context}");
                Some(failure(&label, task_id, &Error::environment(&label, problem))?)
            }
            ending => ending,
        };
        Ok(Game {
            seat,
            label,
            description,
            stream,
            logprobs: vec![0.0; conversation.ids().len()],
            conversation,
            known: 0,
            turns: Vec::new(),
            unanswered: Vec::new(),
            messages,
            score,
            ending,
        })
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

        let step = match self.answer(&text) {
            Ok(step) => step,
            Err(error) => {
                self.ending = Some(failure(&self.label, self.seat.task_id, &error)?);
                return Ok(());
            }
        };
        self.turns.push(Turn { tokens: start..self.known, reward: step.reward });
        self.score = step.score.unwrap_or(step.reward);
        self.ending = Ending::after(&step, self.turns.len(), &self.description);
        if self.ending == Some(Ending::Terminated) {
            return Ok(());
        }
        let mut longer = self.conversation.clone();
        longer.push_observation(tokenizer, &step.observation)?;
        // What does not fit is left out: the trainer could not read it either.
        if self.ending.is_none() && has_room(model, &longer) {
            self.conversation = longer;
            self.logprobs.resize(self.conversation.ids().len(), 0.0);
            self.messages.push(Message::user(step.observation));
        } else {
            self.unanswered = longer.ids()[self.known..].to_vec();
            self.ending = Some(Ending::Truncated);
        }
        Ok(())
    }

    fn answer(&mut self, reply: &str) -> Result<Step> {
        let environment = &mut self.seat.environment;
        match environment.parse(reply)? {
            Parsed::Action(action) => environment.step(&action),
            Parsed::Complaint(observation) => Ok(Step {
                observation,
                reward: 0.0,
                done: false,
                score: Some(self.score),
                truncated: false,
                info: Map::new(),
            }),
        }
    }

    fn close(self) -> (Episode, Seat) {
        let normalised_score = self.description.normalise(self.score);
        let reward_unit = self.description.reward_unit();
        let (ids, mask) = self.conversation.into_parts();
        let episode = Episode {
            environment: self.label,
            task_id: self.seat.task_id,
            ids,
            mask,
            logprobs: self.logprobs,
            turns: self.turns,
            unanswered: self.unanswered,
            score: self.score,
            normalised_score,
            reward_unit,
            success: self.score >= self.description.success_threshold,
            ending: self.ending.expect("every game is played to its end"),
            messages: self.messages,
        };
        (episode, self.seat)
    }
}

/// Whether the model can say another token after this conversation.
fn has_room(model: &Model, conversation: &Conversation) -> bool {
    (conversation.len() as i64) < model.net.config.max_position_embeddings
}

/// The ending of an episode whose environment broke; Ctrl-C stays an error.
fn failure(name: &str, task_id: u64, error: &Error) -> Result<Ending> {
    if error.is_interrupted() {
        return Err(Error::Interrupted);
    }
    tracing::warn!("environment {name}, task {task_id}: the episode failed: {error}");
    Ok(Ending::Failed(error.to_string()))
}

/// Refuses to go on when more than 5 % of the episodes failed: the environment is broken, not unlucky. One failure among
/// several episodes is bad luck, however few they are.
pub fn check_failures<'a>(endings: impl IntoIterator<Item = &'a Ending>) -> Result<()> {
    let (mut played, mut failed, mut first) = (0, 0, "");
    for ending in endings {
        played += 1;
        if let Ending::Failed(reason) = ending {
            failed += 1;
            first = if failed == 1 { reason } else { first };
        }
    }
    if failed * 20 <= played || (failed == 1 && played > 1) {
        return Ok(());
    }
    Err(Error::hinted(
        format!("{failed} of {played} episodes failed, more than 5 %"),
        format!("the first of them: {first}"),
    ))
}
