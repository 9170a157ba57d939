//! `affine.hub`: the Hugging Face Hub, both ways. In a plan nothing is asked of it and nothing is sent.

use std::path::PathBuf;

use mlua::{Lua, MultiValue, Table, Value};
use serde::Deserialize;

use crate::engine::hub::{self, BRANCH, Kind, Repository, Settings, Upload};
use crate::engine::{file, plan};
use crate::lua::call::Call;
use crate::lua::convert;

pub fn module(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.set("create", lua.create_function(create)?)?;
    table.set("download", lua.create_function(download)?)?;
    table.set("info", lua.create_function(info)?)?;
    table.set("upload", lua.create_function(upload)?)?;
    table.set("whoami", lua.create_function(whoami)?)?;
    Ok(table)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DownloadOptions {
    repo: String,
    revision: Option<String>,
    files: Option<Vec<String>>,
    #[serde(default)]
    repo_type: Kind,
    cache_dir: Option<PathBuf>,
}

fn download(_: &Lua, values: MultiValue) -> mlua::Result<String> {
    let mut call = Call::new("hub.download", values);
    let options: DownloadOptions = call.options()?;
    call.finish()?;
    let folder = call.run(|| {
        let repository = Repository::named(options.repo_type, options.repo)?;
        let revision = options.revision.as_deref().unwrap_or(BRANCH);
        if plan::active() {
            plan::note(format!("hub: downloads {repository}; here an empty folder"));
            let folder = PathBuf::from("hub").join(repository.folder_name());
            file::create_folder(&folder)?;
            return Ok(folder);
        }
        let mut settings = Settings::read()?;
        if let Some(cache) = options.cache_dir {
            settings.cache = cache;
        }
        hub::download(&settings, &repository, revision, options.files.as_deref())
    })?;
    Ok(folder.to_string_lossy().into_owned())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UploadOptions {
    folder: PathBuf,
    repo: String,
    #[serde(default)]
    private: bool,
    revision: Option<String>,
    #[serde(default)]
    create_pr: bool,
    message: Option<String>,
    files: Option<Vec<String>>,
    #[serde(default)]
    dry_run: bool,
}

impl UploadOptions {
    fn upload(self) -> Upload {
        let default = Upload::default();
        Upload {
            folder: self.folder,
            repo: self.repo,
            private: self.private,
            revision: self.revision.unwrap_or(default.revision),
            create_pr: self.create_pr,
            message: self.message.unwrap_or(default.message),
            files: self.files,
            dry_run: self.dry_run,
        }
    }
}

fn upload(lua: &Lua, values: MultiValue) -> mlua::Result<Value> {
    let mut call = Call::new("hub.upload", values);
    let upload = call.options::<UploadOptions>()?.upload();
    call.finish()?;
    let uploaded = call.run(|| {
        if plan::active() {
            let planned = hub::inspect(&upload)?;
            let sent = format!("{} files to {}", planned.files.len(), upload.repo);
            plan::note(format!("hub: uploads {sent}; here nothing is sent"));
            return Ok(planned);
        }
        hub::upload(Settings::read()?, upload)
    })?;
    convert::to_lua(lua, &serde_json::to_value(uploaded).map_err(mlua::Error::external)?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateOptions {
    repo: String,
    #[serde(default)]
    private: bool,
}

fn create(_: &Lua, values: MultiValue) -> mlua::Result<String> {
    let mut call = Call::new("hub.create", values);
    let options: CreateOptions = call.options()?;
    call.finish()?;
    call.run(|| {
        let repository = Repository::named(Kind::Model, options.repo)?;
        let settings = Settings::read()?;
        if plan::active() {
            plan::note(format!("hub: makes the repository {repository}; here nothing is sent"));
            return Ok(hub::page(&settings, &repository));
        }
        hub::create(settings, &repository, options.private)
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InfoOptions {
    repo: String,
    revision: Option<String>,
    #[serde(default)]
    repo_type: Kind,
}

fn info(lua: &Lua, values: MultiValue) -> mlua::Result<Value> {
    let mut call = Call::new("hub.info", values);
    let options: InfoOptions = call.options()?;
    call.finish()?;
    let info = call.run(|| {
        let repository = Repository::named(options.repo_type, options.repo)?;
        if plan::active() {
            plan::note(format!("hub: asks about {repository}; here nothing is known of it"));
            return Ok(None);
        }
        hub::info(Settings::read()?, &repository, options.revision.as_deref().unwrap_or(BRANCH))
    })?;
    match info {
        Some(info) => convert::to_lua(lua, &serde_json::to_value(info).map_err(mlua::Error::external)?),
        None => Ok(Value::Nil),
    }
}

fn whoami(lua: &Lua, values: MultiValue) -> mlua::Result<Value> {
    let call = Call::new("hub.whoami", values);
    call.finish()?;
    let account = call.run(|| {
        if plan::active() {
            plan::note("hub: asks whose token it is; here it is nobody's".to_string());
            return Ok(serde_json::json!({ "name": "nobody", "organizations": [] }));
        }
        let account = hub::whoami(Settings::read()?)?;
        Ok(serde_json::to_value(account).expect("an account is plain"))
    })?;
    convert::to_lua(lua, &account)
}
