//! `affine --plan` from outside: it finds mistakes in seconds and changes nothing.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use affine::engine::file;
use tempfile::TempDir;

use super::cli::{affine, code, stderr, stdout};

/// The pipeline in seconds, for real.
const SMALL: [&str; 12] = [
    "data.num_samples=8",
    "data.base.num_samples=8",
    "training.base.max_steps=1",
    "training.max_steps=1",
    "training.batch_size=4",
    "training.base.batch_size=4",
    "rl.iterations=1",
    "rl.num_rollouts=2",
    "rl.minibatch_size=2",
    "rl.max_new_tokens=4",
    "evaluation.num_eval_samples=2",
    "evaluation.max_new_tokens=4",
];

/// A user's folder with the scripts in it, and another for temporary files.
struct Place {
    folder: TempDir,
    temporary: TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Place { folder: TempDir::new().unwrap(), temporary: TempDir::new().unwrap() };
        symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts"), place.path().join("scripts")).unwrap();
        place
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// A command in the folder, for which there is no network: the Hub's address answers nobody, and its cache is empty.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = affine();
        command.current_dir(self.path()).args(args).env("TMPDIR", self.temporary.path());
        command.env("HF_HOME", self.path().join("hub")).env("HF_ENDPOINT", "http://127.0.0.1:9");
        command.env_remove("HF_HUB_OFFLINE").env_remove("HF_TOKEN");
        command
    }

    /// Runs a plan, which must leave everything as it was and no temporary file.
    fn plan(&self, args: &[&str]) -> Output {
        let before = self.files();
        let output = self.command(&[&["--plan"], args].concat()).output().unwrap();
        assert_eq!(self.files(), before, "a plan of {args:?} changed something");
        let left: Vec<_> = std::fs::read_dir(self.temporary.path()).unwrap().collect();
        assert!(left.is_empty(), "a plan of {args:?} left {left:?}");
        output
    }

    /// Every file's digest by its path.
    fn files(&self) -> BTreeMap<String, String> {
        fn look(folder: &Path, found: &mut BTreeMap<String, String>) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let digest = match path.symlink_metadata().unwrap() {
                    about if about.is_dir() => {
                        look(&path, found);
                        "a folder".to_string()
                    }
                    about if about.is_symlink() => format!("{:?}", std::fs::read_link(&path).unwrap()),
                    _ => file::sha256_file(&path).unwrap(),
                };
                found.insert(path.display().to_string(), digest);
            }
        }
        let mut found = BTreeMap::new();
        look(self.path(), &mut found);
        found
    }
}

fn small() -> Vec<&'static str> {
    SMALL.iter().flat_map(|change| ["--set", change]).collect()
}

fn succeeded(output: &Output) -> String {
    assert_eq!(code(output), 0, "{}\n{}", stdout(output), stderr(output));
    stdout(output)
}

#[test]
fn the_whole_pipeline_is_tried_and_told_stage_by_stage() {
    let told = succeeded(&Place::new().plan(&["scripts/full.lua"]));
    let (_, told) = told.split_once("\nPlan of scripts/full.lua: it ran to its end in ").unwrap();
    let parts = [
        "\n  data.base.num_samples = 2500; here 4\n",
        "\nbase\n  sft: 200 steps of 32 × 1 records of at most 1024 tokens, learning rate 3e-3, into checkpoints/base; here one\n",
        "\nsft\n  sft: 600 steps of 16 × 2 records",
        "\nrl\n  ppo: 20 iterations of 160 episodes of grid, 64 episodes of sat, replies of at most 48 tokens, ",
        "\nevaluate\n  eval: 200 tasks each of sat, grid, from 7000000 on; here 2\n",
        "\n  baseline: 200 tasks each of grid, from 7000000 on; here 2\n",
    ];
    let mut from = 0;
    for part in parts {
        from = told[from..].find(part).unwrap_or_else(|| panic!("{part:?} is not in its place in:\n{told}")) + from + 1;
    }
}

#[test]
fn a_model_on_the_hub_is_replaced_without_asking_the_network() {
    // The preset names ScienceWorld, which wants Java and its jar.
    if !crate::sciworld::is_playable() {
        return;
    }
    let told = succeeded(&Place::new().plan(&["scripts/full.lua", "--preset", "affine-0004"]));
    assert!(told.contains("  model: kiwikiw/Affine-0004, downloaded from the Hub; here a random one"), "{told}");
    assert!(told.contains("  sft: 3 epochs of 2 × 8 records of at most 4096 tokens, learning rate 2e-5, "), "{told}");
    assert!(told.contains("  ppo: 100 iterations of 64 episodes of each environment, "), "{told}");
}

