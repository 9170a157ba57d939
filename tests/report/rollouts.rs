//! The commands as they are called.

use std::path::Path;
use std::process::Command;

use super::generated;

/// What a command prints, and what it complains of.
fn affine(folder: &Path, arguments: &[&str]) -> (String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_affine")).args(arguments).current_dir(folder).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

#[test]
fn without_a_filter_there_is_a_table_of_what_there_is() {
    let folder = tempfile::tempdir().unwrap();
    generated::run(folder.path(), "a", 3);
    let (text, _) = affine(folder.path(), &["rollouts", "show", "runs/a"]);
    let row = |stage: &str, iteration: &str, env: &str| {
        let is_of = |line: &&str| line.split_whitespace().take(3).eq([stage, iteration, env]);
        text.lines().find(is_of).unwrap_or_else(|| panic!("{text}")).to_string()
    };
    assert!(row("rl", "3", "sat").ends_with("5  0.000 to 0.750  1 failed, 3 terminated, 1 truncated"), "{text}");
    assert!(row("sft", "0", "-").ends_with("2  records"), "{text}");
}

#[test]
fn filters_leave_episodes_with_what_was_trained_and_earned() {
    let folder = tempfile::tempdir().unwrap();
    generated::run(folder.path(), "a", 3);
    let filter = ["rollouts", "show", "runs/a", "--iteration", "3", "--env", "sat", "--picked", "worst"];
    let (text, _) = affine(folder.path(), &filter);
    assert_eq!(text.matches("== rl, iteration 3, episode 0: sat, task 300, score 0, terminated").count(), 1, "{text}");
    assert!(text.contains("⟦ab\\u{1}😀<|im_end|>⟧   (reward 0.5)"), "{text}");
    let (text, _) = affine(folder.path(), &[&filter[..], &["--tokens"]].concat());
    let line = text.lines().find(|line| line.trim_start().starts_with("8 ")).unwrap();
    assert!(line.split_whitespace().eq(["8", "9", "<|im_end|>", "-", "0.5000", "2.0000"]), "{line}");
    let (text, _) = affine(folder.path(), &["rollouts", "show", "runs/a", "--max-score", "0.1", "--limit", "2"]);
    assert_eq!(text.matches("== rl").count(), 2, "{text}");
    assert!(text.contains("4 more; --limit 6 shows all"), "{text}");
}

#[test]
fn nothing_in_a_text_acts_on_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    generated::run(folder.path(), "a", 7);
    let (text, _) = affine(folder.path(), &["rollouts", "show", "runs/a", "--limit", "100", "--tokens"]);
    assert!(text.contains("\\u{1b}[31m"));
    assert!(text.chars().all(|c| !c.is_control() || c == '\n'));
}

#[test]
fn what_is_not_there_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let run = generated::run(folder.path(), "a", 1);
    let (_, error) = affine(folder.path(), &["rollouts", "show", "runs/a", "--env", "none"]);
    assert!(error.contains("none of the 11 episodes is left by these filters"), "{error}");
    std::fs::remove_file(run.join("episodes.jsonl.zst")).unwrap();
    let (_, error) = affine(folder.path(), &["rollouts", "show", "runs/a"]);
    assert!(error.contains("episodes.jsonl.zst: no episodes were kept"), "{error}");
    let (_, error) = affine(folder.path(), &["report", "runs/b"]);
    assert!(error.contains("runs/b: cannot be read: no such file"), "{error}");
}

#[test]
fn a_report_is_written_beside_the_run_and_its_numbers_are_printed() {
    let folder = tempfile::tempdir().unwrap();
    generated::run(folder.path(), "a", 2);
    std::os::unix::fs::symlink("a", folder.path().join("runs/latest")).unwrap();
    let (said, error) = affine(folder.path(), &["report"]);
    assert!(said.starts_with("runs/latest/report.html ("), "{said}{error}");
    assert!(std::fs::read_to_string(folder.path().join("runs/a/report.html")).unwrap().contains("<h1>a</h1>"));
    let (said, _) = affine(folder.path(), &["report", "--markdown", "runs/a"]);
    assert!(said.starts_with("## Results of a\n"), "{said}");
}
