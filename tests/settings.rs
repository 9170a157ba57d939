//! Impossible settings: refused before the first stage, with or without `--plan`, by their whole name.

use super::cli::{code, stderr};
use super::reruns::Place;

/// Changes, and what is said of them.
const REFUSED: &[(&[&str], &str)] = &[
    // Not one value.
    (&["training.learning_rate=0,001"], "training.learning_rate: expected a number, got string \"0,001\""),
    (&["training.learning_rate=1,5"], "training.learning_rate: expected a number, got string \"1,5\""),
    (&["seed=1,2,3"], "seed: expected a number, got string \"1,2,3\""),
    (&["seed=1--2"], "seed: expected a number, got string \"1--2\""),
    (&["seed=1 2"], "seed: expected a number, got string \"1 2\""),
    (&["seed=0x"], "seed: expected a number, got string \"0x\""),
    (&["seed=1e"], "seed: expected a number, got string \"1e\""),
    (&["seed=0x10000000000000001"], "seed: expected a number, got string"),
    (&["seed=99999999999999999999"], "seed: expected a whole number, got 1e+20"),
    (&["seed=nil"], "seed: expected a number, got string \"nil\""),
    (&["rl.gamma=1e999"], "rl.gamma: expected a finite number"),
    (&["rl.gamma=nan"], "rl.gamma: expected a number, got string \"nan\""),
    (&["training.use_lora=1"], "training.use_lora: expected a boolean"),
    (&["data.num_samples={sat=0,5}"], "data.num_samples: expected one number, or numbers by environment"),
    (&["data.num_samples={sat=0/0}"], "data.num_samples.sat: expected a finite number"),
    (&["data.environments={{name=\"sat\",n=4,5}}"], "data.environments[1]: expected options by name"),
    (&["data.environments={\"sat\",nil,\"grid\"}"], "data.environments: expected a list without names and holes"),
    (&["data.environments={\"sat\"},{\"grid\"}"], "data.environments: expected a list of environments"),
    (&["data.files={\"a\",nil,\"b\"}"], "data.files: expected a list without names and holes"),
    (&["preset=demo"], "--set preset=demo: a preset is chosen by --preset"),
    // Out of range.
    (&["training.batch_size=0"], "training.batch_size: expected an integer of at least 1, got 0"),
    (&["training.max_steps=0"], "training.max_steps: expected an integer of at least 1, or -1, got 0"),
    (&["training.warmup_ratio=2"], "training.warmup_ratio: expected a number from 0 to 1, got 2"),
    (
        &["training.lr_scheduler_type=cosin"],
        "training.lr_scheduler_type: unknown value \"cosin\"; did you mean `cosine`?",
    ),
    (&["training.base.batch_size=0"], "training.base.batch_size: expected an integer of at least 1, got 0"),
    (&["training.lora_r=0"], "training.lora_r: expected"),
    (&["training.lora_dropout=1"], "training.lora_dropout: expected"),
    (&["training.target_modules={\"q_prj\"}"], "training.target_modules: expected \"all-linear\" or a list of q_proj"),
    (&["model.torch_dtype=fp16"], "affine: model.torch_dtype: expected \"float32\", \"bfloat16\""),
    (&["model.device=gpu"], "model.device: expected \"auto\", \"cpu\""),
    (&["model.kernels=fast"], "model.kernels: unknown value \"fast\"; known here: `auto`, "),
    (&["model.create.vocab_size=10"], "model.create.vocab_size: expected at least 259"),
    (&["model.create.num_key_value_heads=2"], "model.create.num_key_value_heads"),
    (&["model.base_model_path=models/nothing"], "model.base_model_path: expected a model's folder or a Hub id"),
    (&["rl.gamma=7"], "rl.gamma: expected a number from 0 to 1, got 7"),
    (&["rl.discount_unit=step"], "rl.discount_unit: unknown value \"step\""),
    (&["rl.temperature=0"], "rl.temperature: expected a number above 0"),
    (&["rl.num_rollouts=0"], "rl.num_rollouts: expected an integer of at least 1, got 0"),
    (&["rl.last_task_id=5"], "rl.last_task_id: expected at least first_task_id (50000), got 5"),
    (&["evaluation.confidence=1"], "evaluation.confidence: expected a number between 0 and 1, got 1"),
    (&["evaluation.top_p=2"], "evaluation.top_p: expected"),
    (&["evaluation.num_eval_samples=0"], "evaluation.num_eval_samples: expected an integer of at least 1, got 0"),
    (&["data.train_split=1.5"], "data.train_split: expected a number above 0, up to 1, got 1.5"),
    (&["data.split_by=hash"], "data.split_by: expected \"task\" or \"order\", got \"hash\""),
    (&["data.min_score={sat=2}"], "data.min_score.sat: expected a number from 0 to 1, got 2"),
    (&["data.files={\"no/such.jsonl\"}"], "data.files[1]: expected a file, got \"no/such.jsonl\", which is not there"),
    (&["huggingface.repo_name="], "huggingface.repo_name: expected a name such as \"owner/model\", got \"\""),
    (&["huggingface.repo_name=a/b/c"], "huggingface.repo_name: expected a name"),
    // What settings ask of each other and of the environments.
    (
        &["data.num_samples={sat=5,grid=5,gird=5}"],
        "data.num_samples: no environment `gird` in data.environments, did you mean `grid`?",
    ),
    (&["rl.num_rollouts={sat=5}"], "rl.num_rollouts has no number for the environment `grid`"),
    (&["data.environments={\"no_such\"}"], "no environment is called \"no_such\""),
    (&["data.first_task_id=6999900"], "data.first_task_id: expected ids apart from those judged, 7000000 to 7000199"),
    (&["rl.last_task_id=7000000"], "rl.first_task_id: expected ids apart from those judged"),
    (
        &["evaluation.choose_first_task_id=7000100"],
        "evaluation.choose_first_task_id: expected ids apart from those judged",
    ),
    (&["rl.first_task_id=10", "rl.last_task_id=19"], "rl.num_rollouts: expected at most 10 for the environment `sat`"),
    (
        &["data.environments={\"textcraft\"}", "data.num_samples=4", "rl.num_rollouts=500"],
        "rl.num_rollouts: expected at most 408 for the environment `textcraft`, whose tasks 0 to 543 hold so many beside the \
         136 that are judged, got 500",
    ),
];

