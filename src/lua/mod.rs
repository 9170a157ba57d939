//! The Lua host: the only folder that names mlua.
//!
//! Read in this order: this file builds a state step by step and runs a script in it; [`chunk`] makes code of bytes;
//! [`require`] says what a script can require; [`call`] and [`options`] take what a script passes; [`strict`] answers a
//! wrong name; [`report`] says what went wrong, [`caught`] what a script finds that catches it; [`interrupt`] is Ctrl-C,
//! at which [`unsaved`] work is saved; [`heap`] counts what handles hold; [`worker`] runs states on other threads;
//! [`bind`] has one file per native module.

mod allocator;
mod attach;
pub mod bind;
pub mod call;
mod caught;
pub mod check;
mod chunk;
pub mod convert;
pub mod environment;
pub mod heap;
pub mod interrupt;
mod kind;
pub mod options;
pub mod output;
pub mod plain;
mod process;
pub mod report;
pub mod require;
pub mod session;
mod strict;
mod tracker;
mod unsaved;
pub mod worker;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use mlua::state::{GcGenParams, GcMode};
use mlua::{Lua, LuaOptions, MultiValue, StdLib, Table, Value};

use report::Report;
use worker::Origin;

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
        let ran = chunk::load(&lua, &script.code, &script.name)?.into_function()?.call::<()>(args);
        if cancel::requested() {
            unsaved::save_all(&lua);
        }
        ran?;
        output::check().map_err(report::raise)
    };
    run().map_err(|error| Report::new(&error))
}

/// A text among the settings of `./config.lua` (`huggingface.repo_name`); nothing where there is no such file, or one that
/// cannot be read.
pub fn own_setting(path: &str) -> Option<String> {
    if !Path::new("config.lua").exists() {
        return None;
    }
    let code = "local config = require('affine.config') return config.get(config.load({}), ...)";
    let lua = state(Path::new("")).ok()?;
    lua.load(code).set_name("=settings").call(path).ok()
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
    lua.set_app_data(Origin { folder: folder.to_path_buf(), make: state });
    Ok(lua)
}

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
    tracker::install(lua, &host)?;
    lua.load(include_str!("prelude.lua")).set_name("=[host]").call::<()>(&host)?;
    lua.set_named_registry_value(attach::RESUMER, host.get::<mlua::Function>("resumer")?)
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
