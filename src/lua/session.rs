//! A conversation with Lua: one piece of code after the other in the same state.

use std::path::Path;

use mlua::chunk::Chunk;
use mlua::{Function, Lua, MultiValue};

use super::report::Report;
use super::{chunk, state, unsaved};
use crate::engine::cancel;

/// The name of what is typed, in messages.
const NAME: &str = "=input";

pub struct Session {
    lua: Lua,
}

/// What became of a piece of code.
pub enum Outcome {
    /// It ran, and its values were printed.
    Done,
    /// It ends too early to be run: more lines are wanted.
    Unfinished,
    Failed(Report),
}

impl Session {
    /// A new state, with `affine` as a global.
    pub fn new() -> Result<Self, Report> {
        let begin = || {
            let lua = state(Path::new(""))?;
            let affine = lua.globals().get::<Function>("require")?.call::<mlua::Value>("affine")?;
            lua.globals().set("affine", affine)?;
            Ok(Session { lua })
        };
        begin().map_err(|error| Report::new(&error))
    }

    /// Runs `code` as an expression whose values are printed, or else as statements.
    pub fn run(&self, code: &str) -> Outcome {
        let expression = format!("return {code}");
        let function = match chunk::load(&self.lua, expression.as_bytes(), NAME).and_then(Chunk::into_function) {
            Ok(function) => function,
            Err(_) => match chunk::load(&self.lua, code.as_bytes(), NAME).and_then(Chunk::into_function) {
                Ok(function) => function,
                Err(mlua::Error::SyntaxError { incomplete_input: true, .. }) => return Outcome::Unfinished,
                Err(error) => return Outcome::Failed(Report::new(&error)),
            },
        };
        match function.call::<MultiValue>(()).and_then(|values| self.print(values)) {
            Ok(()) => Outcome::Done,
            Err(error) => {
                if cancel::requested() {
                    unsaved::save_all(&self.lua);
                }
                Outcome::Failed(Report::new(&error))
            }
        }
    }

    fn print(&self, values: MultiValue) -> mlua::Result<()> {
        if values.is_empty() {
            return Ok(());
        }
        self.lua.globals().get::<Function>("print")?.call(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_that_ends_too_early_is_told_from_code_that_is_wrong() {
        let session = Session::new().unwrap();
        for unfinished in ["for i = 1, 3 do", "f(", "x = [[a", "function g()\n"] {
            assert!(matches!(session.run(unfinished), Outcome::Unfinished), "{unfinished}");
        }
        assert!(matches!(session.run("x = = 1"), Outcome::Failed(_)));
        assert!(matches!(session.run("x = 1"), Outcome::Done));
        assert!(matches!(session.run("local here = assert(x == 1 and affine.version)"), Outcome::Done));
        let Outcome::Failed(report) = session.run("\nerror 'boom'") else { panic!("it failed") };
        assert_eq!(report.message, "input:2: boom");
    }
}
