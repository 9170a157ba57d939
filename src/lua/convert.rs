//! JSON values to Lua values and back.
//!
//! A Lua table forgets the order of its keys, JSON documents have one, and `{}` could be either of JSON's containers.
//! Tables made here therefore carry a metatable: decoded objects remember their keys in order, lists that they are
//! lists. Objects with the same keys share one, so a file of a million alike records costs no more than its data.

use std::collections::{HashMap, HashSet};
use std::ffi::c_void;

use mlua::{Lua, LuaSerdeExt, Table, Value};
use serde_json::{Map, Number};

use super::kind::kind;
use super::report;
use crate::engine::track::{Metric, Metrics};
use crate::engine::{Error, Result};

/// Lua tables nested deeper than this are refused; serde_json reads no deeper either.
const MAX_DEPTH: usize = 127;

/// The key of an object metatable that holds the key order.
const ORDER: &str = "json.keys";

/// A JSON value as a Lua value. `null` becomes `json.null`; an integer beyond 64 bits signed becomes a float.
pub fn to_lua(lua: &Lua, value: &serde_json::Value) -> mlua::Result<Value> {
    ToLua { lua, list: lua.array_metatable(), objects: HashMap::new() }.convert(value)
}

struct ToLua<'a> {
    lua: &'a Lua,
    list: Table,
    /// One metatable per sequence of keys.
    objects: HashMap<Vec<String>, Table>,
}

impl ToLua<'_> {
    fn convert(&mut self, value: &serde_json::Value) -> mlua::Result<Value> {
        Ok(match value {
            serde_json::Value::Null => Value::NULL,
            serde_json::Value::Bool(flag) => Value::Boolean(*flag),
            serde_json::Value::Number(number) => match number.as_i64() {
                Some(n) => Value::Integer(n),
                None => Value::Number(number.as_f64().unwrap_or(f64::NAN)),
            },
            serde_json::Value::String(text) => Value::String(self.lua.create_string(text)?),
            serde_json::Value::Array(items) => {
                let table = self.lua.create_table_with_capacity(items.len(), 0)?;
                for item in items {
                    table.raw_push(self.convert(item)?)?;
                }
                table.set_metatable(Some(self.list.clone()))?;
                Value::Table(table)
            }
            serde_json::Value::Object(fields) => {
                let table = self.lua.create_table_with_capacity(0, fields.len())?;
                for (key, field) in fields {
                    table.raw_set(key.as_str(), self.convert(field)?)?;
                }
                table.set_metatable(Some(self.object(fields)?))?;
                Value::Table(table)
            }
        })
    }

    fn object(&mut self, fields: &Map<String, serde_json::Value>) -> mlua::Result<Table> {
        let keys: Vec<String> = fields.keys().cloned().collect();
        if let Some(known) = self.objects.get(&keys) {
            return Ok(known.clone());
        }
        let metatable = self.lua.create_table()?;
        metatable.raw_set(ORDER, self.lua.create_sequence_from(keys.iter().map(String::as_str))?)?;
        self.objects.insert(keys, metatable.clone());
        Ok(metatable)
    }
}

/// What a Lua value becomes: each kind of value that JSON has. Integers and floats stay what they are.
pub trait Document: Sized + From<bool> + From<i64> + From<String> {
    fn null() -> Self;
    /// Nothing where it has no such number.
    fn float(value: f64) -> Option<Self>;
    fn list(items: Vec<Self>) -> Self;
    fn object(fields: Vec<(String, Self)>) -> Self;
    fn is_null(&self) -> bool;
}

impl Document for serde_json::Value {
    fn null() -> Self {
        serde_json::Value::Null
    }

    fn float(value: f64) -> Option<Self> {
        Number::from_f64(value).map(serde_json::Value::Number)
    }

    fn list(items: Vec<Self>) -> Self {
        serde_json::Value::Array(items)
    }

    fn object(fields: Vec<(String, Self)>) -> Self {
        serde_json::Value::Object(fields.into_iter().collect())
    }

    fn is_null(&self) -> bool {
        serde_json::Value::is_null(self)
    }
}

/// Of what is logged, NaN and infinity are numbers, too.
impl Document for Metric {
    fn null() -> Self {
        Metric::Null
    }

    fn float(value: f64) -> Option<Self> {
        Some(Metric::Float(value))
    }

    fn list(items: Vec<Self>) -> Self {
        Metric::List(items)
    }

    fn object(fields: Vec<(String, Self)>) -> Self {
        Metric::Nested(fields)
    }

    fn is_null(&self) -> bool {
        *self == Metric::Null
    }
}

/// A value as what is logged; `place` begins the paths in errors.
pub fn to_metric(lua: &Lua, value: &Value, place: &str) -> Result<Metric> {
    to_document(lua, value, place)
}

