//! Where a task's row comes from: a data set, or the generator.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use rand::Rng;
use serde_json::Value;

use super::generator::{self, Generator};
use super::options::ProgramOptions;
use super::row::Row;
use super::rows::Rows;
use super::runner::Runner;
use crate::engine::env::python::json;
use crate::engine::env::python::text::is_blank;
use crate::engine::{Error, Result, random};

/// Where a build of ABD that wants some other program looks for one among those of the generator.
const SOME_GENERATED: u64 = 1 << 20;

/// Shared by all instances of an environment.
#[derive(Clone)]
pub enum Tasks {
    Rows(Arc<Rows>),
    /// Each program is made, and run on its inputs, when its task first begins.
    Generated(Arc<Made>),
}

/// The generator and what it made. A task is begun several times, by whoever asks for its prompt and by each player, and
/// making it takes several runs.
pub struct Made {
    generator: Generator,
    runner: Runner,
    rows: Mutex<HashMap<u64, Row>>,
}

/// Rows that are kept, of a few KB each; with more, all are let go.
const MOST_KEPT: usize = 4096;

impl Made {
    fn row(&self, task_id: u64) -> Result<Row> {
        let kept = || self.rows.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(row) = kept().get(&task_id) {
            return Ok(row.clone());
        }
        let fields = Value::Object(self.generator.row(task_id, &self.runner)?.fields()).to_string();
        let row = json::parse(&fields).and_then(|object| Row::from_object(&object));
        let row = row.map_err(|problem| Error::message(format!("the generator's task {task_id}: {problem}")))?;
        let mut rows = kept();
        if rows.len() >= MOST_KEPT {
            rows.clear();
        }
        rows.insert(task_id, row.clone());
        Ok(row)
    }
}

impl Tasks {
    /// Of the source that the options name; without one, of the generator. `check` says which rows of a source the
    /// environment cannot play.
    pub fn open(options: &ProgramOptions, runner: &Runner, check: fn(&Row) -> Option<String>) -> Result<Self> {
        let Some(source) = &options.data else {
            let generator = Generator::new(&options.generator.clone().unwrap_or_default())?;
            let (runner, rows) = (runner.clone(), Mutex::default());
            return Ok(Tasks::Generated(Arc::new(Made { generator, runner, rows })));
        };
        if options.generator.is_some() {
            return Err(Error::option("generator", "nothing beside data, whose rows are the tasks", "options"));
        }
        let rows = Rows::open(source)?;
        let report = rows.report(check);
        if report.broken > 0 {
            tracing::warn!("{report}");
        }
        Ok(Tasks::Rows(Arc::new(rows)))
    }

    /// How many tasks there are; the generator has one for every number.
    pub fn count(&self) -> Option<u64> {
        match self {
            Tasks::Rows(rows) => Some(rows.len() as u64),
            Tasks::Generated(_) => None,
        }
    }

    /// The version of the generator, where the tasks are its.
    pub fn generator(&self) -> Option<u32> {
        match self {
            Tasks::Rows(_) => None,
            Tasks::Generated(_) => Some(generator::VERSION),
        }
    }

    /// The number of some task.
    pub fn any(&self, rng: &mut impl Rng) -> u64 {
        random::below(rng, self.count().unwrap_or(SOME_GENERATED))
    }

    /// The row of a task, whichever environment plays it.
    pub fn row(&self, task_id: u64) -> Result<Row> {
        match self {
            Tasks::Rows(rows) => rows.row(task_id).cloned(),
            Tasks::Generated(made) => made.row(task_id),
        }
    }
}

impl generator::Runner for Runner {
    fn run(&self, code: &str, stdin: &str) -> Result<Option<String>> {
        let written = Runner::run(self, code, stdin)?;
        Ok(is_blank(&written.stderr).then_some(written.stdout))
    }
}
