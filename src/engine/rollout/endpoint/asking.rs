//! Requests to an endpoint: patient, and told apart by what came of them.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::header::{AUTHORIZATION, LOCATION, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{RequestBuilder, Response};

use super::answer::{self, Reply};
use super::options::Endpoint;
use super::problem::{Lasting, Passing, Problem, Refusal, wait};
use super::request::{Dialect, Speech};
use super::secret::Secret;
use crate::engine::sentence::one_line;
use crate::engine::text::Message;
use crate::engine::{Error, Result, proxy, random};

/// The wait before the second attempt; it doubles from then on.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// For a connection: a machine that is not there is known soon.
const CONNECTING: Duration = Duration::from_secs(10);

/// A reply is text; more than this is none.
const LARGEST_ANSWER: usize = 16 << 20;

/// What all requests share.
pub struct Asking {
    pub endpoint: Endpoint,
    pub base: String,
    pub key: Option<Secret>,
    pub dialect: Dialect,
    http: reqwest::Client,
    /// Waits so far, so that no two are of one length.
    waits: AtomicU64,
}

impl Asking {
    pub fn new(endpoint: &Endpoint) -> Result<Asking> {
        // A key is shown to nobody whom the server names.
        let http = reqwest::Client::builder().redirect(Policy::none());
        let http = http.connect_timeout(CONNECTING.min(endpoint.timeout())).timeout(endpoint.timeout());
        let http = http.user_agent(concat!("affine/", env!("CARGO_PKG_VERSION"))).build();
        Ok(Asking {
            base: endpoint.address()?.as_str().trim_end_matches('/').to_string(),
            key: endpoint.key()?,
            http: http.map_err(|error| Error::message(format!("no HTTP client: {}", proxy::root_cause(&error))))?,
            endpoint: endpoint.clone(),
            dialect: Dialect::default(),
            waits: AtomicU64::new(0),
        })
    }

    /// What the model says next in this conversation.
    pub async fn reply(&self, messages: &[Message], speech: &Speech, seed: u64) -> Result<Reply, Lasting> {
        let patience = self.endpoint.patience();
        match tokio::time::timeout(patience, self.patiently(|| self.chat(messages, speech, seed))).await {
            Ok(reply) => reply,
            Err(_) => Err(Lasting::Failed(format!("{}: no reply within {} s", self.base, patience.as_secs_f64()))),
        }
    }

    /// The names of the server's models, where it lists them.
    pub async fn models(&self) -> Result<String, Problem> {
        self.send(self.http.get(self.address("models"))).await
    }

    /// Asks until there is an answer, or a problem that stays.
    pub async fn patiently<T, F>(&self, attempt: impl Fn() -> F) -> Result<T, Lasting>
    where
        F: Future<Output = Result<T, Problem>>,
    {
        let begun = Instant::now();
        for number in 0.. {
            let passing = match attempt().await {
                Ok(answer) => return Ok(answer),
                Err(Problem::Lasting(problem)) => return Err(problem),
                Err(Problem::Refused(refusal)) => return Err(self.judge_refusal(refusal).await),
                Err(Problem::Passing(passing)) => passing,
            };
            let pause = passing.wait.unwrap_or_else(|| self.pause(number));
            let is_too_long = begun.elapsed() + pause > self.endpoint.patience();
            if number >= self.endpoint.retries || is_too_long {
                return Err(self.give_up(&passing, number + 1));
            }
            tracing::debug!("{}: {}; again in {:.1} s", self.base, passing.reason, pause.as_secs_f64());
            tokio::time::sleep(pause).await;
        }
        unreachable!("attempts end")
    }

    /// Twice as long each time, up to a half of it left to chance: who was refused together does not come back together.
    fn pause(&self, number: u32) -> Duration {
        let whole = FIRST_WAIT.saturating_mul(1 << number.min(16)).min(LONGEST_WAIT);
        let count = self.waits.fetch_add(1, Ordering::Relaxed);
        let mut stream = random::stream(std::process::id().into(), "endpoint's wait", count);
        whole.mul_f64(0.5 + 0.5 * random::unit(&mut stream))
    }

    fn give_up(&self, passing: &Passing, attempts: u32) -> Lasting {
        let Passing { reason, is_unreachable, wait } = passing;
        if *is_unreachable {
            return Lasting::Stop(self.unreachable(reason));
        }
        let asked = wait.map_or(String::new(), |wait| format!(", and asks to be left alone for {} s", wait.as_secs()));
        let times = if attempts == 1 { "once".to_string() } else { format!("{attempts} times") };
        Lasting::Failed(format!("{}: {reason}{asked} (asked {times})", self.base))
    }

