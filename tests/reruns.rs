//! What makes a stage run again, what does not, what is said, and what becomes of the result before.

use std::path::Path;
use std::process::Output;

use tempfile::TempDir;

use super::cli::{affine, code, stderr, stdout};

/// The pipeline in seconds.
const SMALL: &str = "data.num_samples=12 data.base.num_samples=12 training.base.max_steps=1 training.max_steps=1 \
    training.batch_size=2 training.gradient_accumulation_steps=1 training.base.batch_size=2 \
    model.create.hidden_size=32 model.create.num_hidden_layers=1 model.create.intermediate_size=32 \
    rl.iterations=1 rl.num_rollouts=2 rl.minibatch_size=2 rl.max_new_tokens=4 \
    evaluation.num_eval_samples=3 evaluation.max_new_tokens=4";

/// An environment that requires a module, by a name that no reader of its text can see, and reads a file.
const REPEAT: &str = r#"
local env = require "affine.env"
local words = require("wor" .. "ds")
return env.define {
  name = "repeat",
  prompt = "Repeat the word.",
  reset = function(self, task)
    self.word = words[task.rng:int(1, #words)] .. task.rng:int(1, 1000000) .. io.open("ending.txt"):read("a")
    return self.word
  end,
  step = function(self, action)
    return "", action == self.word and 1 or 0, true
  end,
  expert = function(self)
    return self.word
  end,
  random_action = function(_, rng)
    return "x" .. rng:int(1, 3)
  end,
}
"#;

/// A user's folder with copies of the scripts.
pub struct Place(TempDir);

impl Place {
    pub fn new() -> Self {
        let place = Place(TempDir::new().unwrap());
        for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts")).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                place.write(&format!("scripts/{}", path.file_name().unwrap().display()), std::fs::read(&path).unwrap());
            }
        }
        place
    }

    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub fn json(&self, name: &str) -> serde_json::Value {
        serde_json::from_str(&self.read(name)).unwrap()
    }

    pub fn command(&self, args: &[&str]) -> Output {
        let mut command = affine();
        command.current_dir(self.0.path()).args(args).env("OMP_NUM_THREADS", "1").env("HF_HUB_OFFLINE", "1");
        command.output().unwrap()
    }

    /// A script with the small settings and others.
    pub fn try_run(&self, script: &str, more: &[&str]) -> Output {
        let script = format!("scripts/{script}.lua");
        let mut args = vec![script.as_str()];
        args.extend(SMALL.split_whitespace().flat_map(|setting| ["--set", setting]));
        args.extend(more);
        self.command(&args)
    }

    /// What it told, when it went well.
    pub fn run(&self, script: &str, more: &[&str]) -> String {
        let output = self.try_run(script, more);
        let told = format!("{}{}", stdout(&output), stderr(&output));
        assert_eq!(code(&output), 0, "{script} {more:?}:\n{told}");
        let sum = regex::Regex::new("[0-9a-f]{64}").unwrap();
        assert!(!sum.is_match(&told), "no sums are shown to people:\n{told}");
        told
    }

    fn lua(&self, code_text: &str) {
        let output = self.command(&["-e", code_text]);
        assert_eq!(code(&output), 0, "{}", stderr(&output));
    }

    fn new_model(&self, folder: &str, seed: u32) {
        self.lua(&format!(
            "local model, tokenizer = require 'affine.model', require 'affine.tokenizer'\n\
             model.create({{ tokenizer = tokenizer.train {{ 'a text of words' }}, seed = {seed}, hidden_size = 32,\n\
               num_hidden_layers = 1, intermediate_size = 32 }}):save '{folder}'"
        ));
    }
}

fn lists(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word:?} is not in:\n{text}");
    }
}

fn lacks(text: &str, word: &str) {
    assert!(!text.contains(word), "{word:?} is in:\n{text}");
}

const SKIPPED: &str = "collect: done already, in data_cache; skipped";

