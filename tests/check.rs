//! `affine check` from outside.

use std::path::Path;

use super::cli::{affine, code, stderr, stdout};

#[test]
fn a_mistake_is_a_line_and_the_exit_code_is_1() {
    let folder = tempfile::tempdir().unwrap();
    let script = "local affine = require 'affine'\nlocal t = affine.tensor\nprint(t.zeross { 2 })\npritn(1)\ny = 2\n";
    std::fs::create_dir(folder.path().join("lib")).unwrap();
    std::fs::write(folder.path().join("lib/x.lua"), script).unwrap();
    std::fs::write(folder.path().join("fine.lua"), "#!/usr/bin/env affine\nerror 'never run'").unwrap();
    std::fs::write(folder.path().join("types.lua"), "---@meta\nreturn T").unwrap();
    let output = affine().current_dir(folder.path()).arg("check").output().unwrap();
    assert_eq!(
        stdout(&output),
        "lib/x.lua:3: affine.tensor has no field `zeross`, did you mean `zeros`?\n\
         lib/x.lua:4: unknown global `pritn`, did you mean `print`?\n\
         lib/x.lua:5: warning: `y` becomes a global of every file; was `local y` meant?\n\
         2 files: 2 errors, 1 warning\n"
    );
    assert_eq!((code(&output), stderr(&output).as_str()), (1, ""));
}

#[test]
fn a_warning_alone_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("x.lua"), "y = 2").unwrap();
    let output = affine().current_dir(folder.path()).args(["check", "x.lua"]).output().unwrap();
    assert!(stdout(&output).ends_with("1 file: 0 errors, 1 warning\n"), "{}", stdout(&output));
    assert_eq!(code(&output), 0);
}

#[test]
fn a_path_that_is_not_there_is_a_wrong_command_line() {
    let output = affine().args(["check", "no/such"]).output().unwrap();
    assert_eq!((stderr(&output).as_str(), code(&output)), ("affine: no such file or folder: no/such\n", 2));
}

#[test]
fn a_script_with_a_commands_name_is_reached_by_its_path() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("check"), "print('the script', ...)").unwrap();
    let output = affine().current_dir(folder.path()).args(["./check", "--help"]).output().unwrap();
    assert_eq!(stdout(&output), "the script\t--help\n");
}

#[test]
fn all_lua_code_of_this_repository_is_without_mistakes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = affine()
        .current_dir(root)
        .args(["check", "lua-stdlib", "scripts", "tests/lua", "config.lua"])
        .output()
        .unwrap();
    assert!(stdout(&output).ends_with(" files: 0 errors, 0 warnings\n"), "{}", stdout(&output));
    assert_eq!(code(&output), 0);
}