/// A table of names as what is logged; `place` begins the paths in errors.
pub fn to_metrics(lua: &Lua, table: Table, place: &str) -> Result<Metrics> {
    match to_metric(lua, &Value::Table(table), place)? {
        Metric::Nested(metrics) => Ok(metrics),
        _ => Err(Error::option(place, "a table with names", "a list")),
    }
}

/// A Lua value as JSON. A table is a list when it has list items or is marked as one, else an object: its keys in the
/// order in which they were decoded, then the others sorted. Errors name the path of what JSON has no form for.
pub fn to_json(lua: &Lua, value: &Value) -> Result<serde_json::Value> {
    to_json_at(lua, value, "")
}

/// As [`to_json`]; the paths in errors begin with `place`.
pub fn to_json_at(lua: &Lua, value: &Value, place: &str) -> Result<serde_json::Value> {
    to_document(lua, value, place)
}

fn to_document<D: Document>(lua: &Lua, value: &Value, place: &str) -> Result<D> {
    FromLua { list: lua.array_metatable(), above: HashSet::new() }.convert(value, place)
}

struct FromLua {
    list: Table,
    /// The tables that contain the current one.
    above: HashSet<*const c_void>,
}

impl FromLua {
    fn convert<D: Document>(&mut self, value: &Value, path: &str) -> Result<D> {
        let at = || if path.is_empty() { "the value".to_string() } else { path.to_string() };
        match value {
            Value::Nil => Ok(D::null()),
            Value::LightUserData(pointer) if pointer.0.is_null() => Ok(D::null()),
            Value::Boolean(flag) => Ok((*flag).into()),
            Value::Integer(n) => Ok((*n).into()),
            Value::Number(x) => D::float(*x).ok_or_else(|| Error::option(at(), "a finite number", x)),
            Value::String(text) => match text.to_str() {
                Ok(text) => Ok(text.to_string().into()),
                Err(_) => Err(Error::option(at(), "UTF-8 text", "a string of other bytes")),
            },
            Value::Table(table) => {
                if self.above.len() >= MAX_DEPTH {
                    return Err(Error::message(format!("{}: tables nested deeper than {MAX_DEPTH}", at())));
                }
                if !self.above.insert(table.to_pointer()) {
                    return Err(Error::message(format!("{}: the table contains itself", at())));
                }
                let converted = self.table(table, path, &at());
                self.above.remove(&table.to_pointer());
                converted
            }
            other => Err(Error::option(at(), "a value that JSON has", kind(other))),
        }
    }

    fn table<D: Document>(&mut self, table: &Table, path: &str, at: &str) -> Result<D> {
        let metatable = table.metatable();
        let length = table.raw_len();
        if length > 0 || metatable.as_ref() == Some(&self.list) {
            let mut items: Vec<D> = Vec::with_capacity(length);
            for item in 1..=length {
                let value: Value = table.raw_get(item).map_err(|error| report::lower(&error))?;
                items.push(self.convert(&value, &format!("{path}[{item}]"))?);
            }
            let entries = table.pairs::<Value, Value>().count();
            if entries != items.iter().filter(|item| !item.is_null()).count()
                && table
                    .pairs::<Value, Value>()
                    .any(|pair| !matches!(pair, Ok((Value::Integer(n), _)) if (1..=length as i64).contains(&n)))
            {
                return Err(Error::message(format!("{at}: expected a list or names as keys, got both")));
            }
            return Ok(D::list(items));
        }
        let mut fields = HashMap::new();
        for pair in table.pairs::<Value, Value>() {
            match pair.map_err(|error| report::lower(&error))? {
                (Value::String(key), value) => fields.insert(key.to_string_lossy(), value),
                (key, _) => return Err(Error::option(at, "a list without holes or names as keys", key_text(&key))),
            };
        }
        let remembered: Option<Vec<String>> = metatable.and_then(|metatable| metatable.raw_get(ORDER).ok().flatten());
        let mut rest: Vec<String> = fields.keys().cloned().collect();
        rest.sort();
        let mut object = Vec::with_capacity(fields.len());
        for key in remembered.into_iter().flatten().chain(rest) {
            if let Some(value) = fields.remove(&key) {
                let child = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                object.push((key, self.convert(&value, &child)?));
            }
        }
        Ok(D::object(object))
    }
}

/// Whether a table is more than data: it has a metatable that is not one of those made here.
pub fn has_behaviour(table: &Table) -> bool {
    let lua = table.weak_lua().upgrade();
    table.metatable().is_some_and(|metatable| {
        metatable != lua.array_metatable() && !matches!(metatable.raw_get::<Value>(ORDER), Ok(Value::Table(_)))
    })
}

fn key_text(key: &Value) -> String {
    match key {
        Value::Integer(n) => format!("the key {n}"),
        Value::Number(x) => format!("the key {x}"),
        other => format!("a {} as key", kind(other)),
    }
}
