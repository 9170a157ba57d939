//! Runs every `tests/lua/**/*.lua` as a script of the built binary. A name as test filter does not reach single files;
//! `affine tests/lua/json/roundtrip.lua` runs one.

use std::path::{Path, PathBuf};
use std::process::Command;

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
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let scripts = scripts(&root.join("tests/lua"));
    assert!(!scripts.is_empty());
    let mut failures = Vec::new();
    for script in &scripts {
        let output = Command::new(env!("CARGO_BIN_EXE_affine")).arg(script).current_dir(root).output().unwrap();
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            failures.push(format!("{}: {}\n{text}", script.display(), output.status));
        }
    }
    assert!(failures.is_empty(), "{} of {} scripts failed\n{}", failures.len(), scripts.len(), failures.join("\n"));
}
