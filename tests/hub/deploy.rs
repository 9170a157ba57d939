//! `deploy.lua` and `full.lua` with the Hub, from the settings to the repository, its card and the run's summary.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use super::download::{affine, err};
use super::{TOKEN, contents, hub};
use crate::hub_server::{Hub, Kind, Options};

const REPO: &str = "acme/tiny";

const SMALL: &str = "data.num_samples=6 data.base.num_samples=4 training.base.max_steps=2 training.max_steps=2 \
    training.batch_size=2 training.gradient_accumulation_steps=1 training.base.batch_size=2 \
    model.create.hidden_size=32 model.create.num_hidden_layers=1 model.create.intermediate_size=32 \
    rl.iterations=1 rl.num_rollouts=2 rl.minibatch_size=2 rl.batch_size=2 rl.max_new_tokens=4 \
    evaluation.num_eval_samples=2 evaluation.max_new_tokens=4 huggingface.repo_name=acme/tiny \
    data.environments={\"grid\"}";

/// A folder to work in, which is the home as well.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Place(tempfile::tempdir().unwrap());
        symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts"), place.0.path().join("scripts")).unwrap();
        place
    }

    fn try_run(&self, hub: &Hub, script: &str, words: &[&str]) -> Output {
        let script = format!("scripts/{script}.lua");
        let mut all = vec![script.as_str()];
        all.extend(SMALL.split_whitespace().flat_map(|setting| ["--set", setting]));
        all.extend(words);
        let output = affine(hub, self.0.path(), &all, &[("HF_TOKEN", TOKEN), ("AFFINE_LOG", "debug")]);
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), err(&output));
        assert!(!said.contains(TOKEN), "{said}");
        output
    }

    fn run(&self, hub: &Hub, script: &str, words: &[&str]) -> String {
        let output = self.try_run(hub, script, words);
        assert!(output.status.success(), "{output:?}");
        err(&output)
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_str(&fs::read_to_string(self.0.path().join(name)).unwrap()).unwrap()
    }
}

fn read(hub: &Hub, repo: &str, name: &str) -> String {
    String::from_utf8(hub.files(repo, "main")[name].bytes()).unwrap()
}

#[test]
fn the_pipeline_ends_on_the_hub_where_that_is_wanted() {
    let (hub, place) = (hub(Options::default()), Place::new());
    place.run(&hub, "full", &[]);
    assert!(hub.requests().is_empty(), "nothing is published by surprise: {:?}", hub.requests());

    let told = place.run(&hub, "deploy", &["--dry-run"]);
    assert!(told.contains("deploy: done already") && told.contains("bytes  model.safetensors, alone"), "{told}");
    assert!(told.contains("acme/tiny: nothing was sent") && !hub.exists(REPO, Kind::Model), "{told}");

    let told = place.run(&hub, "deploy", &["--upload", "--verify", "--set", "huggingface.private=true"]);
    let commit = hub.head(REPO);
    assert!(told.contains(&format!("uploaded to {}/{REPO} (commit {commit})", hub.endpoint())), "{told}");
    assert!(told.contains(&format!("downloaded again from {REPO} at {commit}")), "{told}");
    assert_eq!(told.matches("loaded again: log-probabilities on").count(), 2, "before and after\n{told}");
    assert!(hub.is_private(REPO) && hub.files(REPO, "main")["model.safetensors"].is_lfs);
    let summary = place.json("runs/latest/summary.json");
    assert_eq!(summary["hub"][REPO]["commit"], commit.as_str());
    assert_eq!(summary["hub"][REPO]["url"], format!("{}/{REPO}", hub.endpoint()));
    assert!(!place.0.path().join("models/deploy/tiny.verify").exists());

    // Nothing that is left on this machine or there holds the token.
    for (name, content) in contents(place.0.path()).into_iter().filter(|(name, _)| !name.starts_with("scripts/")) {
        assert!(!String::from_utf8_lossy(&content).contains(TOKEN), "{name}");
    }
    for (name, file) in hub.files(REPO, "main") {
        assert!(!String::from_utf8_lossy(&file.bytes()).contains(TOKEN), "{name}");
    }

    // What somebody writes on the page stays; what was measured is new.
    let card = read(&hub, REPO, "README.md");
    let edited = card.replace("A Qwen3 model trained with affine.", "Ours.").replace("## Measured", "## Old");
    assert_ne!(card, edited);
    hub.commit(REPO, &[("README.md", edited.as_bytes())]);
    let words = ["--upload", "--set", "huggingface.private=true"];
    let told = place.run(&hub, "deploy", &words);
    assert!(told.contains("the card of acme/tiny was written to on the Hub; that stays"), "{told}");
    let card = read(&hub, REPO, "README.md");
    assert!(card.contains("Ours.") && card.contains("## Measured") && !card.contains("## Old"), "{card}");
    let head = hub.head(REPO);
    place.run(&hub, "deploy", &words);
    assert_eq!(hub.head(REPO), head, "nothing to send, nothing committed");

    // Public is not private.
    let output = place.try_run(&hub, "deploy", &["--upload"]);
    assert!(err(&output).contains("the repository is private, and public is what was asked for"), "{}", err(&output));
}

