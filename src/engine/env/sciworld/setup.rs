//! `affine env setup sciworld`: obtains the jar with pip, into a folder of ours, without touching the user's Python.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::find::{self, VERSION};
use crate::engine::file;
use crate::engine::shell::find_program;
use crate::engine::signals::as_started;
use crate::engine::{Error, Result};

/// Installs ScienceWorld's Python package below `folder` (by default [`find::setup_folder`]), without the packages that
/// it depends on: its jar holds all that is needed. `python` is the Python whose pip does it; by default `python3`.
/// Returns the path of the jar.
pub fn setup(folder: Option<&Path>, python: Option<&str>) -> Result<PathBuf> {
    let folder = match folder.map(Path::to_path_buf).or_else(find::setup_folder) {
        Some(folder) => folder,
        None => return Err(Error::message("there is no home folder to install into: name a folder")),
    };
    let python = python.unwrap_or("python3");
    let program = find_program(python)
        .ok_or_else(|| Error::hinted(format!("there is no {python}"), "ScienceWorld is obtained with Python's pip"))?;
    file::create_folder(&folder)?;
    let mut pip = Command::new(program);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--upgrade", "--target"])
        .arg(&folder)
        .arg(format!("scienceworld=={VERSION}"))
        .env("PIP_ROOT_USER_ACTION", "ignore")
        .stdin(Stdio::null());
    let installed = as_started(|| pip.output()).map_err(|e| Error::message(format!("{python} cannot be run: {e}")))?;
    if !installed.status.success() {
        let said = String::from_utf8_lossy(&installed.stderr);
        let why = said.lines().rfind(|line| line.starts_with("ERROR")).or(said.lines().last()).unwrap_or("no reason");
        let hint = format!("try it by hand: {python} -m pip install --no-deps scienceworld=={VERSION}");
        return Err(Error::hinted(format!("pip could not obtain ScienceWorld: {why}"), hint));
    }
    let jar = find::in_package(&folder);
    if !jar.is_file() || !find::is_known_version(&jar)? {
        return Err(Error::file(&jar, format!("pip installed something else than ScienceWorld {VERSION}")));
    }
    Ok(jar)
}
