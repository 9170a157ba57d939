//! Optuna's journal: a file to which every process that works on its studies appends what it did, one JSON object a line.
//!
//! Read in this order: [`operation`] has the lines, [`replay`] what they come to, [`lock`] who may write; here is the file.
//!
//! Optuna reads whole lines only and forgives a last line that is none. So does this; and as the next line would make two broken ones of one,
//! what a crash left at the end is cut off before it is written.
//!
//! Ids are counted from the lines before. So a process that stood still under its lock, until another took that over, must not write what it
//! made of the file as it was: its lines would be about the other's trials.

mod lock;
pub mod operation;
pub mod replay;
#[cfg(test)]
mod tests;

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value};

use self::lock::Lock;
use self::operation::Operation;
use self::replay::{Problem, Replay};
use super::python_json;
use crate::engine::{Error, Result, cancel, file};

#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    /// Who writes, as Optuna names its processes.
    writer: String,
    replay: Replay,
    /// How many bytes and lines of the file the replay has seen: whole lines alone.
    seen: u64,
    lines: u64,
    /// How many follow that are no line: somebody is writing it, or did not come to its end.
    tail: u64,
    grace: Duration,
}

impl Journal {
    /// Opens the file at `path`, or makes it, and reads it.
    pub fn open(path: &Path) -> Result<Self> {
        Journal::open_with(path, lock::GRACE)
    }

    /// `grace`: when a lock that stays counts as left by the dead.
    pub fn open_with(path: &Path, grace: Duration) -> Result<Self> {
        check_is_itself(path)?;
        if let Some(folder) = path.parent().filter(|folder| *folder != Path::new("")) {
            file::create_folder(folder)?;
        }
        let opened = OpenOptions::new().create(true).append(true).open(path);
        opened.map_err(|e| unwritable(path, &e))?;
        let path = path.canonicalize().map_err(|e| file::unreadable(path, &e))?;
        let (writer, replay) = (unique(), Replay::default());
        let mut journal = Journal { path, writer, replay, seen: 0, lines: 0, tail: 0, grace };
        journal.sync()?;
        if journal.tail > 0 {
            tracing::warn!("{}: its last line is damaged and left out", journal.path.display());
        }
        Ok(journal)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What has been read so far.
    pub fn replay(&self) -> &Replay {
        &self.replay
    }

    /// Reads what others have written since.
    pub fn sync(&mut self) -> Result<()> {
        let bytes = self.unseen()?;
        let (mut taken, mut damaged) = (0, false);
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            match parsed(line) {
                _ if damaged => return Err(self.no_line()),
                Some(parsed) => {
                    self.apply(&parsed)?;
                    self.lines += 1;
                    // Where a later line is an error, this one is not read again.
                    self.seen += line.len() as u64;
                    taken += line.len();
                }
                None => damaged = true,
            }
        }
        self.tail = (bytes.len() - taken) as u64;
        match self.lines == 0 && damaged && !begins_a_journal(&bytes) {
            true => Err(self.no_line()),
            false => Ok(()),
        }
    }

    fn unseen(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut read = || -> io::Result<u64> {
            let mut file = File::open(&self.path)?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(self.seen))?;
            file.read_to_end(&mut bytes)?;
            Ok(length)
        };
        let length = read().map_err(|e| file::unreadable(&self.path, &e))?;
        match length < self.seen {
            true => Err(Error::file(&self.path, "it became shorter while it was open: somebody has replaced it")),
            false => Ok(bytes),
        }
    }

    /// Applies the line after those that were seen.
    fn apply(&mut self, line: &Map<String, Value>) -> Result<()> {
        let number = self.lines + 1;
        self.replay.apply(line).map_err(|problem| match problem {
            Problem::Newer(code) => Error::hinted(
                format!("{}: line {number} is of a newer version of Optuna: operation {code}", self.path.display()),
                "go on with the version that wrote it, or give the study a file of its own",
            ),
            Problem::Field(name) if number == 1 => self.no_journal(&format!("line 1 has no proper `{name}`")),
            Problem::Field(name) => {
                Error::file(&self.path, format!("line {number} is damaged: it has no proper `{name}`"))
            }
        })
    }

    /// The error of the line after those that were seen.
    fn no_line(&self) -> Error {
        match self.lines {
            0 => self.no_journal("line 1 is not one of its lines"),
            lines => Error::file(&self.path, format!("line {} is damaged: it is not JSON", lines + 1)),
        }
    }

    fn no_journal(&self, why: &str) -> Error {
        let message = format!("{}: it is no journal of Optuna: {why}", self.path.display());
        Error::hinted(message, "give the study a file of its own; it is made where there is none")
    }

    /// What `work` reads is the newest, and what it appends is there whole or not at all: nobody else writes meanwhile.
    pub fn transaction<T>(&mut self, work: impl FnOnce(&mut Transaction) -> Result<T>) -> Result<T> {
        let _unfinished = cancel::unfinished();
        let lock = Lock::take(&self.path, self.grace)?;
        self.sync()?;
        let mut transaction = Transaction { text: String::new(), journal: self };
        let worked = work(&mut transaction);
        let text = transaction.text;
        let written = worked.and_then(|made| self.write(&text, &lock).map(|()| made));
        drop(lock);
        if written.is_err() && !text.is_empty() {
            // The replay is ahead of the file.
            (self.replay, self.seen, self.lines) = (Replay::default(), 0, 0);
            self.sync()?;
        }
        written
    }

    fn write(&mut self, text: &str, lock: &Lock) -> Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        if !lock.is_held() || self.length()? != self.seen + self.tail {
            return Err(taken_over(&self.path, "nothing was written"));
        }
        if self.tail > 0 {
            tracing::warn!("{}: its last line was damaged and is taken away", self.path.display());
        }
        let end = self.seen;
        append(&self.path, (self.tail > 0).then_some(end), text).map_err(|e| unwritable(&self.path, &e))?;
        if !lock.is_held() && !self.unseen()?.starts_with(text.as_bytes()) {
            return Err(taken_over(&self.path, "what was written then lies behind the other's lines"));
        }
        self.seen = end + text.len() as u64;
        self.tail = 0;
        Ok(())
    }

    fn length(&self) -> Result<u64> {
        let data = std::fs::metadata(&self.path).map_err(|e| file::unreadable(&self.path, &e))?;
        Ok(data.len())
    }
}