    /// One attempt at one reply. A server that takes another name for a parameter is asked anew at once.
    async fn chat(&self, messages: &[Message], speech: &Speech, seed: u64) -> Result<Reply, Problem> {
        loop {
            let body = self.dialect.body(&self.endpoint.model, messages, speech, seed);
            match self.send(self.http.post(self.address("chat/completions")).json(&body)).await {
                Ok(text) => return self.judge(&text, speech).map_err(Problem::Lasting),
                Err(Problem::Refused(refusal)) if self.dialect.learn(&refusal, &body) => {
                    tracing::debug!("{}: {}; asked otherwise", self.base, refusal.sentence());
                }
                Err(problem) => return Err(problem),
            }
        }
    }

    fn judge(&self, text: &str, speech: &Speech) -> Result<Reply, Lasting> {
        let problem = |_| answer::reply(&self.clean(text)).err().unwrap_or_default();
        let reply = answer::reply(text).map_err(problem);
        let reply = reply.map_err(|problem| Lasting::Failed(format!("{}: {problem}", self.base)))?;
        match reply.usage {
            Some(usage) if usage.completion > speech.max_new_tokens as u64 => {
                let problem = format!(
                    "{}: it was asked for at most {} tokens a turn and said {}: its scores would be of another kind",
                    self.base, speech.max_new_tokens, usage.completion
                );
                let hint =
                    "the server does not keep to max_tokens: give all that are compared the limit that it does keep to";
                Err(Lasting::Stop(Error::hinted(problem, hint)))
            }
            _ => Ok(Reply { text: self.kept(reply.text), ..reply }),
        }
    }

    async fn send(&self, request: RequestBuilder) -> Result<String, Problem> {
        let request = match &self.key {
            Some(key) => request.header(AUTHORIZATION, key.header()),
            None => request,
        };
        let response = request.send().await.map_err(|error| self.lost(&error))?;
        let status = response.status().as_u16();
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_string);
        if (300..400).contains(&status) {
            let to = header(LOCATION).map(|to| proxy::without_credentials(&to)).unwrap_or_default();
            let problem = format!("{}: it answered {status} and points to {}", self.base, self.clean(&to));
            return Err(Lasting::Stop(Error::hinted(problem, "give that address as base_url, if it is meant")).into());
        }
        let wait = header(RETRY_AFTER).and_then(|text| wait(&text, chrono::Utc::now()));
        let text = self.text(response).await?;
        let Some(refusal) = answer::refusal(status, &text) else { return Ok(text) };
        let refusal = Refusal { said: one_line(&self.clean(&refusal.said)), ..refusal };
        match refusal.is_passing() {
            true => Err(Problem::Passing(Passing { reason: refusal.sentence(), wait, is_unreachable: false })),
            false => Err(Problem::Refused(refusal)),
        }
    }

    /// The whole of an answer.
    async fn text(&self, mut response: Response) -> Result<String, Problem> {
        let mut bytes = Vec::new();
        while let Some(part) = response.chunk().await.map_err(|error| self.lost(&error))? {
            bytes.extend_from_slice(&part);
            if bytes.len() > LARGEST_ANSWER {
                let problem = format!("{}: its answer has more than {LARGEST_ANSWER} bytes", self.base);
                return Err(Lasting::Failed(problem).into());
            }
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Of a request that did not come to an answer.
    fn lost(&self, error: &reqwest::Error) -> Problem {
        if error.is_builder() {
            let problem = format!("{}: {}", self.base, proxy::root_cause(error));
            return Lasting::Stop(Error::hinted(problem, "check base_url")).into();
        }
        if error.is_connect() {
            let reason = proxy::unreachable(&self.base, error);
            return Problem::Passing(Passing { reason, wait: None, is_unreachable: true });
        }
        let reason = match error.is_timeout() {
            true => format!("no answer within {} s", self.endpoint.timeout_seconds),
            false => format!("the connection broke off: {}", proxy::root_cause(error)),
        };
        Problem::Passing(Passing { reason, wait: None, is_unreachable: false })
    }

    fn address(&self, path: &str) -> String {
        format!("{}/{path}", self.base)
    }

    /// A reply as it is judged and stored: as the model said it. A key that is a real one is in none that is a model's own, and is stored
    /// nowhere; one that is a common word (`EMPTY`, `x`), as servers without keys are given, may be part of an answer.
    fn kept(&self, text: String) -> String {
        match &self.key {
            Some(key) if key.is_real() => key.out_of(&text),
            _ => text,
        }
    }

    /// A server's text without the key, as part of a sentence: cleaned whole, as of a key that was cut nobody would know what it is.
    pub fn clean(&self, text: &str) -> String {
        self.key.as_ref().map_or_else(|| text.to_string(), |key| key.out_of(text))
    }
}
