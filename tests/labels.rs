//! One environment at two levels through all stages.

use std::path::Path;

use serde_json::{Value, json};

use super::cli::{affine, code, stderr, stdout};

const SETTINGS: &str = "data.num_samples=6 data.base.num_samples=4 training.base.max_steps=2 training.max_steps=2 \
    training.batch_size=2 training.gradient_accumulation_steps=1 training.base.batch_size=2 \
    model.create.hidden_size=32 model.create.num_hidden_layers=1 model.create.intermediate_size=32 rl.iterations=1 \
    rl.minibatch_size=2 rl.batch_size=2 rl.max_new_tokens=4 evaluation.num_eval_samples=2 evaluation.max_new_tokens=4";

fn pipeline(folder: &Path, script: &str, more: &[&str]) -> std::process::Output {
    std::os::unix::fs::symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts"), folder.join("scripts")).unwrap();
    let mut command = affine();
    command.current_dir(folder).env_remove("AFFINE_LOG").arg(script);
    for setting in SETTINGS.split_whitespace().chain(more.iter().copied()) {
        command.args(["--set", setting]);
    }
    command.output().unwrap()
}

#[test]
fn one_environment_at_two_levels_has_a_row_for_each_in_every_table() {
    let folder = tempfile::tempdir().unwrap();
    let environments = "data.environments={{name=\"affine:sat\",n=4,k=2,m=10},{name=\"sat\",n=5,k=2,m=9},\
        {name=\"affine:sat\",n=3,k=2,m=4,label=\"sat-easy\"}}";
    let labels = ["sat(m=10, n=4)", "sat(m=9, n=5)", "sat-easy"];
    let rollouts = "rl.num_rollouts={[\"sat(m=10, n=4)\"]=1,[\"sat(m=9, n=5)\"]=2,[\"sat-easy\"]=3}";
    let output = pipeline(folder.path(), "scripts/full.lua", &[environments, rollouts]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));

    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let summary: Value = serde_json::from_str(&read("models/evaluation/summary.json")).unwrap();
    assert_eq!(summary["environments"], json!(labels));
    for label in labels {
        for row in [&summary["models"]["rl"], &summary["greedy"]["models"]["base"], &summary["baselines"]["expert"]] {
            assert_eq!(row[label]["n"], 2, "{label}");
        }
    }
    let metrics: Vec<Value> =
        read("runs/latest/metrics.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let iteration = metrics.iter().find(|line| line["stage"] == "rl").unwrap();
    assert_eq!(iteration["score_mean"].as_object().unwrap().keys().collect::<Vec<_>>(), labels);
    assert_eq!(iteration["episodes"], 6);
    let records = [read("data_cache/sft.jsonl"), read("data_cache/validation.jsonl")].concat();
    assert_eq!(records.lines().count(), 18);
    assert_eq!(records.lines().filter(|line| line.contains("\"label\":\"sat-easy\"")).count(), 6);
    let card = read("models/deploy/affine-model/README.md");
    for text in [&stdout(&output), &card] {
        assert!(labels.iter().all(|label| text.contains(label)), "{text}");
        assert!(
            text.contains("By luck alone, of two equal models over these 3 environments: some difference in up to")
        );
    }
}

#[test]
fn the_same_environment_twice_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let output = pipeline(folder.path(), "scripts/collect.lua", &["data.environments={\"sat\",\"affine:sat\"}"]);
    assert_eq!(code(&output), 1);
    let problem = stderr(&output);
    assert!(problem.contains("two environments are named \"sat\", and no option tells them apart"), "{problem}");
    assert!(problem.contains("label = "), "{problem}");
}
