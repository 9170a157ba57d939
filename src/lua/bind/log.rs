//! `affine.log`: lines for the person who watches, and for the stage's log file.

use std::path::Path;

use mlua::{Lua, MultiValue, Table, Value};

use crate::engine::log::{self, SCRIPT};
use crate::lua::call::Call;
use crate::lua::kind::kind;
use crate::lua::report;

pub fn module(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.set("debug", line(lua, "log.debug", |text| tracing::debug!(target: SCRIPT, "{text}"))?)?;
    table.set("info", line(lua, "log.info", |text| tracing::info!(target: SCRIPT, "{text}"))?)?;
    table.set("warn", line(lua, "log.warn", |text| tracing::warn!(target: SCRIPT, "{text}"))?)?;
    table.set("error", line(lua, "log.error", |text| tracing::error!(target: SCRIPT, "{text}"))?)?;
    table.set("file", lua.create_function(file)?)?;
    Ok(table)
}

/// One logging function: a message, and a table of fields that are written behind it as `key=value`.
fn line(lua: &Lua, name: &'static str, write: fn(&str)) -> mlua::Result<mlua::Function> {
    lua.create_function(move |_, values: MultiValue| {
        let mut call = Call::new(name, values);
        let mut text = call.bytes("message")?.to_string_lossy();
        let fields = call.optional_table("fields")?;
        call.finish()?;
        if let Some(fields) = fields {
            let mut pairs = Vec::new();
            for pair in fields.pairs::<Value, Value>() {
                let (key, value) = pair?;
                pairs.push(format!(" {}={}", key.to_string()?, shown(&value)?));
            }
            pairs.sort();
            text.extend(pairs);
        }
        write(&text);
        Ok(())
    })
}

fn shown(value: &Value) -> mlua::Result<String> {
    match value {
        // Enough digits to compare losses by; a log is not where numbers are kept.
        Value::Number(x) if x.fract() != 0.0 && (1e-3..1e6).contains(&x.abs()) => Ok(format!("{x:.4}")),
        Value::Number(x) => Ok(format!("{x}")),
        Value::Table(_) | Value::Function(_) => Ok(kind(value)),
        other => other.to_string(),
    }
}

fn file(_: &Lua, values: MultiValue) -> mlua::Result<()> {
    let mut call = Call::new("log.file", values);
    let path = call.string("path")?;
    call.finish()?;
    log::append_to(Path::new(&path)).map_err(report::raise)
}
