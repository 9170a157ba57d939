//! Generation: prompts in, replies out, with the log-prob of every sampled token.

mod decode;
pub mod sampler;
pub mod session;

use serde::Deserialize;

use super::model::Model;
use super::{Error, Result, plan, random};
pub use sampler::Sampling;
pub use session::{Finish, Reply, Session};

/// Options of [`generate`], named as in transformers.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GenerateOptions {
    pub max_new_tokens: usize,
    /// 0 is greedy.
    pub temperature: f64,
    pub top_k: i64,
    pub top_p: f64,
    /// Row i draws from the stream (seed, i), whatever the batch.
    pub seed: u64,
    /// Texts that end a reply, beside the model's own end tokens.
    pub stop: Vec<String>,
    /// Rows decoded side by side: decides memory and speed, not results.
    pub batch_size: usize,
}

impl Default for GenerateOptions {
    fn default() -> Self {
        GenerateOptions {
            max_new_tokens: 256,
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            seed: 0,
            stop: Vec::new(),
            batch_size: 64,
        }
    }
}

impl GenerateOptions {
    pub fn sampling(&self) -> Sampling {
        Sampling { temperature: self.temperature, top_k: self.top_k, top_p: self.top_p }
    }

    pub fn validate(&self) -> Result<()> {
        if self.max_new_tokens == 0 {
            return Err(Error::option("max_new_tokens", "an integer of at least 1", 0));
        }
        if self.batch_size == 0 {
            return Err(Error::option("batch_size", "an integer of at least 1", 0));
        }
        if let Some(place) = self.stop.iter().position(String::is_empty) {
            // Every text holds the empty one: no reply would have a second token.
            return Err(Error::option(format!("stop[{}]", place + 1), "a text that is not empty", "\"\""));
        }
        self.sampling().validate()
    }

    /// With short replies where this process is a plan, which notes them as they were.
    fn cut_in_plan(&self, prompts: usize) -> Self {
        let mut options = self.clone();
        if plan::active() {
            plan::note(format!("generate: {prompts} replies of at most {} tokens", self.max_new_tokens));
            options.max_new_tokens = self.max_new_tokens.min(plan::NEW_TOKENS);
        }
        options
    }
}

/// One generated continuation.
#[derive(Debug, Clone, PartialEq)]
pub struct Generation {
    /// The reply without the stop token or stop text; empty when the model has no tokenizer.
    pub text: String,
    /// The sampled ids, the stop token among them.
    pub tokens: Vec<i64>,
    /// One per token: see [`Sampling::sample`].
    pub logprobs: Vec<f32>,
    pub finish: Finish,
}

/// Continues every prompt (token ids).
pub fn generate(model: &Model, prompts: &[Vec<i64>], options: &GenerateOptions) -> Result<Vec<Generation>> {
    options.validate()?;
    let options = &options.cut_in_plan(prompts.len());
    for (i, prompt) in prompts.iter().enumerate() {
        check_prompt(model, prompt, i)?;
    }
    let mut generations = Vec::with_capacity(prompts.len());
    for (chunk_index, chunk) in prompts.chunks(options.batch_size).enumerate() {
        let first = (chunk_index * options.batch_size) as u64;
        let mut streams: Vec<_> =
            (0..chunk.len() as u64).map(|i| random::stream(options.seed, "generate", first + i)).collect();
        let mut session = Session::new(model, chunk.len());
        for (row, prompt) in chunk.iter().enumerate() {
            session.feed(row, prompt);
        }
        let replies = session.reply(&mut streams, &options.sampling(), options.max_new_tokens, &options.stop)?;
        for reply in replies {
            generations.push(finished(model, reply, &options.stop)?);
        }
    }
    Ok(generations)
}

fn check_prompt(model: &Model, prompt: &[i64], index: usize) -> Result<()> {
    let context = model.net.config.max_position_embeddings;
    if prompt.is_empty() {
        return Err(Error::message(format!("prompt {} is empty", index + 1)));
    }
    if prompt.len() as i64 >= context {
        return Err(Error::message(format!(
            "prompt {} has {} tokens, which leaves no room in this model's context of {context}",
            index + 1,
            prompt.len()
        )));
    }
    model.check_ids(prompt)
}

fn finished(model: &Model, reply: Reply, stop: &[String]) -> Result<Generation> {
    let text = match &model.tokenizer {
        Some(tokenizer) => cut(&tokenizer.decode(reply.content(), true)?, stop).to_string(),
        None => String::new(),
    };
    Ok(Generation { text, tokens: reply.tokens, logprobs: reply.logprobs, finish: reply.finish })
}

/// The text before the first stop text.
fn cut<'a>(text: &'a str, stop: &[String]) -> &'a str {
    let end = stop.iter().filter_map(|stop| text.find(stop.as_str())).min();
    &text[..end.unwrap_or(text.len())]
}