#[test]
fn all_that_an_environment_reads_counts_and_a_comment_does_not() {
    let place = Place::new();
    place.write("scripts/repeat.lua", REPEAT);
    place.write("scripts/words.lua", "return { 'apple', 'pear' }");
    place.write("ending.txt", "!");
    let collect = || place.run("collect", &["--set", "data.environments={\"custom:repeat\"}"]);
    collect();
    lists(&collect(), &[SKIPPED]);

    place.write("scripts/repeat.lua", format!("-- why not\n\n{REPEAT}--[[ the end ]]"));
    place.write("scripts/words.lua", "return {\n  'apple', -- a fruit\n  'pear' }");
    lists(&collect(), &[SKIPPED]);

    place.write("scripts/words.lua", "return { 'plum', 'plum' }");
    let told = collect();
    lists(&told, &["collect: runs again (scripts/words.lua changed)"]);
    lacks(&told, "goes on with the journal");
    lacks(&place.read("data_cache/sft.jsonl"), "pear");

    place.write("ending.txt", "?");
    lists(&collect(), &["collect: runs again (ending.txt changed)"]);
    lacks(&place.read("data_cache/sft.jsonl"), "!");

    place.write("scripts/repeat.lua", REPEAT.replace("1000000", "2000000"));
    let told = collect();
    lists(&told, &["collect: runs again (scripts/repeat.lua changed)"]);
    lacks(&told, "goes on with the journal");
}

#[test]
fn files_of_data_count_by_what_they_hold() {
    let place = Place::new();
    let row = |text: &str| {
        format!(
            "{{\"messages\": [{{\"role\": \"user\", \"content\": \"{text}\"}}, \
             {{\"role\": \"assistant\", \"content\": \"A\"}}]}}\n"
        )
    };
    place.write("more.jsonl", row("one"));
    let settings = ["--set", "data.environments={\"grid\"}", "--set", "data.files={\"more.jsonl\"}"];
    place.run("collect", &settings);
    lists(&place.run("collect", &settings), &[SKIPPED]);
    // Of the same length, and as old as before.
    let written = std::fs::metadata(place.path("more.jsonl")).unwrap().modified().unwrap();
    place.write("more.jsonl", row("two"));
    std::fs::File::options().write(true).open(place.path("more.jsonl")).unwrap().set_modified(written).unwrap();
    lists(&place.run("collect", &settings), &["collect: runs again (more.jsonl changed)"]);
}

#[test]
fn weights_count_for_what_is_trained_from_them_and_for_what_they_play() {
    let place = Place::new();
    place.new_model("base", 1);
    let settings = [
        "--set",
        "data.environments={\"grid\"}",
        "--set",
        "model.base_model_path=base",
        "--set",
        "data.model=base",
        "--set",
        "data.min_score=0",
        "--set",
        "data.num_samples=3",
        "--set",
        "evaluation.max_new_tokens=2",
    ];
    place.run("collect", &settings);
    place.run("sft", &settings);
    place.new_model("base", 2);
    let told = place.run("collect", &settings);
    lists(&told, &["collect: runs again (base/model.safetensors changed)"]);
    lacks(&told, "goes on with the journal");
    lists(&place.run("sft", &settings), &["base/model.safetensors changed", "sft: runs again ("]);
}

#[test]
fn an_edit_by_hand_is_an_input_and_is_neither_passed_over_nor_lost() {
    let place = Place::new();
    let grid = ["--set", "data.environments={\"grid\"}"];
    place.run("collect", &grid);
    place.run("sft", &grid);
    let whole = place.read("data_cache/sft.jsonl");
    let (_, edited) = whole.split_once('\n').unwrap();
    place.write("data_cache/sft.jsonl", edited);

    let told = place.run("collect", &grid);
    lists(&told, &[SKIPPED, "collect: data_cache/sft.jsonl changed since then; it is taken as it is now"]);
    assert_eq!(place.read("data_cache/sft.jsonl"), edited);
    let told = place.run("sft", &grid);
    lists(&told, &["base: done already", "sft: runs again (data_cache/sft.jsonl changed)"]);

    let told = place.run("collect", &[&grid[..], &["--set", "seed=1"]].concat());
    lists(&told, &["data_cache/sft.jsonl changed since it was made; that goes with it"]);
    assert_eq!(place.read("data_cache.previous/sft.jsonl"), edited);
}

