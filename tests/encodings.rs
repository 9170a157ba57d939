//! Text with a byte order mark, and text in UTF-16, wherever affine reads some.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use affine::engine::model::Model;
use affine::engine::text::Tokenizer;
use tch::Device;

use super::golden;

const MARK: &str = "\u{feff}";

fn affine(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_affine")).current_dir(folder).args(args).output().unwrap()
}

fn wide(text: &str) -> Vec<u8> {
    format!("{MARK}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[test]
fn a_byte_order_mark_before_lua_is_skipped_wherever_lua_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let write = |name: &str, text: &str| fs::write(at.join(name), format!("{MARK}{text}")).unwrap();
    write(
        "script.lua",
        "#!/usr/bin/env affine\nprint(require('module'), require('affine.config').load({}, {}).seed)\n",
    );
    write("module.lua", "return 'module'");
    write("config.lua", "return { seed = 77 }");
    write("work.lua", "return function(x) return x + 1 end");
    write(
        "own.lua",
        "return require('affine.env').define { name = 'own', prompt = 'p', reset = function() return 'o' end, step = function() return 'o', 1, true end }",
    );
    let output = affine(at, &["script.lua"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "module\t77\n", "{output:?}");
    for code in [
        "local p <close> = require('affine.worker').pool('work.lua') print(p:map({ 1 })[1])",
        "print(require('affine.env').make('own.lua'):describe().name == 'own' and 2)",
        "print(dofile('module.lua') == 'module' and 2)",
    ] {
        let output = affine(at, &["-e", code]);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "2\n", "{code}: {output:?}");
    }
    assert_eq!(affine(at, &["check", "module.lua", "script.lua"]).status.code(), Some(0));
    let mut child = Command::new(env!("CARGO_BIN_EXE_affine"));
    let mut child = child.arg("-").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), format!("{MARK}print(2)").as_bytes()).unwrap();
    assert_eq!(child.wait_with_output().unwrap().stdout, b"2\n");
}

#[test]
fn lua_in_another_encoding_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::write(at.join("wide.lua"), wide("print(1)")).unwrap();
    for args in [&["wide.lua"][..], &["-e", "require 'wide'"], &["-e", "require('affine.env').make 'wide.lua'"]] {
        let output = affine(at, args);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && text.contains("wide.lua: text in UTF-16: expected UTF-8"), "{text}");
    }
    let output = affine(at, &["check", "wide.lua"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    fs::write(at.join("config.lua"), wide("return {}")).unwrap();
    let output = affine(at, &["-e", "require('affine.config').load({}, {})"]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("config.lua: text in UTF-16: expected UTF-8"), "{text}");
}

/// A mark in a chat template would be the first token of every prompt.
#[test]
fn a_byte_order_mark_in_a_models_files_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let plain = golden::path("parity/model-tiny");
    for entry in fs::read_dir(&plain).unwrap() {
        let entry = entry.unwrap();
        let bytes = fs::read(entry.path()).unwrap();
        let is_text = [".json", ".jinja"].iter().any(|end| entry.file_name().to_string_lossy().ends_with(end));
        let marked = if is_text { [MARK.as_bytes(), &bytes].concat() } else { bytes };
        fs::write(folder.path().join(entry.file_name()), marked).unwrap();
    }
    let load = |folder: &Path| Model::load(folder, None, Device::Cpu).unwrap();
    let ids = [5, 6, 7];
    assert_eq!(load(folder.path()).logprobs(&ids, 1.0).unwrap(), load(&plain).logprobs(&ids, 1.0).unwrap());
    assert_eq!(Tokenizer::load(folder.path()).unwrap().fingerprint(), Tokenizer::load(&plain).unwrap().fingerprint());

    fs::write(folder.path().join("tokenizer_config.json"), wide("{}")).unwrap();
    let error = Tokenizer::load(folder.path()).err().unwrap().to_string();
    assert!(
        error.ends_with("tokenizer_config.json: text in UTF-16: expected UTF-8; save it in that encoding"),
        "{error}"
    );
}