#[test]
fn weights_that_changed_since_they_were_checked_are_not_sent() {
    let (hub, place) = (hub(Options::default()), Place::new());
    place.run(&hub, "full", &[]);
    let path = place.0.path().join("models/deploy/tiny/model.safetensors");
    let mut weights = fs::read(&path).unwrap();
    let middle = weights.len() / 2;
    weights[middle..middle + 4000].fill(0x3f);
    fs::write(&path, weights).unwrap();
    let output = place.try_run(&hub, "deploy", &["--upload"]);
    assert!(err(&output).contains("computes other log-probabilities than models/rl_final"), "{}", err(&output));
    assert!(!hub.exists(REPO, Kind::Model));
}

#[test]
fn an_adapter_goes_to_a_repository_of_its_own_over_a_base_that_others_have() {
    let (hub, place) = (hub(Options::default()), Place::new());
    place.run(&hub, "full", &[]);
    let sft = ["--model", "models/sft_final"];
    let output = place.try_run(&hub, "deploy", &["--adapter", "--upload"]);
    assert!(
        err(&output).contains("the adapter's base is \"models/sft_final\", which nobody else has"),
        "{}",
        err(&output)
    );

    // The model below it first, by the name that the adapter then gives.
    let base = ["--set", "huggingface.repo_name=acme/sft"];
    place.run(&hub, "deploy", &[&sft[..], &base, &["--upload"]].concat());
    let over = ["--set", "huggingface.adapter_base=acme/sft"];
    let told = place.run(&hub, "deploy", &[&over[..], &["--both", "--upload", "--verify"]].concat());
    assert!(told.contains("(commit "), "{told}");
    let config: Value = serde_json::from_str(&read(&hub, "acme/tiny-adapter", "adapter_config.json")).unwrap();
    assert_eq!(config["base_model_name_or_path"], "acme/sft");
    let card = read(&hub, "acme/tiny-adapter", "README.md");
    assert!(card.contains("base_model: acme/sft\nbase_model_relation: adapter\n"), "{card}");
    assert!(hub.files(REPO, "main").contains_key("model.safetensors"));
    let summary = place.json("runs/latest/summary.json");
    assert!(summary["hub"][REPO]["commit"].is_string() && summary["hub"]["acme/tiny-adapter"]["commit"].is_string());

    // A name is not enough: its weights must be those.
    hub.create("acme/other", Kind::Model, false);
    hub.commit("acme/other", &[("model.safetensors", b"other")]);
    let other = ["--set", "huggingface.adapter_base=acme/other", "--adapter", "--upload"];
    let text = err(&place.try_run(&hub, "deploy", &other));
    assert!(
        text.contains("huggingface.adapter_base: model.safetensors of acme/other is not that of models/sft_final"),
        "{text}"
    );
    let none = ["--set", "huggingface.adapter_base=acme/none", "--adapter", "--upload"];
    let text = err(&place.try_run(&hub, "deploy", &none));
    assert!(text.contains("the Hub has no model acme/none that you may see"), "{text}");
}

#[test]
fn what_would_stop_an_upload_is_said_before_hours_of_work() {
    let (hub, place) = (hub(Options::default()), Place::new());
    let wanted = ["scripts/full.lua", "--set", "huggingface.upload=true"];
    let output = affine(&hub, place.0.path(), &wanted, &[]);
    assert!(err(&output).contains("huggingface.upload: expected a token of the Hub (HF_TOKEN)"), "{}", err(&output));
    let named = [&wanted[..], &["--set", "huggingface.repo_name=tiny"]].concat();
    let output = affine(&hub, place.0.path(), &named, &[("HF_TOKEN", TOKEN)]);
    assert!(err(&output).contains("huggingface.repo_name: expected"), "{}", err(&output));
    assert!(!place.0.path().join("data_cache").exists());

    let plan = [&["--plan"], &wanted[..]].concat();
    let output = affine(&hub, place.0.path(), &plan, &[("HF_TOKEN", TOKEN)]);
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(!told.contains(TOKEN) && !err(&output).contains(TOKEN), "{output:?}");
    assert!(told.contains("hub: uploads ") && told.contains("here nothing is sent"), "{output:?}");
    assert!(hub.requests().is_empty(), "{:?}", hub.requests());
}
