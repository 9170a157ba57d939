//! `affine.worker`: Lua functions on other threads.

use std::cell::{Cell, Ref, RefCell};
use std::path::Path;

use mlua::{AnyUserData, Lua, MultiValue, Table, UserData, UserDataMethods, Value};
use serde::Deserialize;

use crate::engine::{Error, Result, file};
use crate::lua::call::Call;
use crate::lua::kind::kind;
use crate::lua::plain::Plain;
use crate::lua::strict::handle;
use crate::lua::worker::{Job, Origin, Pool, Program};
use crate::lua::{options, report};

pub fn module(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.set("pool", lua.create_function(pool)?)?;
    Ok(table)
}

/// More threads than this are a slip of the pen.
const MAX_THREADS: usize = 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PoolOptions {
    threads: usize,
}

impl Default for PoolOptions {
    fn default() -> Self {
        PoolOptions { threads: std::thread::available_parallelism().map_or(1, usize::from) }
    }
}

/// A pool in Lua's hands; nothing once it is closed.
struct PoolHandle(RefCell<Option<Pool>>);

/// A call on its way; its results are handed out once.
struct JobHandle {
    job: Job,
    results: RefCell<Option<Result<Vec<Plain>>>>,
    taken: Cell<bool>,
}

fn pool(lua: &Lua, values: MultiValue) -> mlua::Result<AnyUserData> {
    let mut call = Call::new("worker.pool", values);
    let source = call.string("source")?;
    let mut table = call.optional_options(lua)?;
    call.finish()?;
    let arguments = match table.take("args")? {
        Value::Nil => Vec::new(),
        Value::Table(list) => plain("worker.pool", |i| format!("args[{i}]"), list.sequence_values())?,
        other => return Err(table.reject(Error::option("args", "a list", kind(&other)))),
    };
    let options: PoolOptions = table.read()?;
    if !(1..=MAX_THREADS).contains(&options.threads) {
        let error = Error::option("threads", format!("1 to {MAX_THREADS}"), options.threads);
        return Err(call.reject(error));
    }
    let program = program(lua, &source, arguments).map_err(|error| call.reject(error))?;
    let pool = report::guard(|| Pool::start(&program, options.threads))?;
    handle(lua, "a pool", PoolHandle(RefCell::new(Some(pool))))
}

/// A file where the source is a path that ends in `.lua`, else the source itself, whose modules are the script's.
fn program(lua: &Lua, source: &str, args: Vec<Plain>) -> Result<Program> {
    let origin = lua.app_data_ref::<Origin>().ok_or_else(|| Error::message("this state can start no workers"))?;
    let make = origin.make;
    if source.ends_with(".lua") && !source.contains('\n') {
        let path = Path::new(source);
        let code = std::fs::read(path).map_err(|error| file::unreadable(path, &error))?;
        let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
        return Ok(Program { make, code, name: format!("@{source}"), folder, args });
    }
    let (code, name) = (source.as_bytes().to_vec(), "=(worker)".to_string());
    Ok(Program { make, code, name, folder: origin.folder.clone(), args })
}

/// Values as plain data; `place` names the one at a position counted from 1.
fn plain(
    function: &str,
    place: impl Fn(usize) -> String,
    values: impl IntoIterator<Item = mlua::Result<Value>>,
) -> mlua::Result<Vec<Plain>> {
    let one = |(i, value): (usize, mlua::Result<Value>)| {
        Plain::from_lua(&value?, &place(i + 1)).map_err(|error| options::reject(function, error))
    };
    values.into_iter().enumerate().map(one).collect()
}

fn to_lua(lua: &Lua, results: Vec<Plain>) -> mlua::Result<MultiValue> {
    results.into_iter().map(|result| result.into_lua(lua)).collect()
}

impl PoolHandle {
    fn pool(&self) -> mlua::Result<Ref<'_, Pool>> {
        Ref::filter_map(self.0.borrow(), Option::as_ref)
            .map_err(|_| report::raise(Error::message("this pool was closed")))
    }

    /// The function's first result for every item of a list, in the list's order.
    fn map(&self, lua: &Lua, list: &Table) -> mlua::Result<Table> {
        let items = plain("pool:map", |i| format!("list[{i}]"), list.sequence_values())?;
        let pool = self.pool()?;
        let submit = |(i, item)| pool.submit(vec![item, Plain::Integer(i as i64 + 1)]);
        let jobs: Vec<Job> = items.into_iter().enumerate().map(submit).collect();
        let results = lua.create_table_with_capacity(jobs.len(), 0)?;
        for (i, job) in jobs.iter().enumerate() {
            let result = report::guard(|| job.wait().map_err(|error| error.within(format!("list[{}]", i + 1))))
                .inspect_err(|_| jobs.iter().for_each(Job::abandon))?;
            results.raw_set(i + 1, result.into_iter().next().unwrap_or(Plain::Nil).into_lua(lua)?)?;
        }
        Ok(results)
    }
}

impl UserData for PoolHandle {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method("submit", |lua, this, values: MultiValue| {
            let job =
                this.pool()?.submit(plain("pool:submit", |i| format!("argument {i}"), values.into_iter().map(Ok))?);
            handle(lua, "a job", JobHandle { job, results: RefCell::default(), taken: Cell::new(false) })
        });
        methods.add_method("call", |lua, this, values: MultiValue| {
            let job = this.pool()?.submit(plain("pool:call", |i| format!("argument {i}"), values.into_iter().map(Ok))?);
            to_lua(lua, report::guard(|| job.wait())?)
        });
        methods.add_method("map", |lua, this, values: MultiValue| {
            let mut call = Call::new("pool:map", values);
            let list = call.table("list")?;
            call.finish()?;
            this.map(lua, &list)
        });
        methods.add_method("threads", |_, this, values: MultiValue| {
            Call::new("pool:threads", values).finish()?;
            Ok(this.pool()?.threads())
        });
        methods.add_method("close", |_, this, values: MultiValue| {
            Call::new("pool:close", values).finish()?;
            this.0.take();
            Ok(())
        });
        methods.add_meta_method("__close", |_, this, _: MultiValue| {
            this.0.take();
            Ok(())
        });
    }
}

impl UserData for JobHandle {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method("done", |_, this, values: MultiValue| {
            Call::new("job:done", values).finish()?;
            if this.results.borrow().is_none() && !this.taken.get() {
                this.results.replace(this.job.poll());
            }
            Ok(this.taken.get() || this.results.borrow().is_some())
        });
        methods.add_method("wait", |lua, this, values: MultiValue| {
            Call::new("job:wait", values).finish()?;
            if this.taken.get() {
                return Err(report::raise(Error::message("job:wait: the results were handed out already")));
            }
            let results = this.results.take();
            let results = report::guard(|| results.unwrap_or_else(|| this.job.wait()))?;
            this.taken.set(true);
            to_lua(lua, results)
        });
    }
}
