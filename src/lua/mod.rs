//! The Lua host: the only folder that names mlua.
//!
//! Read in this order: this file builds a state step by step; [`require`] says what a script can require; [`args`] and
//! [`options`] take what a script passes; [`report`] says what went wrong; [`interrupt`] is Ctrl-C; [`heap`] counts what handles hold; [`bind`] has one
//! file per native module.

pub mod args;
pub mod bind;
pub mod check;
pub mod convert;
pub mod environment;
pub mod heap;
pub mod interrupt;
pub mod options;
pub mod report;
pub mod require;
pub mod session;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use mlua::state::{GcGenParams, GcMode};
use mlua::{Function, IntoLua, Lua, LuaOptions, MultiValue, StdLib, Table, Value};

use args::Args;
use report::Report;

/// What the host runs: code, its name in messages, and what it finds in `arg`.
pub struct Script {
    pub code: Vec<u8>,
    /// A Lua chunk name: `@scripts/sft.lua` for a file, `=stdin` for a name of its own.
    pub name: String,
    /// Where the script's own modules are, beside which nothing else is searched.
    pub folder: PathBuf,
    /// `arg[0]` and `arg[1..]`.
    pub args: Vec<OsString>,
}

/// Runs a script in a new state.
pub fn run(script: &Script) -> Result<(), Report> {
    let run = || {
        let lua = state(&script.folder)?;
        lua.globals().set("arg", arg_table(&lua, &script.args)?)?;
        let args =
            lua.globals().get::<Table>("arg")?.sequence_values::<Value>().collect::<mlua::Result<MultiValue>>()?;
        require::chunk(&lua, &script.code, &script.name).into_function()?.call::<()>(args)
    };
    run().map_err(|error| Report::new(&error))
}

/// A new state for scripts in `folder`.
pub fn state(folder: &Path) -> mlua::Result<Lua> {
    // The prelude's pcall lets Rust panics pass (see `describe` below), so mlua's own variant, which cannot yield across
    // a pcall, is not needed.
    let lua = Lua::new_with(StdLib::ALL_SAFE, LuaOptions::new())?;
    // Short-lived handles die young, and their tensors with them.
    lua.gc_set_mode(GcMode::Generational(GcGenParams::default()));
    prelude(&lua)?;
    bind::preload(&lua)?;
    require::install(&lua, folder)?;
    interrupt::install(&lua)?;
    Ok(lua)
}

/// Runs `prelude.lua` with the native functions that it needs.
fn prelude(lua: &Lua) -> mlua::Result<()> {
    let host = lua.create_table()?;
    host.set("EPIPE", EPIPE)?;
    host.set("reader_gone", lua.create_function(|_, ()| -> mlua::Result<()> { std::process::exit(0) })?)?;
    host.set("traceback", lua.create_function(traceback)?)?;
    // A panic that pcall caught resumes as its value is handed to this function.
    let describe = lua.create_function(|lua, value: Value| match value {
        Value::Error(error) => match Report::new(&error) {
            report if report.interrupted => Err(*error),
            report => report.text().into_lua(lua),
        },
        other => Ok(other),
    })?;
    host.set("describe", describe)?;
    lua.load(include_str!("prelude.lua")).set_name("=[host]").call(host)
}

/// The errno of a pipe without a reader, on Linux and macOS alike.
const EPIPE: i32 = 32;

/// `debug.traceback([message [, level]])`, without the thread argument.
fn traceback(lua: &Lua, values: MultiValue) -> mlua::Result<Value> {
    let mut args = Args::new("debug.traceback", values);
    let message = args.optional_value("message")?;
    let level = args.optional_integer("level")?.unwrap_or(1).clamp(0, 1000) as usize;
    args.finish()?;
    match message {
        None => lua.traceback(None, level)?.into_lua(lua),
        Some(Value::String(text)) => lua.traceback(Some(&text.to_string_lossy()), level)?.into_lua(lua),
        // As Lua's own: what is no text is handed back.
        Some(other) => Ok(other),
    }
}

/// Lua's `arg`: the host at -1, the script at 0, its arguments from 1.
fn arg_table(lua: &Lua, args: &[OsString]) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    let host = std::env::current_exe().map_or_else(|_| OsString::from("affine"), PathBuf::into_os_string);
    for (index, arg) in (-1i64..).zip(std::iter::once(&host).chain(args)) {
        table.raw_set(index, lua.create_string(arg.as_encoded_bytes())?)?;
    }
    Ok(table)
}

/// A table of native functions. A name that it lacks is an error at the line that used it, with the nearest right one.
pub fn strict(lua: &Lua, name: &'static str, table: Table) -> mlua::Result<Table> {
    let metatable = lua.create_table()?;
    let index: Function = lua.create_function(move |_, (table, key): (Table, Value)| -> mlua::Result<()> {
        let key = key.to_string()?;
        let names: Vec<String> =
            table.pairs::<Value, Value>().filter_map(|pair| pair.ok()?.0.to_string().ok()).collect();
        Err(report::raise(require::unknown(&format!("affine.{name} has no"), "field", &key, &names)))
    })?;
    metatable.set("__index", index)?;
    table.set_metatable(Some(metatable))?;
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_rust_cannot_be_swallowed_by_pcall() {
        let lua = state(Path::new("")).unwrap();
        let broken = lua.create_function(|_, ()| -> mlua::Result<()> { panic!("a bug") }).unwrap();
        lua.globals().set("broken", broken).unwrap();
        for code in ["pcall(broken)", "xpcall(broken, print)", "coroutine.resume(coroutine.create(broken))"] {
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| lua.load(code).exec()));
            assert!(outcome.is_err(), "{code}");
        }
    }
}
