//! `affine.track`: the run folder, and the trackers of a run.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use mlua::{AnyUserData, Lua, MultiValue, Table, UserData, UserDataMethods, Value};
use serde::Deserialize;
use serde_json::json;

use crate::engine::attach::Door;
use crate::engine::model::KernelChoice;
use crate::engine::track::episodes::Episodes;
use crate::engine::track::{Metric, Place, Run, wandb};
use crate::engine::{Error, Result};
use crate::lua::call::Call;
use crate::lua::kind::kind;
use crate::lua::strict::handle;
use crate::lua::tracker::LuaTracker;
use crate::lua::{attach, convert, report};

/// Where runs are kept, below the folder that the script was started in.
const ROOT: &str = "runs";

pub fn module(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.set("episodes", lua.create_function(episodes)?)?;
    table.set("run", lua.create_function(run)?)?;
    Ok(table)
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Which {
    stage: Option<String>,
    iteration: Option<u64>,
}

/// The sample of what a run trained on.
fn episodes(lua: &Lua, values: MultiValue) -> mlua::Result<Value> {
    let mut call = Call::new("track.episodes", values);
    let folder = call.string("folder")?;
    let which: Which = call.options()?;
    call.finish()?;
    let mut rows = call.run(|| Episodes::of_run(Path::new(&folder)))?.rows;
    rows.retain(|row| which.stage.as_ref().is_none_or(|stage| *stage == row.stage));
    rows.retain(|row| which.iteration.is_none_or(|iteration| iteration == row.iteration));
    convert::to_lua(lua, &json!(rows))
}

/// A run, and its door, which is open as long as it.
struct RunHandle(Run, #[expect(dead_code, reason = "dropped with the run")] Option<Rc<Door>>);

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RunOptions {
    resume: bool,
    /// What the run's models compute with.
    kernels: KernelChoice,
    wandb: Option<wandb::Options>,
    tensorboard: bool,
}

fn run(lua: &Lua, values: MultiValue) -> mlua::Result<AnyUserData> {
    let mut call = Call::new("track.run", values);
    let name = call.string("name")?;
    let config = call.table("config")?;
    let mut options = call.optional_options(lua)?;
    let trackers = options.take("trackers")?;
    let options: RunOptions = options.read()?;
    call.finish()?;
    let config = convert::to_json(lua, &Value::Table(config)).map_err(report::raise)?;
    let trackers = trackers_of(&trackers).map_err(|error| call.reject(error))?;
    let run = call.run(|| {
        let begin = if options.resume { Run::resume } else { Run::create };
        let run = begin(Path::new(ROOT), &name, &config, options.kernels.resolved().name())?;
        if let Some(wandb) = &options.wandb {
            run.add_wandb(wandb)?;
        }
        if options.tensorboard {
            run.add_tensorboard();
        }
        trackers.into_iter().for_each(|tracker| run.add_tracker(Box::new(tracker)));
        Ok(run)
    })?;
    // Some file systems have no sockets: nobody can attach there.
    let door = attach::open(lua, run.path()).inspect_err(|error| tracing::debug!("{error}")).ok();
    handle(lua, "a run", RunHandle(run, door))
}

fn trackers_of(list: &Value) -> Result<Vec<LuaTracker>> {
    let list = match list {
        Value::Nil => return Ok(Vec::new()),
        Value::Table(list) => list.sequence_values::<Value>(),
        other => return Err(Error::option("trackers", "a list of tables", kind(other))),
    };
    let tracker = |(index, value): (usize, mlua::Result<Value>)| {
        let place = format!("trackers[{}]", index + 1);
        match value {
            Ok(Value::Table(table)) => LuaTracker::new(&table, &place),
            Ok(other) => Err(Error::option(place, "a table with a function log", kind(&other))),
            Err(error) => Err(report::lower(&error)),
        }
    };
    list.enumerate().map(tracker).collect()
}

/// Where something of a run belongs: `{ step = 3, stage = "rl" }`.
fn place(lua: &Lua, call: &mut Call) -> mlua::Result<Place> {
    let table = call.table("place")?;
    let place = || {
        let mut record = convert::to_metrics(lua, table, "place")?;
        let now = chrono::Utc::now().timestamp_millis() as f64 / 1000.0;
        let place = Place::take(&mut record, now);
        let place = place.ok_or_else(|| Error::option("place.step", "a whole number from 0 on", "none"))?;
        match record.first() {
            None => Ok(place),
            Some((name, _)) => Err(Error::option("place", "step (or iteration), stage and time", format!("`{name}`"))),
        }
    };
    place().map_err(|error| call.reject(error))
}

impl UserData for RunHandle {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method("log", |lua, this, values: MultiValue| {
            let mut call = Call::new("run:log", values);
            let numbers = call.table("numbers")?;
            call.finish()?;
            call.run(|| this.0.log(convert::to_metrics(lua, numbers, "numbers")?))
        });
        methods.add_method("text", |lua, this, values: MultiValue| {
            let mut call = Call::new("run:text", values);
            let (place, name, text) = (place(lua, &mut call)?, call.string("name")?, call.string("text")?);
            call.finish()?;
            call.run(|| this.0.tell(|tracker| tracker.text(&place, &name, &text)))
        });
        methods.add_method("histogram", |lua, this, values: MultiValue| {
            let mut call = Call::new("run:histogram", values);
            let (place, name) = (place(lua, &mut call)?, call.string("name")?);
            let numbers: Vec<f64> = call.table("values")?.sequence_values().collect::<mlua::Result<_>>()?;
            call.finish()?;
            call.run(|| this.0.tell(|tracker| tracker.histogram(&place, &name, &numbers)))
        });
        methods.add_method("table", |lua, this, values: MultiValue| {
            let mut call = Call::new("run:table", values);
            let (place, name) = (place(lua, &mut call)?, call.string("name")?);
            let (columns, rows): (Vec<String>, Table) = (call.list("columns")?, call.table("rows")?);
            call.finish()?;
            call.run(|| {
                let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
                let rows = rows_of(lua, &rows, columns.len())?;
                this.0.tell(|tracker| tracker.table(&place, &name, &columns, &rows))
            })
        });
        methods.add_method("file", |_, this, values: MultiValue| {
            let mut call = Call::new("run:file", values);
            let path = PathBuf::from(call.string("path")?);
            call.finish()?;
            call.run(|| this.0.tell(|tracker| tracker.file(&path)))
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

/// A list of lists, each of `width` values, of which some may be nil.
fn rows_of(lua: &Lua, rows: &Table, width: usize) -> Result<Vec<Vec<Metric>>> {
    let row = |(index, row): (usize, mlua::Result<Table>)| {
        let row = row.map_err(|error| report::lower(&error))?;
        let cell = |column: usize| {
            let value: Value = row.raw_get(column).map_err(|error| report::lower(&error))?;
            convert::to_metric(lua, &value, &format!("rows[{}][{column}]", index + 1))
        };
        if row.raw_len() > width {
            let place = format!("rows[{}]", index + 1);
            return Err(Error::option(place, format!("{width} values, one per column"), row.raw_len()));
        }
        (1..=width).map(cell).collect()
    };
    rows.sequence_values().enumerate().map(row).collect()
}
