//! What `require` finds, in this order:
//!
//! 1. `affine.native.<name>`, the modules written in Rust (preloaded);
//! 2. `affine` and `affine.<name>`: the file of that name in the standard library, else the native module itself. The
//!    standard library is the folder named by `AFFINE_STDLIB` where that has the file, else the copy in the binary;
//! 3. anything else: a file of that name beside the script, then in the working folder (`package.path`).
//!
//! A user's file cannot shadow a name of the second kind.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use mlua::{Function, IntoLuaMulti, Lua, MultiValue, Table, Value};

use super::strict::unknown;
use super::{bind, chunk, options, report};
use crate::engine::Error;

/// The standard library as it was when the binary was built.
#[derive(rust_embed::Embed)]
#[folder = "lua-stdlib"]
struct Library;

/// Replaces Lua's searchers and its search path, which would look in system folders.
pub fn install(lua: &Lua, folder: &Path) -> mlua::Result<()> {
    let package: Table = lua.globals().get("package")?;
    let folder = folder.to_string_lossy();
    let here = "?.lua;?/init.lua".to_string();
    let path = if folder.is_empty() { here } else { format!("{folder}/?.lua;{folder}/?/init.lua;{here}") };
    package.set("path", path)?;
    package.set("cpath", "")?;
    let searchers = [
        lua.create_function(preloaded)?,
        lua.create_function(|lua, name: String| own(lua, &name))?,
        lua.create_function(|lua, name: String| beside_the_script(lua, &name))?,
    ];
    package.set("searchers", lua.create_sequence_from(searchers)?)
}

/// Every public module: what `affine.<name>` can be. What the library keeps to itself lies in `affine/internal`.
pub fn modules() -> Vec<String> {
    let files = Library::iter().filter_map(|file| {
        let name = file.strip_prefix("affine/")?.strip_suffix(".lua")?;
        let name = name.strip_suffix("/init").unwrap_or(name).replace('/', ".");
        (name != "init" && !name.starts_with('_') && !name.starts_with("internal.")).then_some(name)
    });
    let mut names: Vec<String> = files.chain(bind::ALL.iter().map(|(name, _)| name.to_string())).collect();
    names.sort();
    names.dedup();
    names
}

/// Lua's own first searcher lists `package.preload['x']` as a place that was tried, which helps nobody.
fn preloaded(lua: &Lua, name: String) -> mlua::Result<Value> {
    lua.globals().get::<Table>("package")?.get::<Table>("preload")?.get(name)
}

fn own(lua: &Lua, name: &str) -> mlua::Result<MultiValue> {
    let Some(rest) = name.strip_prefix("affine").filter(|rest| rest.is_empty() || rest.starts_with('.')) else {
        return Ok(MultiValue::new());
    };
    let module = rest.strip_prefix('.').unwrap_or("init");
    if let Some((code, chunk_name)) = library_file(module)? {
        let loader = chunk::load(lua, &code, &format!("@{chunk_name}"))?.into_function()?;
        return (loader, chunk_name).into_lua_multi(lua);
    }
    if bind::ALL.iter().any(|(native, _)| *native == module) {
        let native = format!("affine.native.{module}");
        let loader = lua.create_function(move |lua, _: MultiValue| {
            lua.globals().get::<Function>("require")?.call::<Value>(native.as_str())
        })?;
        return (loader, format!("native {module}")).into_lua_multi(lua);
    }
    Err(report::raise(unknown("affine has no", "module", module, &modules())))
}

/// The file of a standard library module and its name in messages (`affine:env.lua`).
fn library_file(module: &str) -> mlua::Result<Option<(Cow<'static, [u8]>, String)>> {
    // `_meta` holds stubs, which are for editors.
    if module.split('.').any(|part| part.is_empty() || part.starts_with('_')) {
        return Ok(None);
    }
    let stem = module.replace('.', "/");
    for file in [format!("{stem}.lua"), format!("{stem}/init.lua")] {
        if let Some(folder) = own_library()? {
            let path = folder.join(&file);
            if path.is_file() {
                let code = std::fs::read(&path).map_err(|error| report::raise(Error::file(&path, error)))?;
                return Ok(Some((code.into(), path.display().to_string())));
            }
        }
        if let Some(embedded) = Library::get(&format!("affine/{file}")) {
            return Ok(Some((embedded.data, format!("affine:{file}"))));
        }
    }
    Ok(None)
}

/// The folder `affine` in the one that `AFFINE_STDLIB` names. Files that it lacks are taken from the binary; lacking
/// altogether, it is a mistake in the name.
fn own_library() -> mlua::Result<Option<PathBuf>> {
    let Some(named) = std::env::var_os("AFFINE_STDLIB") else { return Ok(None) };
    let folder = Path::new(&named).join("affine");
    match folder.is_dir() {
        true => Ok(Some(folder)),
        false => Err(report::raise(Error::hinted(
            format!("AFFINE_STDLIB: there is no folder {}", folder.display()),
            "name the folder that holds affine/, such as lua-stdlib, or unset the variable",
        ))),
    }
}

/// The last searcher: what it does not find is nowhere, and what was tried is said.
fn beside_the_script(lua: &Lua, name: &str) -> mlua::Result<MultiValue> {
    let package: Table = lua.globals().get("package")?;
    let search: Function = package.get("searchpath")?;
    let path: Value = package.get("path")?;
    let found: Option<String> = search.call::<(Option<String>, Value)>((name, &path))?.0;
    let Some(file) = found else {
        let modules: Vec<String> = modules().into_iter().map(|module| format!("affine.{module}")).collect();
        let path = path.to_string()?;
        let tried: Vec<String> = path.split(';').map(|place| place.replace('?', &name.replace('.', "/"))).collect();
        let message = format!("there is no module `{name}`: no file {}", tried.join(", nor "));
        let near = options::nearest(name, modules.iter().map(String::as_str));
        return Err(report::raise(match near {
            Some(near) => Error::hinted(message, format!("did you mean `{near}`?")),
            None => Error::message(message),
        }));
    };
    let code = std::fs::read(&file).map_err(|error| report::raise(Error::file(&file, error)))?;
    let loader = chunk::load(lua, &code, &format!("@{file}"))?.into_function()?;
    (loader, file).into_lua_multi(lua)
}
