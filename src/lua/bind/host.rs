//! `affine.native.host`: what the standard library needs of the binary itself.

use mlua::{Lua, MultiValue, Table};

use crate::lua::args::Args;

/// The root's config.lua as it was when the binary was built.
const CONFIG: &str = include_str!("../../../config.lua");

pub fn module(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.set("default_config", lua.create_function(default_config)?)?;
    Ok(table)
}

fn default_config(_: &Lua, values: MultiValue) -> mlua::Result<&'static str> {
    Args::new("host.default_config", values).finish()?;
    Ok(CONFIG)
}
