//! `affine.native.card`: the text of a model card from what it is to say.

use std::path::Path;

use mlua::{Lua, MultiValue, Table};

use crate::engine::hub::{self, card::Card};
use crate::lua::call::Call;

pub fn module(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.set("text", lua.create_function(text)?)?;
    table.set("vllm_rank", lua.create_function(vllm_rank)?)?;
    Ok(table)
}

/// `(card, path)`: the card as the file at `path` should hold it, and warnings; without a path a new one.
fn text(_: &Lua, values: MultiValue) -> mlua::Result<(String, Vec<String>)> {
    let mut call = Call::new("card.text", values);
    let card: Card = call.options()?;
    let path = call.optional_string("path")?;
    call.finish()?;
    let updated = call.run(|| match &path {
        Some(path) => card.at(Path::new(path)),
        None => card.render(),
    })?;
    Ok((updated.text, updated.warnings))
}

/// The `--max-lora-rank` that vLLM wants for an adapter of a rank; nil where it takes none of that rank.
fn vllm_rank(_: &Lua, values: MultiValue) -> mlua::Result<Option<u64>> {
    let mut call = Call::new("card.vllm_rank", values);
    let rank = call.integer("rank")?;
    call.finish()?;
    Ok(u64::try_from(rank).ok().and_then(hub::vllm_rank))
}
