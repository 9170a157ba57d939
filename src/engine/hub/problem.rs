//! Why the Hub did not do what it was asked, and the one sentence that a person gets of it.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use hf_hub::HFError;

use super::repository::Repository;
use super::settings::Settings;
use crate::engine::sentence::one_line;
use crate::engine::{Error, proxy};

#[derive(Debug)]
pub enum Problem {
    /// No answer came, or not the whole of one.
    Network(String),
    /// The Hub, or a store of its, answered and said no.
    Refused(Refusal),
    /// What it answered is not what its protocol says.
    Odd(String),
    /// Something on this machine: a file, the disk, the user.
    Here(Error),
}

/// An answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    /// The Hub's own word for it (`GatedRepo`).
    pub code: String,
    /// The Hub's own sentence.
    pub message: String,
    /// How long it asks to be left alone.
    pub retry_after: Option<Duration>,
}

impl Problem {
    /// Whether the same request may well succeed in a moment.
    pub fn is_passing(&self) -> bool {
        match self {
            Problem::Network(_) => true,
            Problem::Refused(refusal) => matches!(refusal.status, 408 | 425 | 429 | 500 | 502 | 503 | 504),
            Problem::Odd(_) | Problem::Here(_) => false,
        }
    }

    /// Whether nobody knows if what was asked has been done.
    pub fn leaves_open(&self) -> bool {
        match self {
            Problem::Network(_) | Problem::Odd(_) => true,
            Problem::Refused(refusal) => refusal.status >= 500,
            Problem::Here(_) => false,
        }
    }

    /// Whether there is no such repository, as far as the account may see.
    pub fn is_no_repository(&self) -> bool {
        matches!(self, Problem::Refused(refusal) if refusal.code == "RepoNotFound")
    }

    pub fn status(&self) -> Option<u16> {
        match self {
            Problem::Refused(refusal) => Some(refusal.status),
            _ => None,
        }
    }

    /// Of a request that reqwest sent.
    pub fn of_request(error: &reqwest::Error) -> Self {
        let address = error.url().map(url::Url::as_str).unwrap_or_default();
        if is_malformed(error) {
            return Problem::Network(format!(
                "{} answered what cannot be read: {}",
                host(address),
                proxy::root_cause(error)
            ));
        }
        if error.is_timeout() {
            return Problem::Network(format!("{} does not answer", host(address)));
        }
        match error.is_connect() {
            true => Problem::Network(proxy::unreachable(address, error)),
            false => {
                let cause = proxy::root_cause(error);
                Problem::Network(format!("the connection to {} broke off: {cause}", host(address)))
            }
        }
    }

    /// Of work that asks nobody.
    pub fn into_error(self) -> Error {
        match self {
            Problem::Here(error) => error,
            other => Error::message(other.to_string()),
        }
    }

    /// What is told of it where no repository was asked for.
    pub fn sentence_of_account(self, settings: &Settings) -> Error {
        let token = settings.token.as_ref().map(|token| token.origin.as_str());
        match (self, token) {
            (Problem::Here(error), _) => error,
            (Problem::Refused(Refusal { status: 401 | 403, .. }), None) => Error::hinted(
                "there is no token, so the Hub does not know who asks",
                "make one in the settings of your account there and set HF_TOKEN, or run: hf auth login",
            ),
            (Problem::Refused(Refusal { status: 401 | 403, message, .. }), Some(origin)) => Error::hinted(
                format!("the Hub does not accept the token ({origin}){}", in_brackets(&message)),
                "it may have expired or been revoked: make a new one in the settings of your account there",
            ),
            (other, _) => Error::hinted(other.to_string(), "check the network, and HF_ENDPOINT where you set it"),
        }
    }

