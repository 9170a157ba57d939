//! Keys beside a conversation that mean something to a chat template. All others (an id, a score, a source) travel along.

use serde_json::{Map, Value};

use crate::engine::Result;
use crate::engine::text::template::{TOOLS, check_kwargs};

/// Variables for the chat template, as TRL names the column.
const KWARGS: &str = "chat_template_kwargs";

/// What a model would be shown beside the conversation. Left out, it would be trained without it, and not a word said.
const SHOWN: [(&str, &str); 6] = [
    ("tools", TOOLS),
    ("functions", TOOLS),
    ("documents", "documents beside a conversation are not supported"),
    ("images", "models here read text alone"),
    ("videos", "models here read text alone"),
    ("audios", "models here read text alone"),
];

/// Refuses what cannot be left out of a conversation, and variables that a template cannot be given.
pub(super) fn check(extra: &Map<String, Value>) -> Result<(), String> {
    for (key, why) in SHOWN {
        if extra.get(key).is_some_and(|value| !is_nothing(value)) {
            return Err(format!("`{key}`: {why}"));
        }
    }
    match extra.get(KWARGS) {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Array(list)) if list.is_empty() => Ok(()),
        Some(Value::Object(_)) => check_kwargs(&kwargs(extra)).map_err(|problem| format!("`{KWARGS}`: {problem}")),
        Some(_) => Err(format!("`{KWARGS}`: expected an object such as {{\"enable_thinking\": false}}")),
    }
}

/// The variables; a column format writes a null for those that other rows have.
pub(super) fn kwargs(extra: &Map<String, Value>) -> Map<String, Value> {
    let given = extra.get(KWARGS).and_then(Value::as_object).into_iter().flatten();
    given.filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// An empty list also as the text that some data sets write.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(Value::is_null),
        Value::String(text) => ["", "[]", "{}", "null"].contains(&text.trim()),
        Value::Bool(_) | Value::Number(_) => false,
    }
}