#[test]
fn a_mistaken_command_destroys_nothing() {
    let place = Place::new();
    let right = ["--set", "data.environments={\"grid\"}", "--set", "training.lora_r=4"];
    place.run("collect", &right);
    place.run("sft", &right);
    let trained = std::fs::read(place.path("models/sft_final/model.safetensors")).unwrap();
    let data = place.read("data_cache/sft.jsonl");

    // Forgotten settings, and the run breaks off.
    let mistaken = ["--set", "data.environments={\"sat\"}", "--set", "data.model=models/sft_final"];
    let output = place.try_run("collect", &mistaken);
    assert_eq!(code(&output), 1, "a model that learned nothing solves no formula: {}", stdout(&output));
    assert_eq!(place.read("data_cache/sft.jsonl"), data);
    lists(&place.run("collect", &right), &[SKIPPED]);

    // Forgotten settings, and it runs to its end.
    let told = place.run("sft", &["--set", "data.environments={\"grid\"}"]);
    lists(&told, &["sft: runs again (training.lora_r was 4, is 16)", "kept in models/sft_final.previous"]);
    lists(&place.run("sft", &right), &["is taken back", "sft: done already"]);
    assert!(std::fs::read(place.path("models/sft_final/model.safetensors")).unwrap() == trained);
}

#[test]
fn an_interrupted_stage_is_kept_as_well_and_goes_on_later() {
    let place = Place::new();
    let grid = ["--set", "data.environments={\"grid\"}"];
    place.run("collect", &grid);
    place.run("sft", &grid);
    let mut record = place.json("models/sft_final/stage.json");
    record["done"] = false.into();
    place.write("models/sft_final/stage.json", record.to_string());
    let checkpoints = || std::fs::read_dir(place.path("checkpoints/sft")).unwrap().count();
    let before = checkpoints();

    let told = place.run("sft", &[&grid[..], &["--set", "training.lora_r=4"]].concat());
    lists(&told, &["sft: what was begun is kept in models/sft_final.previous"]);
    let told = place.run("sft", &grid);
    lists(&told, &["sft: what was begun of these settings was kept", "sft: was interrupted, goes on"]);
    assert_eq!(checkpoints(), before);
}

#[test]
fn another_version_of_affine_is_named_and_makes_nothing_anew() {
    let place = Place::new();
    let grid = ["--set", "data.environments={\"grid\"}"];
    place.run("collect", &grid);
    let mut record = place.json("data_cache/stage.json");
    record["affine"] = "0.0.1".into();
    place.write("data_cache/stage.json", record.to_string());
    lists(&place.run("collect", &grid), &[SKIPPED, "collect: made by affine 0.0.1, this is "]);
}

#[test]
fn settings_of_later_stages_make_nothing_anew() {
    let place = Place::new();
    let grid = ["--set", "data.environments={\"grid\"}"];
    place.run("collect", &grid);
    place.run("sft", &grid);
    let later =
        ["rl.learning_rate=1e-4", "evaluation.temperature=0.5", "huggingface.license=mit", "tracking.run_name=x"];
    let more: Vec<&str> = grid.into_iter().chain(later.iter().flat_map(|setting| ["--set", setting])).collect();
    lists(&place.run("collect", &more), &[SKIPPED]);
    lists(&place.run("sft", &more), &["base: done already", "sft: done already"]);
}

#[test]
fn named_experiments_keep_apart() {
    let place = Place::new();
    let grid = ["--set", "data.environments={\"grid\"}", "--experiment", "a"];
    place.run("full", &grid);
    for name in ["data_cache/sft.jsonl", "models/rl_final/model.safetensors", "models/evaluation/summary.json"] {
        assert!(place.path("experiments/a").join(name).exists(), "{name}");
    }
    assert!(place.path("experiments/a/models/deploy/affine-model/README.md").exists());
    for name in ["data_cache", "models", "checkpoints"] {
        assert!(!place.path(name).exists(), "{name}");
    }
    place.run("collect", &["--set", "data.environments={\"sat\"}", "--experiment", "b"]);
    lists(&place.run("full", &grid), &["collect: done already, in experiments/a/data_cache", "deploy: done already"]);
    let told = place.run("deploy", &[&grid[..], &["--model", "models/sft_final"]].concat());
    lists(&told, &["from experiments/a/models/sft_final"]);
    let output = place.try_run("collect", &["--experiment", "../b"]);
    lists(&stderr(&output), &["experiment: expected letters, digits"]);
}
