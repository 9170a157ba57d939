//! `affine test PATH…`: Lua tests, each file in a state of its own.

use std::ffi::OsString;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::failure::Failure;
use super::files;
use super::output::say;
use crate::lua::{self, Script};

/// Run tests written in Lua
///
/// Without a path: every *_test.lua below the folder you are in, and every .lua file below a folder tests/lua. Each file is a
/// script of its own that fails when it raises an error, as the outermost `describe` of affine.test does when one of its
/// tests failed.
#[derive(clap::Args)]
pub struct Options {
    /// Test files, or folders with some
    #[arg(value_name = "PATH", default_value = ".")]
    paths: Vec<PathBuf>,
}

pub fn run(options: &Options) -> Result<(), Failure> {
    let files = files::lua_files(&options.paths, &is_test)?;
    if files.is_empty() {
        let hint = "a test is called *_test.lua, or lies below a folder tests/lua";
        return Err(Failure::Usage(format!("no tests here: {hint}")));
    }
    let (started, mut failed) = (Instant::now(), 0);
    for file in &files {
        let shown = file.strip_prefix(".").unwrap_or(file);
        let began = Instant::now();
        let problem = run_file(shown)?;
        let word = if problem.is_none() { "ok  " } else { "FAIL" };
        say(format_args!("{word}  {}  {:.1} s", shown.display(), began.elapsed().as_secs_f64()));
        if let Some(problem) = problem {
            failed += 1;
            problem.lines().for_each(|line| say(format_args!("      {line}")));
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    say(format_args!("\n{} of {} files passed in {seconds:.1} s", files.len() - failed, files.len()));
    if failed > 0 { Err(Failure::Told) } else { Ok(()) }
}

fn is_test(path: &Path) -> bool {
    let is_named = path.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("_test"));
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let folders: Vec<_> = whole.iter().collect();
    is_named || folders.windows(2).any(|pair| pair[0] == "tests" && pair[1] == "lua")
}

/// What is wrong with a test file, if anything. Ctrl-C ends the whole command.
fn run_file(path: &Path) -> Result<Option<String>, Failure> {
    let script = Script {
        code: files::read(path)?,
        name: format!("@{}", path.display()),
        folder: path.parent().map(Path::to_path_buf).unwrap_or_default(),
        args: vec![OsString::from(path)],
    };
    // The panic hook has told the user.
    match std::panic::catch_unwind(AssertUnwindSafe(|| lua::run(&script))) {
        Ok(Ok(())) => Ok(None),
        Ok(Err(report)) if report.interrupted => Err(Failure::Script(report)),
        Ok(Err(report)) => Ok(Some(report.to_string())),
        Err(_) => Ok(Some("internal error, see above".to_string())),
    }
}
