//! Files of records, read and written.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Record;
use super::rows::{self, Broken, data_files, extension, is_compressed};
use crate::engine::file::write_atomic;
use crate::engine::{Error, Result};

/// At most this many broken rows are named in an error.
const MAX_NAMED: usize = 5;

/// What a file, or a folder's files, turned out to hold.
#[derive(Debug, Default)]
pub struct RecordFile {
    pub records: Vec<Record>,
    pub broken: Vec<BrokenRow>,
}

/// A row that is no record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenRow {
    pub file: PathBuf,
    /// `line 3` in a file of lines, else `row 3`; both count from 1.
    pub place: String,
    pub problem: String,
}

impl RecordFile {
    /// Reads a file of records whole (.jsonl, .json, .parquet, the first two perhaps with .zst behind it), or those of a
    /// folder; blank lines are skipped.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        if !path.is_dir() {
            let mut found = RecordFile::default();
            found.add(path)?;
            return Ok(found);
        }
        let files = data_files(path)?;
        if files.is_empty() {
            return Err(Error::file(path, "no .parquet, .jsonl or .json file is in this folder"));
        }
        let mut found = RecordFile::default();
        files.iter().try_for_each(|file| found.add(file))?;
        Ok(found)
    }

    fn add(&mut self, file: &Path) -> Result<()> {
        let found = rows::read::<Value>(file)?;
        let word = if found.lines { "line" } else { "row" };
        for (i, row) in found.rows.into_iter().enumerate() {
            let record = match row {
                Ok(value) => Record::from_json(value),
                Err(Broken::Blank) => continue,
                Err(Broken::Because(problem)) => Err(problem),
            };
            match record {
                Ok(record) => self.records.push(record),
                Err(problem) => {
                    let place = format!("{word} {}", i + 1);
                    self.broken.push(BrokenRow { file: file.to_path_buf(), place, problem });
                }
            }
        }
        Ok(())
    }

    /// The records, where every row is one and there is any.
    fn whole(self, path: &Path) -> Result<Vec<Record>> {
        let rows = self.records.len() + self.broken.len();
        match self.broken.as_slice() {
            [] if rows == 0 => Err(Error::file(path, "holds no records")),
            [] => Ok(self.records),
            [row] => Err(Error::file(&row.file, format!("{}: {}", row.place, row.problem))),
            broken => {
                let named: Vec<String> = broken.iter().take(MAX_NAMED).map(|row| row.within(path)).collect();
                let more = match broken.len() - named.len() {
                    0 => String::new(),
                    more => format!("; and {more} more"),
                };
                let problem = format!("{} of {rows} rows are no records: {}{more}", broken.len(), named.join("; "));
                Err(Error::file(path, problem))
            }
        }
    }
}

impl BrokenRow {
    /// What is wrong where, as one says it who has named `path` already.
    pub fn within(&self, path: &Path) -> String {
        let BrokenRow { file, place, problem } = self;
        if file == path { format!("{place}: {problem}") } else { format!("{}: {place}: {problem}", file.display()) }
    }
}

/// Reads a file or a folder of records. Rows that are no records are an error that counts them and names the first: to
/// train on the rest is not what was asked for. So is a file without any.
pub fn read(path: impl AsRef<Path>) -> Result<Vec<Record>> {
    RecordFile::read(&path)?.whole(path.as_ref())
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
