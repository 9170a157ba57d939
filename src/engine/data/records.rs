//! Records: the training examples.
//!
//! A record is a conversation (`messages`), a prompt with its completion (`prompt`, `completion`: two texts, or two lists
//! of messages), or plain text (`text`), as TRL spells them. Beside messages, `chat_template_kwargs` are variables for the
//! chat template, and what a model would have to be shown (`tools`) is refused. Other keys (which environment, which task,
//! what score) travel along untouched and mean nothing to training.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};
use serde_path_to_error::Segment;

use super::columns;
use crate::engine::Result;
use crate::engine::text::{Conversation, Message, Tokenizer, check_roles};

/// One training example. Two that say the same are equal, wherever they come from.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Fields")]
pub struct Record {
    pub body: Body,
    /// Every key beside those of the body, in the order given.
    pub extra: Map<String, Value>,
    /// Where it was read, if in a file.
    pub origin: Option<Origin>,
}

impl PartialEq for Record {
    fn eq(&self, other: &Self) -> bool {
        self.body == other.body && self.extra == other.extra
    }
}

/// A row of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub file: Arc<PathBuf>,
    /// Whether rows are lines.
    pub lines: bool,
    /// From 1.
    pub row: usize,
}

impl Origin {
    /// `line 3` in a file of lines, else `row 3`.
    pub fn place(&self) -> String {
        format!("{} {}", if self.lines { "line" } else { "row" }, self.row)
    }

    /// As one says it who has named `path`, the file or its folder, already.
    pub fn within(&self, path: &Path) -> String {
        if *self.file == path { self.place() } else { format!("{}: {}", self.file.display(), self.place()) }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// At least one message, each by `system`, `user` or `assistant`.
    Messages(Vec<Message>),
    /// A conversation up to where a reply begins, and the reply with what follows it.
    PromptMessages {
        prompt: Vec<Message>,
        completion: Vec<Message>,
    },
    /// A text and how it goes on.
    PromptText {
        prompt: String,
        completion: String,
    },
    Text(String),
}

impl Body {
    /// What a count of records calls it.
    pub fn kind(&self) -> &'static str {
        match self {
            Body::Messages(_) => "messages",
            Body::PromptMessages { .. } => "prompt/completion as messages",
            Body::PromptText { .. } => "prompt/completion as text",
            Body::Text(_) => "text",
        }
    }
}

impl Record {
    pub fn messages(messages: Vec<Message>) -> Self {
        Self::new(Body::Messages(messages))
    }

    pub fn text(text: impl Into<String>) -> Self {
        Self::new(Body::Text(text.into()))
    }

    pub fn new(body: Body) -> Self {
        Record { body, extra: Map::new(), origin: None }
    }

    /// `data.jsonl: line 3` for a record that was read from a file, else its number among others, from 1.
    pub fn place(&self, number: usize) -> String {
        match &self.origin {
            Some(origin) => format!("{}: {}", origin.file.display(), origin.place()),
            None => format!("record {number}"),
        }
    }

    /// A record from an object; a sentence on what is wrong with it, and where, otherwise.
    pub fn from_json(mut value: Value) -> Result<Self, String> {
        if !value.is_object() {
            return Err(format!("expected an object with {KEYS}, got {}", kind(&value)));
        }
        for key in ["messages", "prompt", "completion"] {
            value.get_mut(key).map(drop_absent);
        }
        serde_path_to_error::deserialize(value).map_err(|e| {
            // Paths are short (`messages[1].content`); people count messages from 1.
            let place: Vec<String> = e.path().iter().filter_map(place).collect();
            let place = place.join(" ");
            let problem = e.into_inner();
            if place.is_empty() { problem.to_string() } else { format!("{place}: {problem}") }
        })
    }

    /// Token ids and mask for training: a conversation trains what the assistant says but in turns that are marked to carry
    /// no loss, a prompt with a completion trains
    /// the completion (of messages, what the assistant says in it), a text trains all of itself.
    pub fn encode(&self, tokenizer: &Tokenizer) -> Result<Conversation> {
        match &self.body {
            Body::Messages(messages) => {
                Conversation::encode_record_with(tokenizer, messages, &self.chat_template_kwargs())
            }
            Body::PromptMessages { prompt, completion } => {
                Conversation::encode_completion(tokenizer, prompt, completion, &self.chat_template_kwargs())
            }
            Body::PromptText { prompt, completion } => Conversation::encode_continuation(tokenizer, prompt, completion),
            Body::Text(text) => Conversation::encode_text(tokenizer, text),
        }
    }

