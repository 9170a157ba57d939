//! One shape for every error that a script meets: a message with the script's line, a hint, one Lua traceback.
//!
//! Bindings raise engine errors with [`raise`]; mlua carries them through Lua, where a script that catches one finds a
//! value that reads like a string and has fields (see [`caught`](super::caught)). An error of Lua code that the engine
//! called comes back as [`Error::Script`](engine::Error::Script) with its own lines, so that the traceback of an error
//! that went from Lua through Rust into Lua is one list.

use std::cell::{Cell, RefCell};
use std::fmt;

use super::output;
use crate::engine::refusal::{self, refused};
use crate::engine::{self, Error, cancel};

/// An error as the user reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// `scripts/x.lua:5: trainer.sft: learning_rat: unknown option`
    pub message: String,
    pub hint: Option<String>,
    /// `scripts/x.lua:5: in main chunk`, innermost first.
    pub traceback: Vec<String>,
    /// Ctrl-C, not a mistake.
    pub interrupted: bool,
}

/// Where Lua separates a message from its traceback.
const TRACEBACK: &str = "\nstack traceback:";
const HINT: &str = "\nhint: ";

impl Report {
    pub fn new(error: &mlua::Error) -> Self {
        let Unwrapped { cause, frames, contexts } = unwrap(error);
        let engine = cause.downcast_ref::<Error>();
        let interrupted = engine.is_some_and(Error::is_interrupted) || is_wait_that_was_ended(cause);
        let mut traceback = joined(engine.map_or(&[], Error::trace), &frames);
        let (message, hint) = match cause {
            mlua::Error::RuntimeError(text) | mlua::Error::MemoryError(text) if text.contains(TRACEBACK) => {
                let (message, lines) = text.split_once(TRACEBACK).unwrap_or((text, ""));
                traceback = parse_traceback(lines);
                split_hint(&readable(message))
            }
            // Lua names the file and the line of a syntax error itself.
            mlua::Error::SyntaxError { message, .. } => (message.clone(), None),
            other => {
                let (message, hint) = describe(other);
                match engine {
                    // A script's own error has its line already.
                    Some(Error::Script { .. }) => (message, hint),
                    Some(error) if output::is_lost(error) => {
                        traceback.clear();
                        (message, hint)
                    }
                    _ => (located(&frames, &message), hint),
                }
            }
        };
        let message = contexts.into_iter().rev().fold(message, |message, context| format!("{context}: {message}"));
        if let Some(lines) = lines_through_coroutines(&message) {
            traceback = lines;
        }
        Report { message, hint, traceback, interrupted }
    }

    /// An error that no script was part of.
    pub fn of(error: &Error) -> Self {
        let (message, hint) = (error.to_string(), error.hint().map(str::to_string));
        Report { message, hint, traceback: error.trace().to_vec(), interrupted: error.is_interrupted() }
    }

    /// The error as a Lua string: the message, and the hint on a line of its own. So the hint survives being joined to
    /// other text, raised again and logged.
    pub fn text(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{}{HINT}{hint}", self.message),
            None => self.message.clone(),
        }
    }

    /// The text and below it the traceback, as `debug.traceback` joins them.
    pub fn text_with_traceback(&self) -> String {
        let lines: String = self.traceback.iter().map(|line| format!("\n\t{line}")).collect();
        format!("{}{TRACEBACK}{lines}", self.text())
    }

    /// `scripts/x.lua:5`, where the message begins with one.
    pub fn position(&self) -> Option<&str> {
        let (start, _) = self.message.split_once(": ")?;
        let (_, line) = start.rsplit_once(':')?;
        line.parse::<u32>().is_ok().then_some(start)
    }
}

/// Whether Ctrl-C ended a wait of Lua's own library (`io.lines` at a terminal), which has one text for it.
fn is_wait_that_was_ended(cause: &mlua::Error) -> bool {
    let ended = |text: &String| text.lines().next().is_some_and(|line| line.ends_with("Interrupted system call"));
    cancel::requested() && matches!(cause, mlua::Error::RuntimeError(text) if ended(text))
}

/// An error without what mlua wrapped around it.
struct Unwrapped<'a> {
    cause: &'a mlua::Error,
    /// Each callback that an error crosses wraps it once more; the innermost traceback is the longest one.
    frames: Vec<String>,
    contexts: Vec<String>,
}

fn unwrap(error: &mlua::Error) -> Unwrapped<'_> {
    let mut unwrapped = Unwrapped { cause: error, frames: Vec::new(), contexts: Vec::new() };
    loop {
        match unwrapped.cause {
            mlua::Error::CallbackError { traceback, cause } => {
                unwrapped.frames = parse_traceback(traceback);
                unwrapped.cause = cause;
            }
            mlua::Error::WithContext { context, cause } => {
                unwrapped.contexts.push(context.clone());
                unwrapped.cause = cause;
            }
            _ => return unwrapped,
        }
    }
}

