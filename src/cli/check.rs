//! `affine check PATH…`: mistakes that can be found without running.

use std::path::{Path, PathBuf};

use super::failure::Failure;
use super::files;
use super::output::say;
use crate::lua::check::{Checker, Level};
use crate::lua::report::Report;

/// Find mistakes in Lua files without running them
///
/// Reports what does not compile, unknown globals, unknown modules and functions of affine, and assignments to globals
/// that the file does not declare (a warning). Passed over are files that begin with ---@meta, which hold types, and a
/// line behind the comment ---@diagnostic disable-next-line.
#[derive(clap::Args)]
pub struct Options {
    /// Lua files, or folders whose .lua files are checked
    #[arg(value_name = "PATH", default_value = ".")]
    paths: Vec<PathBuf>,
}

pub fn run(options: &Options) -> Result<(), Failure> {
    let checker = Checker::new().map_err(|error| Failure::Script(Report::new(&error)))?;
    let (mut files, mut errors, mut warnings) = (0, 0, 0);
    for path in files::lua_files(&options.paths, &|_| true)? {
        let code = files::read(&path)?;
        if code.starts_with(b"---@meta") {
            continue;
        }
        files += 1;
        for finding in checker.check(&code, &shown(&path)) {
            let word = match finding.level {
                Level::Error => "",
                Level::Warning => "warning: ",
            };
            say(format_args!("{}: {word}{}", finding.place, finding.message));
            *(if finding.level == Level::Error { &mut errors } else { &mut warnings }) += 1;
        }
    }
    say(format_args!("{}: {}, {}", count(files, "file"), count(errors, "error"), count(warnings, "warning")));
    if errors > 0 { Err(Failure::Told) } else { Ok(()) }
}

fn shown(path: &Path) -> String {
    path.strip_prefix(".").unwrap_or(path).display().to_string()
}

fn count(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}
