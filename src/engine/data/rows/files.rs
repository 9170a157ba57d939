//! Files of rows: their bytes, and what their names say.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::engine::error::size_text;
use crate::engine::file::unreadable;
use crate::engine::system::machine::memory;
use crate::engine::{Error, Result};

/// How a file holds rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON Lines.
    Lines,
    /// A JSON list, one JSON object, or lines after all.
    Json,
    Parquet,
}

/// What names of files that hold rows end in, for messages.
pub const EXPECTED: &str =
    ".jsonl (or .ndjson, .jsonlines), .json or .parquet; the first two may have .zst or .gz behind it";

/// How a file holds rows, by what its name ends in.
pub fn format(path: &Path) -> Option<Format> {
    match extension(path).as_str() {
        "jsonl" | "jsonlines" | "ndjson" | "ldjson" | "jl" => Some(Format::Lines),
        "json" => Some(Format::Json),
        "parquet" | "pq" if !is_compressed(path) => Some(Format::Parquet),
        _ => None,
    }
}

/// A file's content, decompressed where its name ends in `.zst` or `.gz`. Refuses what memory cannot hold: a small file may
/// stand for any number of bytes.
pub fn bytes(path: &Path) -> Result<Vec<u8>> {
    let room = memory().map_or(u64::MAX, |memory| memory.available / 2);
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    let damaged = |kind: &str, error: io::Error| match error.kind() {
        io::ErrorKind::OutOfMemory => too_large(path, room),
        _ => Error::file(path, format!("not a {kind} file, or cut short: {error}")),
    };
    match compression(path) {
        Some(Compression::Zstandard) => {
            let decoder = zstd::Decoder::new(file).map_err(|error| damaged("Zstandard", error))?;
            within(path, decoder, room, &|error| damaged("Zstandard", error))
        }
        // Files that were put one behind the other are one, as gunzip has it.
        Some(Compression::Gzip) => {
            within(path, MultiGzDecoder::new(BufReader::new(file)), room, &|error| damaged("gzip", error))
        }
        None => within(path, file, room, &|error| unreadable(path, &error)),
    }
}

/// All that `source` gives, if it is at most `room` bytes.
fn within(path: &Path, source: impl Read, room: u64, failed: &dyn Fn(io::Error) -> Error) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    source.take(room.saturating_add(1)).read_to_end(&mut content).map_err(failed)?;
    if content.len() as u64 > room { Err(too_large(path, room)) } else { Ok(content) }
}

fn too_large(path: &Path, room: u64) -> Error {
    let room = size_text(room);
    Error::file(path, format!("its content is more than memory has room for ({room}): split it into several files"))
}

enum Compression {
    Zstandard,
    Gzip,
}

fn compression(path: &Path) -> Option<Compression> {
    match last_extension(path).as_str() {
        "zst" | "zstd" => Some(Compression::Zstandard),
        "gz" | "gzip" => Some(Compression::Gzip),
        _ => None,
    }
}

/// What a file's name ends in, in small letters, without the compression's `.zst` or `.gz`.
pub fn extension(path: &Path) -> String {
    if is_compressed(path) { last_extension(&path.with_extension("")) } else { last_extension(path) }
}

/// Whether a file's name says that it is compressed.
pub fn is_compressed(path: &Path) -> bool {
    compression(path).is_some()
}

fn last_extension(path: &Path) -> String {
    path.extension().and_then(|extension| extension.to_str()).unwrap_or_default().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_that_memory_cannot_hold_is_refused_and_not_asked_for() {
        let path = Path::new("bomb.jsonl.zst");
        let bomb = zstd::encode_all(io::repeat(b'a').take(64 << 20), 3).unwrap();
        assert!(bomb.len() < 1 << 16);
        let read = |room| {
            let decoder = zstd::Decoder::new(bomb.as_slice()).unwrap();
            within(path, decoder, room, &|error| Error::file(path, error))
        };
        let error = read(1 << 20).unwrap_err().to_string();
        assert!(error.contains("bomb.jsonl.zst: its content is more than memory has room for"), "{error}");
        assert_eq!(read(64 << 20).unwrap().len(), 64 << 20);
    }
}