    /// The variables that the chat template is given.
    pub fn chat_template_kwargs(&self) -> Map<String, Value> {
        columns::kwargs(&self.extra)
    }

    /// Whether a server would show a model this conversation without thoughts that it is trained with.
    pub fn is_served_without_thoughts(&self, tokenizer: &Tokenizer) -> bool {
        let kwargs = self.chat_template_kwargs();
        match &self.body {
            Body::Messages(messages) => tokenizer.drops_thoughts_of(messages, &kwargs),
            Body::PromptMessages { prompt, completion } => {
                tokenizer.drops_thoughts_of(&[prompt.as_slice(), completion].concat(), &kwargs)
            }
            Body::PromptText { .. } | Body::Text(_) => false,
        }
    }

    /// Token ids and mask for training a base model: every token after the first is trained, whoever says it.
    pub fn encode_all(&self, tokenizer: &Tokenizer) -> Result<Conversation> {
        match &self.body {
            Body::Messages(messages) => {
                Conversation::encode_all_with(tokenizer, messages, &self.chat_template_kwargs())
            }
            Body::PromptMessages { prompt, completion } => {
                let messages = [prompt.as_slice(), completion].concat();
                Conversation::encode_all_with(tokenizer, &messages, &self.chat_template_kwargs())
            }
            Body::PromptText { .. } => Ok(self.encode(tokenizer)?.all_trained()),
            Body::Text(text) => Conversation::encode_text(tokenizer, text),
        }
    }

    /// The record's own text for eyes, in pieces that [`Record::encode`] trains or not; messages stand below their roles.
    pub fn pieces(&self) -> Vec<(String, bool)> {
        let conversation = |messages: &[Message], trains: bool| {
            let piece = |message: &Message| {
                let trained = trains && message.is_trained();
                [(format!("[{}]\n", message.role), false), (message.content.clone(), trained), ("\n".into(), false)]
            };
            messages.iter().flat_map(piece).collect::<Vec<_>>()
        };
        match &self.body {
            Body::Messages(messages) => conversation(messages, true),
            Body::PromptMessages { prompt, completion } => {
                [conversation(prompt, false), conversation(completion, true)].concat()
            }
            Body::PromptText { prompt, completion } => vec![(prompt.clone(), false), (completion.clone(), true)],
            Body::Text(text) => vec![(text.clone(), true)],
        }
    }
}

const KEYS: &str = "`messages`, `text`, or `prompt` and `completion`";

/// A record as it is written: what serde checks before [`Record`] checks the rest.
#[derive(Deserialize)]
struct Fields {
    messages: Option<Vec<Message>>,
    text: Option<String>,
    #[serde(flatten)]
    extra: Map<String, Value>,
}

impl TryFrom<Fields> for Record {
    type Error = String;

    fn try_from(fields: Fields) -> Result<Self, String> {
        let Fields { messages, text, mut extra } = fields;
        // A column format writes a null where a row has nothing.
        let completion = extra.get("completion").is_some_and(|value| !value.is_null());
        // Beside a conversation or a text, a `prompt` without a completion is a key like any other.
        let body = match (messages, text, completion) {
            (Some(messages), None, false) => Body::Messages(checked(messages)?),
            (None, Some(text), false) if text.is_empty() => return Err("`text` is empty".into()),
            (None, Some(text), false) => Body::Text(text),
            (None, None, true) => {
                let prompt = extra.shift_remove("prompt").filter(|prompt| !prompt.is_null());
                let prompt = prompt.ok_or("`completion` without a `prompt`")?;
                prompted(prompt, extra.shift_remove("completion").unwrap_or_default())?
            }
            (None, None, false) if extra.contains_key("prompt") => return Err("`prompt` without a `completion`".into()),
            (None, None, false) => {
                let keys: Vec<&str> = extra.keys().map(String::as_str).collect();
                let got = if keys.is_empty() { "no keys".to_string() } else { format!("keys {}", keys.join(", ")) };
                return Err(format!("expected an object with {KEYS}, got one with {got}"));
            }
            (messages, text, completion) => {
                let found = [(messages.is_some(), "messages"), (text.is_some(), "text"), (completion, "completion")];
                let found: Vec<String> =
                    found.iter().filter(|(there, _)| *there).map(|(_, key)| format!("`{key}`")).collect();
                return Err(format!("expected {KEYS}, got {}", found.join(" and ")));
            }
        };
        if matches!(body, Body::Messages(_) | Body::PromptMessages { .. }) {
            columns::check(&extra)?;
        }
        Ok(Record { body, extra, origin: None })
    }
}

