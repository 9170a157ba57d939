//! `affine.native.report`: reports of runs.

use std::path::PathBuf;

use mlua::{Lua, MultiValue, Table};

use crate::engine::report::{Options, Report};
use crate::lua::call::Call;

pub fn module(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.set("write", lua.create_function(write)?)?;
    Ok(table)
}

/// `(file, runs)`: writes a report of the runs.
fn write(_: &Lua, values: MultiValue) -> mlua::Result<()> {
    let mut call = Call::new("report.write", values);
    let file = call.string("file")?;
    let runs: Vec<PathBuf> = call.list("runs")?;
    call.finish()?;
    call.run(|| Report::of(&runs, Options::default())?.write(file))
}
