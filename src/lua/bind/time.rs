//! `affine.time`: the clock, a stamp for names, and a sleep that Ctrl-C ends.

use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mlua::{Lua, MultiValue, Table};

use crate::engine::{Error, cancel};
use crate::lua::call::Call;
use crate::lua::report;

/// Where [`clock`] counts from.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// How long a sleep may overlook Ctrl-C.
const SLICE: Duration = Duration::from_millis(50);

#[rustfmt::skip]
pub fn module(lua: &Lua) -> mlua::Result<Table> {
    LazyLock::force(&START);
    let time = lua.create_table()?;
    time.set("now",   lua.create_function(now)?)?;
    time.set("clock", lua.create_function(clock)?)?;
    time.set("stamp", lua.create_function(stamp)?)?;
    time.set("sleep", lua.create_function(sleep)?)?;
    Ok(time)
}

/// Seconds since 1970.
fn now(_: &Lua, values: MultiValue) -> mlua::Result<f64> {
    Call::new("time.now", values).finish()?;
    Ok(SystemTime::now().duration_since(UNIX_EPOCH).map(|since| since.as_secs_f64()).unwrap_or_default())
}

/// Seconds on a clock that never jumps: for measuring.
fn clock(_: &Lua, values: MultiValue) -> mlua::Result<f64> {
    Call::new("time.clock", values).finish()?;
    Ok(START.elapsed().as_secs_f64())
}

/// The local time as a part of names: `20260131-142501`.
fn stamp(_: &Lua, values: MultiValue) -> mlua::Result<String> {
    Call::new("time.stamp", values).finish()?;
    Ok(chrono::Local::now().format("%Y%m%d-%H%M%S").to_string())
}

fn sleep(_: &Lua, values: MultiValue) -> mlua::Result<()> {
    let mut call = Call::new("time.sleep", values);
    let seconds = call.number("seconds")?;
    call.finish()?;
    let span = Duration::try_from_secs_f64(seconds)
        .map_err(|_| call.reject(Error::option("seconds", "a non-negative number", seconds)))?;
    let start = Instant::now();
    while let Some(left) = span.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) {
        cancel::check().map_err(report::raise)?;
        std::thread::sleep(left.min(SLICE));
    }
    Ok(())
}
