//! Checks a script without running it: its form, the globals it uses, the names it takes from `affine`.
//!
//! What exists is read from a live state, so that no list has to be kept: the globals, the fields of Lua's own
//! libraries, the modules and their functions. Handles' methods are not checked: what a name holds is not always known.
//! The comments by which a language server is told to pass over a line (`---@diagnostic disable-next-line`) hold here too.

mod lexer;
mod scan;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::path::Path;

use mlua::chunk::Chunk;
use mlua::{Function, Lua, Table, Value};

use super::report::Report;
use super::strict::unknown;
use super::{chunk, require, state};
use crate::engine::utf8;
use scan::Kind;

/// Whether a finding makes the check fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Error,
    Warning,
}

/// A mistake, or what looks like one, with its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub level: Level,
    /// `scripts/x.lua:5`
    pub place: String,
    pub message: String,
}

/// Knows what a script can use.
pub struct Checker {
    lua: Lua,
    globals: HashSet<String>,
    /// What stands behind a path (`string`, `affine.tensor`), once it was asked for.
    known: RefCell<HashMap<String, Known>>,
}

/// What stands behind a path.
#[derive(Clone)]
enum Known {
    Nothing,
    /// Something whose fields are not known.
    Value,
    /// A table that has these fields alone.
    Table(Vec<String>),
}

impl Checker {
    pub fn new() -> mlua::Result<Self> {
        let lua = state(Path::new(""))?;
        let mut globals: HashSet<String> = names(&lua.globals()).into_iter().collect();
        // What a running script finds beside the libraries.
        globals.extend(["arg", "_ENV"].map(str::to_string));
        Ok(Checker { lua, globals, known: RefCell::default() })
    }

    /// What is wrong with `code`, by line. `name` stands in front of each line's number.
    pub fn check(&self, code: &[u8], name: &str) -> Vec<Finding> {
        if let Err(error) = chunk::load(&self.lua, code, &format!("@{name}")).and_then(Chunk::into_function) {
            let report = Report::new(&error);
            let rest = report.message.strip_prefix(&format!("{name}:")).unwrap_or(&report.message);
            let (place, message) = match rest.split_once(": ").filter(|(line, _)| line.parse::<usize>().is_ok()) {
                Some((line, message)) => (format!("{name}:{line}"), message),
                None => (name.to_string(), rest.trim_start()),
            };
            let message = message.to_string();
            return vec![Finding { level: Level::Error, place, message }];
        }
        let code = String::from_utf8_lossy(utf8::without_mark(code));
        let silenced = silenced(&code);
        scan::uses(&code, &|path| self.fields(path).is_some())
            .into_iter()
            .filter(|found| !silenced.contains(&found.line))
            .filter_map(|found| {
                let (level, message) = self.judge(&found.kind)?;
                Some(Finding { level, place: format!("{name}:{}", found.line), message })
            })
            .collect()
    }

    fn judge(&self, kind: &Kind) -> Option<(Level, String)> {
        match kind {
            Kind::Read(name) if !self.globals.contains(name) => {
                let known: Vec<String> = self.globals.iter().cloned().collect();
                Some((Level::Error, unknown("unknown", "global", name, &known).to_string()))
            }
            Kind::Assigned(name) if !self.globals.contains(name) => {
                let message = format!("`{name}` becomes a global of every file; was `local {name}` meant?");
                Some((Level::Warning, message))
            }
            Kind::Required(name) if is_own(name) && matches!(self.behind(name), Known::Nothing) => {
                let module = name.strip_prefix("affine.").unwrap_or(name);
                Some((Level::Error, unknown("affine has no", "module", module, &require::modules()).to_string()))
            }
            Kind::Field(table, field) => {
                let known = self.fields(table).filter(|known| !known.contains(field))?;
                let noun = if table == "affine" { "module" } else { "field" };
                Some((Level::Error, unknown(&format!("{table} has no"), noun, field, &known).to_string()))
            }
            _ => None,
        }
    }

    /// The names in the table at `path`; `None` where no table is known by it.
    fn fields(&self, path: &str) -> Option<Vec<String>> {
        match self.behind(path) {
            Known::Table(names) => Some(names),
            _ => None,
        }
    }

