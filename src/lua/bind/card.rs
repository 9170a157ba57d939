//! `affine.native.card`: the text of a model card from what it is to say.

use std::path::Path;

use mlua::{Lua, MultiValue, Table};

use crate::engine::hub::card::Card;
use crate::lua::call::Call;

pub fn module(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.set("text", lua.create_function(text)?)?;
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
