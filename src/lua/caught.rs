//! A native error in a script's hands: it reads like a string (`tostring`, `..`, `#`, and every method of a string such
//! as `e:find("x")`) and has fields for a script that wants to know more.
//!
//! mlua hands an error to a script as userdata of its own; here that userdata's metatable gets what it lacks. The error
//! itself stays what it was, so raising it again loses nothing.

use mlua::{IntoLua, Lua, LuaString, Table, Value, ffi};

use super::report::{self, Report};
use super::strict::unknown;
use crate::engine::Error;

/// The fields of a native error, as `_meta/affine.lua` documents them.
const FIELDS: [&str; 8] = ["message", "hint", "kind", "position", "traceback", "path", "expected", "got"];

/// Puts the metatable of native errors and what it is filled with into `host`, for `prelude.lua`.
pub fn install(lua: &Lua, host: &Table) -> mlua::Result<()> {
    host.set("errors", metatable(lua)?)?;
    host.set("text", lua.create_function(text)?)?;
    host.set("field", lua.create_function(field)?)?;
    host.set("pass", lua.create_function(pass)?)?;
    host.set("traceback", lua.create_function(traceback)?)?;
    host.set("remember", lua.create_function(remember)?)
}

/// The metatable that all native errors of this state share.
fn metatable(lua: &Lua) -> mlua::Result<Table> {
    let any = Value::Error(Box::new(report::raise(Error::Interrupted)));
    // SAFETY: the closure replaces its one argument, a userdata, by that userdata's metatable.
    unsafe {
        lua.exec_raw(any, |state| {
            ffi::lua_getmetatable(state, -1);
            ffi::lua_remove(state, -2);
        })
    }
}

/// Any value as text, a native error as [`Report::text`].
fn text(lua: &Lua, value: Value) -> mlua::Result<LuaString> {
    match &value {
        Value::Error(error) => lua.create_string(Report::new(error).text()),
        other => lua.create_string(other.to_string()?),
    }
}

/// Lets a caught error pass, unless it is an interruption or the end of a pruned trial, which is raised again. (A panic
/// that was caught goes on as it is handed to this function.)
fn pass(_: &Lua, value: Value) -> mlua::Result<()> {
    match value {
        Value::Error(error) if Report::new(&error).interrupted || report::is_pruned(&error) => Err(*error),
        _ => Ok(()),
    }
}

fn field(lua: &Lua, (value, name): (Value, Value)) -> mlua::Result<Value> {
    let Value::Error(error) = value else { return Ok(Value::Nil) };
    let report = Report::new(&error);
    let engine = report::engine_error(&error);
    let (path, expected, got) = match engine.map(Error::root) {
        Some(Error::Option { path, expected, got }) => (Some(path.clone()), Some(expected), Some(got)),
        Some(Error::Unknown { path, .. }) => (Some(path.clone()), None, None),
        Some(Error::File { path, .. }) => (Some(path.to_string_lossy().into_owned()), None, None),
        _ => (None, None, None),
    };
    let name = name.to_string()?;
    match name.as_str() {
        "message" => report.message.into_lua(lua),
        "hint" => report.hint.into_lua(lua),
        "kind" => engine.map_or("script", Error::kind).into_lua(lua),
        "position" => report.position().into_lua(lua),
        "traceback" => report.traceback.into_lua(lua),
        "path" => path.into_lua(lua),
        "expected" => expected.map(String::as_str).into_lua(lua),
        "got" => got.map(String::as_str).into_lua(lua),
        _ => {
            let names = FIELDS.map(str::to_string);
            Err(report::raise(unknown("an error has no", "field", &name, &names)))
        }
    }
}

/// `debug.traceback([thread,] [message [, level]])`. For a native error: its own lines, which the stack has lost.
fn traceback(lua: &Lua, (first, second, third): (Value, Value, Value)) -> mlua::Result<Value> {
    let (thread, message, level) = match first {
        Value::Thread(thread) => (Some(thread), second, third),
        _ => (None, first, second),
    };
    let level = level.as_integer().unwrap_or(if thread.is_some() { 0 } else { 1 });
    let text = match &message {
        Value::Nil => None,
        Value::String(text) => Some(text.to_string_lossy()),
        Value::Error(error) if thread.is_none() => {
            return Report::new(error).text_with_traceback().into_lua(lua);
        }
        Value::Error(error) => Some(Report::new(error).text()),
        // As Lua's own: what is no text is handed back.
        _ => return Ok(message),
    };
    match thread {
        None => lua.traceback(text.as_deref(), level.clamp(0, 1000) as usize)?.into_lua(lua),
        Some(thread) => {
            let lines = of_thread(lua, thread, level.clamp(0, 1000) as i32)?;
            text.map_or(lines.clone(), |text| format!("{text}\n{lines}")).into_lua(lua)
        }
    }
}

/// The traceback of a thread that is not running.
fn of_thread(lua: &Lua, thread: mlua::Thread, level: i32) -> mlua::Result<String> {
    // SAFETY: the closure's one argument is a thread, which lives as long as it is on the stack; it leaves a string.
    unsafe {
        lua.exec_raw(thread, move |state| {
            let thread = ffi::lua_tothread(state, -1);
            ffi::luaL_traceback(state, thread, std::ptr::null(), level);
            ffi::lua_remove(state, -2);
        })
    }
}

/// `(error, thread)`: keeps the lines of a coroutine that ended with an error, for the report of that error.
fn remember(lua: &Lua, (error, thread): (Value, mlua::Thread)) -> mlua::Result<()> {
    let text = match &error {
        Value::Error(error) => Report::new(error).text(),
        Value::String(text) => text.to_string_lossy(),
        _ => return Ok(()),
    };
    let inside = of_thread(lua, thread, 0)?;
    report::remember_coroutine(&text, &inside, &lua.traceback(None, 1)?.to_string_lossy());
    Ok(())
}