/// What one process does with the journal while nobody else may.
pub struct Transaction<'a> {
    journal: &'a mut Journal,
    /// The lines that will be written.
    text: String,
}

impl Transaction<'_> {
    /// What the file says, and what was appended here.
    pub fn replay(&self) -> &Replay {
        &self.journal.replay
    }

    /// The journal's file.
    pub fn path(&self) -> &Path {
        &self.journal.path
    }

    pub fn append(&mut self, operation: Operation) -> Result<()> {
        let line = line(operation, &self.journal.writer);
        self.journal.apply(&line)?;
        self.journal.lines += 1;
        self.text += &python_json::to_line(&Value::Object(line));
        self.text.push('\n');
        Ok(())
    }
}

/// Appends a line without reading the journal, as a thread may that has none.
pub fn append_line(path: &Path, writer: &str, operation: Operation) -> Result<()> {
    let lock = Lock::take(path, lock::GRACE)?;
    let text = python_json::to_line(&Value::Object(line(operation, writer))) + "\n";
    let end = last_end(path).map_err(|e| file::unreadable(path, &e))?;
    if !lock.is_held() {
        return Err(taken_over(path, "nothing was written"));
    }
    append(path, end, &text).map_err(|e| unwritable(path, &e))
}

/// Where the last line ends that is one, where something else follows.
fn last_end(path: &Path) -> io::Result<Option<u64>> {
    let bytes = std::fs::read(path)?;
    let mut end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    let begin = bytes[..end.saturating_sub(1)].iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    if parsed(&bytes[begin..end]).is_none() {
        end = begin;
    }
    Ok((end < bytes.len()).then_some(end as u64))
}

/// Has `text` on the disk before it returns. `cut`: where the file is to end before.
fn append(path: &Path, cut: Option<u64>, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).open(path)?;
    if let Some(end) = cut {
        file.set_len(end)?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_data()
}

fn line(operation: Operation, writer: &str) -> Operation {
    let mut fields = operation.into_iter();
    let code = fields.next();
    code.into_iter().chain([("worker_id".to_string(), writer.into())]).chain(fields).collect()
}

fn parsed(line: &[u8]) -> Option<Map<String, Value>> {
    let text = std::str::from_utf8(line.strip_suffix(b"\n")?).ok()?;
    match python_json::parse(text).ok()? {
        Value::Object(fields) => Some(fields),
        _ => None,
    }
}

/// Whether bytes without a whole line may become one.
fn begins_a_journal(bytes: &[u8]) -> bool {
    const BEGINNING: &[u8] = b"{\"op_code\":";
    bytes.starts_with(BEGINNING) || BEGINNING.starts_with(bytes)
}

/// Optuna's lock lies beside the path that it was given. Beside a link to the file it would not be the lock that lies beside the file.
fn check_is_itself(path: &Path) -> Result<()> {
    if !path.is_symlink() {
        return Ok(());
    }
    let file = path.canonicalize().map_err(|e| file::unreadable(path, &e))?;
    let message = format!("{}: it is a link, whose lock would be another than its file's", path.display());
    Err(Error::hinted(message, format!("give the file itself: {}", file.display())))
}

fn taken_over(path: &Path, what: &str) -> Error {
    Error::file(path, format!("another process took its lock over while this one stood still: {what}"))
}

fn unwritable(path: &Path, error: &io::Error) -> Error {
    Error::file(path, format!("cannot be written: {}", file::reason(error)))
}

/// A name that no other process has: of a writer, of a file that is on its way out.
fn unique() -> String {
    let uuid = std::fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap_or_default();
    match uuid.trim() {
        // Without it, as unlikely to be another's as can be.
        "" => format!("{}-{}", std::process::id(), chrono::Utc::now().timestamp_micros()),
        uuid => uuid.to_string(),
    }
}
