//! `affine.env`: environments by name, and the handle that a script plays with.

mod abd;
mod handle;
mod native;
mod serve;

use std::path::Path;

use mlua::{AnyUserData, Function, Lua, MultiValue, Table, Value};

use crate::engine::env::label::{self, Origin};
use crate::engine::env::programs::generator::{Generator, GeneratorOptions};
use crate::engine::rollout::{observation_hash, prompt_hash};
use crate::engine::text::{Message, ROLES, check_roles};
use crate::engine::{Error, file};
use crate::lua::call::Call;
use crate::lua::environment::LuaEnvironment;
use crate::lua::kind::kind;
use crate::lua::{chunk, convert, options, report, strict};
pub use handle::{EnvironmentHandle, environments};

/// The environments of the standard library that are written in Lua, and where each comes from.
const IN_LUA: [(&str, &str); 1] = [("grid", "affine's own, in Lua")];

pub fn module(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.set("make", lua.create_function(make)?)?;
    table.set("built_in", lua.create_function(built_in)?)?;
    table.set("labels", lua.create_function(handle::labels)?)?;
    table.set("serve", lua.create_function(serve::serve)?)?;
    table.set("prompt_hash", lua.create_function(hash)?)?;
    table.set("observation_hash", lua.create_function(hash_of_observation)?)?;
    table.set("generated", lua.create_function(generated)?)?;
    Ok(table)
}

fn make(lua: &Lua, values: MultiValue) -> mlua::Result<AnyUserData> {
    let mut call = Call::new("env.make", values);
    let what = call.value("name")?;
    let table = call.optional_table("options")?;
    let (options, origin) = origin(lua, &call, &what, table)?;
    call.finish()?;
    let definition = match &what {
        Value::String(name) => {
            let name = name.to_string_lossy();
            if let Some(environment) = native::make(&name, options.clone())? {
                return strict::handle(lua, "an environment", EnvironmentHandle::native(environment, origin));
            }
            find(lua, &name)?
        }
        other => other.clone(),
    };
    let environment = LuaEnvironment::new(lua, checked(lua, &what, definition)?, options)?;
    strict::handle(lua, "an environment", EnvironmentHandle::script(environment, origin))
}

/// The environment's own options, and with the label what may tell it from another.
fn origin(lua: &Lua, call: &Call, what: &Value, options: Option<Table>) -> mlua::Result<(Option<Table>, Origin)> {
    let mut origin = Origin::default();
    if let Value::String(name) = what {
        origin.source = Some(native::bare(&name.to_string_lossy()).to_string());
    }
    let Some(options) = options else { return Ok((None, origin)) };
    let own = lua.create_table()?;
    for pair in options.pairs::<Value, Value>() {
        let (key, value) = pair?;
        match (key.to_string()?.as_str(), &value) {
            ("label", Value::String(label)) => origin.label = Some(label.to_string_lossy()),
            ("label", other) => {
                return Err(call.reject(Error::option("label", "a string", kind(other))));
            }
            (name, value) => {
                // Functions are the same to the eye.
                origin.options.extend(convert::to_json(lua, value).ok().map(|json| (name.to_string(), json)));
                own.raw_set(key, value)?;
            }
        }
    }
    origin.label.iter().try_for_each(|label| label::check(label)).map_err(|error| call.reject(error))?;
    Ok((Some(own), origin))
}

/// The names of what ships here, and where each comes from.
fn built_in_rows() -> impl Iterator<Item = (&'static str, &'static str)> {
    native::ALL.iter().map(|(name, origin, _)| (*name, *origin)).chain(IN_LUA)
}

fn built_in(lua: &Lua, values: MultiValue) -> mlua::Result<Table> {
    Call::new("env.built_in", values).finish()?;
    let rows = lua.create_table()?;
    for (name, origin) in built_in_rows() {
        rows.push(lua.create_table_from([("name", name), ("origin", origin)])?)?;
    }
    Ok(rows)
}

/// `env:prompt_hash` of messages that are at hand.
fn hash(_: &Lua, values: MultiValue) -> mlua::Result<String> {
    let mut call = Call::new("env.prompt_hash", values);
    let messages: Vec<Message> = call.list("messages")?;
    call.finish()?;
    check_roles(&messages, &ROLES).map_err(|problem| call.reject(Error::message(problem)))?;
    Ok(prompt_hash(&messages))
}

fn hash_of_observation(_: &Lua, values: MultiValue) -> mlua::Result<String> {
    let mut call = Call::new("env.observation_hash", values);
    let observation = call.string("observation")?;
    call.finish()?;
    Ok(observation_hash(&observation))
}

/// What ids 0 to count - 1 of the generator of programs hold; nothing is run.
fn generated(lua: &Lua, values: MultiValue) -> mlua::Result<Value> {
    let mut call = Call::new("env.generated", values);
    let count = call.integer("count")?;
    let options: GeneratorOptions = call.options()?;
    call.finish()?;
    let count =
        u64::try_from(count).map_err(|_| call.reject(Error::option("count", "an integer of at least 0", count)))?;
    let report = Generator::new(&options).map_err(|error| call.reject(error))?;
    let report = report::guard(|| report.report(0..count, None))?;
    convert::to_lua(lua, &serde_json::to_value(report).map_err(mlua::Error::external)?)
}

/// The definition behind a name: a Lua file, a module of the user's, or one that ships here.
fn find(lua: &Lua, name: &str) -> mlua::Result<Value> {
    if name.ends_with(".lua") {
        let code = std::fs::read(name).map_err(|error| report::raise(file::unreadable(Path::new(name), &error)))?;
        return chunk::load(lua, &code, &format!("@{name}"))?.eval();
    }
    let require: Function = lua.globals().get("require")?;
    if let Some(module) = name.strip_prefix("custom:") {
        return require.call(module);
    }
    let bare = native::bare(name);
    if IN_LUA.iter().any(|(known, _)| *known == bare) {
        return require.call(format!("affine.{bare}"));
    }
    let names: Vec<&str> = built_in_rows().map(|(name, _)| name).collect();
    let hint = match options::nearest(bare, names.iter().copied()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => {
            let others = "\"custom:<module>\", paths that end in .lua and AgentGym servers (http://host:port)";
            format!("known are {}, {others}", names.join(", "))
        }
    };
    Err(report::raise(Error::hinted(format!("env.make: no environment is called \"{name}\""), hint)))
}

/// A definition that went through `env.define`.
fn checked(lua: &Lua, what: &Value, definition: Value) -> mlua::Result<Table> {
    let require: Function = lua.globals().get("require")?;
    let module: Table = require.call("affine.env")?;
    let is_definition: bool = module.get::<Function>("is_definition")?.call(&definition)?;
    match definition {
        Value::Table(definition) if is_definition => Ok(definition),
        other => {
            let what = match what {
                Value::String(name) => format!("\"{}\"", name.to_string_lossy()),
                other => kind(other),
            };
            let message = format!("env.make: {what}: expected what env.define returns, got {}", kind(&other));
            Err(report::raise(Error::message(message)))
        }
    }
}
