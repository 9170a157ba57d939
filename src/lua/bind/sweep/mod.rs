//! `affine.sweep`: studies, their trials, and spaces.

pub mod checks;
mod options;
mod population;
mod shown;
mod space;
mod study;
mod trial;

use mlua::{Lua, Table};

pub fn module(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.set("open", lua.create_function(study::open)?)?;
    space::constructors(lua, &table)?;
    Ok(table)
}