#[test]
fn finished_stages_are_tried_again_and_stay_as_they_are() {
    let place = Place::new();
    let full = [&["scripts/full.lua"], &small()[..]].concat();
    succeeded(&place.command(&full).output().unwrap());
    assert!(place.path().join("models/rl_final/stage.json").exists());
    let told = succeeded(&place.plan(&["scripts/full.lua"]));
    assert!(told.contains("\nrl\n  ppo: 20 iterations "), "{told}");
    // A single stage builds on those that the user has finished.
    let told = succeeded(&place.plan(&[&["scripts/rl.lua"], &small()[..]].concat()));
    assert!(told.contains("rl\n  ppo: 1 iterations of 2 episodes of each environment"), "{told}");
}

#[test]
fn a_stage_whose_inputs_are_missing_fails_as_it_would() {
    let output = Place::new().plan(&["scripts/rl.lua"]);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("affine: rl needs data_cache, which is missing"), "{}", stderr(&output));
}

/// A script's last line, behind a model that is ready.
fn script(line: &str) -> String {
    format!(
        "local model, tokenizer = require 'affine.model', require 'affine.tokenizer'\n\
         local trainer, eval, env = require 'affine.trainer', require 'affine.eval', require 'affine.env'\n\
         local m = model.create {{ tokenizer = tokenizer.train {{ 'a text' }} }}\n{line}\n"
    )
}

#[test]
fn what_would_end_a_real_run_ends_the_plan() {
    let place = Place::new();
    place.write("bad.jsonl", "{\"messages\": [{\"role\": \"user\"}]}\n");
    place.write(
        "broken.lua",
        "return require('affine.env').define { name = 'broken', prompt = 'p', reset = function() return '' end,\n\
         step = function() error 'the author forgot this' end, constant_actions = { 'a' } }",
    );
    let cases = [
        ("trainer.sft(m, { data = 'no/such.jsonl' })", "x.lua:4: no/such.jsonl: cannot be read: no such file"),
        ("trainer.sft(m, { data = 'bad.jsonl' })", "bad.jsonl"),
        ("trainer.sft(m, { data = {}, learning_rat = 1 })", "learning_rat: unknown option"),
        ("trainer.ppo(m, { gamma = 2 })", "gamma: expected a number from 0 to 1, got 2"),
        (
            "trainer.ppo(m, { resume_from_checkpoint = 'checkpoints/no' })",
            "resume_from_checkpoint: expected a checkpoint folder",
        ),
        ("trainer.ppo(m, {}):run { envs = { env.make 'broken.lua' } }", "the author forgot this"),
        ("eval.run(m, { envs = { env.make 'broken.lua' } })", "the author forgot this"),
        ("model.load 'scripts/nothing'", "scripts/nothing: no such model folder"),
        ("model.load 'models/nothing'", "models/nothing: no such model folder"),
    ];
    for (line, complaint) in cases {
        place.write("x.lua", script(line));
        let output = place.plan(&["x.lua"]);
        assert_eq!(code(&output), 1, "{line}");
        assert!(stderr(&output).contains(complaint), "{line}: {}", stderr(&output));
        assert!(!stdout(&output).contains("it ran to its end"), "{line}");
    }
}

#[test]
fn a_scripts_own_loops_and_files_work_on_copies() {
    let place = Place::new();
    place.write("results.csv", "step,loss\n");
    place.write("data_cache/mine.jsonl", "{\"text\": \"one two three\"}\n".repeat(50));
    place.write("deep/er/notes.txt", "as they were");
    place.write(
        "x.lua",
        script(
            "local out = assert(io.open('results.csv', 'a'))\n\
             for step in trainer.sft(m, { data = 'data_cache/mine.jsonl', train_on = 'all', num_epochs = 9 }):steps() do\n\
               out:write(step.step, ',', step.loss, '\\n')\n\
             end\nout:close()\n\
             assert(require('affine.fs').read('results.csv'):match('^step,loss\\n1,%d'))\n\
             require('affine.fs').write('deep/er/notes.txt', 'changed')\n\
             require('affine.fs').remove('data_cache', { recursive = true })\n\
             assert(#m:generate({ 'a', 'b' }, { max_new_tokens = 500 })[1].tokens <= 4)\n\
             os.remove('deep/er/notes.txt')",
        ),
    );
    let told = succeeded(&place.plan(&["x.lua"]));
    let notes = "script\n  sft: 9 epochs of 8 × 1 records, learning rate 2e-5, into runs/<time>-sft; here one\n  \
                 sft: on 50 records; here 8\n  generate: 2 replies of at most 500 tokens\n";
    assert!(told.ends_with(notes), "{told}");
}

