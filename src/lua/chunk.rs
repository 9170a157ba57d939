//! A file's bytes, or code that was typed, as a chunk of Lua.

use mlua::Lua;
use mlua::chunk::{Chunk, ChunkMode};

use super::report;
use crate::engine::{Error, utf8};

/// Code as a chunk, without a byte order mark and its shebang line emptied so that line numbers stay.
pub fn load<'a>(lua: &'a Lua, code: &'a [u8], name: &str) -> mlua::Result<Chunk<'a>> {
    utf8::check(code).map_err(|problem| report::raise(Error::file(name.trim_start_matches(['@', '=']), problem)))?;
    let code = utf8::without_mark(code);
    let start = match code.starts_with(b"#") {
        true => code.iter().position(|&byte| byte == b'\n').unwrap_or(code.len()),
        false => 0,
    };
    Ok(lua.load(&code[start..]).set_name(name).set_mode(ChunkMode::Text))
}