    /// What is told of it to a person, given what was asked of which repository.
    pub fn sentence(self, repository: &Repository, revision: &str, settings: &Settings) -> Error {
        let Refusal { status, code, message, retry_after } = match self {
            Problem::Refused(refusal) => refusal,
            Problem::Here(error) => return error,
            other => {
                let hint = "check the network, and HF_ENDPOINT where you set it; what has come so far is kept";
                return Error::hinted(format!("{repository}: {other}"), hint);
            }
        };
        let (kind, endpoint) = (repository.kind, &settings.endpoint);
        let page = format!("{}/{}", proxy::without_credentials(endpoint), repository.page());
        let token = settings.token.as_ref().map(|token| token.origin.as_str());
        let said = in_brackets(&message);
        let (sentence, hint) = match (status, code.as_str(), token) {
            (_, "GatedRepo", None) => (
                "its owner gives it only to accounts that ask for it, and there is no token".to_string(),
                format!("accept its conditions at {page}, then set HF_TOKEN"),
            ),
            (_, "GatedRepo", Some(_)) => (
                "its owner gives it only to accounts that ask for it, and this one has not been let in".to_string(),
                format!("accept its conditions at {page} with the account of your token, then run this again"),
            ),
            (404, "RevisionNotFound", _) => (
                format!("the {kind} has no revision {revision}"),
                format!("{page}/tree/main shows its branches and tags; a commit is named by its 40 digits"),
            ),
            (404, "EntryNotFound", _) => {
                (format!("a file is not there any more{said}"), "run this again: its owner is changing it".to_string())
            }
            (401 | 404, "RepoNotFound", None) | (404, _, None) => (
                format!("the Hub has no {kind} of that name that everybody may see"),
                "check the id; for a private one set HF_TOKEN".to_string(),
            ),
            (401, "RepoNotFound", Some(origin)) | (404, _, Some(origin)) => (
                format!("the Hub has no {kind} of that name that your account may see"),
                format!("check the id, and whether the token ({origin}) is of the right account"),
            ),
            (401, _, Some(origin)) => (
                format!("the Hub does not accept the token ({origin}){said}"),
                "it may have expired or been revoked: make a new one in the settings of your account there".to_string(),
            ),
            (401, _, None) => (
                format!("the Hub wants to know who asks, and there is no token{said}"),
                "make one in the settings of your account there and set HF_TOKEN, or run: hf auth login".to_string(),
            ),
            (403, _, _) => (
                format!("this account may not do that there{said}"),
                "a token needs write access to the owner's repositories to upload to one of them".to_string(),
            ),
            (409 | 412, _, _) => (
                format!("somebody else has just changed it{said}"),
                "look at what they did, and run this again".to_string(),
            ),
            (413, _, _) => (format!("the Hub takes no file of that size{said}"), "save it in more shards".to_string()),
            (429, _, _) => {
                let wait = retry_after.map_or("a while".to_string(), |wait| format!("{} s", wait.as_secs()));
                (format!("the Hub wants fewer requests{said}"), format!("wait {wait} and run this again: it goes on"))
            }
            (500.., _, _) => (
                format!("the Hub is in trouble: it answered {status}{said}"),
                "wait a while and run this again: it goes on where it stopped".to_string(),
            ),
            _ => (format!("the Hub refused: {status}{said}"), "see what it says, and affine doctor".to_string()),
        };
        Error::hinted(format!("{repository}: {sentence}"), hint)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Network(text) | Problem::Odd(text) => f.write_str(text),
            Problem::Refused(Refusal { status, message, .. }) if message.is_empty() => {
                write!(f, "the Hub answered {status}")
            }
            Problem::Refused(Refusal { status, message, .. }) => write!(f, "the Hub answered {status} ({message})"),
            Problem::Here(error) => write!(f, "{error}"),
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Problem::Here(error)
    }
}

impl From<HFError> for Problem {
    fn from(error: HFError) -> Self {
        let (context, retry_after) = match error {
            HFError::Request { source, .. } => return Problem::of_request(&source),
            HFError::RateLimited { retry_after, context } => (context, retry_after),
            HFError::Http { context }
            | HFError::AuthRequired { context }
            | HFError::Forbidden { context }
            | HFError::Conflict { context }
            | HFError::RepoNotFound { context: Some(context), .. }
            | HFError::RevisionNotFound { context: Some(context), .. }
            | HFError::EntryNotFound { context: Some(context), .. } => (context, None),
            other => return Problem::Odd(other.to_string()),
        };
        Problem::Refused(Refusal {
            status: context.status.as_u16(),
            code: context.error_code.unwrap_or_default(),
            message: one_line(&context.server_message.unwrap_or_default()),
            retry_after,
        })
    }
}

fn in_brackets(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(" ({message})") }
}

/// Whether an answer came whole and is not what it should be, as a proxy on the way may make it.
fn is_malformed(error: &reqwest::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = error.source();
    while let Some(inner) = cause {
        if inner.downcast_ref::<serde_json::Error>().is_some_and(|json| !json.is_io()) {
            return true;
        }
        cause = inner.source();
    }
    false
}

/// The machine that an address names.
fn host(address: &str) -> String {
    let parsed = url::Url::parse(address).ok();
    let named = parsed.and_then(|url| Some((url.host_str()?.to_string(), url.port())));
    match named {
        Some((host, Some(port))) => format!("{host}:{port}"),
        Some((host, None)) => host,
        None => "the Hub".to_string(),
    }
}
