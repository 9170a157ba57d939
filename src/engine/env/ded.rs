//! DED: write a program that does what a description says. One turn; the reply is run on the task's tests.
//!
//! Reading, running and judging are those of the Affine subnet (affinetes, `environments/affine/ded.py` at 345b7bc).
//! With `upstream_quirks = false` these verdicts differ: tests of unknown types alone score 0 (upstream 1), a program
//! that a limit or a signal ended after it printed the answer fails, and a row whose tests are broken fails on `reset`
//! (upstream scores it 0, or raises once the reply is there).

use std::sync::Arc;

use serde_json::json;

use super::one_turn::{self, OneTurn};
use super::programs::extract;
use super::programs::options::ProgramOptions;
use super::programs::quote::{last_line, shown};
use super::programs::row::{Row, Tests};
use super::programs::runner::{Runner, Written};
use super::programs::tasks::Tasks;
use super::programs::template::{Kind, Template};
use super::programs::watch;
use super::python::Value;
use super::python::text::{is_blank, rstrip, rstrip_lines, strip};
use super::{Baselines, Demonstrator, Description, Environment, Explained, Identity, Parsed, Step};
use crate::engine::text::Message;
use crate::engine::{Error, Result};

const NAME: &str = "ded";

/// The environment; `task_id` is a row of the data, counted from 0, or the generator's number.
#[derive(Clone)]
pub struct Ded {
    tasks: Tasks,
    runner: Runner,
    template: Arc<Template>,
    settings: Arc<serde_json::Value>,
    turn: OneTurn<Row>,
}

impl Ded {
    pub fn new(options: &ProgramOptions) -> Result<Self> {
        let template = Template::new(Kind::Ded, options.instructions.as_deref())?;
        let runner = options.runner()?;
        let settings = Arc::new(options.deciding());
        let tasks = Tasks::open(options, &runner, Row::ded_problem)?;
        Ok(Ded { tasks, runner, template: Arc::new(template), settings, turn: OneTurn::new(NAME) })
    }

    /// Runs a program on a row's tests up to the first that fails.
    fn judge(&self, row: &Row, reply: &str) -> Result<Verdict> {
        if is_blank(reply) {
            return Ok(Verdict::wrong("The answer is empty."));
        }
        let cases = match row.tests() {
            Tests::Cases(cases) => cases,
            Tests::None => return Ok(Verdict::wrong("The task has no tests, so nothing passes them.")),
            Tests::Unread(problem) => {
                return Ok(Verdict::wrong(format!("The task's tests cannot be read: {problem}.")));
            }
            Tests::Raises(problem) => return Err(raised(problem)),
        };
        let program = extract::code(strip(reply));
        let (mut passed, mut known) = (0, 0);
        for (index, case) in cases.iter().enumerate() {
            let Some(test) =
                Test::new(case, program).map_err(|problem| raised(format!("test {}: {problem}", index + 1)))?
            else {
                continue;
            };
            known += 1;
            if let Some(failure) = test.failure(&self.runner.run(&test.program, &test.stdin)?) {
                let observation = format!("Test {} of {} failed: {failure}", index + 1, cases.len());
                return Ok(Verdict { score: 0.0, passed, tests: cases.len(), observation });
            }
            passed += 1;
        }
        if known == 0 && !self.runner.upstream_quirks {
            return Ok(Verdict::wrong("The task has no test of a known type."));
        }
        Ok(Verdict { score: 1.0, passed, tests: cases.len(), observation: format!("All {passed} tests passed.") })
    }
}

/// Tests that a thought tells of.
const MOST_TOLD: usize = 2;

impl Ded {
    /// What each test in the prompt expects and how the program comes to it; `None` where there is no such test, or one
    /// on which the program prints something else.
    fn on_shown_tests(&self, row: &Row, program: &str) -> Result<Option<String>> {
        let (Tests::Cases(cases), Some(prompt)) = (row.tests(), row.prompt.as_ref().and_then(Value::as_text)) else {
            return Ok(None);
        };
        let mut told = Vec::new();
        for case in &cases {
            let Ok(Some(test)) = Test::new(case, program) else { continue };
            let [input, expected] = [&test.stdin, &test.expected].map(|text| rstrip_lines(strip(text)));
            let is_shown = |text: &str| !text.is_empty() && prompt.contains(text) && watch::is_short(text);
            if test.program != program || !is_shown(&input) || !is_shown(&expected) {
                continue;
            }
            let Some(run) = self.runner.watch(program, &test.stdin)? else { return Ok(None) };
            if rstrip_lines(strip(&run.prints)) != expected {
                return Ok(None);
            }
            let ends = run.told();
            let way = if ends.is_empty() { String::new() } else { format!(" {}, and", ends.join(", ")) };
            let (input, expected) = (shown(&input), shown(&expected));
            told.push(format!("For {input} the task expects {expected}. In my program{way} it prints {expected}."));
            if told.len() == MOST_TOLD {
                break;
            }
        }
        Ok((!told.is_empty()).then(|| told.join("\n")))
    }
}

/// Upstream raises here too, so there is no score.
fn raised(problem: String) -> Error {
    Error::environment(NAME, format!("the row cannot be judged: {problem}"))
}

struct Verdict {
    score: f64,
    passed: usize,
    tests: usize,
    observation: String,
}

impl Verdict {
    fn wrong(observation: impl Into<String>) -> Self {
        Verdict { score: 0.0, passed: 0, tests: 0, observation: observation.into() }
    }
}

/// One test, ready to run.
struct Test {
    program: String,
    stdin: String,
    expected: String,
}

