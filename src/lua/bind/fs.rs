//! `affine.fs`: files and folders. Paths are relative to the working folder; errors name the path.

use std::cell::RefCell;
use std::fs;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};

use mlua::{AnyUserData, Function, Lua, LuaString, MultiValue, Table, UserData, UserDataMethods};
use serde::Deserialize;

use crate::engine::lock::Lock;
use crate::engine::{self, Error, file};
use crate::lua::call::Call;
use crate::lua::strict::handle;
use crate::lua::{options, report};

#[rustfmt::skip]
pub fn module(lua: &Lua) -> mlua::Result<Table> {
    let fs = lua.create_table()?;
    fs.set("read",        lua.create_function(fs_read)?)?;
    fs.set("lines",       lua.create_function(fs_lines)?)?;
    fs.set("write",       lua.create_function(fs_write)?)?;
    fs.set("append",      lua.create_function(fs_append)?)?;
    fs.set("exists",      lua.create_function(fs_exists)?)?;
    fs.set("is_dir",      lua.create_function(fs_is_dir)?)?;
    fs.set("list",        lua.create_function(fs_list)?)?;
    fs.set("mkdir",       lua.create_function(fs_mkdir)?)?;
    fs.set("remove",      lua.create_function(fs_remove)?)?;
    fs.set("copy",        lua.create_function(fs_copy)?)?;
    fs.set("rename",      lua.create_function(fs_rename)?)?;
    fs.set("symlink",     lua.create_function(fs_symlink)?)?;
    fs.set("sha256",      lua.create_function(fs_sha256)?)?;
    fs.set("sha256_file", lua.create_function(fs_sha256_file)?)?;
    fs.set("lock",        lua.create_function(fs_lock)?)?;
    fs.set("cwd",         lua.create_function(fs_cwd)?)?;
    fs.set("tempdir",     lua.create_function(fs_tempdir)?)?;
    Ok(fs)
}

/// The only argument of most functions here.
fn one_path(function: &'static str, values: MultiValue) -> mlua::Result<PathBuf> {
    let mut call = Call::new(function, values);
    let path = call.string("path")?;
    call.finish()?;
    Ok(path.into())
}

fn two_paths(function: &'static str, names: [&str; 2], values: MultiValue) -> mlua::Result<(PathBuf, PathBuf)> {
    let mut call = Call::new(function, values);
    let (from, to) = (call.string(names[0])?, call.string(names[1])?);
    call.finish()?;
    Ok((from.into(), to.into()))
}

fn path_and_text(function: &'static str, values: MultiValue) -> mlua::Result<(PathBuf, LuaString)> {
    let mut call = Call::new(function, values);
    let (path, text) = (call.string("path")?, call.bytes("text")?);
    call.finish()?;
    Ok((path.into(), text))
}

/// An input or output error with its path, on its way to the script.
fn checked<T>(function: &str, path: &Path, result: io::Result<T>) -> mlua::Result<T> {
    result.map_err(|error| options::reject(function, Error::file(path, plain(&error))))
}

fn raised<T>(function: &str, result: engine::Result<T>) -> mlua::Result<T> {
    result.map_err(|error| options::reject(function, error))
}

/// The commonest errors in plain words instead of "No such file or directory (os error 2)".
fn plain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file or folder".to_string(),
        io::ErrorKind::PermissionDenied => "permission denied".to_string(),
        io::ErrorKind::StorageFull => "the disk is full".to_string(),
        io::ErrorKind::DirectoryNotEmpty => "the folder is not empty".to_string(),
        io::ErrorKind::IsADirectory => "is a folder".to_string(),
        io::ErrorKind::NotADirectory => "is not a folder".to_string(),
        _ => error.to_string(),
    }
}

fn fs_read(lua: &Lua, values: MultiValue) -> mlua::Result<LuaString> {
    let path = one_path("fs.read", values)?;
    lua.create_string(checked("fs.read", &path, fs::read(&path))?)
}

/// An iterator over a file's lines, read as they are asked for, without their line ends.
fn fs_lines(lua: &Lua, values: MultiValue) -> mlua::Result<Function> {
    let path = one_path("fs.lines", values)?;
    let mut reader = io::BufReader::new(checked("fs.lines", &path, fs::File::open(&path))?);
    lua.create_function_mut(move |lua, _: MultiValue| {
        let mut line = Vec::new();
        if checked("fs.lines", &path, reader.read_until(b'\n', &mut line))? == 0 {
            return Ok(None);
        }
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        lua.create_string(text.strip_suffix(b"\r").unwrap_or(text)).map(Some)
    })
}

fn fs_write(_: &Lua, values: MultiValue) -> mlua::Result<()> {
    let (path, text) = path_and_text("fs.write", values)?;
    raised("fs.write", file::write_atomic(&path, &text.as_bytes()))
}

