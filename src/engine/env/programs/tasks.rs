//! Where a task's row comes from.

use std::sync::Arc;

use rand::Rng;

use super::row::Row;
use super::rows::Rows;
use crate::engine::{Error, Result, random};

/// Shared by all instances of an environment.
#[derive(Clone)]
pub struct Tasks {
    rows: Arc<Rows>,
}

impl Tasks {
    /// Of the source named by the option `data`. `check` says which of its rows the environment cannot play.
    pub fn open(data: Option<&str>, check: fn(&Row) -> Option<String>) -> Result<Self> {
        let Some(source) = data else {
            return Err(Error::option("data", "a file of rows, or where else they are", "nothing"));
        };
        let rows = Rows::open(source)?;
        let report = rows.report(check);
        if report.broken > 0 {
            tracing::warn!("{report}");
        }
        Ok(Tasks { rows: Arc::new(rows) })
    }

    /// How many tasks there are.
    pub fn count(&self) -> Option<u64> {
        Some(self.rows.len() as u64)
    }

    /// The number of some task.
    pub fn any(&self, rng: &mut impl Rng) -> u64 {
        random::below(rng, self.rows.len() as u64)
    }

    /// The row of a task, whichever environment plays it.
    pub fn row(&self, task_id: u64) -> Result<Row> {
        self.rows.row(task_id).cloned()
    }
}
