//! The native modules, one file each: convert, call the engine, convert. `ALL` is the table of contents.

mod env;
mod eval;
mod fs;
mod host;
mod json;
mod log;
mod model;
mod path;
mod plan;
pub mod random;
mod rollout;
pub mod tensor;
mod time;
mod tokenizer;
mod track;
mod trainer;

use mlua::{Lua, Table, Value};
use serde::de::DeserializeOwned;

use super::{convert, report};
use crate::engine::Error;

type Module = fn(&Lua) -> mlua::Result<Table>;

/// Every native module: `require "affine.native.<name>"`, and `require "affine.<name>"` unless the standard library has
/// a file of that name.
#[rustfmt::skip]
pub const ALL: &[(&str, Module)] = &[
    ("env",       env::module),
    ("eval",      eval::module),
    ("fs",        fs::module),
    ("host",      host::module),
    ("json",      json::module),
    ("log",       log::module),
    ("model",     model::module),
    ("path",      path::module),
    ("random",    random::module),
    ("tensor",    tensor::module),
    ("time",      time::module),
    ("tokenizer", tokenizer::module),
    ("track",     track::module),
    ("trainer",   trainer::module),
];

/// Native modules for the standard library alone: `require "affine.native.<name>"`.
const INTERNAL: &[(&str, Module)] = &[("plan", plan::module)];

/// Makes every native module known to `require`. Nothing is built before it is required.
pub fn preload(lua: &Lua) -> mlua::Result<()> {
    for &(name, module) in ALL.iter().chain(INTERNAL) {
        let build = lua.create_function(move |lua, _: mlua::MultiValue| super::strict(lua, name, module(lua)?))?;
        lua.preload_module(&format!("affine.native.{name}"), build)?;
    }
    lua.preload_module("affine.native.version", lua.create_function(|_, _: mlua::MultiValue| Ok(VERSION))?)
}

/// The version of the host, as `affine.version` gives it.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A list or another plain Lua value as a Rust value; `what` names it in the error.
fn read_json<T: DeserializeOwned>(what: &str, value: &Value) -> mlua::Result<T> {
    let Value::Table(table) = value else {
        return Err(report::raise(Error::message(format!("{what}: expected table, got {}", super::args::kind(value)))));
    };
    let lua = table.weak_lua().upgrade();
    let json = convert::to_json(&lua, value).map_err(report::raise)?;
    // Lua cannot tell an empty list from an empty table.
    let json = match json {
        serde_json::Value::Object(fields) if fields.is_empty() => serde_json::Value::Array(Vec::new()),
        other => other,
    };
    serde_path_to_error::deserialize(json).map_err(|error| {
        let place = match error.path().to_string() {
            path if path == "." => String::new(),
            path => format!(" at {path} (counted from 0)"),
        };
        report::raise(Error::message(format!("{what}{place}: {}", error.into_inner())))
    })
}

/// A copy of an options table without the keys that are not plain data.
fn without(lua: &Lua, table: &Table, keys: &[&str]) -> mlua::Result<Table> {
    pick(lua, table, |key| !keys.contains(&key))
}

/// A copy of an options table with these keys alone.
fn only(lua: &Lua, table: &Table, keys: &[&str]) -> mlua::Result<Table> {
    pick(lua, table, |key| keys.contains(&key))
}

fn pick(lua: &Lua, table: &Table, wanted: impl Fn(&str) -> bool) -> mlua::Result<Table> {
    let copy = lua.create_table()?;
    for pair in table.pairs::<Value, Value>() {
        let (key, value) = pair?;
        let keep = match &key {
            Value::String(name) => wanted(&name.to_string_lossy()),
            _ => wanted(""),
        };
        if keep {
            copy.set(key, value)?;
        }
    }
    Ok(copy)
}
