//! What a run came to, on one page: who was judged how, what the difference is worth, how training went, what was played.
//!
//! [`runs`] reads the folders; [`scores`], [`paired`], [`curves`], [`settings`] and [`transcripts`] make of them what is to be said, and
//! compute no statistics of their own: intervals and tests are those of [`eval`](super::eval). [`figures`] draw, and [`page`]
//! renders the same context as one HTML file that needs nothing beside it, and as Markdown for a model card.

pub mod curves;
pub mod figures;
pub mod page;
pub mod paired;
pub mod runs;
pub mod scores;
pub mod settings;
pub mod smooth;
pub mod summary;
pub mod titles;
pub mod transcripts;
pub mod verdict;
pub mod words;

use std::path::{Path, PathBuf};

use self::page::Context;
use self::runs::RunFolder;
use self::transcripts::Transcripts;
use crate::engine::{Result, file};

/// How a report is made.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The most bytes that the HTML may take. What the episodes' tokens are known by, then whole episodes, are left out until it
    /// does, from the middle of training outwards; the numbers at the points of curves where they would take much of it. What is
    /// larger still is said in the log.
    pub max_bytes: usize,
    /// Of the intervals that the report makes itself; what a summary holds has the summary's own.
    pub level: f64,
}

impl Default for Options {
    fn default() -> Self {
        Options { max_bytes: 5_000_000, level: super::eval::DEFAULT_LEVEL }
    }
}

/// A report of one or several runs.
pub struct Report {
    context: Context,
    transcripts: Transcripts,
    options: Options,
}

impl Report {
    /// Of run folders, the first one being the one that the others are compared with.
    ///
    /// What a folder does not have is said where it would stand. An error where a file is there and cannot be understood.
    pub fn of(runs: &[PathBuf], options: Options) -> Result<Self> {
        let runs = RunFolder::read_all(runs)?;
        let contest = paired::Contest::of(&runs)?;
        let transcripts = Transcripts::of(&runs, &contest);
        let context = Context::of(&runs, &contest, options.level)?;
        Ok(Report { context, transcripts, options })
    }

    /// One file without references to anything outside it.
    pub fn html(&self) -> Result<String> {
        page::html(&self.context, &self.transcripts, self.options.max_bytes)
    }

    /// The numbers alone, for a model card.
    pub fn markdown(&self) -> Result<String> {
        page::markdown(&self.context)
    }

    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        file::write_atomic(path, self.html()?.as_bytes())
    }
}
