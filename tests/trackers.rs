//! Trackers as a script uses them; what W&B and TensorBoard make of it is in scripts/dev/peer/trackers.py.

use std::path::Path;
use std::process::{Command, Output};

fn affine(folder: &Path, code: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_affine"));
    command.current_dir(folder).args(["-e", code]);
    affine::engine::signals::as_started(|| command.output()).unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_tracker_of_the_scripts_own_hears_what_the_run_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let code = r#"
        local track = require("affine.track")
        local run = track.run("mine", { seed = 1 }, { trackers = { {
          log = function(step, numbers) print("log", step, numbers.loss, numbers.deep.a, numbers.stage, numbers.time) end,
          summary = function(results) print("summary", results.best) end,
          finish = function(code) print("finish", code) end,
        } } })
        run:log { stage = "rl", iteration = 3, loss = 0/0, deep = { a = "x" } }
        run:log { note = "without a step" }
        run:summary { best = 2 }
        run:finish()"#;
    let output = affine(folder.path(), code);
    let nan = if text(&output.stdout).contains("-nan") { "-nan" } else { "nan" };
    let wanted = format!("log\t3\t{nan}\tx\trl\tnil\nsummary\t2\nfinish\t0\n");
    assert_eq!(text(&output.stdout), wanted, "{output:?}");
    let metrics = std::fs::read_to_string(folder.path().join("runs/latest/metrics.jsonl")).unwrap();
    assert!(metrics.starts_with(r#"{"deep":{"a":"x"},"iteration":3,"loss":null,"stage":"rl","time":"#), "{metrics}");
}

#[test]
fn what_is_wrong_with_a_tracker_is_said() {
    let folder = tempfile::tempdir().unwrap();
    for (options, wanted) in [
        ("{ trackers = { {} } }", "trackers[1].log: expected a function, got nil"),
        (
            "{ trackers = { { log = print, lof = print } } }",
            "trackers[1]: expected the functions log, summary, finish, got `lof`",
        ),
        ("{ trackers = { 3 } }", "trackers[1]: expected a table with a function log, got number"),
        (
            "{ wandb = { project = 'a/b' } }",
            r#"wandb.project: expected at most 128 characters, none of them / \ # ? % :, got "a/b""#,
        ),
        ("{ wandb = { modus = 'x' } }", "wandb.modus: unknown option"),
        ("{ wandb = { mode = 'live' } }", "wandb.mode: "),
    ] {
        let output = affine(folder.path(), &format!("require('affine.track').run('x', {{}}, {options})"));
        assert!(text(&output.stderr).contains(wanted), "{options}: {}", text(&output.stderr));
        assert_eq!(output.status.code(), Some(1));
    }
    let code = "local run\n\
        run = require('affine.track').run('x', {}, { trackers = { { log = function() run:log { step = 1 } end } } })\n\
        run:log { step = 1 }";
    let output = affine(folder.path(), code);
    assert!(text(&output.stderr).contains("a tracker logs to the run that it is a tracker of"), "{output:?}");
}

/// The end is the process's, however it comes; the line says how to upload.
#[test]
fn a_run_of_w_and_b_ends_with_the_script() {
    for (end, code) in [("", 0), ("error('no')", 1), ("os.exit(7)", 7), ("os.execute('kill -INT $PPID; sleep 1')", 130)]
    {
        let folder = tempfile::tempdir().unwrap();
        let script = format!(
            "local run = require('affine.track').run('x', {{ api_key = 'hush', seed = 3 }}, {{ wandb = {{ project = 'p' }} }})\n\
             run:log {{ step = 1, loss = 0.5 }}\n{end}"
        );
        let output = affine(folder.path(), &script);
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        let said = text(&output.stderr);
        let line = said.lines().find(|line| line.contains("W&B run ")).unwrap_or_else(|| panic!("{said}"));
        let (id, command) =
            line.split_once("W&B run ").unwrap().1.split_once(", not uploaded yet: wandb sync ").unwrap();
        let log = folder.path().join(command).join(format!("run-{id}.wandb"));
        let bytes = std::fs::read(log).unwrap();
        let holds = |text: &str| bytes.windows(text.len()).any(|bytes| bytes == text.as_bytes());
        assert!(holds("loss") && holds("seed") && holds("api_key") && !holds("hush"));
    }
}
