//! ABD: find an input with which a program gives an output. One turn; the program is run on the reply's input.
//!
//! Building, reading and judging are those of the Affine subnet (affinetes, `environments/affine/abd.py` at 345b7bc). Any
//! input that leads to the output is right. With `upstream_quirks = false` these verdicts differ: a program is run as it
//! stands, not the fenced block inside it; text on stderr that is blank is forgiven, as in DED; a first line of digits
//! that `int` cannot read fails (upstream raises); a program that a limit or a signal ended after it printed the output
//! fails.

mod build;

use std::sync::Arc;

use serde_json::json;

use self::build::Task;
pub use self::build::{Build, Example, Inventor};
use super::one_turn::{self, OneTurn};
use super::programs::extract;
use super::programs::options::ProgramOptions;
use super::programs::quote::{last_line, shown};
use super::programs::row::Row;
use super::programs::runner::{Runner, Written};
use super::programs::tasks::Tasks;
use super::programs::template::{Kind, Template};
use super::programs::watch;
use super::python::text::{MAX_INT_DIGITS, decimal, is_blank, is_decimal, is_digits, lines, rstrip_lines, strip};
use super::{Baselines, Demonstrator, Description, Environment, Explained, Identity, Parsed, Step};
use crate::engine::text::Message;
use crate::engine::{Error, Result};

const NAME: &str = "abd";

/// The environment; `task_id` is a row of the data, counted from 0, or the generator's number.
#[derive(Clone)]
pub struct Abd {
    tasks: Tasks,
    build: Build,
    runner: Runner,
    template: Arc<Template>,
    settings: Arc<serde_json::Value>,
    turn: OneTurn<Task>,
}

impl Abd {
    pub fn new(options: &ProgramOptions, build: Build) -> Result<Self> {
        let template = Template::new(Kind::Abd, options.instructions.as_deref())?;
        let runner = options.runner()?;
        let settings = Arc::new(options.deciding());
        let tasks = Tasks::open(options, &runner, Row::abd_problem)?;
        Ok(Abd { tasks, build, runner, template: Arc::new(template), settings, turn: OneTurn::new(NAME) })
    }

    fn judge(&self, task: &Task, reply: &str) -> Result<(f64, String)> {
        let wrong = |why: String| Ok((0.0, why));
        let reply = strip(reply);
        let input = extract::input(reply);
        if input.is_empty() && !extract::has_input(reply) {
            return wrong("No <INPUT> … </INPUT> tags were found in the answer.".to_string());
        }
        match enough_lines(&task.program, &input) {
            Ok(true) => {}
            Ok(false) => return wrong("The input has fewer lines than the program reads.".to_string()),
            Err(problem) if self.runner.upstream_quirks => return Err(raised(&problem)),
            Err(problem) => return wrong(format!("The input cannot be read: {problem}.")),
        }
        let written = self.runner.run(&task.program, &with_line_end(&input))?;
        if self.is_error(&written) {
            return wrong(format!("The program wrote to stderr: {}", last_line(&written.stderr)));
        }
        let Some(expected) = &task.expected else {
            return Err(raised("the row has no output, and its own input gives none"));
        };
        if same_output(expected, &written.stdout) {
            return Ok((1.0, "The program gives the expected output.".to_string()));
        }
        wrong(format!("The program gives another output: {}", shown(&written.stdout)))
    }

    /// From the expected output back to an input that leads to it.
    fn way_back(&self, task: &Task, input: &str) -> Result<Option<String>> {
        let Some(run) = self.runner.watch(&task.program, &with_line_end(input))? else { return Ok(None) };
        let output = rstrip_lines(strip(&run.prints));
        let leads_there = task.expected.as_deref().is_some_and(|expected| same_output(expected, &run.prints));
        if !leads_there || !watch::is_short(&output) || !watch::is_short(input) {
            return Ok(None);
        }
        let back: Vec<String> = run.told().into_iter().rev().collect();
        let way = if back.is_empty() { String::new() } else { format!(" in which {}", back.join(", ")) };
        Ok(Some(format!(
            "The output to reach is {}.\nFrom there back: it is printed by a run{way}.\nThat run reads {}.",
            shown(&output),
            shown(input)
        )))
    }

    /// Upstream takes a lone line end on stderr for an error.
    fn is_error(&self, written: &Written) -> bool {
        if self.runner.upstream_quirks { !written.stderr.is_empty() } else { !is_blank(&written.stderr) }
    }
}

/// Upstream raises here too, so there is no score.
fn raised(problem: &str) -> Error {
    Error::environment(NAME, format!("the reply cannot be judged: {problem}"))
}

/// An input ends in a line end, unless it is empty.
fn with_line_end(input: &str) -> String {
    if input.is_empty() || input.ends_with('\n') { input.to_string() } else { format!("{input}\n") }
}

/// Whether an input has as many lines as the program calls `input()`; where the program loops over a count on the first
/// line, more than that count. A first line that Python calls digits and yet cannot read is an error.
fn enough_lines(program: &str, input: &str) -> Result<bool, String> {
    let lines = lines(input);
    let loops_over_a_count = program.contains("for _ in range(int(input()))");
    if let Some(first) = lines.first().filter(|first| loops_over_a_count && is_digits(first)) {
        if !first.chars().all(is_decimal) || first.chars().count() > MAX_INT_DIGITS {
            return Err(format!("its first line, {}, is no integer", shown(first)));
        }
        return Ok(decimal(first).is_some_and(|count| lines.len() > count));
    }
    Ok(lines.len() >= program.matches("input()").count())
}

