//! The native modules, one file each: convert, call the engine, convert. `ALL` is the table of contents.

mod card;
mod data;
mod env;
mod eval;
mod fs;
mod host;
mod hub;
mod json;
mod log;
mod model;
mod path;
mod pipeline;
mod plan;
pub mod random;
mod report;
mod rollout;
mod sandbox;
pub mod sweep;
pub mod tensor;
mod time;
mod tokenizer;
mod track;
mod trainer;
mod worker;

use mlua::{Lua, Table};

use super::strict;

type Module = fn(&Lua) -> mlua::Result<Table>;

/// Every native module: `require "affine.native.<name>"`, and `require "affine.<name>"` unless the standard library has
/// a file of that name.
#[rustfmt::skip]
pub const ALL: &[(&str, Module)] = &[
    ("data",      data::module),
    ("env",       env::module),
    ("eval",      eval::module),
    ("fs",        fs::module),
    ("host",      host::module),
    ("hub",       hub::module),
    ("json",      json::module),
    ("log",       log::module),
    ("model",     model::module),
    ("path",      path::module),
    ("random",    random::module),
    ("sandbox",   sandbox::module),
    ("sweep",     sweep::module),
    ("tensor",    tensor::module),
    ("time",      time::module),
    ("tokenizer", tokenizer::module),
    ("track",     track::module),
    ("trainer",   trainer::module),
    ("worker",    worker::module),
];

/// Native modules for the standard library alone: `require "affine.native.<name>"`.
#[rustfmt::skip]
const INTERNAL: &[(&str, Module)] = &[
    ("card",     card::module),
    ("pipeline", pipeline::module),
    ("plan",     plan::module),
    ("report",   report::module),
    ("sweep_checks", sweep::checks::module),
];

/// Makes every native module known to `require`. Nothing is built before it is required.
pub fn preload(lua: &Lua) -> mlua::Result<()> {
    for &(name, module) in ALL.iter().chain(INTERNAL) {
        let build = lua.create_function(move |lua, _: mlua::MultiValue| strict::table(lua, name, module(lua)?))?;
        lua.preload_module(&format!("affine.native.{name}"), build)?;
    }
    lua.preload_module("affine.native.version", lua.create_function(|_, _: mlua::MultiValue| Ok(VERSION))?)
}

/// The version of the host, as `affine.version` gives it.
const VERSION: &str = env!("CARGO_PKG_VERSION");
