//! `affine.sandbox`: runs a CPython program that nobody has read.

use mlua::{Lua, LuaString, MultiValue, Table, Value};
use serde::Deserialize;

use crate::engine::Error;
use crate::engine::sandbox::{Limit, Limits, Program, Sandbox, SandboxOptions, Status};
use crate::lua::call::Call;
use crate::lua::kind::kind;
use crate::lua::options::Options;
use crate::lua::report;

const RUN: &str = "sandbox.run";

pub fn module(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.set("run", lua.create_function(run)?)?;
    Ok(table)
}

/// What stands beside the program and its input, which may be any bytes.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RunOptions {
    limits: Limits,
    python: Option<std::path::PathBuf>,
    accept_risk: bool,
}

fn run(lua: &Lua, values: MultiValue) -> mlua::Result<Table> {
    let mut call = Call::new(RUN, values);
    let mut table = Options::new(lua, RUN, Some(call.table("options")?))?;
    call.finish()?;
    let code = bytes(&mut table, "code")?;
    let code = code.ok_or_else(|| table.reject(Error::message("code: required, but missing")))?;
    let stdin = bytes(&mut table, "stdin")?.unwrap_or_default();
    let RunOptions { limits, python, accept_risk } = table.read()?;
    let program = Program { code, stdin, limits };
    let outcome = report::guard(|| Sandbox::shared(&SandboxOptions { python, accept_risk })?.run(&program))?;

    let result = lua.create_table()?;
    result.set("status", status(outcome.status))?;
    result.set("limit", outcome.limit.map(limit))?;
    result.set("stdout", lua.create_string(&outcome.stdout)?)?;
    result.set("stderr", lua.create_string(&outcome.stderr)?)?;
    result.set("exit_code", outcome.exit_code)?;
    Ok(result)
}

fn bytes(table: &mut Options, name: &'static str) -> mlua::Result<Option<Vec<u8>>> {
    let owned = |text: LuaString| text.as_bytes().to_vec();
    match table.take(name)? {
        Value::Nil => Ok(None),
        Value::String(text) => Ok(Some(owned(text))),
        other => Err(table.reject(Error::option(name, "string", kind(&other)))),
    }
}

fn status(status: Status) -> &'static str {
    match status {
        Status::Ok => "ok",
        Status::Error => "error",
        Status::Timeout => "timeout",
        Status::Memory => "memory",
        Status::Output => "output",
    }
}

fn limit(limit: Limit) -> &'static str {
    match limit {
        Limit::Wall => "wall",
        Limit::Cpu => "cpu",
    }
}