/// The engine's error inside one of mlua's, where there is one.
pub fn engine_error(error: &mlua::Error) -> Option<&Error> {
    unwrap(error).cause.downcast_ref::<Error>()
}

/// The lines of a script's function that the engine called, then those that led to the engine. On one Lua stack the
/// former end with the latter already.
fn joined(inner: &[String], outer: &[String]) -> Vec<String> {
    match inner.ends_with(outer) {
        true => inner.to_vec(),
        false => [inner, outer].concat(),
    }
}

thread_local! {
    /// The text of the last error that left a coroutine through `coroutine.wrap`, and the lines that led to it.
    static COROUTINE: RefCell<(String, Vec<String>)> = const { RefCell::new((String::new(), Vec::new())) };
}

/// Whether an error ends a pruned trial.
pub fn is_pruned(error: &mlua::Error) -> bool {
    engine_error(error).is_some_and(Error::is_pruned)
}

/// Remembers the lines of a coroutine that ends with an error, because its own traceback is gone once it is closed.
/// `text` is the error's; `inside` and `outside` are the tracebacks of the coroutine and of what resumed it.
pub fn remember_coroutine(text: &str, inside: &str, outside: &str) {
    let message = split_hint(text).0;
    let mut lines = lines_through_coroutines(&message).unwrap_or_else(|| parse_traceback(inside));
    lines.extend(parse_traceback(outside));
    COROUTINE.set((message, lines));
}

fn lines_through_coroutines(message: &str) -> Option<Vec<String>> {
    COROUTINE.with_borrow(|(known, lines)| (!lines.is_empty() && message == known).then(|| lines.clone()))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.interrupted {
            return write!(f, "affine: interrupted");
        }
        write!(f, "affine: {}", self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {hint}")?;
        }
        if !self.traceback.is_empty() {
            write!(f, "\ntraceback:")?;
            for frame in &shortened(&self.traceback) {
                write!(f, "\n  {frame}")?;
            }
        }
        Ok(())
    }
}

/// An engine error on its way into Lua.
pub fn raise(error: Error) -> mlua::Error {
    mlua::Error::external(error)
}

/// A Lua error on its way into the engine, as when an environment's `step` raises.
pub fn lower(error: &mlua::Error) -> Error {
    let report = Report::new(error);
    match report.interrupted {
        true => Error::Interrupted,
        false => Error::Script { message: report.message, hint: report.hint, trace: report.traceback },
    }
}

thread_local! {
    static GUARDED: Cell<usize> = const { Cell::new(0) };
}

/// Whether a panic with this text is libtorch refusing something inside [`guard`], so that it will become an ordinary
/// error and the panic hook has nothing to say to the user.
pub fn is_refusal(text: &str) -> bool {
    GUARDED.get() > 0 && refused(text).is_some()
}

/// Runs engine code for Lua. What libtorch refuses inside an infallible call of tch is a panic there; it becomes an
/// ordinary error here. Any other panic is a bug and goes on: no `pcall` may mistake it for a failed reward.
pub fn guard<T>(f: impl FnOnce() -> engine::Result<T>) -> mlua::Result<T> {
    attempt(f).map_err(raise)
}

/// As [`guard`]; an option that the engine refuses is told with the function's name in front.
pub fn guard_in<T>(function: &str, f: impl FnOnce() -> engine::Result<T>) -> mlua::Result<T> {
    attempt(f).map_err(|error| raise(named(function, error)))
}

/// An option's error with the function's name in front; any other tells where it is by itself.
pub fn named(function: &str, error: Error) -> Error {
    match error {
        Error::Option { .. } | Error::Unknown { .. } => error.within(function),
        other => other,
    }
}

/// As [`guard`], for an error that is not on its way into Lua yet.
pub fn attempt<T>(f: impl FnOnce() -> engine::Result<T>) -> engine::Result<T> {
    struct Depth;
    impl Drop for Depth {
        fn drop(&mut self) {
            GUARDED.set(GUARDED.get() - 1);
        }
    }
    GUARDED.set(GUARDED.get() + 1);
    let depth = Depth;
    let outcome = refusal::attempt(f);
    drop(depth);
    outcome
}

