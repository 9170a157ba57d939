//! Bad input, through the binary: every mistake ends in one clear sentence and a non-zero exit.

use std::path::Path;
use std::process::{Command, Output};

use affine::engine::data::write as write_records;
use affine::engine::text::Tokenizer;
use tempfile::TempDir;

use super::cli::{affine, code, stderr};
use super::toys::{model, model_with, records};

/// A folder with a model `base` of a context of 128 tokens, records `train.jsonl`, and `use.lua`, which loads both.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    model().save(folder.path().join("base")).unwrap();
    write_records(folder.path().join("train.jsonl"), &records()).unwrap();
    folder
}

/// What most scripts here begin with, on one line so that the mistake is in line 2.
const BEGIN: &str =
    "affine = require 'affine'; m = affine.model.load 'base'; sft, ppo = affine.trainer.sft, affine.trainer.ppo\n";

fn run(folder: &Path, script: &str) -> Output {
    std::fs::write(folder.join("x.lua"), script).unwrap();
    affine().current_dir(folder).arg("x.lua").output().unwrap()
}

/// The script ends with exit code 1 and one message in which all of `words` occur, and nothing of our insides.
fn refused(folder: &Path, script: &str, words: &[&str]) {
    assert_refused(&run(folder, script), 1, words);
}

