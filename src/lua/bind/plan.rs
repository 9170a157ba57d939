//! `affine.native.plan`: what the standard library does differently in a plan. Outside one, all of it does nothing.

use std::path::Path;

use mlua::{Lua, MultiValue, Table};

use crate::engine::plan;
use crate::lua::call::Call;
use crate::lua::report;

pub fn module(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.set("active", lua.create_function(active)?)?;
    table.set("stage", lua.create_function(stage)?)?;
    table.set("cut", lua.create_function(cut)?)?;
    table.set("fetch", lua.create_function(fetch)?)?;
    Ok(table)
}

fn active(_: &Lua, values: MultiValue) -> mlua::Result<bool> {
    Call::new("plan.active", values).finish()?;
    Ok(plan::active())
}

fn stage(_: &Lua, values: MultiValue) -> mlua::Result<()> {
    plan::stage(&one_string("plan.stage", "name", values)?);
    Ok(())
}

/// A setting's path, and its value in a real run and here, as literals.
fn cut(_: &Lua, values: MultiValue) -> mlua::Result<()> {
    let mut call = Call::new("plan.cut", values);
    let (path, real, now) = (call.string("path")?, call.string("real")?, call.string("now")?);
    call.finish()?;
    plan::cut_setting(&path, &real, &now);
    Ok(())
}

fn fetch(_: &Lua, values: MultiValue) -> mlua::Result<()> {
    let path = one_string("plan.fetch", "path", values)?;
    plan::workplace::fetch(Path::new(&path)).map_err(report::raise)
}

fn one_string(function: &'static str, name: &str, values: MultiValue) -> mlua::Result<String> {
    let mut call = Call::new(function, values);
    let text = call.string(name)?;
    call.finish()?;
    Ok(text)
}
