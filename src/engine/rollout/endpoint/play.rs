//! A model behind an endpoint plays episodes, many side by side.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value};
use tokio::task::JoinSet;

use super::answer::{Finish, Reply, Usage};
use super::client::Client;
use super::problem::Lasting;
use super::request::Speech;
use crate::engine::env::EpisodeState;
use crate::engine::rollout::{Outcome, Seat};
use crate::engine::text::Message;
use crate::engine::{Error, Result};

/// So many requests, and at least as many as are in flight, that fail one after the other: nothing works there any more.
const HOPELESS: usize = 8;

/// One reply of the model and what it earned.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    pub reward: f64,
    /// What the environment told of it besides.
    pub info: Map<String, Value>,
    pub finish: Finish,
    pub usage: Option<Usage>,
}

/// An episode as it was played: what [`Episode`](crate::engine::rollout::Episode) is, without ids.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointEpisode {
    /// It has *failed* also where the endpoint gave no reply.
    pub outcome: Outcome,
    pub turns: Vec<Turn>,
}

impl EndpointEpisode {
    /// Of all turns; nothing where the server did not count one of them.
    pub fn usage(&self) -> Option<Usage> {
        self.turns.iter().map(|turn| turn.usage).try_fold(Usage::default(), |sum, usage| Some(sum.plus(usage?)))
    }
}

/// Plays one episode per seat, in whose order they are returned. An episode that failed is played once more when the others
/// have ended, as [`rollout::play`](crate::engine::rollout::play) does. `on_ended` hears how many more episodes have ended.
pub fn play(
    client: &Client,
    seats: Vec<Seat>,
    speech: &Speech,
    on_ended: &mut dyn FnMut(usize),
) -> Result<Vec<EndpointEpisode>> {
    speech.validate()?;
    let mut played = play_all(client, seats, speech, on_ended)?;
    let broken: Vec<usize> = (0..played.len()).filter(|&place| played[place].0.outcome.failed()).collect();
    if !broken.is_empty() {
        tracing::warn!("{} of {} episodes failed and are played once more", broken.len(), played.len());
        let seats = broken.iter().map(|&place| played[place].1.again()).collect::<Result<_>>()?;
        let again = play_all(client, seats, speech, &mut |_| {})?;
        broken.into_iter().zip(again).for_each(|(place, episode)| played[place] = episode);
    }
    Ok(played.into_iter().map(|(episode, _)| episode).collect())
}

/// An episode, and the seat that it was played in.
type Played = (EndpointEpisode, Seat);

fn play_all(
    client: &Client,
    seats: Vec<Seat>,
    speech: &Speech,
    on_ended: &mut dyn FnMut(usize),
) -> Result<Vec<Played>> {
    let played = seats.iter().map(|_| None).collect();
    let mut seats = seats.into_iter().enumerate();
    let mut table =
        Table { client, speech, requests: JoinSet::new(), talking: HashMap::new(), played, failures: 0, on_ended };
    loop {
        while table.talking.len() < client.endpoint().parallel
            && let Some((place, seat)) = seats.next()
        {
            table.go_on(place, Talking::open(seat)?);
        }
        if table.talking.is_empty() {
            break;
        }
        let (mut episode, place, reply) = table.next()?;
        episode.hear(reply)?;
        table.go_on(place, episode);
    }
    Ok(table.played.into_iter().map(|episode| episode.expect("every seat is played to its end")).collect())
}

/// The episodes that go on, each with a request in flight. Dropped, the requests end.
struct Table<'a> {
    client: &'a Client,
    speech: &'a Speech,
    requests: JoinSet<(usize, Result<Reply, Lasting>)>,
    /// By the places of their seats.
    talking: HashMap<usize, Talking>,
    /// In the order of the seats.
    played: Vec<Option<Played>>,
    /// In a row.
    failures: usize,
    on_ended: &'a mut dyn FnMut(usize),
}

