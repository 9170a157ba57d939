//! The rows of a data set in the form of `satpalsr/rl-python`, through one reader.
//!
//! A source is a `.jsonl`, `.json` or `.parquet` file, a folder of such files, an index of shards (`index.json`, as the
//! subnet's bucket has it), the address of one of these, or a data set's name on the Hub. A row that cannot be read keeps its
//! number, because the number is the task id; it is counted and named, and only playing it fails.

mod index;
mod local;

use std::fmt;
use std::path::Path;

use super::row::Row;
use crate::engine::data::rows::{bytes, data_files};
use crate::engine::{Error, Result, download, hub};

/// At most this many broken rows are named in a report.
const MAX_NAMED: usize = 5;

/// All rows of a source, in order.
#[derive(Debug)]
pub struct Rows {
    source: String,
    files: Vec<FileSpan>,
    rows: Vec<Result<Row, String>>,
}

/// Where the rows of one file begin.
#[derive(Debug)]
struct FileSpan {
    name: String,
    first: usize,
    /// Rows are lines, named from 1; otherwise they are items, named from 0.
    lines: bool,
}

/// A row that an environment cannot play.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    pub task_id: usize,
    /// `rows.jsonl: line 3`, `part-0.json: row 2`.
    pub place: String,
    pub problem: String,
}

/// What is wrong with a source's rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    pub source: String,
    pub rows: usize,
    pub broken: usize,
    /// The places of the first broken rows and what is wrong there.
    pub named: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { source, rows, broken, named } = self;
        write!(f, "{source}: {broken} of {rows} rows cannot be played: {}", named.join("; "))?;
        match broken - named.len() {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

impl Rows {
    /// Reads a source whole. Fails when it is not there, is of no known form, or holds no row at all.
    pub fn open(source: &str) -> Result<Self> {
        let mut rows = Rows { source: source.to_string(), files: Vec::new(), rows: Vec::new() };
        let path = Path::new(source);
        if source.starts_with("http://") || source.starts_with("https://") {
            rows.read_address(source)?;
        } else if !path.exists() && hub::is_id(source) {
            rows.read_path(&hub::data_set(source)?)?;
        } else {
            rows.read_path(path)?;
        }
        match rows.rows.first() {
            None => Err(Error::file(path, "it holds no rows")),
            Some(Err(problem)) if rows.rows.iter().all(Result::is_err) => {
                let count = rows.len();
                Err(Error::file(path, format!("none of its {count} rows can be read; {}: {problem}", rows.place(0))))
            }
            Some(_) => Ok(rows),
        }
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The row of a task id; why it cannot be read otherwise.
    pub fn row(&self, task_id: u64) -> Result<&Row> {
        let found = usize::try_from(task_id).ok().and_then(|id| Some((id, self.rows.get(id)?)));
        match found {
            Some((_, Ok(row))) => Ok(row),
            Some((id, Err(problem))) => Err(Error::message(format!("{}: {problem}", self.place(id)))),
            None => Err(Error::option("task_id", format!("0 to {} ({})", self.len() - 1, self.source), task_id)),
        }
    }

    /// The rows that an environment cannot play; `check` is [`Row::abd_problem`] or [`Row::ded_problem`].
    pub fn problems(&self, check: fn(&Row) -> Option<String>) -> Vec<Problem> {
        let problem = |(task_id, row): (usize, &Result<Row, String>)| {
            let problem = row.as_ref().map_or_else(|problem| Some(problem.clone()), check)?;
            Some(Problem { task_id, place: self.place(task_id), problem })
        };
        self.rows.iter().enumerate().filter_map(problem).collect()
    }

    /// How many rows an environment cannot play, and the first of these by name.
    pub fn report(&self, check: fn(&Row) -> Option<String>) -> Report {
        let problems = self.problems(check);
        let named = problems.iter().take(MAX_NAMED).map(|p| format!("{}: {}", p.place, p.problem)).collect();
        Report { source: self.source.clone(), rows: self.len(), broken: problems.len(), named }
    }

    fn place(&self, row: usize) -> String {
        match self.files.iter().rev().find(|file| file.first <= row) {
            Some(file) if file.lines => format!("{}: line {}", file.name, row - file.first + 1),
            Some(file) => format!("{}: row {}", file.name, row - file.first),
            None => format!("row {row}"),
        }
    }

    fn read_path(&mut self, path: &Path) -> Result<()> {
        if !path.is_dir() {
            return if local::is_index(path) { self.read_index(path) } else { self.read_file(path) };
        }
        let index = path.join("index.json");
        if index.is_file() {
            return self.read_index(&index);
        }
        let data = data_files(path)?;
        if let Some(told) = data.told(path) {
            tracing::warn!("{}: not read: {told}", path.display());
        }
        data.files.iter().try_for_each(|file| self.read_file(file))
    }

    fn read_file(&mut self, path: &Path) -> Result<()> {
        let (rows, lines) = local::read(path)?;
        self.add(path.display().to_string(), lines, rows);
        Ok(())
    }

    fn read_index(&mut self, path: &Path) -> Result<()> {
        let index = index::Index::parse(&bytes(path)?).map_err(|problem| Error::file(path, problem))?;
        for shard in index.shards {
            let file = local::shard_path(path, &shard.key);
            let bytes = bytes(&file).map_err(|error| error.to_string());
            self.add(file.display().to_string(), false, shard.rows(bytes));
        }
        Ok(())
    }

    /// An index of shards behind an address, or a single file, which is kept for the next time.
    fn read_address(&mut self, address: &str) -> Result<()> {
        if !address.ends_with("index.json") {
            return self.read_path(&download::cached(address)?);
        }
        let index = index::Index::parse(&download::get(address)?).map_err(|problem| Error::file(address, problem))?;
        for shard in index.shards {
            let file = index::shard_address(address, &shard.key);
            let bytes = download::cached(&file).and_then(|path| bytes(&path)).map_err(|error| error.to_string());
            self.add(file, false, shard.rows(bytes));
        }
        Ok(())
    }

    fn add(&mut self, name: String, lines: bool, rows: Vec<Result<Row, String>>) {
        self.files.push(FileSpan { name, first: self.rows.len(), lines });
        self.rows.extend(rows);
    }
}
