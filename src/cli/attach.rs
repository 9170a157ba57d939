//! `affine attach`: a conversation with a running script, between two of its steps.

use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use reedline::{Reedline, Signal, SimpleMatchHighlighter};

use super::failure::Failure;
use super::files::run_folder;
use super::output::{complain, put, say};
use super::repl::Sign;
use crate::engine::attach::{Answer, Visitor};
use crate::engine::{Result, cancel};
use crate::lua::report::Report;

/// After so long a person is told that the run has not come between two steps yet.
const PATIENCE: Duration = Duration::from_secs(2);

/// Look into a running script, and change it
///
/// What is typed runs inside the process, between two steps of its trainer, with the names in sight there: `sft`, `m`, `study`.
/// What is assigned to them stays. `pause()` holds the run until `resume()` or until you leave. Every piece of code is noted
/// in attached.jsonl in the run's folder.
#[derive(clap::Args)]
pub struct Options {
    /// The run's folder, or the name of one in runs/
    #[arg(default_value = "runs/latest")]
    run: PathBuf,
    /// Run CODE, and end
    #[arg(short = 'e', value_name = "CODE")]
    code: Option<String>,
}

pub fn run(options: &Options) -> std::result::Result<(), Failure> {
    let failed = |error| Failure::Script(Report::of(&error));
    let mut visitor = Visitor::knock(&run_folder(&options.run)).map_err(failed)?;
    if let Some(code) = &options.code {
        let answer = ask(&mut visitor, code).map_err(failed)?;
        return if told(answer).is_some() { Err(Failure::Told) } else { Ok(()) };
    }
    match std::io::stdin().is_terminal() {
        true => at_terminal(&mut visitor),
        false => from_pipe(&mut visitor),
    }
}

fn at_terminal(visitor: &mut Visitor) -> std::result::Result<(), Failure> {
    let mut editor = Reedline::create().with_highlighter(Box::<SimpleMatchHighlighter>::default());
    say("Attached. What you type runs between two steps; Ctrl-D leaves, and the run goes on.");
    let mut code = String::new();
    loop {
        let prompt = if code.is_empty() { Sign("> ") } else { Sign(">> ") };
        match editor.read_line(&prompt) {
            Ok(Signal::Success(line)) => {
                code += &line;
                code = take(visitor, code, &mut false).map_err(|error| Failure::Script(Report::of(&error)))?;
            }
            Ok(Signal::CtrlD) => return Ok(()),
            Ok(_) => code.clear(),
            Err(error) => return Err(Failure::Usage(format!("this terminal cannot be read from: {error}"))),
        }
    }
}

fn from_pipe(visitor: &mut Visitor) -> std::result::Result<(), Failure> {
    let (mut code, mut failed) = (String::new(), false);
    for line in std::io::stdin().lock().lines() {
        code += &line.map_err(|error| Failure::Usage(format!("standard input: {error}")))?;
        code = take(visitor, code, &mut failed).map_err(|error| Failure::Script(Report::of(&error)))?;
    }
    if !code.trim().is_empty() {
        complain("affine: the input ends within a statement");
        failed = true;
    }
    if failed { Err(Failure::Told) } else { Ok(()) }
}

/// Runs the code; what is left of it when it is unfinished.
fn take(visitor: &mut Visitor, code: String, failed: &mut bool) -> Result<String> {
    if code.trim().is_empty() {
        return Ok(String::new());
    }
    let answer = ask(visitor, &code)?;
    if answer.unfinished {
        return Ok(code + "\n");
    }
    *failed |= told(answer).is_some();
    Ok(String::new())
}

/// Ctrl-C meanwhile ends what was sent, not the run.
fn ask(visitor: &mut Visitor, code: &str) -> Result<Answer> {
    let (begun, mut said, mut stopped) = (Instant::now(), false, false);
    visitor.ask(code, || {
        if !said && begun.elapsed() > PATIENCE {
            said = true;
            tracing::info!("waiting until the run is between two steps");
        }
        let stop = cancel::requested() && !stopped;
        if stop {
            stopped = true;
            cancel::clear();
        }
        stop
    })
}

/// Prints an answer; its error, where it is one.
fn told(answer: Answer) -> Option<String> {
    put(&answer.output);
    if let Some(error) = &answer.error {
        complain(error.trim_end());
    }
    answer.error
}
