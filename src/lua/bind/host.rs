//! `affine.native.host`: what the standard library needs of the binary itself.

use mlua::{Lua, MultiValue, Table, Value};
use serde_json::json;

use crate::engine::native::storage::gpu_memory;
use crate::lua::call::Call;
use crate::lua::{convert, heap};

/// The root's config.lua as it was when the binary was built.
const CONFIG: &str = include_str!("../../../config.lua");

pub fn module(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.set("default_config", lua.create_function(default_config)?)?;
    table.set("memory", lua.create_function(memory)?)?;
    table.set("watch", lua.create_function(watch)?)?;
    Ok(table)
}

fn default_config(_: &Lua, values: MultiValue) -> mlua::Result<&'static str> {
    Call::new("host.default_config", values).finish()?;
    Ok(CONFIG)
}

fn memory(lua: &Lua, values: MultiValue) -> mlua::Result<Value> {
    Call::new("affine.memory", values).finish()?;
    let mut memory = json!(heap::usage());
    memory["lua_bytes"] = json!(lua.used_memory());
    // Asked for only where CUDA is there already: the question would start it.
    let gpus = if tch::Cuda::is_available() { tch::Cuda::device_count() as usize } else { 0 };
    let gpu = |index| gpu_memory(index).map(|(now, peak)| json!({ "bytes": now, "peak_bytes": peak }));
    memory["gpus"] = (0..gpus).filter_map(gpu).collect();
    convert::to_lua(lua, &memory)
}

/// `(table or nil)`: where new handles are put; gives what was there before.
fn watch(lua: &Lua, values: MultiValue) -> mlua::Result<Option<Table>> {
    let mut call = Call::new("host.watch", values);
    let table = call.optional_table("table")?;
    call.finish()?;
    heap::watch(lua, table)
}
