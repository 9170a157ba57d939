//! One shape for every error that a script meets: a message with the script's line, a hint, one Lua traceback.
//!
//! Bindings raise engine errors with [`raise`]; mlua carries them through Lua as opaque values. Wherever a script can
//! get hold of one (`pcall` and friends, see `prelude.lua`) it becomes the string of [`Report::text`], so that
//! `tostring`, `..` and `:find` work as on any Lua error. The hint is that string's second line rather than something
//! remembered on the side: it survives being rethrown, joined to other text and logged.

use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::engine::error::first_sentence;
use crate::engine::{self, Error};

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
        // Each callback that an error crosses wraps it once more; the innermost traceback is the longest one.
        let (mut cause, mut frames, mut contexts) = (error, Vec::new(), Vec::new());
        loop {
            match cause {
                mlua::Error::CallbackError { traceback, cause: inner } => {
                    frames = parse_traceback(traceback);
                    cause = inner;
                }
                mlua::Error::WithContext { context, cause: inner } => {
                    contexts.push(context.clone());
                    cause = inner;
                }
                _ => break,
            }
        }
        let interrupted = cause.downcast_ref::<Error>().is_some_and(Error::is_interrupted);
        let (message, hint) = match cause {
            mlua::Error::RuntimeError(text) | mlua::Error::MemoryError(text) if text.contains(TRACEBACK) => {
                let (message, traceback) = text.split_once(TRACEBACK).unwrap_or((text, ""));
                frames = parse_traceback(traceback);
                split_hint(&readable(message))
            }
            // Lua names the file and the line of a syntax error itself.
            mlua::Error::SyntaxError { message, .. } => (message.clone(), None),
            other => {
                let (message, hint) = describe(other);
                (located(&frames, &message), hint)
            }
        };
        let message = contexts.into_iter().rev().fold(message, |message, context| format!("{context}: {message}"));
        Report { message, hint, traceback: frames, interrupted }
    }

    /// The error as a Lua string: the message, and the hint on a line of its own.
    pub fn text(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{}{HINT}{hint}", self.message),
            None => self.message.clone(),
        }
    }
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
            for frame in &self.traceback {
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
        false => Error::Message { message: report.message, hint: report.hint },
    }
}

thread_local! {
    static GUARDED: Cell<usize> = const { Cell::new(0) };
}

/// Whether a panic on this thread would be caught by [`guard`]: the panic hook then has nothing to say to the user.
pub fn is_guarded() -> bool {
    GUARDED.get() > 0
}

/// Runs engine code for Lua. What libtorch refuses inside an infallible call of tch is a panic there; it becomes an
/// ordinary error here.
pub fn guard<T>(f: impl FnOnce() -> engine::Result<T>) -> mlua::Result<T> {
    struct Depth;
    impl Drop for Depth {
        fn drop(&mut self) {
            GUARDED.set(GUARDED.get() - 1);
        }
    }
    GUARDED.set(GUARDED.get() + 1);
    let depth = Depth;
    let outcome = catch_unwind(AssertUnwindSafe(f));
    drop(depth);
    match outcome {
        Ok(result) => result.map_err(raise),
        Err(payload) => Err(raise(from_panic(&panic_text(payload.as_ref())))),
    }
}

/// The text of a panic's payload.
pub fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => text.to_string(),
        (_, Some(text)) => text.clone(),
        _ => "a panic without a text".to_string(),
    }
}

/// tch unwraps: `called `Result::unwrap()` on an `Err` value: Torch("the text, escaped")`.
fn from_panic(text: &str) -> Error {
    let refused = text.split_once("on an `Err` value: ").and_then(|(_, value)| {
        let (_, quoted) = value.split_once("(\"")?;
        quoted.rsplit_once("\")").map(|(quoted, _)| quoted)
    });
    match refused {
        Some(quoted) => {
            let plain = quoted.replace("\\n", "\n").replace("\\\"", "\"").replace("\\'", "'").replace("\\\\", "\\");
            Error::Torch(first_sentence(&plain))
        }
        None => {
            Error::hinted(format!("internal error: {text}"), "this is a bug in affine; RUST_BACKTRACE=1 tells where")
        }
    }
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
            let function = to.as_deref().unwrap_or("this method").replace('.', ":");
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

/// What `error {}` leaves of a table is its address.
fn readable(message: &str) -> String {
    match message.starts_with("table: 0x") {
        true => "the error is a table without __tostring".to_string(),
        false => message.to_string(),
    }
}

fn split_hint(text: &str) -> (String, Option<String>) {
    match text.split_once(HINT) {
        Some((message, hint)) => (message.to_string(), Some(hint.to_string())),
        None => (text.to_string(), None),
    }
}

/// The frames of a Lua traceback that have a line, without those of the host's own prelude and of mlua's.
fn parse_traceback(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && *line != "stack traceback:");
    let ours = |line: &&str| line.starts_with("[host]") || line.starts_with("__mlua_");
    let frames = lines.filter(|line| position(line).is_some() && !ours(line));
    frames.map(str::to_string).collect()
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
    use super::*;

    #[test]
    fn a_tch_panic_becomes_libtorchs_first_sentence() {
        let error = from_panic(
            "called `Result::unwrap()` on an `Err` value: Torch(\"mat1 and mat2 shapes cannot be multiplied (2x3 and \
             2x3)\\nException raised from meta at x.cpp:1\")",
        );
        assert_eq!(error.to_string(), "mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)");
    }

    #[test]
    fn any_other_panic_is_called_an_internal_error() {
        assert_eq!(from_panic("index out of bounds").to_string(), "internal error: index out of bounds");
    }

    #[test]
    fn the_position_is_the_users_line_not_the_stdlibs() {
        let trace = "stack traceback:\n\t[C]: in function 'f'\n\t__mlua_index:31: in metamethod 'index'\n\taffine:env.lua:12: in function 'affine.env.define'\n\t\
                     scripts/x.lua:3: in main chunk\n\t[C]: in ?";
        let frames = parse_traceback(trace);
        assert_eq!(frames, ["affine:env.lua:12: in function 'affine.env.define'", "scripts/x.lua:3: in main chunk"]);
        assert_eq!(located(&frames, "boom"), "scripts/x.lua:3: boom");
    }

    #[test]
    fn guard_catches_a_panic_and_says_so_while_it_runs() {
        let error = guard::<()>(|| {
            assert!(is_guarded());
            panic!("called `Result::unwrap()` on an `Err` value: Torch(\"no\")")
        });
        assert!(!is_guarded());
        assert_eq!(Report::new(&error.unwrap_err()).message, "no");
    }
}
