//! `env.make("abd")`: a Lua function among its options may invent the inputs.

use std::rc::Rc;

use mlua::{Function, Table, Value};
use serde::Deserialize;

use crate::engine::env::Environment;
use crate::engine::env::abd::{Abd, Build, Example, Inventor};
use crate::engine::{Error, Result};
use crate::lua::kind::kind;
use crate::lua::options::{self, Options};
use crate::lua::report;

/// What stands beside the options that ABD shares with DED.
#[derive(Default, Deserialize)]
#[serde(default)]
struct BuildOption {
    build: Name,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Name {
    V1,
    #[default]
    V2,
}

pub fn make(function: &str, table: Option<Table>) -> mlua::Result<Box<dyn Environment>> {
    let (build, rest) = match table {
        None => (Build::V2, None),
        Some(table) => {
            let lua = table.weak_lua().upgrade();
            let mut options = Options::new(&lua, function.to_string(), Some(table))?;
            let invent = options.take_function("invent")?;
            let BuildOption { build } = options.take_struct(&["build"])?;
            let build = match (build, invent) {
                (Name::V2, None) => Build::V2,
                (Name::V1, Some(invent)) => Build::V1(Rc::new(LuaInventor { invent })),
                (Name::V1, None) => {
                    let expected = "a function that gives a text with a new input between INPUT tags";
                    return Err(options.reject(Error::option("invent", expected, "nothing beside build = \"v1\"")));
                }
                (Name::V2, Some(_)) => {
                    return Err(options.reject(Error::option("build", "\"v1\" beside `invent`", "\"v2\"")));
                }
            };
            (build, Some(options.read()?))
        }
    };
    let abd = Abd::new(&rest.unwrap_or_default(), build).map_err(|error| options::reject(function, error))?;
    Ok(Box::new(abd))
}

struct LuaInventor {
    invent: Function,
}

impl Inventor for LuaInventor {
    fn invent(&self, example: &Example<'_>) -> Result<String> {
        let Example { program, inputs, output, attempt } = *example;
        match self.invent.call((program, inputs, output, attempt)) {
            Ok(Value::String(text)) => Ok(text.to_string_lossy()),
            Ok(other) => {
                let problem = format!("invent: expected a text with an input between INPUT tags, got {}", kind(&other));
                Err(Error::environment("abd", problem))
            }
            Err(error) => Err(report::lower(&error).within("invent")),
        }
    }
}
