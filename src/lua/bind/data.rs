//! `affine.data`: files of records.

use mlua::{Lua, MultiValue, Table, Value};

use crate::engine::data::{self, Record};

use crate::lua::call::Call;
use crate::lua::{convert, report};

pub fn module(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.set("read", lua.create_function(read)?)?;
    table.set("rows", lua.create_function(rows)?)?;
    table.set("write", lua.create_function(write)?)?;
    Ok(table)
}

fn read(lua: &Lua, values: MultiValue) -> mlua::Result<Value> {
    let mut call = Call::new("data.read", values);
    let path = call.string("path")?;
    call.finish()?;
    let records = data::read(path).map_err(report::raise)?;
    convert::to_lua(lua, &serde_json::to_value(records).map_err(mlua::Error::external)?)
}

/// The rows, and the place of each.
fn rows(lua: &Lua, values: MultiValue) -> mlua::Result<(Value, Vec<String>)> {
    let mut call = Call::new("data.rows", values);
    let path = call.string("path")?;
    call.finish()?;
    let found = data::read_rows(&path).map_err(report::raise)?;
    let (origins, rows): (Vec<_>, Vec<_>) = found.into_iter().unzip();
    let places = origins.iter().map(|origin| origin.within(path.as_ref())).collect();
    Ok((convert::to_lua(lua, &serde_json::Value::Array(rows))?, places))
}

fn write(_: &Lua, values: MultiValue) -> mlua::Result<()> {
    let mut call = Call::new("data.write", values);
    let path = call.string("path")?;
    let records: Vec<Record> = call.list("records")?;
    call.finish()?;
    data::write(path, &records).map_err(report::raise)
}
