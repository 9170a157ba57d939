//! Files of records, read and written.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::records::{Origin, Record};
use super::rows::{self, Broken, Found, data_files, extension, is_compressed};
use crate::engine::file::write_atomic;
use crate::engine::{Error, Result};

/// At most this many broken rows are named in an error.
const MAX_NAMED: usize = 5;

/// What a file, or a folder's files, turned out to hold.
#[derive(Debug, Default)]
pub struct RecordFile {
    pub records: Vec<Record>,
    pub broken: Vec<BrokenRow>,
    /// What of a folder was not read, and why, in one sentence.
    pub left_out: Option<String>,
}

/// A row that is no record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenRow {
    pub origin: Origin,
    pub problem: String,
}

impl RecordFile {
    /// Reads a file of records whole (.jsonl, .json, .parquet, the first two perhaps with .zst or .gz behind it), or those
    /// of a folder; blank lines are skipped.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let (files, left_out) = files_of(path)?;
        let mut found = RecordFile { left_out, ..RecordFile::default() };
        for file in &files {
            for (origin, row) in origins(file, rows::read::<Value>(file)?) {
                match row.and_then(Record::from_json) {
                    Ok(record) => found.records.push(Record { origin: Some(origin), ..record }),
                    Err(problem) => found.broken.push(BrokenRow { origin, problem }),
                }
            }
        }
        Ok(found)
    }

    /// The records, where every row is one and there is any.
    fn whole(self, path: &Path) -> Result<Vec<Record>> {
        check(path, self.records.len() + self.broken.len(), "are no records", &self.broken)?;
        match self.records.is_empty() {
            true => Err(Error::file(path, "holds no records")),
            false => Ok(self.records),
        }
    }
}

/// The files that a path names, and what of its folder is not read.
fn files_of(path: &Path) -> Result<(Vec<PathBuf>, Option<String>)> {
    if !path.is_dir() {
        return Ok((vec![path.to_path_buf()], None));
    }
    let data = data_files(path)?;
    let left_out = data.told(path);
    Ok((data.files, left_out))
}

/// A file's rows with their places, but for blank lines; what is wrong in the place of a row that cannot be read.
fn origins(file: &Path, found: Found<Value>) -> impl Iterator<Item = (Origin, Result<Value, String>)> {
    let (file, lines) = (Arc::new(file.to_path_buf()), found.lines);
    let row = move |(i, row): (usize, Result<Value, Broken>)| {
        let origin = Origin { file: file.clone(), lines, row: i + 1 };
        match row {
            Ok(value) => Some((origin, Ok(value))),
            Err(Broken::Blank) => None,
            Err(Broken::Because(problem)) => Some((origin, Err(problem))),
        }
    };
    found.rows.into_iter().enumerate().filter_map(row)
}

/// The error of all broken rows together. `what` they are: `are no records`.
fn check(path: &Path, rows: usize, what: &str, broken: &[BrokenRow]) -> Result<()> {
    match broken {
        [] => Ok(()),
        [row] => Err(Error::file(row.origin.file.as_path(), format!("{}: {}", row.origin.place(), row.problem))),
        broken => {
            let named: Vec<String> = broken.iter().take(MAX_NAMED).map(|row| row.within(path)).collect();
            let more = match broken.len() - named.len() {
                0 => String::new(),
                more => format!("; and {more} more"),
            };
            let problem = format!("{} of {rows} rows {what}: {}{more}", broken.len(), named.join("; "));
            Err(Error::file(path, problem))
        }
    }
}

impl BrokenRow {
    /// What is wrong where, as one says it who has named `path` already.
    pub fn within(&self, path: &Path) -> String {
        format!("{}: {}", self.origin.within(path), self.problem)
    }
}

/// Reads a file or a folder of records. Rows that are no records are an error that counts them and names the first: to
/// train on the rest is not what was asked for. So is a file without any. What of a folder is not read is told.
pub fn read(path: impl AsRef<Path>) -> Result<Vec<Record>> {
    let path = path.as_ref();
    let found = RecordFile::read(path)?;
    tell(path, found.left_out.as_deref());
    found.whole(path)
}

fn tell(path: &Path, left_out: Option<&str>) {
    if let Some(left_out) = left_out {
        tracing::warn!("{}: not read: {left_out}", path.display());
    }
}

/// The rows of a file, or of a folder's files, with their places, whatever they are. One that cannot be read is an error,
/// as in [`read`].
pub fn read_rows(path: impl AsRef<Path>) -> Result<Vec<(Origin, Value)>> {
    let path = path.as_ref();
    let (files, left_out) = files_of(path)?;
    tell(path, left_out.as_deref());
    let (mut found, mut broken) = (Vec::new(), Vec::new());
    for file in &files {
        for (origin, row) in origins(file, rows::read_whatever::<Value>(file)?) {
            match row {
                Ok(row) => found.push((origin, row)),
                Err(problem) => broken.push(BrokenRow { origin, problem }),
            }
        }
    }
    check(path, found.len() + broken.len(), "cannot be read", &broken)?;
    Ok(found)
}

/// Writes records, one JSON object per line, compressed where the name ends in `.zst`, replacing the file as a whole.
pub fn write(path: impl AsRef<Path>, records: &[Record]) -> Result<()> {
    let path = path.as_ref();
    if extension(path) != "jsonl" {
        return Err(Error::file(path, "expected a name that ends in .jsonl or .jsonl.zst"));
    }
    let mut bytes = Vec::new();
    for record in records {
        serde_json::to_writer(&mut bytes, record).map_err(|e| Error::file(path, format!("cannot be written: {e}")))?;
        bytes.push(b'\n');
    }
    if is_compressed(path) {
        let compressed = zstd::encode_all(bytes.as_slice(), zstd::DEFAULT_COMPRESSION_LEVEL);
        bytes = compressed.map_err(|error| Error::file(path, format!("cannot be compressed: {error}")))?;
    }
    write_atomic(path, &bytes)
}
