//! `affine repl`: one line after the other, at a terminal or from a pipe.

use std::borrow::Cow;
use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;

use reedline::{
    FileBackedHistory, Prompt, PromptEditMode, PromptHistorySearch, Reedline, Signal, SimpleMatchHighlighter,
};

use super::failure::Failure;
use super::output::{complain, say};
use crate::engine::cancel;
use crate::lua::session::{Outcome, Session};

/// Lines that the history remembers.
const REMEMBERED: usize = 1000;

/// Try Lua line by line
///
/// The values of an expression are printed. Globals stay from line to line, locals end with theirs; `affine` is there.
/// Ctrl-C clears the line or stops what runs, Ctrl-D ends. From a pipe it runs what it reads, and the exit code is 1 when
/// something failed.
#[derive(clap::Args)]
pub struct Options {}

pub fn run() -> Result<(), Failure> {
    let session = Session::new().map_err(Failure::Script)?;
    match std::io::stdin().is_terminal() {
        true => at_terminal(&session),
        false => from_pipe(&session),
    }
}

fn at_terminal(session: &Session) -> Result<(), Failure> {
    // In the terminal's own colour; the library's default is white, whatever is behind it, and heeds no NO_COLOR.
    let mut editor = Reedline::create().with_highlighter(Box::<SimpleMatchHighlighter>::default());
    match history_file().map(|path| FileBackedHistory::with_file(REMEMBERED, path)) {
        Some(Ok(history)) => editor = editor.with_history(Box::new(history)),
        Some(Err(error)) => tracing::warn!("what is typed here will not be remembered: {error}"),
        None => {}
    }
    say(concat!("affine ", env!("CARGO_PKG_VERSION"), ", Lua 5.4. Ctrl-D ends."));
    let mut code = String::new();
    loop {
        let prompt = if code.is_empty() { Sign("> ") } else { Sign(">> ") };
        match editor.read_line(&prompt) {
            Ok(Signal::Success(line)) => code = take(session, code + &line, &mut false),
            Ok(Signal::CtrlD) => return Ok(()),
            // Ctrl-C, and whatever else ends a line without being one.
            Ok(_) => code.clear(),
            Err(error) => return Err(Failure::Usage(format!("this terminal cannot be read from: {error}"))),
        }
    }
}

/// What stands before the cursor.
pub(super) struct Sign(pub &'static str);

impl Prompt for Sign {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        self.0.into()
    }

    fn render_prompt_right(&self) -> Cow<'_, str> {
        "".into()
    }

    fn render_prompt_indicator(&self, _: PromptEditMode) -> Cow<'_, str> {
        "".into()
    }

    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        ">> ".into()
    }

    fn render_prompt_history_search_indicator(&self, search: PromptHistorySearch) -> Cow<'_, str> {
        format!("(search: {}) ", search.term).into()
    }
}

fn from_pipe(session: &Session) -> Result<(), Failure> {
    let (mut code, mut failed) = (String::new(), false);
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|error| Failure::Usage(format!("standard input: {error}")))?;
        code = take(session, code + &line, &mut failed);
    }
    if !code.trim().is_empty() {
        complain("affine: the input ends within a statement");
        failed = true;
    }
    if failed { Err(Failure::Told) } else { Ok(()) }
}

/// Runs the code; what is left of it when it is unfinished.
fn take(session: &Session, code: String, failed: &mut bool) -> String {
    if code.trim().is_empty() {
        return String::new();
    }
    match session.run(&code) {
        Outcome::Done => {}
        Outcome::Unfinished => return code + "\n",
        Outcome::Failed(report) => {
            *failed = true;
            complain(&report);
            cancel::clear();
        }
    }
    String::new()
}

/// Where other programs keep what they remember between two runs.
fn history_file() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = set("XDG_STATE_HOME").or_else(|| Some(set("HOME")?.join(".local/state")))?;
    Some(state.join("affine/history"))
}
