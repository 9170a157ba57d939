//! A program that has been run: its tests, and the fields that ABD and DED read.

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{Generator, Program};
use crate::engine::Result;

/// An output with more characters teaches nothing more.
const MAX_OUTPUT: usize = 2000;

/// With fewer tests a program that guesses would pass too often.
const MIN_TESTS: usize = 4;

/// Runs Python programs.
pub trait Runner {
    /// What the program prints; `None` where it fails or breaks a limit. An error is the host's, not the program's.
    fn run(&self, code: &str, stdin: &str) -> Result<Option<String>>;
}

/// An input and what the program prints for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Test {
    pub input: String,
    pub output: String,
}

/// Why a program is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Problem {
    /// It fails on one of its inputs.
    Fails,
    /// It prints nothing, or white space alone, for one of its inputs.
    Silent,
    /// It prints too much.
    Endless,
    /// It prints the same for all its inputs.
    Constant,
    /// Its form of input has too few different inputs.
    FewInputs,
    /// ABD's check of the number of lines would refuse one of its own inputs.
    FewLines,
}

/// A program with tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub program: Program,
    /// DED's prompt: the description with the first test as an example.
    pub prompt: String,
    /// The first one is ABD's.
    pub tests: Vec<Test>,
    /// The candidates that were rejected before this one.
    pub rejected: BTreeMap<Problem, u64>,
}

impl Row {
    /// The fields of a row of the data set `satpalsr/rl-python`.
    pub fn fields(&self) -> Map<String, Value> {
        let case = |test: &Test| json!({ "type": "stdin_stdout", "input": test.input, "output": test.output, "fn_name": null });
        let cases: Vec<Value> = self.tests.iter().map(case).collect();
        let mut fields = Map::new();
        fields.insert("program".into(), self.program.code.clone().into());
        if let Some(first) = self.tests.first() {
            fields.insert("inputs".into(), first.input.clone().into());
            fields.insert("output".into(), first.output.clone().into());
        }
        fields.insert("prompt".into(), self.prompt.clone().into());
        fields.insert("verification_info".into(), json!({ "test_cases": cases }).to_string().into());
        fields
    }
}

impl Generator {
    /// The first program of an id that is in the split and works, with its tests.
    pub fn row(&self, task_id: u64, runner: &dyn Runner) -> Result<Row> {
        let mut rejected = BTreeMap::new();
        for program in self.candidates(task_id) {
            match tests(&program, runner)? {
                Ok(tests) => {
                    let prompt = prompt(&program.description, &tests);
                    return Ok(Row { program, prompt, tests, rejected });
                }
                Err(problem) => *rejected.entry(problem).or_default() += 1,
            }
        }
        Err(self.exhausted(task_id))
    }
}

/// Runs a program on its inputs.
pub(super) fn tests(program: &Program, runner: &dyn Runner) -> Result<Result<Vec<Test>, Problem>> {
    if program.inputs.len() < MIN_TESTS {
        return Ok(Err(Problem::FewInputs));
    }
    if program.inputs.iter().any(|input| input.lines().count() < program.code.matches("input()").count()) {
        return Ok(Err(Problem::FewLines));
    }
    let mut tests = Vec::new();
    for input in &program.inputs {
        let Some(output) = runner.run(&program.code, &format!("{input}\n"))? else { return Ok(Err(Problem::Fails)) };
        let output = output.trim_end().to_string();
        if output.trim().is_empty() {
            return Ok(Err(Problem::Silent));
        }
        if output.chars().count() > MAX_OUTPUT {
            return Ok(Err(Problem::Endless));
        }
        tests.push(Test { input: input.clone(), output });
    }
    let different: HashSet<&String> = tests.iter().map(|test| &test.output).collect();
    Ok(if different.len() > 1 { Ok(tests) } else { Err(Problem::Constant) })
}

fn prompt(description: &str, tests: &[Test]) -> String {
    let Some(Test { input, output }) = tests.first() else { return description.to_string() };
    format!(
        "Write a program.\n\n{description}\n\nExample input:\n```\n{input}\n```\n\nExample output:\n```\n{output}\n```"
    )
}
