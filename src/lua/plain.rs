//! Plain data: what can cross from one Lua state to another. Numbers, strings, booleans, nil, `json.null`, and tables of
//! them.

use std::ffi::c_void;

use mlua::{Lua, LuaSerdeExt, Table, Value};

use super::kind::kind;
use super::{convert, report};
use crate::engine::{Error, Result};

/// Tables nested deeper than this are taken for a mistake.
const MAX_DEPTH: usize = 127;

#[derive(Debug, Clone, PartialEq)]
pub enum Plain {
    Nil,
    /// `json.null`
    Null,
    Boolean(bool),
    Integer(i64),
    Number(f64),
    String(Vec<u8>),
    Table(Vec<(Plain, Plain)>),
}

impl Plain {
    /// `place` names the value in the error for what is not plain (`argument 2`, `argument 2.callback`).
    pub fn from_lua(value: &Value, place: &str) -> Result<Self> {
        read(value, place, &mut Vec::new())
    }

    pub fn into_lua(self, lua: &Lua) -> mlua::Result<Value> {
        Ok(match self {
            Plain::Nil => Value::Nil,
            Plain::Null => lua.null(),
            Plain::Boolean(flag) => Value::Boolean(flag),
            Plain::Integer(n) => Value::Integer(n),
            Plain::Number(x) => Value::Number(x),
            Plain::String(bytes) => Value::String(lua.create_string(bytes)?),
            Plain::Table(entries) => {
                let table = lua.create_table_with_capacity(0, entries.len())?;
                for (key, value) in entries {
                    table.raw_set(key.into_lua(lua)?, value.into_lua(lua)?)?;
                }
                Value::Table(table)
            }
        })
    }
}

fn read(value: &Value, place: &str, above: &mut Vec<*const c_void>) -> Result<Plain> {
    Ok(match value {
        Value::Nil => Plain::Nil,
        Value::LightUserData(pointer) if pointer.0.is_null() => Plain::Null,
        Value::Boolean(flag) => Plain::Boolean(*flag),
        Value::Integer(n) => Plain::Integer(*n),
        Value::Number(x) => Plain::Number(*x),
        Value::String(text) => Plain::String(text.as_bytes().to_vec()),
        Value::Table(table) => {
            if above.contains(&table.to_pointer()) {
                return Err(Error::message(format!("{place}: the table contains itself")));
            }
            if above.len() >= MAX_DEPTH {
                return Err(Error::message(format!("{place}: tables nested deeper than {MAX_DEPTH}")));
            }
            above.push(table.to_pointer());
            let entries = entries(table, place, above)?;
            above.pop();
            Plain::Table(entries)
        }
        other => return Err(not_plain(place, kind(other))),
    })
}

fn entries(table: &Table, place: &str, above: &mut Vec<*const c_void>) -> Result<Vec<(Plain, Plain)>> {
    if convert::has_behaviour(table) {
        return Err(not_plain(place, "a table with a metatable"));
    }
    let mut entries = Vec::with_capacity(table.raw_len());
    for pair in table.pairs::<Value, Value>() {
        let (key, value) = pair.map_err(|error| report::lower(&error))?;
        let inner = match &key {
            Value::String(name) => format!("{place}.{}", name.to_string_lossy()),
            Value::Integer(n) => format!("{place}[{n}]"),
            _ => format!("{place}[…]"),
        };
        entries.push((read(&key, place, above)?, read(&value, &inner, above)?));
    }
    Ok(entries)
}

fn not_plain(place: &str, got: impl Into<String>) -> Error {
    let expected = "plain data (numbers, strings, booleans, tables of them), as nothing else crosses threads";
    Error::option(place, expected, got.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn across(code: &str) -> Result<String> {
        let (here, there) = (Lua::new(), Lua::new());
        let plain = Plain::from_lua(&here.load(code).eval::<Value>().unwrap(), "value")?;
        let show = "local function show(v) if type(v) ~= 'table' then return tostring(v) end local t = {} \
                    for k, x in pairs(v) do t[#t + 1] = tostring(k) .. '=' .. show(x) end table.sort(t) \
                    return '{' .. table.concat(t, ' ') .. '}' end return show(...)";
        Ok(there.load(show).call(plain.into_lua(&there).unwrap()).unwrap())
    }

    #[test]
    fn plain_data_arrives_as_it_was() {
        assert_eq!(across("{ 1, 2.5, 'a\\0b', true, x = { y = {} } }").unwrap(), "{1=1 2=2.5 3=a\0b 4=true x={y={}}}");
        assert_eq!(across("0/0").unwrap().trim_start_matches('-'), "nan");
    }

    #[test]
    fn anything_else_is_named_with_its_place() {
        let complaint = |code| across(code).unwrap_err().to_string();
        assert!(complaint("{ 1, { f = print } }").starts_with("value[2].f: expected plain data"));
        assert!(complaint("{ 1, { f = print } }").ends_with("got function"));
        assert_eq!(
            complaint("(function() local t = {}; t.t = t; return t end)()"),
            "value.t: the table contains itself"
        );
        assert!(complaint("setmetatable({}, { __index = {} })").ends_with("got a table with a metatable"));
    }
}
