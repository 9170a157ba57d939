//! Runs every `tests/lua/**/*.lua` as a script of the built binary, each in a folder of its own that it must leave as it
//! found it. A name as test filter does not reach single files; `affine tests/lua/json/roundtrip.lua` runs one.

use std::path::{Path, PathBuf};

use super::cli::affine;
use super::place::{left_in, show_clone};

fn scripts(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(scripts(&path)),
            false if path.extension().is_some_and(|extension| extension == "lua") => found.push(path),
            false => {}
        }
    }
    found.sort();
    found
}

#[test]
fn every_lua_test_passes() {
    let scripts = scripts(Path::new("tests/lua"));
    assert!(!scripts.is_empty());
    let mut failures = Vec::new();
    for script in &scripts {
        let folder = tempfile::tempdir().unwrap();
        show_clone(folder.path());
        let output = affine().arg(script).current_dir(folder.path()).output().unwrap();
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            failures.push(format!("{}: {}\n{text}", script.display(), output.status));
        }
        let left = left_in(folder.path());
        if !left.is_empty() {
            failures.push(format!("{}: leaves {left:?} in the folder it runs in", script.display()));
        }
    }
    assert!(failures.is_empty(), "{} of {} scripts failed\n{}", failures.len(), scripts.len(), failures.join("\n"));
}
