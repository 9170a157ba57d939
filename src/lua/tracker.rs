//! A tracker that a script wrote: a table of functions; and the end of runs where a script ends the process.

use mlua::{Function, Lua, Table, Value};

use super::{convert, report};
use crate::engine::track::{Metric, Metrics, Place, Tracker, wandb};
use crate::engine::{Error, Result};

/// Puts `host.end_runs(exit_code)` into `host`, for `prelude.lua`.
pub fn install(lua: &Lua, host: &Table) -> mlua::Result<()> {
    host.set(
        "end_runs",
        lua.create_function(|_, exit_code: i32| {
            wandb::end_all(exit_code);
            Ok(())
        })?,
    )
}

/// What a table of a tracker may have.
const FUNCTIONS: [&str; 3] = ["log", "summary", "finish"];

#[derive(Debug)]
pub struct LuaTracker {
    /// What the script gave.
    table: Table,
    log: Function,
    summary: Option<Function>,
    finish: Option<Function>,
}

impl LuaTracker {
    /// `place`: where the table stands, for messages.
    pub fn new(table: &Table, place: &str) -> Result<LuaTracker> {
        for pair in table.pairs::<Value, Value>() {
            let (key, _) = pair.map_err(|error| report::lower(&error))?;
            let name = key.to_string().unwrap_or_default();
            if !FUNCTIONS.contains(&name.as_str()) {
                return Err(Error::option(place, "the functions log, summary, finish", format!("`{name}`")));
            }
        }
        let function = |name: &str| match table.raw_get(name) {
            Ok(Value::Nil) => Ok(None),
            Ok(Value::Function(function)) => Ok(Some(function)),
            _ => Err(Error::option(format!("{place}.{name}"), "a function", "something else")),
        };
        let log = function("log")?.ok_or_else(|| Error::option(format!("{place}.log"), "a function", "nil"))?;
        Ok(LuaTracker { table: table.clone(), log, summary: function("summary")?, finish: function("finish")? })
    }

    fn given(&self, metrics: &Metrics) -> mlua::Result<Value> {
        to_lua(&self.table.weak_lua().upgrade(), &Metric::Nested(metrics.clone()))
    }
}

impl Tracker for LuaTracker {
    fn log(&mut self, place: &Place, metrics: &Metrics) -> Result<()> {
        let mut numbers = metrics.clone();
        if !place.stage.is_empty() {
            numbers.push(("stage".to_string(), Metric::Text(place.stage.clone())));
        }
        let call = || self.log.call::<()>((place.step, self.given(&numbers)?));
        call().map_err(|error| report::lower(&error))
    }

    fn summary(&mut self, results: &Metrics) -> Result<()> {
        let Some(summary) = &self.summary else { return Ok(()) };
        let call = || summary.call::<()>(self.given(results)?);
        call().map_err(|error| report::lower(&error))
    }

    fn finish(&mut self, exit_code: i32) -> Result<()> {
        let Some(finish) = &self.finish else { return Ok(()) };
        finish.call::<()>(exit_code).map_err(|error| report::lower(&error))
    }
}

/// What was logged as a Lua value; what is not there is nil, NaN is a number.
fn to_lua(lua: &Lua, metric: &Metric) -> mlua::Result<Value> {
    match metric {
        Metric::Float(value) => Ok(Value::Number(*value)),
        Metric::Null => Ok(Value::Nil),
        Metric::Nested(items) => {
            let table = lua.create_table()?;
            for (name, item) in items {
                table.raw_set(name.as_str(), to_lua(lua, item)?)?;
            }
            Ok(Value::Table(table))
        }
        Metric::List(items) => {
            let items: mlua::Result<Vec<Value>> = items.iter().map(|item| to_lua(lua, item)).collect();
            Ok(Value::Table(lua.create_sequence_from(items?)?))
        }
        other => convert::to_lua(lua, &other.to_value()),
    }
}
