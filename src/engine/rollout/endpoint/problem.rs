//! Why there is no reply, and what follows from it.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::engine::Error;

/// Of one attempt.
#[derive(Debug)]
pub enum Problem {
    Passing(Passing),
    Refused(Refusal),
    Lasting(Lasting),
}

/// The same request may well succeed in a moment.
#[derive(Debug)]
pub struct Passing {
    pub reason: String,
    /// How long the server asks to be left alone.
    pub wait: Option<Duration>,
    /// Nobody answers at all.
    pub is_unreachable: bool,
}

/// What stays when all was tried.
#[derive(Debug)]
pub enum Lasting {
    /// It concerns this conversation alone.
    Failed(String),
    /// The conversation and its reply are longer than the model's context.
    Full(String),
    /// Every other request would end so, too.
    Stop(Error),
}

impl From<Lasting> for Problem {
    fn from(problem: Lasting) -> Self {
        Problem::Lasting(problem)
    }
}

/// An answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    /// The server's own sentence, without the key.
    pub said: String,
    /// The server's own word for it, such as `model_not_found`.
    pub code: String,
    /// The parameter that it does not take.
    pub parameter: Option<String>,
}

/// What a request says of how the model speaks.
pub const PARAMETERS: [&str; 7] = ["max_completion_tokens", "max_tokens", "temperature", "top_p", "top_k", "seed", "n"];

impl Refusal {
    pub fn is_passing(&self) -> bool {
        matches!(self.status, 408 | 425 | 429 | 500..) && !self.is_of_money()
    }

    pub fn is_of_key(&self) -> bool {
        matches!(self.status, 401 | 403)
    }

    /// OpenAI says it with the number of a server that is busy.
    pub fn is_of_money(&self) -> bool {
        self.status == 402 || self.code == "insufficient_quota"
    }

    pub fn is_of_model(&self) -> bool {
        self.status == 404 || self.code == "model_not_found" || self.parameter.as_deref() == Some("model")
    }

    /// Whether the conversation is too long for the model. Each server has words of its own for it.
    pub fn is_of_length(&self) -> bool {
        let said = self.said.to_ascii_lowercase();
        let sayings = [
            "context length",
            "context window",
            "context size",
            "max_model_len",
            "too many tokens",
            "prompt is too long",
        ];
        let is_said = sayings.iter().any(|saying| said.contains(saying));
        let is_coded = ["context_length", "context_size"].iter().any(|code| self.code.contains(code));
        matches!(self.status, 400 | 413 | 422) && (is_said || is_coded)
    }

    /// Whether it is about how the model is asked to speak, which is the same in every request.
    pub fn names_asked_parameter(&self) -> bool {
        let is_asked = |name: &str| PARAMETERS.contains(&name);
        matches!(self.status, 400 | 422) && self.parameter.as_deref().is_some_and(is_asked)
    }

    /// `it answered 503 (loading)`.
    pub fn sentence(&self) -> String {
        match self.said.as_str() {
            "" => format!("it answered {}", self.status),
            said => format!("it answered {} ({said})", self.status),
        }
    }
}

/// What a `Retry-After` asks for: seconds, or a date.
pub fn wait(header: &str, now: DateTime<Utc>) -> Option<Duration> {
    let header = header.trim();
    if let Ok(seconds) = header.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = DateTime::parse_from_rfc2822(header).ok()?;
    Some(date.signed_duration_since(now).to_std().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_told_in_seconds_or_by_a_date() {
        let now = DateTime::parse_from_rfc2822("Wed, 21 Oct 2026 07:28:00 GMT").unwrap().to_utc();
        let seconds = |header: &str| wait(header, now).map(|wait| wait.as_secs_f64());
        assert_eq!(seconds(" 30 "), Some(30.0));
        assert_eq!(seconds("1.5"), Some(1.5));
        assert_eq!(seconds("Wed, 21 Oct 2026 07:29:00 GMT"), Some(60.0));
        assert_eq!(seconds("Wed, 21 Oct 2026 07:27:00 GMT"), Some(0.0));
        for odd in ["", "soon", "-3", "inf", "1e400"] {
            assert_eq!(seconds(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_conversation_that_does_not_fit_is_known_by_the_words_of_several_servers() {
        let refusal = |status: u16, code: &str, said: &str| Refusal {
            status,
            said: said.into(),
            code: code.into(),
            parameter: None,
        };
        for (code, said) in [
            ("context_length_exceeded", ""),
            (
                "BadRequestError",
                "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens",
            ),
            ("exceed_context_size_error", "the request exceeds the available context size"),
        ] {
            assert!(refusal(400, code, said).is_of_length(), "{code}");
        }
        assert!(!refusal(400, "invalid", "unknown role").is_of_length());
        assert!(!refusal(500, "", "context length").is_of_length());
    }
}
