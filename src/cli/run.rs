//! `affine script.lua args…`, `affine -e code args…`, `affine -`: run Lua code; with `--plan`, on tiny models and for show.

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::failure::Failure;
use super::files;
use super::output::{complain, put, say};
use crate::engine::plan;
use crate::lua::report::Report;
use crate::lua::{self, Script};

/// Whether the script does its work or shows what that would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Real,
    Plan,
}

/// `words` are the code and its arguments; `arg[0]` is `-e`.
pub fn code(mut words: Vec<OsString>, mode: Mode) -> Result<(), Failure> {
    let code = std::mem::replace(&mut words[0], "-e".into());
    let script = Script {
        code: code.into_encoded_bytes(),
        name: "=(command line)".to_string(),
        folder: PathBuf::new(),
        args: words,
    };
    run(&script, mode)
}

/// `words` are the script, or `-`, and its arguments.
pub fn script(words: Vec<OsString>, mode: Mode) -> Result<(), Failure> {
    if words[0] == "-" {
        let mut code = Vec::new();
        std::io::stdin().read_to_end(&mut code).map_err(|error| Failure::Usage(format!("standard input: {error}")))?;
        return run(&Script { code, name: "=stdin".to_string(), folder: PathBuf::new(), args: words }, mode);
    }
    let path = Path::new(&words[0]);
    let code = files::read(path)?;
    let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
    run(&Script { code, name: format!("@{}", path.display()), folder, args: words }, mode)
}

fn run(script: &Script, mode: Mode) -> Result<(), Failure> {
    match mode {
        Mode::Real => lua::run(script).map_err(Failure::Script),
        Mode::Plan => planned(script),
    }
}

fn planned(script: &Script) -> Result<(), Failure> {
    let shown = script.args[0].to_string_lossy();
    let started = Instant::now();
    plan::begin().map_err(|error| Failure::Usage(format!("--plan: {error}")))?;
    complain(format_args!(
        "plan: {shown} on tiny random models, in a temporary folder; the numbers below mean nothing"
    ));
    let outcome = lua::run(script);
    match outcome {
        Ok(()) => {
            let seconds = started.elapsed().as_secs_f64();
            say(format_args!("\nPlan of {shown}: it ran to its end in {seconds:.0} s. A real run would do this:\n"));
            put(plan::told());
            Ok(())
        }
        Err(report) => Err(Failure::Script(explained(report))),
    }
}

/// A plan cannot write where a real run could.
fn explained(report: Report) -> Report {
    let refused = report.message.to_lowercase().contains("permission denied") && report.hint.is_none();
    let hint = "a plan writes in its temporary folder alone: give paths relative to the folder you work in";
    Report { hint: if refused { Some(hint.to_string()) } else { report.hint }, ..report }
}