#[test]
fn what_is_impossible_is_refused_before_the_first_stage_and_by_a_plan() {
    let place = Place::new();
    for (index, (changes, expected)) in REFUSED.iter().enumerate() {
        let settings: Vec<&str> = changes.iter().flat_map(|change| ["--set", change]).collect();
        // Both ask in one place; a plan of every tenth shows it.
        let plans: [&[&str]; 2] = [&[], &["--plan"]];
        for plan in plans.iter().take(if index % 10 == 9 { 2 } else { 1 }) {
            let output = place.command(&[*plan, &["scripts/full.lua"], &settings].concat());
            assert_eq!(code(&output), 1, "{plan:?} {changes:?}");
            assert!(stderr(&output).contains(expected), "{plan:?} {changes:?}: {}", stderr(&output));
        }
    }
    for name in ["data_cache", "runs", "models"] {
        assert!(!place.path(name).exists(), "{name}");
    }
}

#[test]
fn a_file_of_settings_holds_one_table() {
    let place = Place::new();
    place.write("two.lua", "return { seed = 1 }, { rl = { gamma = 1 } }");
    place.write("comma.lua", "return { training = { learning_rate = 0,001 } }");
    for (file, expected) in [
        ("two.lua", "two.lua: expected a file that returns one table of settings"),
        ("comma.lua", "comma.lua: training has no setting `1`"),
    ] {
        let output = place.command(&["scripts/full.lua", "--config", file]);
        assert!(code(&output) == 1 && stderr(&output).contains(expected), "{file}: {}", stderr(&output));
    }
}

#[test]
fn what_is_one_value_is_taken_as_it_is() {
    let place = Place::new();
    let shown = |change: &str, line: &str| {
        let output = place.command(&["scripts/sft.lua", "--set", change, "--help"]);
        let told = super::cli::stdout(&output);
        assert!(told.contains(line), "{change}: no {line:?} in\n{told}");
    };
    shown("training.learning_rate=1e-3", "training.learning_rate = 0.001 ");
    shown("training.learning_rate=0x10", "training.learning_rate = 16 ");
    shown("training.max_steps=-1", "training.max_steps = -1 ");
    shown("tracking.run_name=a, b", "tracking.run_name = \"a, b\" ");
    shown("tracking.run_name='a','b'", "tracking.run_name = \"'a','b'\" ");
    shown("tracking.run_name=\"quoted\"", "tracking.run_name = \"quoted\" ");
    shown("tracking.run_name=12", "tracking.run_name = \"12\" ");
    shown("data.num_samples={ sat = 3, grid = 4 }", "data.num_samples = { grid = 4, sat = 3 }");
    shown("data.files={ \"a--b\" }", "data.files = { \"a--b\" }");
}

#[test]
fn a_flag_without_a_value_takes_none() {
    let output = Place::new().command(&["scripts/sft.lua", "--force=false"]);
    assert!(stderr(&output).contains("--force: takes no value, got `false`"), "{}", stderr(&output));
}