fn prompted(prompt: Value, completion: Value) -> Result<Body, String> {
    match (prompt, completion) {
        (Value::String(prompt), Value::String(completion)) => match (prompt.is_empty(), completion.is_empty()) {
            (true, _) => Err("`prompt` is empty: a text without a prompt is a `text`".into()),
            (_, true) => Err("`completion` is empty: there is nothing to train on".into()),
            _ => Ok(Body::PromptText { prompt, completion }),
        },
        (prompt @ Value::Array(_), completion @ Value::Array(_)) => {
            let (prompt, completion) = (turns("prompt", prompt)?, turns("completion", completion)?);
            if prompt.last().is_some_and(|message| message.role == "assistant") {
                return Err("`prompt` ends with the assistant: expected the user's turn, or the system's".into());
            }
            if completion[0].role != "assistant" {
                let role = &completion[0].role;
                return Err(format!("`completion` message 1: expected role `assistant`, got `{role}`"));
            }
            something_said("`completion`", &completion)?;
            Ok(Body::PromptMessages { prompt, completion })
        }
        (prompt, completion) => Err(format!(
            "expected `prompt` and `completion` as two texts or two lists of messages, got {} and {}",
            kind(&prompt),
            kind(&completion)
        )),
    }
}

/// The messages in a list under `key`.
fn turns(key: &str, list: Value) -> Result<Vec<Message>, String> {
    let messages: Vec<Message> = serde_path_to_error::deserialize(list).map_err(|e| {
        let place: Vec<String> = e.path().iter().filter_map(place).collect();
        format!("`{key}` {}: {}", place.join(" "), e.into_inner())
    })?;
    if messages.is_empty() {
        return Err(format!("`{key}` is empty"));
    }
    known_roles(&messages).map_err(|problem| format!("`{key}` {problem}"))?;
    Ok(messages)
}

fn checked(messages: Vec<Message>) -> Result<Vec<Message>, String> {
    if messages.is_empty() {
        return Err("`messages` is empty".into());
    }
    known_roles(&messages)?;
    something_said("`messages`", &messages)?;
    Ok(messages)
}

fn known_roles(messages: &[Message]) -> Result<(), String> {
    check_roles(messages, &["system", "user", "assistant"])
}

/// An assistant that never says anything would teach the model to say nothing.
fn something_said(key: &str, messages: &[Message]) -> Result<(), String> {
    let mut replies = messages.iter().filter(|message| message.role == "assistant").peekable();
    if replies.peek().is_some() && replies.all(|reply| reply.content.is_empty()) {
        return Err(format!("{key}: the assistant says nothing, so there is nothing to train on"));
    }
    Ok(())
}

/// Takes out what a column format adds to messages: nulls under keys that other rows' messages have.
fn drop_absent(messages: &mut Value) {
    for message in messages.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        message.retain(|key, value| !value.is_null() || ["role", "content"].contains(&key.as_str()));
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2 + self.extra.len()))?;
        match &self.body {
            Body::Messages(messages) => map.serialize_entry("messages", messages)?,
            Body::PromptMessages { prompt, completion } => {
                map.serialize_entry("prompt", prompt)?;
                map.serialize_entry("completion", completion)?;
            }
            Body::PromptText { prompt, completion } => {
                map.serialize_entry("prompt", prompt)?;
                map.serialize_entry("completion", completion)?;
            }
            Body::Text(text) => map.serialize_entry("text", text)?,
        }
        for (key, value) in &self.extra {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

fn place(segment: &Segment) -> Option<String> {
    match segment {
        Segment::Seq { index } => Some(format!("message {}", index + 1)),
        Segment::Map { key } if key != "messages" => Some(format!("`{key}`")),
        _ => None,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
