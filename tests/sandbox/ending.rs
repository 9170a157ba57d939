//! However affine ends, no process of the sandbox stays.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::cli::{affine, code, interrupt, stderr};

const ENDLESS: &str =
    "print 'ready' require('affine.sandbox').run { code = 'while True: pass', limits = { cpu = 100, wall = 100 } }";

/// Processes that were started from the sandbox's server, by the tag in this script's folder.
fn left(tag: &str) -> usize {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|entry| fs::read(entry.path().join("environ")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).contains(tag)).count()
}

fn assert_nothing_is_left(tag: &str) {
    let started = Instant::now();
    while left(tag) > 0 {
        assert!(started.elapsed() < Duration::from_secs(10), "a process stayed behind");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn ctrl_c_ends_a_program_that_runs() {
    let folder = tempfile::tempdir().unwrap();
    let output = interrupt(affine().args(["-e", ENDLESS]).env("TMPDIR", folder.path()), &["-INT"]);
    assert_eq!(code(&output), 130, "{}", stderr(&output));
    assert_nothing_is_left(folder.path().to_str().unwrap());
}

#[test]
fn killing_affine_kills_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = affine();
    command.args(["-e", ENDLESS]).env("TMPDIR", folder.path()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let tag = folder.path().to_str().unwrap();
    let started = Instant::now();
    // affine itself, the server and the program.
    while left(tag) < 3 {
        assert!(started.elapsed() < Duration::from_secs(20), "the program did not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_nothing_is_left(tag);
}
