//! Runs every `tests/lua/**/*.lua` as a script of the built binary, each as a test of its own (`cargo test lua::json::`), in a
//! folder that it must leave as it found it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::cli::affine;
use super::place::{left_in, show_clone};

fn passes(script: &str) {
    let folder = tempfile::tempdir().unwrap();
    show_clone(folder.path());
    let output = affine().arg(Path::new(script)).current_dir(folder.path()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {}\n{text}", output.status);
    let left = left_in(folder.path());
    assert!(left.is_empty(), "{script}: leaves {left:?} in the folder it runs in");
}

/// A test for each file, below a module for its folder.
macro_rules! of_files {
    ($($folder:ident: $($file:ident)*;)*) => {
        $(mod $folder {
            $(#[test]
            fn $file() {
                super::passes(concat!("tests/lua/", stringify!($folder), "/", stringify!($file), ".lua"));
            })*
        })*

        const FILES: &[&str] = &[$($(concat!(stringify!($folder), "/", stringify!($file), ".lua"),)*)*];
    };
}

of_files! {
    card: text secrets;
    data: files marks tools;
    env: abd define labels textcraft thoughts;
    eval: compare numbers run;
    fs: files;
    host: counts errors memory;
    json: roundtrip;
    model: adapters attention chat cuda_graph generate kernels quantized;
    path: parts;
    pipeline: code held_out;
    random: streams;
    report: table;
    sandbox: run;
    sweep: bad_input population trials;
    tensor: arithmetic creation examples gradients handles indexing layers linear_regression optimizers parts reductions torch;
    test: expectations;
    time: clock;
    tokenizer: chat;
    trainer: adapters callbacks options ppo sft;
    worker: pool;
}

#[test]
fn every_file_is_a_test() {
    let folders = std::fs::read_dir("tests/lua").unwrap().map(|entry| entry.unwrap().path());
    let files = |folder: PathBuf| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let found = folders.filter(|path| path.is_dir()).flat_map(files);
    let name = |path: PathBuf| path.strip_prefix("tests/lua").unwrap().to_string_lossy().into_owned();
    let found: BTreeSet<String> = found.map(name).filter(|name| name.ends_with(".lua")).collect();
    assert_eq!(found, FILES.iter().map(|name| name.to_string()).collect());
}