/// Equal as they are, or without outer blanks and with every line's trailing blanks gone.
fn same_output(expected: &str, got: &str) -> bool {
    let plain = |text: &str| strip(text).replace("\r\n", "\n");
    let (expected, got) = (plain(expected), plain(got));
    expected == got || rstrip_lines(&expected) == rstrip_lines(&got)
}

impl Environment for Abd {
    fn describe(&self) -> Description {
        self.turn.describe(self.tasks.count())
    }

    fn identity(&self) -> Identity {
        Identity {
            instructions: Some(self.template.which().clone()),
            generator: self.tasks.generator(),
            settings: serde_json::Value::clone(&self.settings),
        }
    }

    fn reset(&mut self, task_id: u64) -> Result<String> {
        self.turn.leave();
        let task = self.build.task(task_id, &self.tasks, &self.runner)?;
        let output = task.expected.as_deref().unwrap_or("None");
        let prompt = self.template.fill(&[("{program}", &task.program), ("{output}", output)]);
        Ok(self.turn.begin(task, prompt))
    }

    fn messages(&self) -> Result<Vec<Message>> {
        self.turn.messages()
    }

    /// The reply as it is: stripping is upstream's, with Python's blanks.
    fn parse(&self, reply: &str) -> Result<Parsed> {
        Ok(Parsed::Action(reply.to_string()))
    }

    fn step(&mut self, action: &str) -> Result<Step> {
        let (score, observation) = self.judge(self.turn.waiting()?, action)?;
        let info = json!({ "upstream_quirks": self.runner.upstream_quirks });
        Ok(self.turn.end(score, observation, info))
    }

    /// Of the tags in a reply the last pair counts.
    fn reply(&self, action: &str, thought: Option<&str>) -> Result<String> {
        Ok(one_turn::reply(action, thought))
    }

    fn fresh(&self) -> Result<Box<dyn Environment>> {
        Ok(Box::new(Abd { turn: OneTurn::new(NAME), ..self.clone() }))
    }

    fn demonstrator(&mut self) -> Option<&mut dyn Demonstrator> {
        Some(self)
    }

    fn baselines(&self) -> Option<&dyn Baselines> {
        Some(self)
    }
}

impl Demonstrator for Abd {
    /// The input that the expected output came from, where it is right: what strips a reply can spoil it, and the row's
    /// output may be another.
    fn expert(&mut self) -> Result<Option<String>> {
        let task = self.turn.task()?;
        let Some(reply) = task.inputs.as_deref().map(tagged) else { return Ok(None) };
        let (score, _) = self.judge(task, &reply)?;
        Ok((score == 1.0).then_some(reply))
    }

    /// The run that gives the output, told from its end back to the input. Every claim was read off that run; nothing is
    /// said where the run says nothing for sure, or at length.
    fn explain(&mut self) -> Result<Option<Explained>> {
        let Some(action) = self.expert()? else { return Ok(None) };
        let thought = self.way_back(self.turn.task()?, &extract::input(&action))?;
        let is_harmless =
            |thought: &String| extract::input(&one_turn::reply(&action, Some(thought))) == extract::input(&action);
        let thought = thought.filter(is_harmless);
        Ok(Some(Explained { action, thought }))
    }
}

impl Baselines for Abd {
    /// An input of the same shape as the one that the output came from: every number and every letter is drawn anew, but
    /// a count on the first line stays.
    fn random_action(&self, random: &mut dyn FnMut(u64) -> u64) -> Result<Option<String>> {
        Ok(self.turn.task()?.inputs.as_ref().map(|inputs| tagged(&scramble(inputs, random))))
    }

    fn constant_actions(&self) -> Vec<String> {
        ["", "0", "1", "1\n1", "1 1", "2\n1 1", "a"].map(tagged).to_vec()
    }
}

fn tagged(inputs: &str) -> String {
    format!("<INPUT>\n{}\n</INPUT>", inputs.trim_end_matches('\n'))
}

/// Draws digits and letters anew. A number that stands alone on the first line, above others, is most often a count.
fn scramble(inputs: &str, random: &mut dyn FnMut(u64) -> u64) -> String {
    let (kept, rest) = match inputs.split_once('\n') {
        Some((first, rest)) if is_digits(first.trim()) => (format!("{first}\n"), rest),
        _ => (String::new(), inputs),
    };
    let mut in_number = false;
    let draw = |c: char| {
        let leading = !std::mem::replace(&mut in_number, c.is_ascii_digit());
        match c {
            // No number gets a leading zero that it had not.
            '1'..='9' if leading => char::from(b'1' + random(9) as u8),
            '0'..='9' => char::from(b'0' + random(10) as u8),
            'a'..='z' => char::from(b'a' + random(26) as u8),
            'A'..='Z' => char::from(b'A' + random(26) as u8),
            other => other,
        }
    };
    kept + &rest.chars().map(draw).collect::<String>()
}
