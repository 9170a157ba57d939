//! `affine.path`: the parts of a path, as text. No function here looks at the disk, but `absolute` at the working
//! folder.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use mlua::{Lua, MultiValue, Table};

use crate::engine::Error;
use crate::lua::call::Call;

#[rustfmt::skip]
pub fn module(lua: &Lua) -> mlua::Result<Table> {
    let path = lua.create_table()?;
    path.set("join",      lua.create_function(join)?)?;
    path.set("parent",    lua.create_function(|_, values| part("path.parent", values, |path| path.parent().map(Path::as_os_str)))?)?;
    path.set("name",      lua.create_function(|_, values| part("path.name", values, Path::file_name))?)?;
    path.set("stem",      lua.create_function(|_, values| part("path.stem", values, Path::file_stem))?)?;
    path.set("extension", lua.create_function(|_, values| part("path.extension", values, Path::extension))?)?;
    path.set("absolute",  lua.create_function(absolute)?)?;
    Ok(path)
}

/// The parts with slashes between; an absolute part starts anew.
fn join(_: &Lua, values: MultiValue) -> mlua::Result<String> {
    let count = values.len().max(1);
    let mut call = Call::new("path.join", values);
    let mut joined = PathBuf::new();
    for _ in 0..count {
        joined.push(call.string("part")?);
    }
    call.finish()?;
    Ok(joined.to_string_lossy().into_owned())
}

/// One part of a path, empty where it has none (`path.extension "README"` is "").
fn part(function: &'static str, values: MultiValue, take: fn(&Path) -> Option<&OsStr>) -> mlua::Result<String> {
    let mut call = Call::new(function, values);
    let path = call.string("path")?;
    call.finish()?;
    Ok(take(Path::new(&path)).map(|part| part.to_string_lossy().into_owned()).unwrap_or_default())
}

fn absolute(_: &Lua, values: MultiValue) -> mlua::Result<String> {
    let mut call = Call::new("path.absolute", values);
    let path = call.string("path")?;
    call.finish()?;
    let absolute = std::path::absolute(&path);
    let absolute = absolute.map_err(|error| call.reject(Error::file(&path, error)))?;
    Ok(absolute.to_string_lossy().into_owned())
}
