//! `affine attach`: code from outside, run inside a running script between two steps.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// Trains for ever, and prints a line a step.
const SCRIPT: &str = r#"
    local model, tokenizer = require("affine.model"), require("affine.tokenizer")
    local track, trainer = require("affine.track"), require("affine.trainer")
    local words = tokenizer.train { "one two three" }
    local m = model.create { preset = "tiny", tokenizer = words }
    local records = {}
    for i = 1, 4 do records[i] = { prompt = "one", completion = "two three" } end
    local run = track.run("attached", {})
    local sft = trainer.sft(m, { data = records, output_dir = "out", max_steps = 100000, learning_rate = 1e-3,
      lr_scheduler_type = "constant", logging_steps = 0 })
    local said = "nothing"
    local function train()
      for step in sft:steps() do
        print(step.step, step.learning_rate, said)
        io.flush()
        if said == "end" then break end
      end
    end
    train()
    print("over", said)
"#;

fn script(folder: &Path) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_affine"));
    command.current_dir(folder).args(["-e", SCRIPT]).stdout(Stdio::piped()).stderr(Stdio::piped());
    affine::engine::signals::as_started(|| command.spawn()).unwrap()
}

fn attach(folder: &Path, arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_affine"));
    command.current_dir(folder).arg("attach").args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = affine::engine::signals::as_started(|| command.spawn()).unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn what_is_typed_sees_and_changes_the_running_script() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = script(folder.path());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.next().unwrap().starts_with("1\t"), "the first step");

    let run = |code: &str| attach(folder.path(), &["-e", code], "");
    let output = run("print(said, m:info().parameters > 0) return type(sft)");
    assert_eq!(text(&output.stdout), "nothing\ttrue\nuserdata\n", "{output:?}");
    assert!(run("said = 'hello'").status.success());
    let said = lines.find(|line| line.ends_with("hello")).unwrap();
    assert!(said.contains("0.001"), "{said}");
    assert!(run("sft:scale_learning_rate(0.5)").status.success());
    lines.find(|line| line.contains("0.0005")).unwrap();

    // An error is who sent it's, and the run goes on.
    let output = run("error('mine')");
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(1), "attached:1: mine\n".to_string()));
    let output = run("while true do");
    assert!(text(&output.stderr).contains("<eof>"), "{output:?}");
    // Several lines, and a run that is paused takes no step meanwhile.
    let conversation = "pause()\nlocal a = 1\nfor i = 1, 2 do\nprint(i)\nend\nbefore = sft:state()\nresume()\n";
    let output = attach(folder.path(), &[], conversation);
    assert_eq!(text(&output.stdout), "1\n2\n", "{output:?}");

    assert!(run("said = 'end'").status.success());
    assert_eq!(lines.last().unwrap(), "over\tend");
    assert!(child.wait().unwrap().success());
    let journal = std::fs::read_to_string(folder.path().join("runs/latest/attached.jsonl")).unwrap();
    for code in ["said = 'hello'", "error('mine')", "pause()", "said = 'end'"] {
        assert!(
            journal.contains(&serde_json::json!({ "code": code }).to_string()[1..code.len() + 9]),
            "{code}: {journal}"
        );
    }
    let output = run("1");
    assert!(text(&output.stderr).contains("no process is at work on this run"), "{output:?}");
}

#[test]
fn ctrl_c_of_who_is_attached_ends_what_was_sent_and_not_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = script(folder.path());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    lines.next().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_affine"));
    command.current_dir(folder.path()).args(["attach", "-e", "print('begun') while true do end"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let client = affine::engine::signals::as_started(|| command.spawn()).unwrap();
    // It is under way when the run stands still.
    std::thread::sleep(std::time::Duration::from_secs(2));
    let killed = Command::new("kill").args(["-INT", &client.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let output = client.wait_with_output().unwrap();
    assert!(text(&output.stderr).contains("stopped"), "{output:?}");
    lines.next().unwrap();
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

/// A study of trials that train until they are stopped, on one model.
const STUDY: &str = r#"
    local model, sweep, tokenizer = require("affine.model"), require("affine.sweep"), require("affine.tokenizer")
    local track, trainer = require("affine.track"), require("affine.trainer")
    local m = model.create { preset = "tiny", tokenizer = tokenizer.train { "one two three" } }
    local records = {}
    for i = 1, 4 do records[i] = { prompt = "one", completion = "two three" } end
    local run = track.run("attached", {})
    local study <close> = sweep.open { name = "s", direction = "minimize", storage = "study.log", sampler = "random" }
    study:population({ model = m, n = 3, size = 2 }, function(trial)
      print("begins", trial:number(), trial:checkpoint() ~= nil)
      io.flush()
      m:add_lora { lora_r = 2, adapter_name = trial:adapter() }
      local sft = trainer.sft(m, { data = records, output_dir = trial:folder(), max_steps = 1000000, logging_steps = 0,
        resume_from_checkpoint = trial:checkpoint(), resume = "force", save_steps = 0,
        learning_rate = trial:uniform("learning_rate", 1e-4, 1e-2, { log = true }) })
      for step in sft:steps() do
        trial:report(step.step, step.loss)
      end
    end)
    for _, trial in ipairs(study:trials()) do print(trial.number, trial.state, trial.cloned_from) end
"#;

#[test]
fn trials_are_looked_at_stopped_and_cloned_from_outside() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_affine"));
    command.current_dir(folder.path()).args(["-e", STUDY]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = affine::engine::signals::as_started(|| command.spawn()).unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert_eq!(lines.next().unwrap(), "begins\t0\tfalse");
    assert_eq!(lines.next().unwrap(), "begins\t1\tfalse");
    let run = |code: &str| {
        let output = attach(folder.path(), &["-e", code], "");
        assert!(output.status.success(), "{output:?}");
        text(&output.stdout)
    };
    assert_eq!(run("return #study:trials(), study:trials()[1].state, type(sft:save())"), "2\trunning\tstring\n");
    assert_eq!(
        run("trial:set_checkpoint(sft:save()) return study:clone(trial:number(), { learning_rate = 0.005 })"),
        "2\n"
    );
    assert_eq!(run("study:stop(0)"), "");
    assert_eq!(lines.next().unwrap(), "begins\t2\ttrue");
    run("study:stop(1)");
    run("study:stop(2)");
    let rest: Vec<String> = lines.collect();
    assert_eq!(rest.len(), 3, "{rest:?}");
    assert!(
        rest[0] == "0\tpruned\tnil" && rest[1] == "1\tpruned\tnil" && rest[2].starts_with("2\tpruned\t"),
        "{rest:?}"
    );
    assert!(child.wait().unwrap().success());
    let journal = std::fs::read_to_string(folder.path().join("runs/latest/attached.jsonl")).unwrap();
    assert!(journal.contains("study:stop(0)"), "{journal}");
}
