//! `affine.native.pipeline`: what the stages need of the engine beyond the public modules: what files hold, and whether
//! settings are possible, judged by what will take them.

use std::path::Path;

use mlua::{Lua, MultiValue, Table, Value};
use serde::Deserialize;

use super::model::{check_create, check_load};
use crate::engine::digest::{Digests, digests};
use crate::engine::eval::run::EvalOptions;
use crate::engine::hub::Token;
use crate::engine::model::{LoraOptions, lora};
use crate::engine::rl::options::PpoOptions;
use crate::engine::text::Tokenizer;
use crate::engine::train::sft::SftOptions;
use crate::engine::{Error, Result, hub};
use crate::lua::call::Call;
use crate::lua::{convert, options, report};

pub fn module(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.set("digests", lua.create_function(file_digests)?)?;
    table.set("commit", lua.create_function(commit)?)?;
    table.set("check", lua.create_function(check)?)?;
    Ok(table)
}

/// `(path, known, skip)`: the digests of a file or of all files of a folder, as [`digests`] says.
fn file_digests(lua: &Lua, values: MultiValue) -> mlua::Result<Value> {
    let mut call = Call::new("pipeline.digests", values);
    let path = call.string("path")?;
    let known: Digests = options::read(&call.function_name(), Some(call.table("known")?))?;
    let skip: Vec<String> = call.list("skip")?;
    call.finish()?;
    let found = report::guard(|| digests(Path::new(&path), &known, &skip))?;
    convert::to_lua(lua, &serde_json::to_value(found).map_err(mlua::Error::external)?)
}

/// The commit of a Hub's model that the cache holds; nil where there is none. The network is not asked.
fn commit(_: &Lua, values: MultiValue) -> mlua::Result<Option<String>> {
    let mut call = Call::new("pipeline.commit", values);
    let id = call.string("id")?;
    call.finish()?;
    let folder = hub::is_id(&id).then(|| hub::cached(&id, None)).flatten();
    Ok(folder.and_then(|folder| Some(folder.file_name()?.to_string_lossy().into_owned())))
}

/// `(what, section, options)`: an error that names `section.key` where what the options are for would refuse them.
fn check(lua: &Lua, values: MultiValue) -> mlua::Result<()> {
    let mut call = Call::new("pipeline.check", values);
    let (what, section, table) = (call.string("what")?, call.string("section")?, call.table("options")?);
    call.finish()?;
    let judged = match what.as_str() {
        "sft" => read(&section, table).and_then(|options: SftOptions| raised(options.validate())),
        "ppo" => read(&section, table).and_then(|options: PpoOptions| raised(options.validate())),
        "eval" => read(&section, table).and_then(|options: EvalOptions| raised(options.validate())),
        "lora" => read(&section, table).and_then(|options: LoraOptions| raised(lora::check(&options))),
        "tokenizer" => {
            read(&section, table).and_then(|Sized { vocab_size }| raised(Tokenizer::check_vocab_size(vocab_size)))
        }
        "load" => check_load(&section, table),
        "upload" => read(&section, table).and_then(|options| raised(check_upload(&options))),
        _ => check_create(lua, &section, table),
    };
    judged.map_err(|error| match error.downcast_ref::<Error>() {
        Some(error) => report::raise(error.below(&section)),
        None => error,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sized {
    vocab_size: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UploadTarget {
    repo_name: String,
}

/// Whether an upload could begin, as far as is known before the work of hours and without the Hub.
fn check_upload(options: &UploadTarget) -> Result<()> {
    let UploadTarget { repo_name } = options;
    if let Some(problem) = hub::problem_of_id(repo_name) {
        let expected = "OWNER/NAME of letters, digits, -, _ and .";
        return Err(Error::option("repo_name", expected, format!("\"{repo_name}\" ({problem})")));
    }
    match Token::find()? {
        Some(_) => Ok(()),
        None => Err(Error::option("upload", "a token of the Hub (HF_TOKEN), which true needs", "none")),
    }
}

fn read<T: serde::de::DeserializeOwned>(section: &str, table: Table) -> mlua::Result<T> {
    options::read(section, Some(table))
}

fn raised<T>(result: Result<T>) -> mlua::Result<T> {
    result.map_err(report::raise)
}