fn assert_refused(output: &Output, expected_code: i32, words: &[&str]) {
    let text = stderr(output);
    assert_eq!(code(output), expected_code, "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("affine: ")).count(), 1, "{text}");
    for word in words {
        assert!(text.contains(word), "{word} is not in: {text}");
    }
    let insides = [
        "panicked",
        "runtime error",
        "RustPanic",
        "Exception raised from",
        "internal error",
        "stack traceback",
        "os error",
        ".cpp",
        ".rs:",
        "0x",
    ];
    for inside in insides {
        assert!(!text.contains(inside), "{inside} is in: {text}");
    }
}

#[test]
fn a_missing_script_and_a_syntax_error() {
    let folder = tempfile::tempdir().unwrap();
    let output = affine().current_dir(folder.path()).arg("nowhere.lua").output().unwrap();
    assert_refused(&output, 2, &["affine: no such script: nowhere.lua"]);
    refused(folder.path(), "local x =\nlocal y", &["affine: x.lua:2: unexpected symbol near 'local'"]);
}

/// Every option has its range; tests/lua/trainer/options.lua goes through more of them.
#[test]
fn options_that_are_none() {
    let folder = folder();
    for (options, words) in [
        ("learning_rat = 1", ["learning_rat: unknown option", "did you mean `learning_rate`?"]),
        ("learning_rate = 'fast'", ["learning_rate: expected number", "got string \"fast\""]),
        ("batch_size = -8", ["batch_size: expected a non-negative integer", "got number -8"]),
        ("batch_size = 0", ["batch_size: expected an integer of at least 1", "got 0"]),
    ] {
        let script = format!("{BEGIN}sft(m, {{ data = 'train.jsonl', output_dir = 'out', {options} }})");
        refused(folder.path(), &script, &["affine: x.lua:2: trainer.sft: ", words[0], words[1]]);
    }
}

/// Loads `base` after a change to it.
fn damaged(change: impl Fn(&Path), words: &[&str]) {
    let folder = folder();
    change(&folder.path().join("base"));
    refused(folder.path(), "require('affine').model.load 'base'", &[&["affine: x.lua:1: base"], words].concat());
}

/// Replaces a text in a file that holds it.
fn replace(path: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(path, text.replace(from, to)).unwrap();
}

#[test]
fn a_model_folder_without_its_parts() {
    damaged(|base| std::fs::remove_dir_all(base).unwrap(), &["no such model folder", "config.json"]);
    damaged(|base| std::fs::remove_file(base.join("config.json")).unwrap(), &["config.json: no such file"]);
    damaged(
        |base| std::fs::remove_file(base.join("model.safetensors")).unwrap(),
        &["model.safetensors: cannot be read: no such file"],
    );
    damaged(|base| std::fs::write(base.join("config.json"), "{").unwrap(), &["config.json: not JSON"]);
}

#[test]
fn a_truncated_safetensors_file() {
    for keep in [0, 4, 100, 30_000] {
        damaged(
            |base| {
                let path = base.join("model.safetensors");
                let bytes = std::fs::read(&path).unwrap();
                std::fs::write(path, &bytes[..keep]).unwrap();
            },
            &["model.safetensors: not a whole safetensors file", "truncated", &format!("of {keep} bytes")],
        );
    }
}

#[test]
fn tensors_that_are_missing_or_of_another_shape() {
    damaged(
        |base| replace(&base.join("config.json"), "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3"),
        &["tensor model.layers.2.self_attn.q_proj.weight is missing"],
    );
    damaged(
        |base| replace(&base.join("config.json"), "\"intermediate_size\": 64", "\"intermediate_size\": 48"),
        &["tensor model.layers.0.mlp.gate_proj.weight has the shape [64, 32]", "asks for [48, 32]"],
    );
}

#[test]
fn another_architecture() {
    damaged(
        |base| replace(&base.join("config.json"), "Qwen3ForCausalLM", "LlamaForCausalLM"),
        &["architectures: expected Qwen3ForCausalLM, got LlamaForCausalLM"],
    );
}

#[test]
fn a_tokenizer_with_more_ids_than_the_embedding_has_rows() {
    let larger = Tokenizer::train(&["orange purple yellow black white brown"; 4], 300).unwrap();
    let (ids, rows) = (larger.vocab_size(), model().net.config.vocab_size);
    assert!(ids > rows);
    let words = format!("the tokenizer has {ids} ids, but the embedding has {rows} rows");
    damaged(|base| larger.save(base).unwrap(), &[&words]);
}

#[test]
fn a_data_file_with_a_broken_line() {
    let folder = folder();
    let good = std::fs::read_to_string(folder.path().join("train.jsonl")).unwrap();
    for (line, words) in [
        ("{\"messages\": [}", "not JSON"),
        ("{\"messages\": [{\"role\": \"user\"}]}", "message 1: missing field `content`"),
        ("{\"message\": []}", "expected an object with `messages`, `text`, or"),
    ] {
        std::fs::write(folder.path().join("broken.jsonl"), format!("{good}{line}\n{good}")).unwrap();
        let script = format!("{BEGIN}sft(m, {{ data = 'broken.jsonl', output_dir = 'out' }})");
        refused(folder.path(), &script, &["affine: x.lua:2: broken.jsonl: line 11: ", words]);
    }
    let script = format!("{BEGIN}sft(m, {{ data = 'nowhere.jsonl', output_dir = 'out' }})");
    refused(folder.path(), &script, &["affine: x.lua:2: nowhere.jsonl: cannot be read: no such file"]);
    let script = format!("{BEGIN}sft(m, {{ data = {{ {{ messages = 'red' }} }}, output_dir = 'out' }})");
    refused(folder.path(), &script, &["affine: x.lua:2: trainer.sft: data"]);
}

#[test]
fn a_prompt_longer_than_the_context() {
    let folder = folder();
    let long = "'red ' .. ('blue '):rep(100)";
    let script = format!("{BEGIN}m:generate({{ 'red', {long} }}, {{ max_new_tokens = 2 }})");
    refused(folder.path(), &script, &["affine: x.lua:2: prompt 2 has ", "leaves no room", "context of 128"]);
    let script = format!("{BEGIN}m:logprobs(m:tokenizer():encode({long}))");
    refused(folder.path(), &script, &["affine: x.lua:2: ", "longer than this model's context of 128"]);
}

#[test]
fn an_output_folder_that_cannot_be_written() {
    let folder = folder();
    // Below a file, so that no user may write there.
    let words = ["affine: x.lua:2: train.jsonl/out", "a part of its path is a file, not a folder"];
    for call in [
        "sft(m, { data = 'train.jsonl', output_dir = 'train.jsonl/out' })",
        "ppo(m, { output_dir = 'train.jsonl/out' })",
        "m:save 'train.jsonl/out'",
    ] {
        refused(folder.path(), &format!("{BEGIN}{call}"), &words);
    }
    let script = format!("{BEGIN}m:add_lora(); m:save_adapter 'train.jsonl/out'");
    refused(folder.path(), &script, &words);
}

const TRAIN: &str = "sft(m, { data = 'train.jsonl', output_dir = 'small/out', max_steps = 2, save_steps = 1 }):run()";

#[test]
fn a_full_disk() {
    let folder = folder();
    std::fs::create_dir(folder.path().join("small")).unwrap();
    std::fs::write(folder.path().join("x.lua"), format!("{BEGIN}{TRAIN}")).unwrap();
    let mount = "mount -t tmpfs -o size=160k tmpfs small";
    let unshared = |script: &str| -> Output {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--map-root-user", "sh", "-c", script, env!("CARGO_BIN_EXE_affine")]);
        command.current_dir(folder.path()).env_remove("AFFINE_STDLIB").output().unwrap_or_else(|_| run_false())
    };
    if !unshared(mount).status.success() {
        eprintln!("skipped: a small file system cannot be mounted here");
        return;
    }
    let output = unshared(&format!("{mount} && \"$0\" x.lua; code=$?; ls -A small/out >&2; exit $code"));
    assert_refused(&output, 1, &["affine: x.lua:2: small/out", "cannot be written: the disk is full"]);
    // Half a checkpoint is none, and nothing of it takes up room.
    let listed = stderr(&output);
    let is_left = |line: &str| line.starts_with(".unfinished") || line.starts_with("checkpoint-");
    assert!(!listed.lines().any(is_left), "{listed}");
}

fn run_false() -> Output {
    Command::new("false").output().unwrap()
}

#[test]
fn a_file_larger_than_the_system_allows() {
    let folder = folder();
    std::fs::create_dir(folder.path().join("small")).unwrap();
    std::fs::write(folder.path().join("x.lua"), format!("{BEGIN}{TRAIN}")).unwrap();
    // The signal ignored, so that the write fails instead; the limit is in blocks of 512 bytes.
    let script = "trap '' XFSZ; ulimit -f 64; exec \"$0\" x.lua";
    let mut command = Command::new("sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_affine")]).current_dir(folder.path()).env_remove("AFFINE_STDLIB");
    let output = command.output().unwrap();
    assert_refused(&output, 1, &["affine: x.lua:2: small/out", "the file is larger than this system allows"]);
    assert!(!folder.path().join("small/out/checkpoint-1").exists());
}

