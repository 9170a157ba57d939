//! `affine types`: what an editor's language server needs to know of affine, written beside a project's scripts.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use super::Failure;
use super::output::say;
use crate::engine::{Result, file};

/// Write types for editors: completion, documentation and checks of affine's modules
///
/// Writes LuaCATS stubs into FOLDER, and ./.luarc.json, by which lua-language-server and EmmyLua find them. A file of your
/// own is left as it is.
#[derive(clap::Args)]
pub struct Options {
    #[arg(value_name = "FOLDER", default_value = ".affine/types")]
    folder: PathBuf,

    /// Replace files that are not affine's, too
    #[arg(long)]
    force: bool,
}

/// The stubs as they were when the binary was built.
#[derive(rust_embed::Embed)]
#[folder = "lua-stdlib/affine/_meta"]
struct Stubs;

const SETTINGS: &str = ".luarc.json";

pub fn run(options: &Options) -> std::result::Result<(), Failure> {
    write_stubs(options)?;
    write_settings(options)
}

fn write_stubs(options: &Options) -> std::result::Result<(), Failure> {
    let stubs: Vec<(PathBuf, Cow<'static, [u8]>)> =
        Stubs::iter().filter_map(|name| Some((options.folder.join(&*name), Stubs::get(&name)?.data))).collect();
    if let Some((path, _)) = stubs.iter().find(|(path, _)| !options.force && !is_ours(path)) {
        let problem = format!("{} is not a stub of affine; --force replaces it", path.display());
        return Err(Failure::Usage(problem));
    }
    let write = || -> Result<()> {
        file::create_folder(&options.folder)?;
        stubs.iter().try_for_each(|(path, text)| file::write_atomic(path, text))
    };
    write().map_err(|error| Failure::Usage(error.to_string()))?;
    say(format_args!("{} stubs are in {}.", stubs.len(), options.folder.display()));
    Ok(())
}

/// Nothing of somebody else's would be lost.
fn is_ours(path: &Path) -> bool {
    std::fs::read(path).map_or(!path.exists(), |text| text.starts_with(b"---@meta affine"))
}

fn write_settings(options: &Options) -> std::result::Result<(), Failure> {
    let folder = options.folder.to_string_lossy();
    let settings = serde_json::json!({
        "runtime.version": "Lua 5.4",
        "runtime.path": ["?.lua", "?/init.lua"],
        "workspace.library": [folder],
    });
    let text = format!("{settings:#}\n");
    match std::fs::read_to_string(SETTINGS) {
        Ok(found) if found == text => say(format_args!("{SETTINGS} names them already.")),
        Ok(_) if !options.force => {
            say(format_args!(
                "{SETTINGS} is yours and stays. Add \"{folder}\" to its workspace.library, or replace it with --force."
            ));
        }
        _ => {
            file::write_atomic(SETTINGS, text.as_bytes()).map_err(|error| Failure::Usage(error.to_string()))?;
            say(format_args!("{SETTINGS} tells editors where they are."));
        }
    }
    Ok(())
}
