//! Records: the training examples, one JSON object per line of a file or one Lua table.
//!
//! A record is a conversation (`messages`), plain text (`text`), or token ids that somebody else made (`input_ids`, with
//! `labels` as transformers means them). Other keys (which environment, which task, what score) travel along untouched
//! and mean nothing to training.

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
    /// Every key beside those of the body, in the order given.
    pub extra: Map<String, Value>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// At least one message, each by `system`, `user` or `assistant`.
    Messages(Vec<Message>),
    Text(String),
    /// Token ids, and which of them are trained; both of one length, at least 1.
    Ids {
        ids: Vec<i64>,
        mask: Vec<bool>,
    },
}

/// The label of a token that is not trained, as in PyTorch's cross entropy.
const IGNORED: i64 = -100;

impl Record {
    pub fn messages(messages: Vec<Message>) -> Self {
        Record { body: Body::Messages(messages), extra: Map::new() }
    }

    pub fn text(text: impl Into<String>) -> Self {
        Record { body: Body::Text(text.into()), extra: Map::new() }
    }

    /// Token ids and mask for training: a conversation trains what the assistant says, a text trains all of it, ids what
    /// their labels say.
    pub fn encode(&self, tokenizer: &Tokenizer) -> Result<Conversation> {
        match &self.body {
            Body::Messages(messages) => Conversation::encode_record(tokenizer, messages),
            Body::Text(text) => Conversation::encode_text(tokenizer, text),
            Body::Ids { ids, mask } => Ok(Conversation::encode_ids(ids, mask)),
        }
    }

    /// Token ids and mask for training a base model: every token after the first is trained, whoever says it.
    pub fn encode_all(&self, tokenizer: &Tokenizer) -> Result<Conversation> {
        match &self.body {
            Body::Messages(messages) => Conversation::encode_all(tokenizer, messages),
            Body::Text(text) => Conversation::encode_text(tokenizer, text),
            Body::Ids { ids, .. } => Ok(Conversation::encode_ids(ids, &vec![true; ids.len()])),
        }
    }
}

/// A record as it is written: what serde checks before [`Record`] checks the rest.
#[derive(Deserialize)]
struct Fields {
    messages: Option<Vec<Message>>,
    text: Option<String>,
    input_ids: Option<Vec<i64>>,
    labels: Option<Vec<i64>>,
    #[serde(flatten)]
    extra: Map<String, Value>,
}

impl TryFrom<Fields> for Record {
    type Error = String;

    fn try_from(fields: Fields) -> Result<Self, String> {
        let Fields { messages, text, input_ids, labels, extra } = fields;
        if labels.is_some() && input_ids.is_none() {
            return Err("`labels` belong to `input_ids`, which are not there".into());
        }
        let body = match (messages, text, input_ids) {
            (Some(messages), None, None) => Body::Messages(checked(messages)?),
            (None, Some(text), None) if text.is_empty() => return Err("`text` is empty".into()),
            (None, Some(text), None) => Body::Text(text),
            (None, None, Some(ids)) => labelled(ids, labels)?,
            (None, None, None) => {
                let keys: Vec<&str> = extra.keys().map(String::as_str).collect();
                let got = if keys.is_empty() { "no keys".to_string() } else { format!("keys {}", keys.join(", ")) };
                return Err(format!("expected {EXPECTED}, got one with {got}"));
            }
            _ => return Err("expected one of `messages`, `text` and `input_ids`, got more".into()),
        };
        Ok(Record { body, extra })
    }
}

const EXPECTED: &str = "an object with `messages`, `text` or `input_ids`";

/// Without labels every token is trained.
fn labelled(ids: Vec<i64>, labels: Option<Vec<i64>>) -> Result<Body, String> {
    if ids.is_empty() {
        return Err("`input_ids` is empty".into());
    }
    let Some(labels) = labels else {
        let mask = vec![true; ids.len()];
        return Ok(Body::Ids { ids, mask });
    };
    if labels.len() != ids.len() {
        return Err(format!("`labels`: expected one per token ({}), got {}", ids.len(), labels.len()));
    }
    if let Some(i) = (0..ids.len()).find(|&i| labels[i] != IGNORED && labels[i] != ids[i]) {
        return Err(format!(
            "label {}: expected {} (its token) or {IGNORED} (not trained), got {}",
            i + 1,
            ids[i],
            labels[i]
        ));
    }
    let mask = labels.iter().map(|&label| label != IGNORED).collect();
    Ok(Body::Ids { ids, mask })
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
        let mut map = serializer.serialize_map(None)?;
        match &self.body {
            Body::Messages(messages) => map.serialize_entry("messages", messages)?,
            Body::Text(text) => map.serialize_entry("text", text)?,
            Body::Ids { ids, mask } => {
                let label = |(&id, &trained): (&i64, &bool)| if trained { id } else { IGNORED };
                map.serialize_entry("input_ids", ids)?;
                map.serialize_entry("labels", &ids.iter().zip(mask).map(label).collect::<Vec<_>>())?;
            }
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
        return Err(format!("expected {EXPECTED}, got {}", kind(&value)));
    }
    serde_path_to_error::deserialize(value).map_err(|e| {
        // Paths are short (`messages[1].content`); people count from 1.
        let place: Vec<String> = e.path().iter().filter_map(place).collect();
        let place = place.join(" ");
        let problem = e.into_inner();
        if place.is_empty() { problem.to_string() } else { format!("{place}: {problem}") }
    })
}

fn place(segment: &Segment) -> Option<String> {
    match segment {
        Segment::Seq { index } => Some(format!("{}", index + 1)),
        Segment::Map { key } if key == "messages" => Some("message".to_string()),
        Segment::Map { key } => Some(format!("`{key}`")),
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
