//! `os.execute` and `io.popen` for a process whose threads block signals: what they start hears Ctrl-C, and so does who
//! waits for it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;

use mlua::{Function, IntoLuaMulti, Lua, MultiValue, Table};

use super::call::Call;
use super::report;
use crate::engine::{Error, shell};

/// Puts both into `host`, for `prelude.lua`.
pub fn install(lua: &Lua, host: &Table) -> mlua::Result<()> {
    let popen: Function = lua.globals().get::<Table>("io")?.get("popen")?;
    host.set("execute", lua.create_function(execute)?)?;
    host.set("popen", lua.create_function(move |_, values| self::popen(&popen, values))?)
}

/// As Lua's own: whether it ended with success, how it ended, and with which code or signal; without a command, whether
/// there is a shell.
fn execute(lua: &Lua, values: MultiValue) -> mlua::Result<MultiValue> {
    let mut call = Call::new("os.execute", values);
    let command = call.optional_bytes("command")?;
    call.finish()?;
    let Some(command) = command else { return shell::exists().into_lua_multi(lua) };
    let status = shell::run(OsStr::from_bytes(&command.as_bytes())).map_err(report::raise)?;
    let (how, number) = match status.signal() {
        Some(signal) => ("signal", signal),
        None => ("exit", status.code().unwrap_or_default()),
    };
    let succeeded = status.success().then_some(true);
    (succeeded, how, number).into_lua_multi(lua)
}

fn popen(popen: &Function, values: MultiValue) -> mlua::Result<MultiValue> {
    let mut call = Call::new("io.popen", values);
    let (command, mode) = (call.bytes("prog")?, call.optional_string("mode")?.unwrap_or_else(|| "r".to_string()));
    call.finish()?;
    if !["r", "w"].contains(&mode.as_str()) {
        return Err(call.reject(Error::option("mode", "\"r\" or \"w\"", format!("{mode:?}"))));
    }
    shell::beside(|| popen.call((command, mode)))
}