#[test]
fn a_checkpoint_of_another_model() {
    let folder = folder();
    model_with(2, 128).save(folder.path().join("other")).unwrap();
    let train = |base: &str, resume: bool| {
        format!(
            "affine = require 'affine'; m = affine.model.load '{base}'; m:add_lora {{ lora_r = 2 }}\n\
             affine.trainer.sft(m, {{ data = 'train.jsonl', output_dir = 'out', max_steps = 1, save_steps = 1, \
             resume_from_checkpoint = {resume} }}):run()"
        )
    };
    let output = run(folder.path(), &train("base", false));
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let words = ["affine: x.lua:2: out/checkpoint-1: is a checkpoint of another model"];
    refused(folder.path(), &train("other", true), &words);
}

/// PPO over an environment whose `step` is the given code, on tasks 0 to 39.
fn play(step: &str) -> String {
    format!(
        "{BEGIN}local e = affine.env.define {{ name = 'e', prompt = 'Go.', max_turns = 3, \
         reset = function(self, task) self.task = task.id; return '' end, step = function(self, action) {step} end }}\n\
         ppo(m, {{ output_dir = 'out', iterations = 1, num_rollouts = 40, last_task_id = 39, max_new_tokens = 2 }})\
         :run {{ envs = {{ affine.env.make(e) }} }}"
    )
}

#[test]
fn an_environment_that_breaks_once_in_a_while_or_never_ends_does_not_stop_the_run() {
    let folder = folder();
    for (step, reason) in [
        ("if self.task == 7 then error 'broken' end return '', 1, true", "step: x.lua:2: broken"),
        (
            "if self.task == 7 then return 5 end return '', 1, true",
            "step: expected the observation as a string, got number",
        ),
    ] {
        let output = run(folder.path(), &play(step));
        let text = stderr(&output);
        assert_eq!(code(&output), 0, "{text}");
        let failed: Vec<&str> = text.lines().filter(|line| line.contains("the episode failed")).collect();
        // Once, and once more when it is played again.
        assert_eq!(failed.len(), 2, "{text}");
        assert!(failed.iter().all(|line| line.contains("environment e, task 7: ") && line.contains(reason)), "{text}");
    }
    let output = run(folder.path(), &play("return 'again', 0, false"));
    assert_eq!(code(&output), 0, "{}", stderr(&output));
}

#[test]
fn an_environment_that_breaks_often_stops_the_run() {
    let folder = folder();
    for (step, reason) in [
        ("error 'broken'", "environment e: step: x.lua:2: broken"),
        ("error {}", "environment e: step: the error is a table without __tostring"),
        ("return nil", "step: expected the observation as a string, got nil"),
        ("return '', 'much', true", "step: expected the reward as a number, got string"),
        ("return '', 0 / 0, true", "step: expected the reward as a number, got"),
        ("return '', 1, 'yes'", "step: expected true or false as third result (done), got string"),
        ("return '', 1, true, { score = 'high' }", "step: info.score: expected a number, got \"high\""),
    ] {
        let words = ["affine: x.lua:3: 40 of 40 episodes failed, more than 5 %", "hint: the first of them: ", reason];
        refused(folder.path(), &play(step), &words);
    }
}
