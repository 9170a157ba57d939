//! Trials as tables.

use mlua::{Lua, Table, Value};

use crate::engine::sweep::clones::cloned_from;
use crate::engine::sweep::trial::external;
use crate::engine::sweep::{Distribution, TrialRecord};
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
    table.raw_set("attrs", convert::to_lua(lua, &serde_json::Value::Object(record.user_attrs.clone()))?)?;
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
        table.raw_set(parameter.name.as_str(), convert::to_lua(lua, &external(parameter))?)?;
    }
    Ok(table)
}

/// A value within the study as the script sees it.
pub fn value(lua: &Lua, distribution: &Distribution, value: f64) -> mlua::Result<Value> {
    match distribution {
        Distribution::Float { .. } => Ok(Value::Number(value)),
        _ => convert::to_lua(lua, &distribution.external(value)),
    }
}
