//! Where a task's row comes from: the data set or the generator.

use std::sync::Arc;

use super::generator::{Generator, GeneratorOptions};
use super::row::Row;
use super::rows::Rows;
use super::runner::Runner;
use crate::engine::Result;

/// Shared by all instances of an environment.
#[derive(Clone)]
pub enum Tasks {
    Rows(Arc<Rows>),
    Generated(Arc<Generator>),
}

impl Tasks {
    pub fn open(data: Option<&str>, options: &GeneratorOptions, runner: &Runner) -> Result<Self> {
        match data {
            Some(source) => {
                let rows = Rows::open(source)?;
                tracing::debug!("{source}: {}", rows.report());
                Ok(Tasks::Rows(Arc::new(rows)))
            }
            None => Ok(Tasks::Generated(Arc::new(Generator::new(options, runner)?))),
        }
    }

    /// How many tasks there are; `None` when there is one for every number.
    pub fn count(&self) -> Option<u64> {
        match self {
            Tasks::Rows(rows) => Some(rows.len() as u64),
            Tasks::Generated(_) => None,
        }
    }

    /// The row of a task, whichever environment plays it.
    pub fn row(&self, task_id: u64) -> Result<Row> {
        match self {
            Tasks::Rows(rows) => rows.row(task_id).cloned(),
            Tasks::Generated(generator) => generator.row(task_id),
        }
    }
}
