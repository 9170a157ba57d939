//! Reads the recorded rows under `tests/golden`.

use std::path::{Path, PathBuf};

use serde_json::Value;

pub fn path(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden")).join(name)
}

/// The value in a JSON file; `name` is relative to `tests/golden`.
pub fn json(name: &str) -> Value {
    let path = path(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The objects of a JSON Lines file; `name` is relative to `tests/golden`.
pub fn rows(name: &str) -> Vec<Value> {
    rows_of(&path(name))
}

/// The objects of a JSON Lines file. Lines end at `\n` only: some texts hold U+2028.
pub fn rows_of(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{}: {e}: {line}", path.display()));
    text.split('\n').filter(|line| !line.trim().is_empty()).map(parse).collect()
}
