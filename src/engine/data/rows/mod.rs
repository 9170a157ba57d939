//! Rows of files: JSON Lines, JSON lists and Parquet, the first two also compressed with Zstandard or gzip.
//!
//! What a row is made of is its reader's choice ([`Cell`]): serde's JSON for records, Python's values for programs. A row
//! that cannot be read does not hide those after it; whether that is an error is the reader's choice too.

mod files;
mod folder;
mod parquet;

use std::path::Path;

use serde_json::Value as Json;

use crate::engine::{Error, Result, refusal, utf8};
use files::{EXPECTED, Format, format};
pub use files::{bytes, extension, is_compressed};
pub use folder::data_files;

/// A value that rows consist of.
pub trait Cell: Sized {
    /// The value of a JSON text; one sentence on what is wrong with it otherwise.
    fn parse(text: &str) -> Result<Self, String>;
    /// The items of a JSON list.
    fn parse_list(text: &str) -> Result<Vec<Self>, String>;
    fn null() -> Self;
    fn boolean(value: bool) -> Self;
    fn integer(value: i128) -> Self;
    fn float(value: f64) -> Self;
    fn text(value: String) -> Self;
    fn bytes(value: &[u8]) -> Self;
    fn list(items: Vec<Self>) -> Self;
    fn object(entries: Vec<(Self, Self)>) -> Self;
}

/// Why there is no value in a row's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broken {
    /// A line without a character in it.
    Blank,
    Because(String),
}

/// What a file holds, in order.
#[derive(Debug)]
pub struct Found<C> {
    pub rows: Vec<Result<C, Broken>>,
    /// Whether rows are lines.
    pub lines: bool,
}

/// Reads a file whole, by what its name ends in.
pub fn read<C: Cell>(path: &Path) -> Result<Found<C>> {
    match format(path) {
        Some(format) => read_as(path, format),
        None => Err(Error::file(path, format!("expected a file that ends in {EXPECTED}"))),
    }
}

/// As [`read`]; what is in a file of another name tells how it holds rows.
pub fn read_whatever<C: Cell>(path: &Path) -> Result<Found<C>> {
    read_as(path, format(path).unwrap_or(Format::Json))
}

fn read_as<C: Cell>(path: &Path, format: Format) -> Result<Found<C>> {
    refusal::reading(path, || match format {
        Format::Parquet => Ok(Found { rows: parquet::read(path)?, lines: false }),
        _ => read_json(path, format),
    })
}

fn read_json<C: Cell>(path: &Path, format: Format) -> Result<Found<C>> {
    let bytes = bytes(path)?;
    utf8::check(&bytes).map_err(|problem| Error::file(path, problem))?;
    let text = utf8::without_mark(&bytes);
    let lines = || Found { rows: json_lines(text), lines: true };
    let list = || Ok(Found { rows: json_list(path, text)?, lines: false });
    match (format, text.trim_ascii_start().first()) {
        (Format::Json, Some(b'{')) => Ok(json_objects(text)),
        (Format::Json, _) => list(),
        // A list under the name of lines, as some exports are.
        (_, Some(b'[')) => list().or_else(|_: Error| Ok(lines())),
        _ => Ok(lines()),
    }
}

/// The objects of a text that begins with one: it alone, or one in each line.
fn json_objects<C: Cell>(bytes: &[u8]) -> Found<C> {
    match std::str::from_utf8(bytes).ok().and_then(|text| C::parse(text).ok()) {
        Some(row) => Found { rows: vec![Ok(row)], lines: false },
        None => Found { rows: json_lines(bytes), lines: true },
    }
}

/// Lines end at `\n` alone.
fn json_lines<C: Cell>(bytes: &[u8]) -> Vec<Result<C, Broken>> {
    let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    if text.is_empty() {
        return Vec::new();
    }
    text.split(|&byte| byte == b'\n').map(json_line).collect()
}

fn json_line<C: Cell>(line: &[u8]) -> Result<C, Broken> {
    if line.trim_ascii().is_empty() {
        return Err(Broken::Blank);
    }
    let text = std::str::from_utf8(line)
        .map_err(|error| Broken::Because(format!("not UTF-8 from byte {}", error.valid_up_to() + 1)))?;
    C::parse(text).map_err(|problem| Broken::Because(format!("not JSON: {problem}")))
}

/// Without an end of the list nobody knows how many rows are missing, so a list is whole or an error.
fn json_list<C: Cell>(path: &Path, bytes: &[u8]) -> Result<Vec<Result<C, Broken>>> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| Error::file(path, format!("not UTF-8 from byte {}", error.valid_up_to() + 1)))?;
    match C::parse_list(text) {
        Ok(items) => Ok(items.into_iter().map(Ok).collect()),
        Err(problem) => Err(Error::file(path, format!("no JSON list of rows: {problem}"))),
    }
}

impl Cell for Json {
    fn parse(text: &str) -> Result<Self, String> {
        // serde_json counts lines within this one line.
        serde_json::from_str(text).map_err(|error| format!("{} at column {}", without_place(&error), error.column()))
    }

    fn parse_list(text: &str) -> Result<Vec<Self>, String> {
        let place = |error: serde_json::Error| {
            format!("{} at line {}, column {}", without_place(&error), error.line(), error.column())
        };
        serde_json::from_str(text).map_err(place)
    }

    fn null() -> Self {
        Json::Null
    }

    fn boolean(value: bool) -> Self {
        value.into()
    }

    fn integer(value: i128) -> Self {
        i64::try_from(value).map(Json::from).or_else(|_| u64::try_from(value).map(Json::from)).unwrap_or(Json::Null)
    }

    /// JSON has neither infinities nor NaN.
    fn float(value: f64) -> Self {
        serde_json::Number::from_f64(value).map_or(Json::Null, Json::Number)
    }

    fn text(value: String) -> Self {
        value.into()
    }

    /// Text columns that a writer did not mark as such come as bytes.
    fn bytes(value: &[u8]) -> Self {
        String::from_utf8_lossy(value).into_owned().into()
    }

    fn list(items: Vec<Self>) -> Self {
        items.into()
    }

    fn object(entries: Vec<(Self, Self)>) -> Self {
        let key = |key: Json| key.as_str().map_or_else(|| key.to_string(), str::to_string);
        Json::Object(entries.into_iter().map(|(name, value)| (key(name), value)).collect())
    }
}

fn without_place(error: &serde_json::Error) -> String {
    error.to_string().split(" at line ").next().unwrap_or_default().to_string()
}
