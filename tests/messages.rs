//! Error messages word by word: every case under tests/messages is a script and what the user reads when it fails.
//!
//! A case begins with `=== what it is about`; the script follows, then `---` and the report. With `AFFINE_BLESS=1` the
//! reports are written anew from what comes out: read the difference before committing it.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use affine::lua::{self, Script};
use regex::Regex;

struct Case {
    title: String,
    script: String,
    report: String,
}

fn cases(text: &str) -> Vec<Case> {
    let parts = text.split("=== ").filter(|part| !part.trim().is_empty());
    let case = |part: &str| {
        let (title, rest) = part.split_once('\n').unwrap();
        let (script, report) = rest.split_once("\n---\n").unwrap_or((rest, ""));
        Case { title: title.into(), script: script.trim_end().into(), report: report.trim_end().into() }
    };
    parts.map(case).collect()
}

/// What the script's user reads on standard error.
fn report_of(script: &str, folder: &Path) -> String {
    let script = Script {
        code: script.as_bytes().to_vec(),
        name: "@x.lua".to_string(),
        folder: folder.join("modules"),
        args: vec!["x.lua".into()],
    };
    let report = match lua::run(&script) {
        Ok(()) => "no error".to_string(),
        Err(report) => report.to_string(),
    };
    // A module beside the script is named with its folder, which is this machine's; the library's own lines move, and
    // so does the memory that is free.
    let report = report.replace(&format!("{}/", script.folder.display()), "");
    let memory = Regex::new(r"[\d.]+ GiB of memory are free").unwrap();
    let report = memory.replace_all(&report, "N GiB of memory are free");
    let library = Regex::new(r"(affine:[\w/]+\.lua):\d+:").unwrap();
    library.replace_all(&report, "$1:N:").into_owned()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|e| e == "txt")).collect();
    files.sort();
    files
}

#[test]
fn every_mistake_is_answered_word_by_word() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages");
    let bless = std::env::var_os("AFFINE_BLESS").is_some();
    let (mut count, mut wrong) = (0, String::new());
    for file in files(&folder) {
        let mut blessed = String::new();
        for case in cases(&std::fs::read_to_string(&file).unwrap()) {
            let report = report_of(&case.script, &folder);
            count += 1;
            if report != case.report {
                let name = file.file_name().unwrap().display();
                writeln!(wrong, "{name}: {}\nexpected:\n{}\ngot:\n{report}\n", case.title, case.report).unwrap();
            }
            writeln!(blessed, "=== {}\n{}\n---\n{report}\n", case.title, case.script).unwrap();
        }
        if bless {
            std::fs::write(&file, blessed.trim_end().to_string() + "\n").unwrap();
        }
    }
    assert!(count >= 60, "only {count} cases");
    assert!(bless || wrong.is_empty(), "{wrong}");
}
