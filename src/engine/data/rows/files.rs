//! Files of rows: their bytes, and what their names say.

use std::fs;
use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::engine::file::unreadable;
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

/// A file's content, decompressed where its name ends in `.zst` or `.gz`.
pub fn bytes(path: &Path) -> Result<Vec<u8>> {
    let bytes = fs::read(path).map_err(|error| unreadable(path, &error))?;
    match compression(path) {
        Some(Compression::Zstandard) => zstd::decode_all(bytes.as_slice())
            .map_err(|error| Error::file(path, format!("not a Zstandard file, or cut short: {error}"))),
        Some(Compression::Gzip) => {
            let mut content = Vec::new();
            // Files that were put one behind the other are one, as gunzip has it.
            MultiGzDecoder::new(bytes.as_slice())
                .read_to_end(&mut content)
                .map_err(|error| Error::file(path, format!("not a gzip file, or cut short: {error}")))?;
            Ok(content)
        }
        None => Ok(bytes),
    }
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
