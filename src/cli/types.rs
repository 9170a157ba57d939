//! `affine types`: what an editor's language server needs to know of affine, written beside a project's scripts.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use super::failure::Failure;
use super::output::say;
use crate::engine::{Result, file};

/// Write types for editors: completion, documentation and checks of affine's modules
///
/// Writes LuaCATS stubs into FOLDER, which is theirs alone, and ./.luarc.json, by which lua-language-server and EmmyLua find
/// them. A file of your own is left as it is.
#[derive(clap::Args)]
pub struct Options {
    #[arg(value_name = "FOLDER", default_value = ".affine/types")]
    folder: PathBuf,

    /// Write where other files are, and replace those that are not affine's, too
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
    if let Some(path) = somebody_elses(&options.folder).filter(|_| !options.force) {
        let (path, own) = (path.display(), options.folder.join("affine-types"));
        let problem = format!(
            "{path} is not a stub of affine: name a folder of their own, such as {}; --force writes there all the same",
            own.display()
        );
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

/// The first entry of a folder that is no stub: stubs among a project's own modules would look like some of them.
fn somebody_elses(folder: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_stub = |path: &PathBuf| std::fs::read(path).is_ok_and(|text| text.starts_with(b"---@meta affine"));
    entries.filter(|path| !is_stub(path)).min()
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
