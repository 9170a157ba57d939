//! Nothing that comes from a disk or a script ends the process: a short run of the fuzzers in `scripts/dev/fuzz`.

use std::process::Command;

/// The numbers are the fuzzer's own, so every run tries the same.
fn fuzz(what: &str, count: u32) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/dev/fuzz/fuzz.py");
    let mut python = Command::new("python3");
    python.args([script, what, "--count", &count.to_string(), "--patience", "120"]);
    let output = python.env("AFFINE", env!("CARGO_BIN_EXE_affine")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains(&format!("{count} tried, 0 found")), "{said}");
}

#[test]
fn no_damaged_file_ends_the_process() {
    fuzz("files", 460);
}

#[test]
fn no_argument_of_a_function_ends_the_process() {
    fuzz("calls", 1500);
}
