//! `affine.native.report`: reports of runs.

use std::path::PathBuf;

use mlua::{Lua, MultiValue, Table};

use crate::engine::report::summary::Summary;
use crate::engine::report::{Options, Report, verdict};
use crate::lua::call::Call;

pub fn module(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.set("write", lua.create_function(write)?)?;
    table.set("metrics", lua.create_function(metrics)?)?;
    Ok(table)
}

/// `(summary)`: what the episodes come to beside their mean scores; nothing where the summary does not tell.
fn metrics(_: &Lua, values: MultiValue) -> mlua::Result<Option<String>> {
    let mut call = Call::new("report.metrics", values);
    let summary: Summary = call.list("summary")?;
    call.finish()?;
    let lines = verdict::metrics(&summary);
    Ok((!lines.is_empty()).then(|| lines.join("\n")))
}

/// `(file, runs)`: writes a report of the runs.
fn write(_: &Lua, values: MultiValue) -> mlua::Result<()> {
    let mut call = Call::new("report.write", values);
    let file = call.string("file")?;
    let runs: Vec<PathBuf> = call.list("runs")?;
    call.finish()?;
    call.run(|| Report::of(&runs, Options::default())?.write(file))
}
