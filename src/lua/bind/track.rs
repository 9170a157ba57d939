//! `affine.track`: the run folder.

use std::path::Path;

use mlua::{AnyUserData, Lua, MultiValue, Table, UserData, UserDataMethods, Value};
use serde::Deserialize;

use crate::engine::Error;
use crate::engine::model::KernelChoice;
use crate::engine::track::Run;
use crate::lua::call::Call;
use crate::lua::strict::handle;
use crate::lua::{convert, report};

/// Where runs are kept, below the folder that the script was started in.
const ROOT: &str = "runs";

pub fn module(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.set("run", lua.create_function(run)?)?;
    Ok(table)
}

struct RunHandle(Run);

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RunOptions {
    resume: bool,
    /// What the run's models compute with.
    kernels: KernelChoice,
}

fn run(lua: &Lua, values: MultiValue) -> mlua::Result<AnyUserData> {
    let mut call = Call::new("track.run", values);
    let name = call.string("name")?;
    let config = call.table("config")?;
    let options: RunOptions = call.options()?;
    call.finish()?;
    let config = convert::to_json(lua, &Value::Table(config)).map_err(report::raise)?;
    let begin = if options.resume { Run::resume } else { Run::create };
    let run = begin(Path::new(ROOT), &name, &config, options.kernels.resolved().name());
    let run = run.map_err(|error| report::raise(report::named("track.run", error)))?;
    handle(lua, "a run", RunHandle(run))
}

impl UserData for RunHandle {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method("log", |lua, this, values: MultiValue| {
            let mut call = Call::new("run:log", values);
            let numbers = call.table("numbers")?;
            call.finish()?;
            match convert::to_json(lua, &Value::Table(numbers)).map_err(report::raise)? {
                serde_json::Value::Object(numbers) => this.0.log(&numbers).map_err(report::raise),
                _ => Err(report::raise(Error::message("run:log: expected a table with named numbers, got a list"))),
            }
        });
        methods.add_method("summary", |lua, this, values: MultiValue| {
            let mut call = Call::new("run:summary", values);
            let summary = call.table("summary")?;
            call.finish()?;
            let summary = convert::to_json(lua, &Value::Table(summary)).map_err(report::raise)?;
            this.0.summary(&summary).map_err(report::raise)
        });
        methods.add_method("finish", |_, this, values: MultiValue| {
            Call::new("run:finish", values).finish()?;
            this.0.finish().map_err(report::raise)
        });
        methods.add_method("path", |_, this, values: MultiValue| {
            Call::new("run:path", values).finish()?;
            Ok(this.0.path().to_string_lossy().to_string())
        });
    }
}
