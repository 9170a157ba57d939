//! The Lua host: the only folder that names mlua.
//!
//! Read in this order: this file builds a state step by step; [`require`] says what a script can require; [`args`] and
//! [`options`] take what a script passes; [`report`] says what went wrong, [`caught`] what a script finds that catches
//! it; [`interrupt`] is Ctrl-C; [`heap`] counts what handles hold; [`worker`] runs states on other threads; [`bind`] has
//! one file per native module.

mod allocator;
pub mod bind;
pub mod call;
mod caught;
pub mod check;
pub mod convert;
pub mod environment;
pub mod heap;
pub mod interrupt;
pub mod options;
pub mod output;
pub mod plain;
mod process;
pub mod report;
pub mod require;
pub mod session;
pub mod worker;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use mlua::state::{GcGenParams, GcMode};
use mlua::{AnyUserData, Function, Lua, LuaOptions, MultiValue, StdLib, Table, UserData, Value};

use report::Report;

use crate::engine::cancel;

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
        let ran = require::chunk(&lua, &script.code, &script.name)?.into_function()?.call::<()>(args);
        if cancel::requested() {
            bind::trainer::save_all(&lua);
        }
        ran?;
        output::check().map_err(report::raise)
    };
    run().map_err(|error| Report::new(&error))
}

/// A new state for scripts in `folder`.
pub fn state(folder: &Path) -> mlua::Result<Lua> {
    // The prelude's pcall lets Rust panics pass (see `caught`), so mlua's own variant, which cannot yield across
    // a pcall, is not needed.
    let lua = Lua::new_with(StdLib::ALL_SAFE, LuaOptions::new())?;
    allocator::install(&lua)?;
    // Short-lived handles die young, and their tensors with them.
    lua.gc_set_mode(GcMode::Generational(GcGenParams::default()));
    warn_through_log(&lua);
    prelude(&lua)?;
    bind::preload(&lua)?;
    require::install(&lua, folder)?;
    lua.set_app_data(ScriptFolder(folder.to_path_buf()));
    Ok(lua)
}

/// Where the script of a state is, for what else is looked for beside it.
pub struct ScriptFolder(pub PathBuf);

/// Lua's warnings, which is where an error in a `__gc` function ends, and a script's `warn`.
fn warn_through_log(lua: &Lua) {
    let text = std::cell::RefCell::new(String::new());
    lua.set_warning_function(move |_, part, to_be_continued| {
        text.borrow_mut().push_str(part);
        if !to_be_continued {
            let line = text.take();
            // `@on` and `@off` are meant for Lua's own warning function.
            if !line.starts_with('@') {
                tracing::warn!(target: crate::engine::log::SCRIPT, "{line}");
            }
        }
        Ok(())
    });
}

/// Runs `prelude.lua` with the native functions that it needs.
fn prelude(lua: &Lua) -> mlua::Result<()> {
    let host = lua.create_table()?;
    output::install(lua, &host)?;
    caught::install(lua, &host)?;
    interrupt::install(lua, &host)?;
    process::install(lua, &host)?;
    lua.load(include_str!("prelude.lua")).set_name("=[host]").call(host)
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
pub fn strict(lua: &Lua, name: &str, table: Table) -> mlua::Result<Table> {
    refuse_unknown(lua, format!("affine.{name} has no"), "field", &table)?;
    Ok(table)
}

/// A handle for a script; `what` names it in messages ("a model"). A method that it lacks is an error that names the
/// nearest right one.
pub fn handle<T: UserData + 'static>(lua: &Lua, what: &str, value: T) -> mlua::Result<AnyUserData> {
    let handle = lua.create_userdata(value)?;
    // One table for all handles of a type.
    let methods: Table = handle.metatable()?.get("__index")?;
    if methods.metatable().is_none() {
        refuse_unknown(lua, format!("{what} has no"), "method", &methods)?;
    }
    Ok(handle)
}

fn refuse_unknown(lua: &Lua, subject: String, noun: &'static str, table: &Table) -> mlua::Result<()> {
    let index: Function = lua.create_function(move |_, (table, key): (Table, Value)| -> mlua::Result<()> {
        let key = key.to_string()?;
        let names: Vec<String> =
            table.pairs::<Value, Value>().filter_map(|pair| pair.ok()?.0.to_string().ok()).collect();
        Err(report::raise(require::unknown(&subject, noun, &key, &names)))
    })?;
    let metatable = lua.create_table()?;
    metatable.set("__index", index)?;
    table.set_metatable(Some(metatable))
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
