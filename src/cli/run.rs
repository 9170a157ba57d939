//! `affine script.lua args…`, `affine -e code args…`, `affine -`: run Lua code.

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::{Failure, files};
use crate::lua::{self, Script};

/// `words` are the code and its arguments; `arg[0]` is `-e`.
pub fn code(mut words: Vec<OsString>) -> Result<(), Failure> {
    let code = std::mem::replace(&mut words[0], "-e".into());
    run(Script {
        code: code.into_encoded_bytes(),
        name: "=(command line)".to_string(),
        folder: PathBuf::new(),
        args: words,
    })
}

/// `words` are the script, or `-`, and its arguments.
pub fn script(words: Vec<OsString>) -> Result<(), Failure> {
    if words[0] == "-" {
        let mut code = Vec::new();
        std::io::stdin().read_to_end(&mut code).map_err(|error| Failure::Usage(format!("standard input: {error}")))?;
        return run(Script { code, name: "=stdin".to_string(), folder: PathBuf::new(), args: words });
    }
    let path = Path::new(&words[0]);
    let shown = path.display();
    let code = files::read(path)?;
    let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
    run(Script { code, name: format!("@{shown}"), folder, args: words })
}

fn run(script: Script) -> Result<(), Failure> {
    lua::run(&script).map_err(Failure::Script)
}