impl Test {
    /// `None` for a type that is not known, which upstream leaves out of the count.
    fn new(case: &Value, program: &str) -> Result<Option<Test>, String> {
        let Value::Dict(_) = case else {
            return Err(format!("expected an object, got {}", case.kind()));
        };
        let field = |name: &str| case.get(name).unwrap_or(&Value::None);
        let lines = |value: &Value| value.lines().map_err(|kind| format!("{kind} has no form as JSON"));
        let output = field("output");
        match field("type").as_text() {
            Some("stdin_stdout") => {
                let mut stdin = lines(field("input"))?;
                if !stdin.ends_with('\n') {
                    stdin.push('\n');
                }
                Ok(Some(Test { program: program.to_string(), stdin, expected: lines(output)? }))
            }
            Some("function_call") => {
                let arguments = case.get("input").map_or("[]".to_string(), Value::repr);
                let function = field("fn_name").str();
                let call = format!(
                    "{program}\nif __name__ == '__main__':\n    result = {function}(*{arguments})\n    print(result)"
                );
                let expected = match output {
                    Value::List(items) => items.first().unwrap_or(output),
                    other => other,
                };
                Ok(Some(Test { program: call, stdin: String::new(), expected: lines(expected)? }))
            }
            _ => Ok(None),
        }
    }

    /// Why what the program wrote does not pass. Blank text on stderr is forgiven.
    fn failure(&self, written: &Written) -> Option<String> {
        if !is_blank(&written.stderr) {
            return Some(format!("the program wrote to stderr: {}", last_line(&written.stderr)));
        }
        let (got, expected) = (rstrip_lines(rstrip(&written.stdout)), rstrip_lines(rstrip(&self.expected)));
        (got != expected).then(|| format!("expected {}, got {}", shown(&expected), shown(&got)))
    }
}

impl Environment for Ded {
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
        let row = self.tasks.row(task_id)?;
        let broken = if self.runner.upstream_quirks { None } else { row.ded_problem() };
        let (Some(description), None) = (row.prompt.as_ref().and_then(Value::as_text), &broken) else {
            let problem = broken.or_else(|| row.ded_problem()).unwrap_or_default();
            return Err(Error::environment(NAME, format!("task {task_id} cannot be played: {problem}")));
        };
        let prompt = self.template.fill(&[("{prompt}", rstrip(description))]);
        Ok(self.turn.begin(row, prompt))
    }

    fn messages(&self) -> Result<Vec<Message>> {
        self.turn.messages()
    }

    /// The reply as it is: stripping is upstream's, with Python's blanks.
    fn parse(&self, reply: &str) -> Result<Parsed> {
        Ok(Parsed::Action(reply.to_string()))
    }

    fn step(&mut self, action: &str) -> Result<Step> {
        let verdict = self.judge(self.turn.waiting()?, action)?;
        let info = json!({
            "passed": verdict.passed,
            "tests": verdict.tests,
            "upstream_quirks": self.runner.upstream_quirks,
        });
        Ok(self.turn.end(verdict.score, verdict.observation, info))
    }

    /// Of the fenced blocks in a reply the last counts, so a thought before it does no harm.
    fn reply(&self, action: &str, thought: Option<&str>) -> Result<String> {
        Ok(one_turn::reply(action, thought))
    }

    fn fresh(&self) -> Result<Box<dyn Environment>> {
        Ok(Box::new(Ded { turn: OneTurn::new(NAME), ..self.clone() }))
    }

    fn demonstrator(&mut self) -> Option<&mut dyn Demonstrator> {
        Some(self)
    }

    fn baselines(&self) -> Option<&dyn Baselines> {
        Some(self)
    }
}

impl Demonstrator for Ded {
    /// The row's own program, where it has one.
    fn expert(&mut self) -> Result<Option<String>> {
        let program = self.turn.task()?.program.as_ref().and_then(Value::as_text);
        Ok(program.map(|program| format!("```python\n{}\n```", program.trim_end())))
    }

    /// The program with what it does on the tests that the prompt shows, from running it on them. Nothing is said of tests
    /// that the model cannot see, nor of those that are long.
    fn explain(&mut self) -> Result<Option<Explained>> {
        let Some(action) = self.expert()? else { return Ok(None) };
        let thought = self.on_shown_tests(self.turn.task()?, extract::code(&action))?;
        let is_harmless =
            |thought: &String| extract::code(&one_turn::reply(&action, Some(thought))) == extract::code(&action);
        let thought = thought.filter(is_harmless);
        Ok(Some(Explained { action, thought }))
    }
}

impl Baselines for Ded {
    /// A small program drawn from all that print a number, a word of the input, or all of it.
    fn random_action(&self, random: &mut dyn FnMut(u64) -> u64) -> Result<Option<String>> {
        self.turn.task()?;
        let program = match random(4) {
            0 => format!("print({})", random(100)),
            1 => format!("print(open(0).read().split()[{}])", random(4)),
            2 => format!("print(len(open(0).read().split()) + {})", random(3)),
            _ => "print(open(0).read())".to_string(),
        };
        Ok(Some(format!("```python\n{program}\n```")))
    }

    /// Programs that print the same whatever they are given, and those that print what they are given.
    fn constant_actions(&self) -> Vec<String> {
        let programs = [
            "print(0)",
            "print(1)",
            "print()",
            "print(\"YES\")",
            "print(\"NO\")",
            "print(input())",
            "print(open(0).read())",
        ];
        programs.iter().map(|program| format!("```python\n{program}\n```")).collect()
    }
}