fn fs_append(_: &Lua, values: MultiValue) -> mlua::Result<()> {
    let (path, text) = path_and_text("fs.append", values)?;
    let file = fs::File::options().create(true).append(true).open(&path);
    checked("fs.append", &path, file.and_then(|mut file| file.write_all(&text.as_bytes())))
}

fn fs_exists(_: &Lua, values: MultiValue) -> mlua::Result<bool> {
    Ok(one_path("fs.exists", values)?.exists())
}

fn fs_is_dir(_: &Lua, values: MultiValue) -> mlua::Result<bool> {
    Ok(one_path("fs.is_dir", values)?.is_dir())
}

/// The names in a folder, sorted.
fn fs_list(_: &Lua, values: MultiValue) -> mlua::Result<Vec<String>> {
    let path = one_path("fs.list", values)?;
    let entries = fs::read_dir(&path).and_then(|entries| entries.collect::<io::Result<Vec<_>>>());
    let entries = checked("fs.list", &path, entries)?;
    let mut names: Vec<String> = entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    Ok(names)
}

fn fs_mkdir(_: &Lua, values: MultiValue) -> mlua::Result<()> {
    let path = one_path("fs.mkdir", values)?;
    checked("fs.mkdir", &path, fs::create_dir_all(&path))
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Remove {
    /// Remove a folder with all that is in it.
    recursive: bool,
}

/// Removes a file, a link or an empty folder; whether there was one.
fn fs_remove(_: &Lua, values: MultiValue) -> mlua::Result<bool> {
    let mut call = Call::new("fs.remove", values);
    let path = PathBuf::from(call.string("path")?);
    let how: Remove = call.options()?;
    call.finish()?;
    let removed = match fs::symlink_metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => Err(error),
        Ok(found) if !found.is_dir() => fs::remove_file(&path),
        Ok(_) if how.recursive => fs::remove_dir_all(&path),
        Ok(_) => fs::remove_dir(&path),
    };
    checked("fs.remove", &path, removed).map(|()| true)
}

fn fs_copy(_: &Lua, values: MultiValue) -> mlua::Result<()> {
    let (from, to) = two_paths("fs.copy", ["from", "to"], values)?;
    let mut source = checked("fs.copy", &from, fs::File::open(&from))?;
    let copied = fs::File::create(&to).and_then(|mut target| io::copy(&mut source, &mut target));
    checked("fs.copy", &to, copied).map(|_| ())
}

fn fs_rename(_: &Lua, values: MultiValue) -> mlua::Result<()> {
    let (from, to) = two_paths("fs.rename", ["from", "to"], values)?;
    checked("fs.rename", &from, fs::rename(&from, &to))
}

fn fs_symlink(_: &Lua, values: MultiValue) -> mlua::Result<()> {
    let (target, link) = two_paths("fs.symlink", ["target", "link"], values)?;
    raised("fs.symlink", file::symlink_atomic(&target, &link))
}

fn fs_sha256(_: &Lua, values: MultiValue) -> mlua::Result<String> {
    let mut call = Call::new("fs.sha256", values);
    let text = call.bytes("text")?;
    call.finish()?;
    Ok(file::sha256(&text.as_bytes()))
}

fn fs_sha256_file(_: &Lua, values: MultiValue) -> mlua::Result<String> {
    let path = one_path("fs.sha256_file", values)?;
    raised("fs.sha256_file", file::sha256_file(&path))
}

/// A lock that is held; empty once it is closed.
struct LockHandle(RefCell<Option<Lock>>);

fn fs_lock(lua: &Lua, values: MultiValue) -> mlua::Result<AnyUserData> {
    let path = one_path("fs.lock", values)?;
    let lock = report::guard_in("fs.lock", || Lock::take(&path))?;
    handle(lua, "a lock", LockHandle(RefCell::new(Some(lock))))
}

impl UserData for LockHandle {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method("close", |_, this, values: MultiValue| {
            Call::new("lock:close", values).finish()?;
            this.0.take();
            Ok(())
        });
        methods.add_meta_method("__close", |_, this, _: MultiValue| {
            this.0.take();
            Ok(())
        });
    }
}

fn fs_cwd(_: &Lua, values: MultiValue) -> mlua::Result<String> {
    Call::new("fs.cwd", values).finish()?;
    let folder = checked("fs.cwd", Path::new("."), std::env::current_dir())?;
    Ok(folder.to_string_lossy().into_owned())
}

/// A new empty folder. It stays until the script removes it.
fn fs_tempdir(_: &Lua, values: MultiValue) -> mlua::Result<String> {
    Call::new("fs.tempdir", values).finish()?;
    let made = tempfile::Builder::new().prefix("affine-").tempdir().map(tempfile::TempDir::keep);
    let path = made.map_err(|error| report::raise(Error::file(std::env::temp_dir(), plain(&error))))?;
    Ok(path.to_string_lossy().into_owned())
}
