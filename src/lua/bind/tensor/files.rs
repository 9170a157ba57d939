//! Tensors by name, in Lua tables and in safetensors files.

use mlua::{Lua, Table, Value};

use super::{Function, Tensor, attempt, tensor_of};
use crate::engine::tensor::safetensors;
use crate::engine::{Error, Result};
use crate::lua::call::Call;
use crate::lua::kind::kind;
use crate::lua::{options, report};

type T = tch::Tensor;

pub const FUNCTIONS: &[(&str, Function)] = &[("save", save), ("load", load)];

/// `(path, tensors)`: writes tensors by name as a safetensors file.
fn save(_: &Lua, function: &str, mut args: Call) -> mlua::Result<Value> {
    let (path, table) = (args.string("path")?, args.table("tensors")?);
    args.finish()?;
    let tensors = named(&table, "tensors").map_err(|error| options::reject(function, error))?;
    attempt(|| safetensors::write(&path, &tensors)).map_err(|error| options::reject(function, error))?;
    Ok(Value::Nil)
}

/// The tensors of a table by name, in the order of their names; `place` is the table's, for the error.
pub fn named(table: &Table, place: &str) -> Result<Vec<(String, T)>> {
    let mut tensors = Vec::new();
    for pair in table.pairs::<Value, Value>() {
        let (key, value) = pair.map_err(|error| report::lower(&error))?;
        let Some(name) = key.as_string().and_then(|name| Some(name.to_str().ok()?.to_string())) else {
            return Err(Error::option(place, "names as keys", kind(&key)));
        };
        let tensor = tensor_of(&value, &format!("{place}.{name}"))?;
        tensors.push((name, tensor));
    }
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(tensors)
}

/// `(path)`: the tensors of a safetensors file by name, on the CPU.
fn load(lua: &Lua, function: &str, mut args: Call) -> mlua::Result<Value> {
    let path = args.string("path")?;
    args.finish()?;
    let tensors = attempt(|| safetensors::read(&path)).map_err(|error| options::reject(function, error))?;
    by_name(lua, tensors).map(Value::Table)
}

/// Tensors as a Lua table of new handles by name.
pub fn by_name(lua: &Lua, tensors: Vec<(String, T)>) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    for (name, tensor) in tensors {
        table.raw_set(name, Tensor::handle(lua, tensor)?)?;
    }
    Ok(table)
}
