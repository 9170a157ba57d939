//! Records: the training examples, one JSON object per line of a file or one Lua table.
//!
//! A record is a conversation (`messages`) or plain text (`text`). Other keys (which environment, which task, what
//! score) travel along untouched and mean nothing to training.

use std::fs;
use std::path::Path;

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};
use serde_path_to_error::Segment;

use crate::engine::file::{unreadable, write_atomic};
use crate::engine::text::{Conversation, Message, Tokenizer};
use crate::engine::{Error, Result};

/// One training example.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Fields")]
pub struct Record {
    pub body: Body,
    /// Every key beside `messages` and `text`, in the order given.
    pub extra: Map<String, Value>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// At least one message, each by `system`, `user` or `assistant`.
    Messages(Vec<Message>),
    Text(String),
}

impl Record {
    pub fn messages(messages: Vec<Message>) -> Self {
        Record { body: Body::Messages(messages), extra: Map::new() }
    }

    pub fn text(text: impl Into<String>) -> Self {
        Record { body: Body::Text(text.into()), extra: Map::new() }
    }

    /// Token ids and mask for training: a conversation trains what the assistant says, a text trains all of it.
    pub fn encode(&self, tokenizer: &Tokenizer) -> Result<Conversation> {
        match &self.body {
            Body::Messages(messages) => Conversation::encode_record(tokenizer, messages),
            Body::Text(text) => Conversation::encode_text(tokenizer, text),
        }
    }

    /// Token ids and mask for training a base model: every token after the first is trained, whoever says it.
    pub fn encode_all(&self, tokenizer: &Tokenizer) -> Result<Conversation> {
        match &self.body {
            Body::Messages(messages) => Conversation::encode_all(tokenizer, messages),
            Body::Text(text) => Conversation::encode_text(tokenizer, text),
        }
    }
}

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
        let body = match (fields.messages, fields.text) {
            (Some(messages), None) => Body::Messages(checked(messages)?),
            (None, Some(text)) if text.is_empty() => return Err("`text` is empty".into()),
            (None, Some(text)) => Body::Text(text),
            (Some(_), Some(_)) => return Err("expected `messages` or `text`, got both".into()),
            (None, None) => {
                let keys: Vec<&str> = fields.extra.keys().map(String::as_str).collect();
                let got = if keys.is_empty() { "no keys".to_string() } else { format!("keys {}", keys.join(", ")) };
                return Err(format!("expected an object with `messages` or `text`, got one with {got}"));
            }
        };
        Ok(Record { body, extra: fields.extra })
    }
}

fn checked(messages: Vec<Message>) -> Result<Vec<Message>, String> {
    if messages.is_empty() {
        return Err("`messages` is empty".into());
    }
    for (i, message) in messages.iter().enumerate() {
        if !["system", "user", "assistant"].contains(&message.role.as_str()) {
            let role = &message.role;
            return Err(format!("message {}: expected role `system`, `user` or `assistant`, got `{role}`", i + 1));
        }
    }
    Ok(messages)
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1 + self.extra.len()))?;
        match &self.body {
            Body::Messages(messages) => map.serialize_entry("messages", messages)?,
            Body::Text(text) => map.serialize_entry("text", text)?,
        }
        for (key, value) in &self.extra {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// Reads a file of records, one JSON object per line; blank lines are skipped. The first broken line is an error with
/// its number, and a file without records is an error too.
pub fn read_jsonl(path: impl AsRef<Path>) -> Result<Vec<Record>> {
    let path = path.as_ref();
    let bytes = fs::read(path).map_err(|e| unreadable(path, &e))?;
    let mut records = Vec::new();
    for (i, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let record = parse_line(line).map_err(|problem| Error::file(path, format!("line {}: {problem}", i + 1)))?;
        records.push(record);
    }
    if records.is_empty() {
        return Err(Error::file(path, "holds no records: expected one JSON object per line, got an empty file"));
    }
    Ok(records)
}

fn parse_line(line: &[u8]) -> Result<Record, String> {
    let text = std::str::from_utf8(line).map_err(|e| format!("not UTF-8 from byte {}", e.valid_up_to() + 1))?;
    let value: Value = serde_json::from_str(text).map_err(|e| {
        let column = e.column();
        let problem = e.to_string();
        // serde_json counts lines within this one line.
        let problem = problem.split(" at line ").next().unwrap_or_default();
        format!("not JSON: {problem} at column {column}")
    })?;
    if !value.is_object() {
        return Err(format!("expected an object with `messages` or `text`, got {}", kind(&value)));
    }
    serde_path_to_error::deserialize(value).map_err(|e| {
        // Paths are short (`messages[1].content`); people count messages from 1.
        let place: Vec<String> = e.path().iter().filter_map(place).collect();
        let place = place.join(" ");
        let problem = e.into_inner();
        if place.is_empty() { problem.to_string() } else { format!("{place}: {problem}") }
    })
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

/// Writes records, one JSON object per line, replacing the file as a whole.
pub fn write_jsonl(path: impl AsRef<Path>, records: &[Record]) -> Result<()> {
    let path = path.as_ref();
    let mut bytes = Vec::new();
    for record in records {
        serde_json::to_writer(&mut bytes, record).map_err(|e| Error::file(path, format!("cannot be written: {e}")))?;
        bytes.push(b'\n');
    }
    write_atomic(path, &bytes)
}
