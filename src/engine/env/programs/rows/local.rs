//! Rows in files of this machine.

use std::path::{Path, PathBuf};

use crate::engine::data::rows::{self, Broken, Cell, bytes, extension};
use crate::engine::env::programs::row::Row;
use crate::engine::env::python::{Value, json};
use crate::engine::{Result, utf8};

/// A file's rows, and whether they are its lines. A blank line is a broken row, so that a line number is always the task
/// id plus one.
pub fn read(path: &Path) -> Result<(Vec<Result<Row, String>>, bool)> {
    let found = rows::read::<Value>(path)?;
    let row = |value: Result<Value, Broken>| match value {
        Ok(value) => Row::from_object(&value),
        Err(Broken::Blank) => Err("a blank line".to_string()),
        Err(Broken::Because(problem)) => Err(problem),
    };
    Ok((found.rows.into_iter().map(row).collect(), found.lines))
}

/// An index is a `.json` file that holds one object; one in each of its lines are rows.
pub fn is_index(path: &Path) -> bool {
    let one_object = |bytes: Vec<u8>| {
        let text = utf8::without_mark(&bytes).trim_ascii();
        let first = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
        let whole = |line: &[u8]| std::str::from_utf8(line).is_ok_and(|line| json::parse(line).is_ok());
        text.starts_with(b"{") && (first.len() == text.len() || !whole(first))
    };
    extension(path) == "json" && bytes(path).is_ok_and(one_object)
}

/// A shard beside its index, or under the folder that its key names from there.
pub fn shard_path(index: &Path, key: &str) -> PathBuf {
    let folder = index.parent().unwrap_or(Path::new("."));
    let beside = folder.join(key.rsplit('/').next().unwrap_or(key));
    let below = folder.join(key);
    if below.exists() && !beside.exists() { below } else { beside }
}

impl Cell for Value {
    fn parse(text: &str) -> Result<Self, String> {
        json::parse(text)
    }

    fn parse_list(text: &str) -> Result<Vec<Self>, String> {
        match json::parse_list_prefix(text) {
            (items, None) => Ok(items),
            (_, Some(problem)) => Err(problem),
        }
    }

    fn null() -> Self {
        Value::None
    }

    fn boolean(value: bool) -> Self {
        Value::Bool(value)
    }

    fn integer(value: i128) -> Self {
        Value::Int(value.to_string())
    }

    fn float(value: f64) -> Self {
        Value::Float(value)
    }

    fn text(value: String) -> Self {
        Value::Text(value)
    }

    fn bytes(value: &[u8]) -> Self {
        Value::Bytes(value.to_vec())
    }

    fn list(items: Vec<Self>) -> Self {
        Value::List(items)
    }

    fn object(entries: Vec<(Self, Self)>) -> Self {
        Value::Dict(entries)
    }
}
