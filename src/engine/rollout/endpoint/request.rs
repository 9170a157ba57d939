//! What one turn asks for, in the words that the server at hand understands.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Map, Value, json};

use super::problem::Refusal;
use crate::engine::generate::Sampling;
use crate::engine::text::Message;
use crate::engine::{Error, Result};

/// How the model is asked to speak.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Speech {
    pub sampling: Sampling,
    /// Per turn.
    pub max_new_tokens: usize,
}

impl Speech {
    pub fn validate(&self) -> Result<()> {
        if self.max_new_tokens < 1 {
            return Err(Error::option("max_new_tokens", "an integer of at least 1", self.max_new_tokens));
        }
        self.sampling.validate()
    }
}

/// What this server was found not to understand, for all requests that follow.
#[derive(Debug, Default)]
pub struct Dialect {
    says_max_completion_tokens: AtomicBool,
    refuses_seed: AtomicBool,
}

impl Dialect {
    /// Whether replies can be had again with the same seed, as far as the server keeps to it.
    pub fn is_seeded(&self) -> bool {
        !self.refuses_seed.load(Ordering::Relaxed)
    }

    /// Learns from a refusal of `body` that names a parameter; whether the request, said anew, may be taken.
    pub fn learn(&self, refusal: &Refusal, body: &Value) -> bool {
        if !refusal.names_asked_parameter() || refusal.is_of_length() {
            return false;
        }
        match refusal.parameter.as_deref().filter(|name| body.get(name).is_some()) {
            Some("max_tokens") => {
                self.says_max_completion_tokens.store(true, Ordering::Relaxed);
                true
            }
            Some("seed") => {
                if !self.refuses_seed.swap(true, Ordering::Relaxed) {
                    tracing::warn!("the endpoint takes no seed: what is drawn there cannot be had again");
                }
                true
            }
            _ => false,
        }
    }

    /// The body of a request for one reply.
    pub fn body(&self, model: &str, messages: &[Message], speech: &Speech, seed: u64) -> Value {
        let Sampling { temperature, top_k, top_p } = speech.sampling;
        let mut body = Map::new();
        let mut put = |name: &str, value: Value| drop(body.insert(name.to_string(), value));
        put("model", json!(model));
        put("messages", messages.iter().map(|m| json!({ "role": m.role, "content": m.content })).collect());
        let limit = match self.says_max_completion_tokens.load(Ordering::Relaxed) {
            true => "max_completion_tokens",
            false => "max_tokens",
        };
        put(limit, json!(speech.max_new_tokens));
        put("temperature", json!(temperature));
        put("n", json!(1));
        // What is greedy draws nothing.
        if temperature > 0.0 {
            put("top_p", json!(top_p));
            // Not in OpenAI's own API, so sent only where it says something.
            if top_k > 0 {
                put("top_k", json!(top_k));
            }
            if self.is_seeded() {
                put("seed", json!(seed));
            }
        }
        Value::Object(body)
    }
}

#[cfg(test)]
mod tests {
    use super::super::answer::refusal;
    use super::*;

    fn speech(temperature: f64, top_k: i64) -> Speech {
        Speech { sampling: Sampling { temperature, top_k, top_p: 0.9 }, max_new_tokens: 16 }
    }

    #[test]
    fn a_request_says_what_is_drawn_and_nothing_else() {
        let mut message = Message::assistant("no");
        message.loss = false;
        let body = Dialect::default().body("tiny", &[Message::user("hi"), message], &speech(0.7, 5), 9);
        let messages = json!([{ "role": "user", "content": "hi" }, { "role": "assistant", "content": "no" }]);
        let wanted = json!({ "model": "tiny", "messages": messages, "max_tokens": 16, "temperature": 0.7, "n": 1,
                             "top_p": 0.9, "top_k": 5, "seed": 9 });
        assert_eq!(body, wanted);
        let greedy = Dialect::default().body("tiny", &[], &speech(0.0, 5), 9);
        assert!(["top_p", "top_k", "seed"].iter().all(|name| greedy.get(name).is_none()), "{greedy}");
    }

    #[test]
    fn a_refusal_is_learnt_from_once() {
        let dialect = Dialect::default();
        let learn = |said: &str, body: &Value| {
            let text = json!({ "error": { "message": said } }).to_string();
            dialect.learn(&refusal(400, &text).unwrap(), body)
        };
        let body = dialect.body("tiny", &[], &speech(1.0, 0), 9);
        assert!(!learn("max_tokens is too large for this context length", &body));
        assert!(!learn("temperature must be 1", &body));
        assert!(
            learn("'max_tokens' is not supported; use 'max_completion_tokens'", &body) && learn("no seed here", &body)
        );
        let body = dialect.body("tiny", &[], &speech(1.0, 0), 9);
        let said = (body["max_completion_tokens"].as_u64(), body.get("max_tokens"), body.get("seed"));
        assert_eq!(said, (Some(16), None, None));
        assert!(!learn("max_tokens is unknown", &body) && !learn("no seed here", &body) && !dialect.is_seeded());
    }
}
