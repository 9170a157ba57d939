//! `affine doctor`: what is here and what is missing, each with advice.

use std::io::IsTerminal;

use super::failure::Failure;
use super::output::say;
use crate::engine::doctor::{self, Finding, Level};
use crate::lua;

/// Look at this machine: libtorch, GPU, memory, disk, the Hub, and what the environments can use
///
/// Each line is ok, warn (something optional is missing, or will be slow) or fail, with advice below it. The exit code is
/// 1 when a line is fail. Nothing is changed; the Hub is asked whose token it is, unless HF_HUB_OFFLINE forbids it; no secret
/// is shown.
#[derive(clap::Args)]
pub struct Options {
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(options: &Options) -> Result<(), Failure> {
    let findings = doctor::examine(lua::own_setting("huggingface.repo_name").as_deref());
    match options.json {
        true => {
            say(format_args!("{:#}", serde_json::json!({ "version": env!("CARGO_PKG_VERSION"), "findings": findings })))
        }
        false => print(&findings),
    }
    let failed = findings.iter().any(|finding| finding.level == Level::Fail);
    if failed { Err(Failure::Told) } else { Ok(()) }
}

fn print(findings: &[Finding]) {
    let coloured = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    for finding in findings {
        let (word, colour) = match finding.level {
            Level::Ok => ("ok  ", "32"),
            Level::Warn => ("warn", "33"),
            Level::Fail => ("fail", "31"),
        };
        let word = if coloured { format!("\x1b[{colour}m{word}\x1b[0m") } else { word.to_string() };
        say(format_args!("{word}  {:<10} {}", finding.subject, finding.message));
        if let Some(advice) = &finding.advice {
            say(format_args!("                 {advice}"));
        }
    }
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    say(format_args!("\n{} ok, {} to know, {} to repair", count(Level::Ok), count(Level::Warn), count(Level::Fail)));
}