impl Table<'_> {
    /// The next turn of an episode, or its end.
    fn go_on(&mut self, place: usize, mut episode: Talking) {
        if episode.state.ending().is_some() {
            self.played[place] = Some(episode.close());
            (self.on_ended)(1);
            return;
        }
        let (asking, speech, seed) = (self.client.asking(), *self.speech, episode.seed());
        let messages = episode.messages.clone();
        let ask = async move { (place, asking.reply(&messages, &speech, seed).await) };
        self.requests.spawn_on(ask, self.client.handle());
        self.talking.insert(place, episode);
    }

    /// The first answer that comes, with its episode and the place of that.
    fn next(&mut self) -> Result<(Talking, usize, Result<Reply, Lasting>)> {
        let joined = self.client.wait_for(self.requests.join_next())?.expect("an episode that goes on has a request");
        let (place, reply) = joined.map_err(|error| Error::message(format!("a request ended by itself: {error}")))?;
        self.count_failures(&reply)?;
        let episode = self.talking.remove(&place).expect("it goes on until its request is answered");
        Ok((episode, place, reply))
    }

    fn count_failures(&mut self, reply: &Result<Reply, Lasting>) -> Result<()> {
        let Err(Lasting::Failed(reason)) = reply else {
            self.failures = 0;
            return Ok(());
        };
        self.failures += 1;
        if self.failures < HOPELESS.max(self.client.endpoint().parallel) {
            return Ok(());
        }
        let problem = format!("{} requests in a row failed", self.failures);
        Err(Error::hinted(problem, format!("the last of them: {reason}")))
    }
}

/// An episode that goes on, with all that was said.
struct Talking {
    /// With the stream as it was in the beginning.
    seat: Seat,
    label: String,
    state: EpisodeState,
    stream: ChaCha8Rng,
    turns: Vec<Turn>,
    messages: Vec<Message>,
    began: Instant,
    /// From its beginning to the last thing that happened in it.
    lasted: Duration,
}

impl Talking {
    fn open(seat: Seat) -> Result<Self> {
        let mut talking = Talking {
            label: seat.environment.label(),
            state: EpisodeState::new(seat.environment.describe()),
            stream: seat.stream.clone(),
            seat,
            turns: Vec::new(),
            messages: Vec::new(),
            began: Instant::now(),
            lasted: Duration::ZERO,
        };
        let Seat { environment, task_id, .. } = &mut talking.seat;
        match environment.reset(*task_id).and_then(|_| environment.messages()) {
            Ok(messages) => talking.messages = messages,
            Err(error) => talking.fail(&error)?,
        }
        Ok(talking)
    }

    fn fail(&mut self, error: &Error) -> Result<()> {
        self.state.fail(&self.label, self.seat.task_id, error)
    }

    /// Of the next request: 31 bits, which every server takes.
    fn seed(&mut self) -> u64 {
        self.stream.next_u64() >> 33
    }

    /// Takes what came of a request to the next observation or the end.
    fn hear(&mut self, reply: Result<Reply, Lasting>) -> Result<()> {
        match reply {
            Ok(reply) => self.step(reply)?,
            Err(Lasting::Full(_)) if self.state.turns() > 0 => {
                // The observation that does not fit was never read.
                self.messages.pop();
                self.state.cut();
            }
            Err(Lasting::Full(said)) => {
                self.fail(&Error::message(format!("its opening leaves no room in the model's context: {said}")))?;
            }
            Err(Lasting::Failed(reason)) => self.fail(&Error::message(reason))?,
            Err(Lasting::Stop(error)) => return Err(error),
        }
        self.lasted = self.began.elapsed();
        Ok(())
    }

    fn step(&mut self, reply: Reply) -> Result<()> {
        let Reply { text, finish, usage } = reply;
        self.messages.push(Message::assistant(text.clone()));
        let step = match self.state.hear(self.seat.environment.as_mut(), &text) {
            Ok(step) => step,
            Err(error) => return self.fail(&error),
        };
        self.turns.push(Turn { reward: step.reward, info: step.info, finish, usage });
        if self.state.ending().is_none() {
            self.messages.push(Message::user(step.observation));
        }
        Ok(())
    }

    fn close(self) -> (EndpointEpisode, Seat) {
        let lasted = self.lasted.as_secs_f64();
        let outcome = Outcome::of(&self.state, self.label, self.seat.task_id, self.messages, lasted);
        (EndpointEpisode { outcome, turns: self.turns }, self.seat)
    }
}
