//! `affine.json`: JSON text to Lua values and back, key order and integers kept.

use mlua::{Lua, LuaSerdeExt, MultiValue, Table, Value};
use serde::{Deserialize, Serialize};

use crate::engine::{Error, Result, utf8};
use crate::lua::call::Call;
use crate::lua::{convert, report};

pub fn module(lua: &Lua) -> mlua::Result<Table> {
    let json = lua.create_table()?;
    json.set("decode", lua.create_function(decode)?)?;
    json.set("encode", lua.create_function(encode)?)?;
    json.set("array", lua.create_function(array)?)?;
    json.set("null", Value::NULL)?;
    Ok(json)
}

fn decode(lua: &Lua, values: MultiValue) -> mlua::Result<Value> {
    let mut call = Call::new("json.decode", values);
    let text = call.bytes("text")?;
    call.finish()?;
    let value = parse(&text.as_bytes()).map_err(|error| call.reject(error))?;
    convert::to_lua(lua, &value)
}

fn encode(lua: &Lua, values: MultiValue) -> mlua::Result<String> {
    let mut call = Call::new("json.encode", values);
    let value = call.value("value")?;
    let format: Format = call.options()?;
    call.finish()?;
    let text = format.validate().and_then(|()| render(&convert::to_json(lua, &value)?, format.indent));
    text.map_err(|error| call.reject(error))
}

/// Marks a table as a list, so that it is encoded as one even when empty.
fn array(lua: &Lua, values: MultiValue) -> mlua::Result<Table> {
    let mut call = Call::new("json.array", values);
    let table = call.table("list")?;
    call.finish()?;
    if table.metatable().is_some_and(|metatable| metatable != lua.array_metatable()) {
        return Err(report::raise(Error::message("json.array: the table has a metatable of another kind")));
    }
    table.set_metatable(Some(lua.array_metatable()))?;
    Ok(table)
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Format {
    /// Spaces per level; without it everything is on one line.
    indent: Option<usize>,
}

impl Format {
    fn validate(&self) -> Result<()> {
        match self.indent {
            Some(indent) if indent > 16 => Err(Error::option("indent", "at most 16", indent)),
            _ => Ok(()),
        }
    }
}

fn parse(text: &[u8]) -> Result<serde_json::Value> {
    utf8::check(text).map_err(Error::message)?;
    serde_json::from_slice(utf8::without_mark(text)).map_err(|error| {
        let place = format!(" at line {} column {}", error.line(), error.column());
        let sentence = error.to_string();
        let problem = sentence.strip_suffix(&place).unwrap_or(&sentence);
        Error::message(format!("line {}, column {}: {problem}", error.line(), error.column()))
    })
}

fn render(value: &serde_json::Value, indent: Option<usize>) -> Result<String> {
    let Some(indent) = indent else {
        return Ok(value.to_string());
    };
    let spaces = " ".repeat(indent);
    let formatter = serde_json::ser::PrettyFormatter::with_indent(spaces.as_bytes());
    let mut text = Vec::new();
    let written = value.serialize(&mut serde_json::Serializer::with_formatter(&mut text, formatter));
    written.map_err(|error| Error::message(error.to_string()))?;
    String::from_utf8(text).map_err(|error| Error::message(error.to_string()))
}