/// The sentence for an error that did not come from Lua code, and its hint.
fn describe(error: &mlua::Error) -> (String, Option<String>) {
    if let Some(error) = error.downcast_ref::<Error>() {
        return (error.to_string(), error.hint().map(str::to_string));
    }
    let message = match error {
        mlua::Error::RuntimeError(text) | mlua::Error::MemoryError(text) => return split_hint(&readable(text)),
        mlua::Error::UserDataDestructed | mlua::Error::CallbackDestructed => "this handle was closed".to_string(),
        mlua::Error::UserDataBorrowError | mlua::Error::UserDataBorrowMutError => {
            "this handle is in use by the call that led here".to_string()
        }
        mlua::Error::BadArgument { to, name: Some(name), .. } if name == "self" => {
            let function =
                to.as_deref().unwrap_or("this method").replace('.', ":").replace("Handle", "").to_lowercase();
            let hint = "call a method with a colon: handle:method()".to_string();
            return (format!("{function}: not called on a handle of its type"), Some(hint));
        }
        mlua::Error::BadArgument { to, pos, cause, .. } => {
            let function = to.as_deref().map(|name| format!("{name}: ")).unwrap_or_default();
            format!("{function}argument {pos}: {}", describe(cause).0)
        }
        mlua::Error::FromLuaConversionError { from, to, .. } => format!("expected {to}, got {from}"),
        other => other.to_string(),
    };
    (message, None)
}

/// What `error {}` leaves of a table is its address, and of nothing "nil".
fn readable(message: &str) -> String {
    match message {
        "nil" => "an error without a message".to_string(),
        text if text.starts_with("table: 0x") => "the error is a table without __tostring".to_string(),
        text => text.to_string(),
    }
}

fn split_hint(text: &str) -> (String, Option<String>) {
    match text.split_once(HINT) {
        Some((message, hint)) => (message.to_string(), Some(hint.to_string())),
        None => (text.to_string(), None),
    }
}

/// The frames of a Lua traceback that have a line, without those of the host's own prelude and of mlua's. Where Lua left
/// some out, `...` says how many. A module of the library may be the native one with additions, and Lua names its
/// functions by the one or the other, as its tables happen to lie in memory: users know one name.
fn parse_traceback(text: &str) -> Vec<String> {
    let ours = |line: &str| line.starts_with("[host]") || line.starts_with("__mlua_");
    let shown = |line: &&str| line.starts_with("...") || (position(line).is_some() && !ours(line));
    let named = |line: &str| line.replace('\t', " ").replace("'affine.native.", "'affine.");
    text.lines().map(str::trim).filter(shown).map(named).collect()
}

/// More equal lines than this in a row become one, as recursion makes them.
const REPEATS: usize = 3;

/// A traceback for people.
fn shortened(traceback: &[String]) -> Vec<String> {
    let runs = traceback.chunk_by(|a, b| a == b);
    let short = |run: &[String]| match run.len() {
        ..=REPEATS => run.to_vec(),
        times => vec![format!("{} ({times} times)", run[0])],
    };
    runs.flat_map(short).collect()
}

/// `file:line` of one frame (`file:line: in function 'f'`).
fn position(frame: &str) -> Option<&str> {
    let (position, _) = frame.split_once(": in ")?;
    let (_, line) = position.rsplit_once(':')?;
    line.parse::<u32>().is_ok().then_some(position)
}

/// Puts the script's line in front: the innermost frame that is the user's, else the innermost at all.
fn located(frames: &[String], message: &str) -> String {
    let user = frames.iter().find(|frame| !frame.starts_with("affine:"));
    match user.or(frames.first()).and_then(|frame| position(frame)) {
        Some(position) => format!("{position}: {message}"),
        None => message.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    #[test]
    fn a_tch_panic_becomes_libtorchs_first_sentence() {
        let error = guard::<()>(|| {
            panic!(
                "called `Result::unwrap()` on an `Err` value: Torch(\"mat1 and mat2 shapes cannot be multiplied (2x3 \
                 and 2x3)\\nException raised from meta at x.cpp:1\")"
            )
        });
        let message = Report::new(&error.unwrap_err()).message;
        assert_eq!(message, "mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)");
    }

    #[test]
    fn any_other_panic_goes_on() {
        assert!(catch_unwind(|| guard::<()>(|| panic!("index out of bounds"))).is_err());
        assert!(!is_refusal("index out of bounds"));
    }

    #[test]
    fn the_lines_of_a_script_that_the_engine_called_come_first() {
        let lines = |text: &str| text.split(' ').map(str::to_string).collect::<Vec<_>>();
        assert_eq!(joined(&lines("step main"), &lines("main")), lines("step main"));
        assert_eq!(joined(&lines("worker"), &lines("main")), lines("worker main"));
    }

    #[test]
    fn the_position_is_the_users_line_not_the_stdlibs() {
        let trace = "stack traceback:\n\t[C]: in function 'f'\n\t__mlua_index:31: in metamethod 'index'\n\taffine:env.lua:12: in function 'affine.env.define'\n\t\
                     scripts/x.lua:3: in main chunk\n\t[C]: in ?";
        let frames = parse_traceback(trace);
        assert_eq!(frames, ["affine:env.lua:12: in function 'affine.env.define'", "scripts/x.lua:3: in main chunk"]);
        assert_eq!(located(&frames, "boom"), "scripts/x.lua:3: boom");
    }
}
