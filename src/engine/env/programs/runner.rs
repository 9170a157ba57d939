//! Runs a program as upstream's executor does and reads off what counts: two texts.
//!
//! The limits, the isolation and the process itself are the [`Sandbox`]'s; this file decides what a limit that was hit,
//! bytes that are no text, and a `solve` that nobody called mean for a verdict.

use std::sync::{Arc, LazyLock};

use regex::Regex;

use super::extract;
use crate::engine::Result;
use crate::engine::env::python::text::{is_blank, universal_newlines};
use crate::engine::sandbox::{Limit, Limits, Outcome, Program, Sandbox, Status};

/// Output beyond this many characters is cut.
const MAX_CHARACTERS: usize = 1_000_000;

/// Appended to a program that defines `solve`, calls it nowhere and printed nothing.
const CALL_SOLVE: &str = r#"

if __name__ == "__main__":
    answer = solve()
    if isinstance(answer, (list, tuple)):
        print(*answer)
    elif answer is not None:
        print(answer)
"#;

/// What a program wrote. A limit that it broke is told at the end of `stderr`.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    pub stdout: String,
    pub stderr: String,
}

/// Runs programs in a sandbox under one set of limits.
#[derive(Clone)]
pub struct Runner {
    pub sandbox: Arc<Sandbox>,
    pub limits: Limits,
    /// Read a program's text and its end as upstream does, oddities included.
    pub upstream_quirks: bool,
}

impl Runner {
    /// Runs a program; one that defines `solve`, prints nothing and has no main guard is run again with a call of it.
    ///
    /// Upstream looks for a fenced block in the program itself first, even in one that came from the data.
    pub fn run(&self, program: &str, stdin: &str) -> Result<Written> {
        let code = self.code(program);
        let written = self.run_plain(code, stdin)?;
        let silent = is_blank(&written.stdout) && is_blank(&written.stderr);
        if silent && code.contains("def solve") && !has_main_guard(code) {
            return self.run_plain(&format!("{code}{CALL_SOLVE}"), stdin);
        }
        Ok(written)
    }

    /// What is run of a program.
    pub fn code<'a>(&self, program: &'a str) -> &'a str {
        if self.upstream_quirks { extract::code(program) } else { program }
    }

    /// Runs a program as it stands, once.
    pub fn run_plain(&self, code: &str, stdin: &str) -> Result<Written> {
        let program = Program { code: code.into(), stdin: stdin.into(), limits: self.limits.clone() };
        Ok(self.written(self.sandbox.run(&program)?))
    }

    /// The exit status is ignored, and death by the CPU limit says nothing on stderr: what was flushed before it counts.
    fn written(&self, outcome: Outcome) -> Written {
        if outcome.status == Status::Output {
            let stdout = format!("{}\n…<truncated>", cut(&String::from_utf8_lossy(&outcome.stdout)));
            return Written { stdout, stderr: String::from_utf8_lossy(&outcome.stderr).into_owned() };
        }
        let (Ok(stdout), Ok(stderr)) = (String::from_utf8(outcome.stdout), String::from_utf8(outcome.stderr)) else {
            return Written { stdout: String::new(), stderr: "[OUTPUT IS NOT UTF-8]".to_string() };
        };
        let (stdout, mut stderr) = (universal_newlines(&stdout), universal_newlines(&stderr));
        match (outcome.status, outcome.limit) {
            (Status::Timeout, Some(Limit::Cpu)) if self.upstream_quirks => {}
            (Status::Timeout, _) => stderr.push_str("\n[TIMEOUT]"),
            (Status::Memory, _) if is_blank(&stderr) => stderr.push_str("\n[OUT OF MEMORY]"),
            (Status::Error, _) if !self.upstream_quirks && is_blank(&stderr) => {
                let code = outcome.exit_code.map_or("a signal".to_string(), |code| format!("status {code}"));
                stderr.push_str(&format!("\n[ENDED BY {code}]"));
            }
            _ => {}
        }
        Written { stdout, stderr }
    }
}

fn cut(text: &str) -> &str {
    text.char_indices().nth(MAX_CHARACTERS).map_or(text, |(end, _)| &text[..end])
}

fn has_main_guard(code: &str) -> bool {
    static GUARD: LazyLock<Regex> = LazyLock::new(|| {
        let space = r"[\s\x1c-\x1f]";
        let pattern = format!(r#"if{space}+__name__{space}*=={space}*['"]__main__['"]"#);
        Regex::new(&pattern).expect("the pattern is valid")
    });
    GUARD.is_match(code)
}
