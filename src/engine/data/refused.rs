//! Records that cannot be trained on, all of them together in one error.

use super::Record;
use crate::engine::{Error, Result};

/// At most this many problems, and places of each, are named.
const MAX_NAMED: usize = 5;

/// What was refused, by problem.
#[derive(Default)]
pub struct Refused {
    problems: Vec<Problem>,
    count: usize,
}

struct Problem {
    error: Error,
    text: String,
    /// The first of them.
    places: Vec<String>,
    count: usize,
}

impl Refused {
    /// `number`: which record it is, from 1.
    pub fn add(&mut self, record: &Record, number: usize, error: Error) {
        self.count += 1;
        let text = error.to_string();
        let at = self.problems.iter().position(|problem| problem.text == text).unwrap_or_else(|| {
            self.problems.push(Problem { error, text, places: Vec::new(), count: 0 });
            self.problems.len() - 1
        });
        let problem = &mut self.problems[at];
        problem.count += 1;
        if problem.places.len() < MAX_NAMED {
            problem.places.push(record.place(number));
        }
    }

    /// The error of all, where `records` were asked for.
    pub fn finish(mut self, records: usize) -> Result<()> {
        if self.count <= 1 {
            return match self.problems.pop() {
                Some(problem) => Err(problem.error.within(&problem.places[0])),
                None => Ok(()),
            };
        }
        let named: Vec<String> = self.problems.iter().take(MAX_NAMED).map(Problem::told).collect();
        let more = if self.problems.len() > named.len() { "; and others" } else { "" };
        let message = format!("{} of {records} records cannot be trained on: {}{more}", self.count, named.join("; "));
        Err(match self.problems[0].error.hint() {
            Some(hint) => Error::hinted(message, hint),
            None => Error::message(message),
        })
    }
}

impl Problem {
    fn told(&self) -> String {
        let more = match self.count - self.places.len() {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        format!("{} ({}{more})", self.text, self.places.join(", "))
    }
}
