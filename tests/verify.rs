//! `affine verify resume`: it passes where affine keeps its promise, and what it compares with sees every difference.

use std::path::{Path, PathBuf};
use std::process::Output;

use affine::engine::data::write as write_records;
use affine::engine::tensor::safetensors;
use affine::engine::train::compare::Comparison;

use super::cli::{affine, code};
use super::toys::{checkpoints, model, records};

fn verify(folder: &Path, args: &[&str]) -> Output {
    affine().current_dir(folder).args(["verify", "resume"]).args(args).output().unwrap()
}

fn texts(output: &Output) -> [String; 2] {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned())
}

/// A folder with a run on the user's own model, data and settings.
fn verified() -> (tempfile::TempDir, PathBuf, Output) {
    let folder = tempfile::tempdir().unwrap();
    model().save(folder.path().join("base")).unwrap();
    write_records(folder.path().join("train.jsonl"), &records()).unwrap();
    let config = "return { training = { lora_dropout = 0.1, lora_r = 4, batch_size = 2 } }";
    std::fs::write(folder.path().join("mine.lua"), config).unwrap();
    let args = ["--model", "base", "--data", "train.jsonl", "--steps", "6", "--folder", "kept", "--config", "mine.lua"];
    let output =
        verify(folder.path(), &[args.as_slice(), &["--set", "training.gradient_accumulation_steps=1"]].concat());
    let kept = folder.path().join("kept");
    (folder, kept, output)
}

#[test]
fn a_run_that_is_killed_and_resumed_passes_and_any_change_would_not() {
    let (_folder, kept, output) = verified();
    let [out, err] = texts(&output);
    assert_eq!(code(&output), 0, "{out}{err}");
    for words in [
        "SFT of base on train.jsonl: 6 steps in float32 on ",
        "killed with SIGKILL after step 4, of which checkpoint-3 knows nothing\n",
        "resumed: steps 4 to 6, ",
        "pass: ",
        " 6 log entries and all else are the same bits\n",
    ] {
        assert!(out.contains(words), "{words}: {out}");
    }
    assert_eq!(checkpoints(&kept.join("resumed")), [3, 6]);
    let log = std::fs::read_to_string(kept.join("straight/checkpoint-6/trainer_state.json")).unwrap();
    assert!(log.contains("\"sequences per step\": 2"), "{log}");

    // The comparison sees one bit in the weights, in the optimizer and in the log.
    let [one, other] = ["straight", "resumed"].map(|run| kept.join(run).join("checkpoint-6"));
    assert!(Comparison::of(&one, &other).unwrap().differences.is_empty());
    for (file, differs) in
        [("adapter_model.safetensors", "differs in 1 of "), ("optimizer.safetensors", "differs in 1 of ")]
    {
        let path = other.join(file);
        let whole = std::fs::read(&path).unwrap();
        let mut tensors = safetensors::read(&path).unwrap();
        let (name, tensor) = &mut tensors[1];
        let _ = tensor.flatten(0, -1).get(0).f_add_scalar_(1e-3);
        let name = name.clone();
        safetensors::write(&path, &tensors).unwrap();
        let differences = Comparison::of(&one, &other).unwrap().differences;
        assert_eq!(differences.len(), 1, "{differences:?}");
        assert!(differences[0].starts_with(&format!("{file}: {name} {differs}")), "{differences:?}");
        std::fs::write(&path, whole).unwrap();
    }
    let state = other.join("trainer_state.json");
    let text = std::fs::read_to_string(&state).unwrap();
    std::fs::write(&state, text.replacen("\"global_step\": 6", "\"global_step\": 7", 1)).unwrap();
    assert_eq!(Comparison::of(&one, &other).unwrap().differences, ["trainer_state.json: global_step is 6 and 7"]);
}

#[test]
fn without_model_and_data_a_small_model_learns_sums() {
    let folder = tempfile::tempdir().unwrap();
    let small = ["--set", "training.batch_size=2", "--set", "training.use_lora=false"];
    let output = verify(folder.path(), &[&["--steps", "3"], small.as_slice()].concat());
    let [out, err] = texts(&output);
    assert_eq!(code(&output), 0, "{out}{err}");
    assert!(out.contains("/model on sums: 3 steps in float32 on ") && out.contains("\npass: "), "{out}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn ppo_that_is_killed_and_resumed_passes_too() {
    let folder = tempfile::tempdir().unwrap();
    let config = "return {
        data = { environments = { 'grid' } },
        training = { lora_r = 4, lora_dropout = 0.1 },
        rl = { num_rollouts = 4, minibatch_size = 2, batch_size = 2, max_new_tokens = 4, learning_rate = 1e-2 },
    }";
    std::fs::write(folder.path().join("mine.lua"), config).unwrap();
    let args = ["--stage", "rl", "--steps", "3", "--config", "mine.lua", "--folder", "kept"];
    let output = verify(folder.path(), &args);
    let [out, err] = texts(&output);
    assert_eq!(code(&output), 0, "{out}{err}");
    for words in ["PPO of kept/model on grid: 3 steps in float32 on ", "\npass: ", " 3 log entries and all else"] {
        assert!(out.contains(words), "{words}: {out}");
    }

    // The reference policy and the value head are compared as well.
    let [one, other] = ["straight", "resumed"].map(|run| folder.path().join("kept").join(run).join("checkpoint-3"));
    for file in ["reference.safetensors", "value_head.safetensors"] {
        let path = other.join(file);
        let tensors = safetensors::read(&path).unwrap();
        let _ = tensors[0].1.flatten(0, -1).get(0).f_add_scalar_(1e-3);
        safetensors::write(&path, &tensors).unwrap();
        let differences = Comparison::of(&one, &other).unwrap().differences;
        assert!(differences.iter().any(|difference| difference.starts_with(file)), "{file}: {differences:?}");
    }
}

#[test]
fn what_a_run_says_when_it_fails_is_what_the_user_reads() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |args: &[&str], words: &str| {
        let output = verify(folder.path(), args);
        let [out, err] = texts(&output);
        assert!(code(&output) == 1 && err.contains(words), "{out}{err}");
    };
    refused(&["--data", "nowhere.jsonl", "--model", "nowhere"], "nowhere: no such model folder");
    refused(&["--set", "training.lora_q=1"], "has no setting `lora_q`");
    refused(&["--stage", "rl", "--data", "sums.jsonl"], "--data: expected only with --stage sft");
    std::fs::create_dir(folder.path().join("full")).unwrap();
    std::fs::write(folder.path().join("full/file"), "").unwrap();
    refused(&["--folder", "full"], "--folder: expected a folder that is new or empty, got full");
    assert_eq!(code(&verify(folder.path(), &["--steps", "2"])), 2);
}
