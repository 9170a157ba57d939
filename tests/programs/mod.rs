//! ABD and DED: verdicts against upstream's own, rows of every source, and programs that misbehave.

/// Programs, replies and machines that are not as they should be.
mod bad_input;
/// Every recorded verdict.
mod recorded;
/// Rows from files, folders, indices and addresses.
mod rows;
/// What demonstrations claim.
mod thoughts;

use std::path::{Path, PathBuf};

use affine::engine::env::abd::{Abd, Build};
use affine::engine::env::ded::Ded;
use affine::engine::env::programs::options::ProgramOptions;
use affine::engine::sandbox::Limits;
use serde_json::Value;

/// The recorded verdicts are the same with these limits as with the defaults, and come sooner. On a busy machine a program
/// must still reach the processor's limit before the clock's.
fn options(data: &Path) -> ProgramOptions {
    let limits = Limits { wall: 15.0, cpu: 1.0, ..Limits::default() };
    ProgramOptions { data: Some(data.display().to_string()), limits, ..ProgramOptions::default() }
}

/// A file of rows, one a line.
fn file_of(folder: &Path, rows: &[Value]) -> PathBuf {
    let path = folder.join("rows.jsonl");
    let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
    std::fs::write(&path, lines).unwrap();
    path
}

fn abd(rows: &[Value]) -> Abd {
    let folder = tempfile::tempdir().unwrap();
    Abd::new(&options(&file_of(folder.path(), rows)), Build::V2).unwrap()
}

fn ded(rows: &[Value]) -> Ded {
    let folder = tempfile::tempdir().unwrap();
    Ded::new(&options(&file_of(folder.path(), rows))).unwrap()
}
