//! Modules and handles that refuse a name which they lack, where Lua would give nil. The error says the nearest right
//! name.

use mlua::{AnyUserData, Function, Lua, Table, UserData, Value};

use super::{options, report};
use crate::engine::Error;

/// A table of native functions. A name that it lacks is an error at the line that used it, with the nearest right one.
pub fn table(lua: &Lua, name: &str, table: Table) -> mlua::Result<Table> {
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
        Err(report::raise(unknown(&subject, noun, &key, &names)))
    })?;
    let metatable = lua.create_table()?;
    metatable.set("__index", index)?;
    table.set_metatable(Some(metatable))
}

/// `subject` lacks a `noun` called `name`: the sentence, with the nearest of the right names.
pub fn unknown(subject: &str, noun: &str, name: &str, names: &[String]) -> Error {
    match options::nearest(name, names.iter().map(String::as_str)) {
        Some(near) => Error::message(format!("{subject} {noun} `{name}`, did you mean `{near}`?")),
        None => Error::message(format!("{subject} {noun} `{name}`")),
    }
}
