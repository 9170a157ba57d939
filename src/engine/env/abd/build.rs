//! How a row becomes a task: from its own input, or from one that somebody invents.

use std::rc::Rc;

use super::{enough_lines, with_line_end};
use crate::engine::env::programs::extract;
use crate::engine::env::programs::row::Row;
use crate::engine::env::programs::runner::Runner;
use crate::engine::env::programs::tasks::Tasks;
use crate::engine::env::python::Value;
use crate::engine::env::python::text::{is_blank, strip};
use crate::engine::{Error, Result, random};

/// How often build v1 asks for an input before it gives a task up.
const ATTEMPTS: u64 = 20;

/// Upstream's two ways.
#[derive(Clone)]
pub enum Build {
    /// Somebody invents another input; its output is the task.
    V1(Rc<dyn Inventor>),
    /// The output of the row's own input; where that fails, the row's output.
    V2,
}

/// Invents inputs: a model, or a script's function.
pub trait Inventor {
    /// A reply with another input between INPUT tags.
    fn invent(&self, example: &Example<'_>) -> Result<String>;
}

/// What an inventor is shown.
pub struct Example<'a> {
    pub program: &'a str,
    pub inputs: &'a str,
    pub output: &'a str,
    /// Counts from 0: the same program can come twice.
    pub attempt: u64,
}

/// What is played.
#[derive(Clone)]
pub struct Task {
    pub program: String,
    /// An input that the expected output came from; upstream's judge may still refuse it.
    pub inputs: Option<String>,
    pub expected: Option<String>,
}

impl Build {
    pub fn task(&self, task_id: u64, tasks: &Tasks, runner: &Runner) -> Result<Task> {
        match self {
            Build::V1(inventor) => invented(task_id, tasks, runner, inventor.as_ref()),
            Build::V2 => own(playable(task_id, tasks)?, runner),
        }
    }
}

fn playable(task_id: u64, tasks: &Tasks) -> Result<Row> {
    let row = tasks.row(task_id)?;
    match row.abd_problem() {
        None => Ok(row),
        Some(problem) => Err(refused(task_id, problem)),
    }
}

fn refused(task_id: u64, problem: String) -> Error {
    Error::environment(super::NAME, format!("task {task_id} cannot be played: {problem}"))
}

/// With text on stderr or nothing on stdout the row's own output stands.
fn own(row: Row, runner: &Runner) -> Result<Task> {
    let (program, inputs, output) = (text(&row.program), nullable(&row.inputs), nullable(&row.output));
    let Some(inputs) = inputs else {
        return Ok(Task { program, inputs: None, expected: output });
    };
    let written = runner.run(&program, &with_line_end(&inputs))?;
    let failed = !written.stderr.is_empty() || is_blank(&written.stdout);
    Ok(Task { program, inputs: Some(inputs), expected: if failed { output } else { Some(written.stdout) } })
}

/// An invented input that the program takes without a word on stderr. After each refusal another row is tried, drawn from
/// the task's own stream.
fn invented(task_id: u64, tasks: &Tasks, runner: &Runner, inventor: &dyn Inventor) -> Result<Task> {
    let mut rng = random::stream(0, "abd v1", task_id);
    let mut row = playable(task_id, tasks)?;
    for attempt in 0..ATTEMPTS {
        let (program, inputs, output) = (text(&row.program), text(&row.inputs), text(&row.output));
        let example = Example { program: &program, inputs: &inputs, output: &output, attempt };
        let input = extract::input(&inventor.invent(&example)?);
        let is_new = !input.is_empty() && strip(&input) != strip(&inputs);
        if is_new && enough_lines(&program, &input) == Ok(true) {
            let written = runner.run(&program, &with_line_end(&input))?;
            if written.stderr.is_empty() && !is_blank(&written.stdout) {
                return Ok(Task { program, inputs: Some(input), expected: Some(written.stdout) });
            }
        }
        if let Ok(other) = playable(tasks.any(&mut rng), tasks) {
            row = other;
        }
    }
    Err(refused(task_id, format!("none of {ATTEMPTS} invented inputs was a new one that its program takes")))
}

/// A field that is not there is empty.
fn text(field: &Option<Value>) -> String {
    nullable(field).unwrap_or_default()
}

/// One that is null is nothing, which upstream can neither feed nor compare.
fn nullable(field: &Option<Value>) -> Option<String> {
    field.as_ref().map_or(Some(""), Value::as_text).map(str::to_string)
}
