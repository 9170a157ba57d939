//! What a parameter can be, as a value of its own: `sweep.log(1e-5, 1e-2)`.

use mlua::{AnyUserData, Lua, MetaMethod, MultiValue, Table, UserData, UserDataMethods, Value};
use serde::Deserialize;

use crate::engine::sweep::Distribution;
use crate::engine::{Error, Result};
use crate::lua::call::Call;
use crate::lua::kind::kind;
use crate::lua::{convert, report};

pub struct SpaceHandle(pub Distribution);

impl UserData for SpaceHandle {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::ToString, |_, this, ()| Ok(this.0.to_string()));
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FloatOptions {
    pub log: bool,
    pub step: Option<f64>,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IntOptions {
    pub log: bool,
    pub step: i64,
}

impl Default for IntOptions {
    fn default() -> Self {
        IntOptions { log: false, step: 1 }
    }
}

pub fn constructors(lua: &Lua, module: &Table) -> mlua::Result<()> {
    let add = |name: &'static str, read: fn(&Lua, &mut Call) -> mlua::Result<Result<Distribution>>| {
        let make = lua.create_function(move |lua, values: MultiValue| -> mlua::Result<AnyUserData> {
            let mut call = Call::new(format!("sweep.{name}"), values);
            let distribution = read(lua, &mut call)?;
            call.finish()?;
            lua.create_userdata(SpaceHandle(call.run(|| distribution)?))
        })?;
        module.set(name, make)
    };
    add("uniform", |_, call| float(call, "range"))?;
    add("log", |_, call| Ok(Distribution::float("range", call.number("low")?, call.number("high")?, true, None)))?;
    add("int", |_, call| int(call, "range"))?;
    add("choice", |lua, call| choice(lua, call, "choices"))
}

/// The rest of `(low, high, options)`.
pub fn float(call: &mut Call, name: &str) -> mlua::Result<Result<Distribution>> {
    let (low, high) = (call.number("low")?, call.number("high")?);
    let FloatOptions { log, step } = call.options()?;
    Ok(Distribution::float(name, low, high, log, step))
}

pub fn int(call: &mut Call, name: &str) -> mlua::Result<Result<Distribution>> {
    let (low, high) = (call.integer("low")?, call.integer("high")?);
    let IntOptions { log, step } = call.options()?;
    Ok(Distribution::int(name, low, high, log, step))
}

pub fn choice(lua: &Lua, call: &mut Call, name: &str) -> mlua::Result<Result<Distribution>> {
    let choices = call.table("choices")?;
    Ok(values(lua, &choices, name).and_then(|choices| Distribution::choice(name, choices)))
}

/// The items of a list.
pub fn values(lua: &Lua, list: &Table, name: &str) -> Result<Vec<serde_json::Value>> {
    match convert::to_json_at(lua, &Value::Table(list.clone()), name)? {
        serde_json::Value::Array(items) => Ok(items),
        serde_json::Value::Object(fields) if fields.is_empty() => Ok(Vec::new()),
        _ => Err(Error::option(name, "a list", "a table with names")),
    }
}

/// A table of spaces by name, in the order of the names.
pub fn named(table: &Table) -> Result<Vec<(String, Distribution)>> {
    let mut spaces = Vec::new();
    for pair in table.pairs::<Value, Value>() {
        let (key, value) = pair.map_err(|error| report::lower(&error))?;
        let Value::String(name) = &key else {
            return Err(Error::option("space", "spaces by name", format!("a {} as key", kind(&key))));
        };
        let name = name.to_string_lossy();
        spaces.push((name.clone(), of_value(&value, &name)?));
    }
    spaces.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(spaces)
}

fn of_value(value: &Value, name: &str) -> Result<Distribution> {
    let space = match value {
        Value::UserData(handle) => handle.borrow::<SpaceHandle>().ok().map(|space| space.0.clone()),
        _ => None,
    };
    let expected = "a space, such as sweep.log(1e-5, 1e-2) or sweep.choice { 4, 16 }";
    space.ok_or_else(|| Error::option(name, expected, kind(value)))
}
