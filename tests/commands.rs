//! `affine repl`, `affine test` and `affine types` from outside.

use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};

use super::cli::{affine, code, stderr, stdout};

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn repl(input: &str) -> Output {
    let mut child =
        affine().arg("repl").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_conversation_prints_values_and_keeps_globals() {
    let output = repl("1 + 1, 'x'\nx = 20\n\nx * 2\nlocal y = 3\ny\n#affine.version > 0\n");
    assert_eq!(stdout(&output), "2\tx\n40\nnil\ntrue\n");
    assert_eq!((stderr(&output).as_str(), code(&output)), ("", 0));
}

#[test]
fn a_statement_goes_on_until_it_ends() {
    let output = repl("for i = 1, 2 do\n  print(i)\nend\nf = function()\n\nreturn [[a\nb]] end\nf()\n");
    assert_eq!(stdout(&output), "1\n2\na\nb\n");
    let output = repl("for i = 1, 2 do\n");
    assert_eq!((stderr(&output).as_str(), code(&output)), ("affine: the input ends within a statement\n", 1));
}

#[test]
fn an_error_is_reported_and_the_conversation_goes_on() {
    let output = repl("affine.json.encode({}, { indnt = 2 })\nx = = 1\n'after'\n");
    assert_eq!(stdout(&output), "after\n");
    let text = stderr(&output);
    assert!(
        text.starts_with("affine: input:1: json.encode: indnt: unknown option\nhint: did you mean `indent`?\n"),
        "{text}"
    );
    assert!(text.ends_with("affine: input:1: unexpected symbol near '='\n"), "{text}");
    assert_eq!(code(&output), 1);
}

const PASSING: &str = "local test = require 'affine.test'\nleaked = (leaked or 0) + 1\n\
    test.describe('a', function() test.it('b', function() test.expect(leaked):equals(1) end) end)";
const FAILING: &str = "local test = require 'affine.test'\n\
    test.describe('a', function() test.it('b', function() test.expect(1):equals(2) end) end)";

#[test]
fn tests_are_found_run_apart_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a_test.lua", PASSING);
    write(folder.path(), "lib/b_test.lua", PASSING);
    write(folder.path(), "tests/lua/c/d.lua", FAILING);
    write(folder.path(), "no_test_at_all.lua", "error 'never run'");
    let output = affine().current_dir(folder.path()).arg("test").output().unwrap();
    let text = stdout(&output);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("ok    a_test.lua  ") && lines[1].starts_with("ok    lib/b_test.lua  "), "{text}");
    assert!(lines[2].starts_with("FAIL  tests/lua/c/d.lua  "), "{text}");
    assert!(text.contains("1 of 1 tests failed") && text.contains("expected 2, got 1"), "{text}");
    assert!(text.contains("\n2 of 3 files passed in "), "{text}");
    assert_eq!(code(&output), 1);

    let one = affine().current_dir(folder.path()).args(["test", "a_test.lua", "lib"]).output().unwrap();
    assert!(stdout(&one).contains("2 of 2 files passed"), "{}", stdout(&one));
    assert_eq!(code(&one), 0);
}

#[test]
fn a_folder_without_tests_is_a_wrong_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let output = affine().current_dir(folder.path()).arg("test").output().unwrap();
    let sentence = "affine: no tests here: a test is called *_test.lua, or lies below a folder tests/lua\n";
    assert_eq!((stderr(&output).as_str(), code(&output)), (sentence, 2));
}

fn types(folder: &Path, args: &[&str]) -> Output {
    affine().current_dir(folder).arg("types").args(args).output().unwrap()
}

#[test]
fn types_are_written_where_editors_look() {
    let folder = tempfile::tempdir().unwrap();
    let output = types(folder.path(), &[]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    assert!(read(".affine/types/tensor.lua").starts_with("---@meta affine.tensor\n"));
    let settings: serde_json::Value = serde_json::from_str(&read(".luarc.json")).unwrap();
    assert_eq!(settings["workspace.library"][0], ".affine/types");

    // A later version replaces what an earlier one wrote.
    write(folder.path(), ".affine/types/tensor.lua", "---@meta affine.tensor\n-- old");
    assert!(stdout(&types(folder.path(), &[])).contains(".luarc.json names them already."));
    assert!(!read(".affine/types/tensor.lua").contains("-- old"));
}

#[test]
fn types_leave_what_is_not_theirs() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "lib/json.lua", "-- mine");
    write(folder.path(), ".luarc.json", "{}");
    let output = types(folder.path(), &["lib"]);
    let sentence = |file: &str| {
        let own = "name a folder of their own, such as lib/affine-types; --force writes there all the same";
        format!("affine: lib/{file} is not a stub of affine: {own}\n")
    };
    assert_eq!((stderr(&output), code(&output)), (sentence("json.lua"), 2));
    // Nothing would be replaced, but the stubs would lie among the project's modules.
    std::fs::rename(folder.path().join("lib/json.lua"), folder.path().join("lib/mine.lua")).unwrap();
    assert_eq!(stderr(&types(folder.path(), &["lib"])), sentence("mine.lua"));
    std::fs::rename(folder.path().join("lib/mine.lua"), folder.path().join("lib/json.lua")).unwrap();
    assert!(!folder.path().join("lib/tensor.lua").exists());

    let output = types(folder.path(), &[]);
    assert!(stdout(&output).contains(".luarc.json is yours and stays."), "{}", stdout(&output));
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(read(".luarc.json"), "{}");
    assert_eq!(code(&types(folder.path(), &["lib", "--force"])), 0);
    assert!(read("lib/json.lua").starts_with("---@meta affine.json") && read(".luarc.json").contains("\"lib\""));
}