#[test]
fn a_large_models_folder_is_checked_and_its_tokenizer_kept() {
    let place = Place::new();
    let make = "local model, tokenizer = require 'affine.model', require 'affine.tokenizer'\n\
                local m = model.create { tokenizer = tokenizer.train({ 'a long word' }, { vocab_size = 262 }),\n\
                  hidden_size = 512, intermediate_size = 2048, num_hidden_layers = 4, max_position_embeddings = 77 }\n\
                m:save 'big'\nm:add_lora { lora_r = 4 }\nm:save_adapter 'adapter'";
    succeeded(&place.command(&["-e", make]).output().unwrap());
    let use_it = "local m = require('affine.model').load 'big'\nlocal info = m:info()\n\
                  assert(info.source == 'big' and info.config.hidden_size == 32 and info.parameters < 1e5)\n\
                  assert(info.config.max_position_embeddings == 77 and m:tokenizer():size() == 262)\n\
                  m:load_adapter 'adapter'\nassert(m:info().trainable_parameters > 0)";
    let told = succeeded(&place.plan(&["-e", use_it]));
    assert!(told.contains("  model: big (") && told.contains(" MB); here a random one\n"), "{told}");
    assert!(told.contains("  adapter: the one in adapter; here a new one\n"), "{told}");

    let config = std::fs::read_to_string(place.path().join("big/config.json")).unwrap();
    place.write("big/config.json", config.replace("Qwen3ForCausalLM", "LlamaForCausalLM"));
    let output = place.plan(&["-e", use_it]);
    assert!(stderr(&output).contains("architectures: expected Qwen3ForCausalLM"), "{}", stderr(&output));
}

#[test]
fn a_large_new_model_is_made_small() {
    let place = Place::new();
    let code = "local model, tokenizer = require 'affine.model', require 'affine.tokenizer'\n\
                local m = model.create { preset = 'qwen3-4b', tokenizer = tokenizer.train { 'a text' } }\n\
                assert(m:info().parameters < 1e6 and m:info().config.max_position_embeddings == 40960)";
    let told = succeeded(&place.plan(&["-e", code]));
    assert!(told.contains("  model: a new one of 3.6 billion parameters; here a smaller one\n"), "{told}");
}

#[test]
fn nothing_outside_the_temporary_folder_can_be_written() {
    let place = Place::new();
    let outside = TempDir::new().unwrap();
    let target = outside.path().join("x").display().to_string();
    let output = place.plan(&["-e", &format!("require('affine.fs').write('{target}', 'x')")]);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("hint: a plan writes in its temporary folder alone"), "{}", stderr(&output));
    place.plan(&["-e", &format!("io.open('{target}', 'w')")]);
    assert!(!outside.path().join("x").exists());
}

#[test]
fn paths_above_the_folder_lead_where_they_do() {
    let place = Place::new();
    place.write("a/b/.keep", "");
    place.write("c/text", "found");
    let output = place
        .command(&["--plan", "-e", "print(require('affine.fs').read('../../c/text'))"])
        .current_dir(place.path().join("a/b"))
        .output()
        .unwrap();
    assert!(succeeded(&output).starts_with("found\n"));
}

#[test]
fn a_script_that_exits_leaves_nothing_behind() {
    let output = Place::new().plan(&["-e", "require('affine.fs').tempdir() os.exit(3)"]);
    assert_eq!(code(&output), 3);
}

#[test]
fn a_plan_is_for_a_script() {
    let output = affine().args(["--plan", "check"]).output().unwrap();
    assert_eq!(
        (stderr(&output).as_str(), code(&output)),
        ("affine: --plan is for a script: affine --plan SCRIPT\n", 2)
    );
}
