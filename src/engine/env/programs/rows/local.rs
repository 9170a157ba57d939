//! Rows in files of this machine.

use std::fs;
use std::path::{Path, PathBuf};

use super::{index, parquet};
use crate::engine::env::programs::row::Row;
use crate::engine::env::python::json;
use crate::engine::file::unreadable;
use crate::engine::{Error, Result};

pub fn bytes(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| unreadable(path, &error))
}

/// A file's rows, and whether they are its lines.
pub fn read(path: &Path) -> Result<(Vec<Result<Row, String>>, bool)> {
    match extension(path) {
        "jsonl" | "ndjson" => Ok((json_lines(&bytes(path)?), true)),
        "parquet" => Ok((parquet::read(path)?, false)),
        "json" => match index::rows_of_list(&bytes(path)?) {
            (rows, None) => Ok((rows, false)),
            // Without an index nobody knows how many rows are missing.
            (_, Some(problem)) => Err(Error::file(path, format!("no JSON list of rows: {problem}"))),
        },
        _ => Err(Error::file(path, "expected a file that ends in .jsonl, .json or .parquet, or an index.json")),
    }
}

fn extension(path: &Path) -> &str {
    path.extension().and_then(|extension| extension.to_str()).unwrap_or_default()
}

/// Lines end at `\n` alone. A blank one is a broken row, so that a line number is always the task id plus one.
fn json_lines(bytes: &[u8]) -> Vec<Result<Row, String>> {
    let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    if text.is_empty() {
        return Vec::new();
    }
    text.split(|&byte| byte == b'\n').map(json_line).collect()
}

fn json_line(line: &[u8]) -> Result<Row, String> {
    let line = std::str::from_utf8(line).map_err(|error| format!("no UTF-8 from byte {} on", error.valid_up_to()))?;
    if line.trim().is_empty() {
        return Err("a blank line".to_string());
    }
    Row::from_object(&json::parse(line).map_err(|problem| format!("no JSON: {problem}"))?)
}

/// An index is a `.json` file that holds an object.
pub fn is_index(path: &Path) -> bool {
    extension(path) == "json" && bytes(path).is_ok_and(|bytes| bytes.trim_ascii_start().first() == Some(&b'{'))
}

/// A shard beside its index, or under the folder that its key names from there.
pub fn shard_path(index: &Path, key: &str) -> PathBuf {
    let folder = index.parent().unwrap_or(Path::new("."));
    let beside = folder.join(key.rsplit('/').next().unwrap_or(key));
    let below = folder.join(key);
    if below.exists() && !beside.exists() { below } else { beside }
}

/// The data files below a folder, sorted by path: Parquet where there is any, else JSON Lines, else JSON. Where file names
/// tell splits, only the training split's.
pub fn data_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    collect(folder, &mut all)?;
    all.sort();
    for wanted in ["parquet", "jsonl", "json"] {
        let files: Vec<PathBuf> = all.iter().filter(|path| extension(path) == wanted).cloned().collect();
        let train: Vec<PathBuf> = files
            .iter()
            .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().contains("train")))
            .cloned()
            .collect();
        if !files.is_empty() {
            return Ok(if train.is_empty() { files } else { train });
        }
    }
    Ok(Vec::new())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(|error| unreadable(folder, &error))? {
        let path = entry.map_err(|error| unreadable(folder, &error))?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
