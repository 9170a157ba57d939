//! Trials as tables.

use mlua::{Lua, Table, Value};

use crate::engine::sweep::clones::cloned_from;
use crate::engine::sweep::trial::external;
use crate::engine::sweep::{Distribution, TrialRecord, as_number};
use crate::lua::convert;

/// `{ number =, state =, params =, value =, values =, reports =, attrs =, started =, finished =, retry_of =, cloned_from = }`
pub fn trial(lua: &Lua, record: &TrialRecord) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set("number", record.number)?;
    table.raw_set("state", record.state.name())?;
    table.raw_set("params", params(lua, record)?)?;
    table.raw_set("value", record.value())?;
    table.raw_set("values", record.values.clone())?;
    table.raw_set("reports", lua.create_table_from(record.reports.iter().map(|(step, value)| (*step, *value)))?)?;
    table.raw_set("attrs", json(lua, &serde_json::Value::Object(record.user_attrs.clone()))?)?;
    table.raw_set("started", record.started.clone())?;
    table.raw_set("finished", record.finished.clone())?;
    table.raw_set("retry_of", record.retry_of())?;
    table.raw_set("cloned_from", cloned_from(record))?;
    Ok(table)
}

pub fn trials<'a>(lua: &Lua, records: impl Iterator<Item = &'a TrialRecord>) -> mlua::Result<Table> {
    let tables: mlua::Result<Vec<Table>> = records.map(|record| trial(lua, record)).collect();
    lua.create_sequence_from(tables?)
}

/// The parameters by name.
pub fn params(lua: &Lua, record: &TrialRecord) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    for parameter in &record.parameters {
        table.raw_set(parameter.name.as_str(), json(lua, &external(parameter))?)?;
    }
    Ok(table)
}

/// A value within the study as the script sees it.
pub fn value(lua: &Lua, distribution: &Distribution, value: f64) -> mlua::Result<Value> {
    match distribution {
        Distribution::Float { .. } => Ok(Value::Number(value)),
        _ => json(lua, &distribution.external(value)),
    }
}

/// JSON of a journal, in which Optuna writes numbers that JSON lacks.
fn json(lua: &Lua, value: &serde_json::Value) -> mlua::Result<Value> {
    with_numbers(value, convert::to_lua(lua, value)?)
}

/// What was made of a value, with those numbers in place of the texts that stand for them.
fn with_numbers(value: &serde_json::Value, made: Value) -> mlua::Result<Value> {
    match (value, &made) {
        (serde_json::Value::Array(items), Value::Table(table)) => {
            for (item, place) in items.iter().zip(1..) {
                table.raw_set(place, with_numbers(item, table.raw_get(place)?)?)?;
            }
        }
        (serde_json::Value::Object(fields), Value::Table(table)) => {
            for (name, field) in fields {
                table.raw_set(name.as_str(), with_numbers(field, table.raw_get(name.as_str())?)?)?;
            }
        }
        (serde_json::Value::String(_), _) => return Ok(as_number(value).map_or(made, Value::Number)),
        _ => {}
    }
    Ok(made)
}
