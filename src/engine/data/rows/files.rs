//! Files of rows: their bytes, what their names say, and which of a folder's files they are.

use std::fs;
use std::path::{Path, PathBuf};

use crate::engine::file::unreadable;
use crate::engine::{Error, Result};

const COMPRESSED: &str = "zst";

/// A file's content, decompressed where its name ends in `.zst`.
pub fn bytes(path: &Path) -> Result<Vec<u8>> {
    let bytes = fs::read(path).map_err(|error| unreadable(path, &error))?;
    match is_compressed(path) {
        true => zstd::decode_all(bytes.as_slice())
            .map_err(|error| Error::file(path, format!("not a Zstandard file, or cut short: {error}"))),
        false => Ok(bytes),
    }
}

/// What a file's name ends in, without the compression's `.zst`.
pub fn extension(path: &Path) -> String {
    match last_extension(path) {
        COMPRESSED => last_extension(&path.with_extension("")).to_string(),
        plain => plain.to_string(),
    }
}

/// Whether a file's name says that it is compressed.
pub fn is_compressed(path: &Path) -> bool {
    last_extension(path) == COMPRESSED
}

fn last_extension(path: &Path) -> &str {
    path.extension().and_then(|extension| extension.to_str()).unwrap_or_default()
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