    /// What `affine` has beside its modules, which are loaded when they are used.
    fn of_the_host(&self) -> Vec<String> {
        let affine = self.lua.load("return require('affine')").eval::<Table>();
        affine.map_or_else(|_| Vec::new(), |affine| names(&affine))
    }

    fn behind(&self, path: &str) -> Known {
        if let Some(known) = self.known.borrow().get(path) {
            return known.clone();
        }
        let known = self.look(path);
        self.known.borrow_mut().insert(path.to_string(), known.clone());
        known
    }

    fn look(&self, path: &str) -> Known {
        if path == "affine" {
            return Known::Table(self.of_the_host().into_iter().chain(require::modules()).collect());
        }
        let globals = self.lua.globals();
        let value = if is_own(path) {
            globals.get::<Function>("require").and_then(|require| require.call::<Value>(path))
        } else if LIBRARIES.contains(&path) {
            globals.get::<Value>(path)
        } else {
            // A table of the script's own making can have any field.
            return Known::Nothing;
        };
        match value {
            Ok(Value::Table(table)) => Known::Table(names(&table)),
            Ok(Value::Nil) | Err(_) => Known::Nothing,
            Ok(_) => Known::Value,
        }
    }
}

/// The lines of which a comment says that they are not to be judged.
fn silenced(code: &str) -> HashSet<usize> {
    let lines = code.lines().enumerate();
    lines
        .flat_map(|(index, line)| {
            let this = line.contains("---@diagnostic disable-line").then_some(index + 1);
            let next = line.contains("---@diagnostic disable-next-line").then_some(index + 2);
            this.into_iter().chain(next)
        })
        .collect()
}

/// Lua's libraries, as far as a script's state has them.
const LIBRARIES: [&str; 9] = ["coroutine", "debug", "io", "math", "os", "package", "string", "table", "utf8"];

fn is_own(name: &str) -> bool {
    name == "affine" || name.starts_with("affine.")
}

fn names(table: &Table) -> Vec<String> {
    table.pairs::<Value, Value>().filter_map(|pair| pair.ok()?.0.to_string().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(code: &str) -> Vec<String> {
        let checker = Checker::new().unwrap();
        checker.check(code.as_bytes(), "x.lua").into_iter().map(|f| format!("{}: {}", f.place, f.message)).collect()
    }

    #[test]
    fn every_mistake_has_its_line_and_the_nearest_right_name() {
        assert_eq!(complaints("local x = = 2"), ["x.lua:1: unexpected symbol near '='"]);
        assert_eq!(complaints("\npritn(1)"), ["x.lua:2: unknown global `pritn`, did you mean `print`?"]);
        assert_eq!(
            complaints("local t = require 'affine.tensor'\nt.zeross { 1 }"),
            ["x.lua:2: affine.tensor has no field `zeross`, did you mean `zeros`?"]
        );
        assert_eq!(
            complaints("local affine = require 'affine'\naffine.tensr.zeros { 1 }"),
            ["x.lua:2: affine has no module `tensr`, did you mean `tensor`?"]
        );
        assert_eq!(
            complaints("require 'affine.modle'"),
            ["x.lua:1: affine has no module `modle`, did you mean `model`?"]
        );
        assert_eq!(
            complaints("return string.foramt('')"),
            ["x.lua:1: string has no field `foramt`, did you mean `format`?"]
        );
        assert_eq!(complaints("x = 1 print(x)"), ["x.lua:1: `x` becomes a global of every file; was `local x` meant?"]);
    }

    #[test]
    fn what_a_script_can_use_is_no_mistake() {
        let code = "local a = require 'affine'\nprint(arg[0], a.version, a.env.make, _G, _ENV, debug.traceback)\n\
                    require 'affine.internal.suggest'.nearest('a', {})\nrequire 'affine.native.version'\n\
                    ---@diagnostic disable-next-line: undefined-global\nnothing()\n\
                    return require 'my.module'.anything";
        assert_eq!(complaints(code), Vec::<String>::new());
    }
}
