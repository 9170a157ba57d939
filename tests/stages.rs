//! The whole pipeline, tiny, over every environment by name, and what collecting leaves behind.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use affine::engine::env::programs::generator::VERSION;
use serde_json::json;

const AFFINE: &str = env!("CARGO_BIN_EXE_affine");

/// All that ship here; ScienceWorld where there is Java and its jar.
fn environments() -> Vec<String> {
    let lua = affine::lua::state(Path::new("")).unwrap();
    let rows: Vec<mlua::Table> = lua.load("return require('affine.env').built_in()").eval().unwrap();
    let names = rows.iter().map(|row| row.get("name").unwrap());
    names.filter(|name: &String| name != "sciworld" || crate::sciworld::is_playable()).collect()
}

const SMALL: &str = "data.num_samples=6 data.base.num_samples=4 training.base.max_steps=2 training.max_steps=2 \
    training.batch_size=2 training.gradient_accumulation_steps=1 training.base.batch_size=2 \
    training.max_length=8192 model.create.max_position_embeddings=16384 \
    model.create.hidden_size=32 model.create.num_hidden_layers=1 model.create.intermediate_size=32 \
    rl.iterations=1 rl.num_rollouts=2 rl.minibatch_size=2 rl.batch_size=2 rl.max_new_tokens=4 \
    evaluation.num_eval_samples=2 evaluation.max_new_tokens=4 evaluation.batch_size=8 data.reasoning=true \
    data.min_score=0.1 data.split_by=task data.deduplicate=true";

fn run(folder: &Path, script: &str, more: &[String]) {
    let mut command = Command::new(AFFINE);
    command.current_dir(folder).env_remove("AFFINE_LOG").arg(format!("scripts/{script}.lua"));
    let small = SMALL.split_whitespace().map(str::to_string);
    for setting in small.chain(more.iter().cloned()) {
        command.args(["--set", &setting]);
    }
    let output = command.output().unwrap();
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    assert!(output.status.success(), "{script}: {}\n{out}\n{err}", output.status);
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts"), folder.path().join("scripts")).unwrap();
    folder
}

fn records(folder: &Path, name: &str) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(folder.join("data_cache").join(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_environment_goes_through_all_stages_beside_its_baselines() {
    let folder = folder();
    let environments = environments();
    let names: Vec<String> = environments.iter().map(|name| format!("\"{name}\"")).collect();
    run(folder.path(), "full", &[format!("data.environments={{{}}}", names.join(","))]);
    let collected = [records(folder.path(), "sft.jsonl"), records(folder.path(), "validation.jsonl")].concat();
    let summary = std::fs::read_to_string(folder.path().join("models/evaluation/summary.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    for name in environments.iter().map(String::as_str) {
        let own: Vec<_> = collected.iter().filter(|record| record["env"] == name).collect();
        assert_eq!(own.len(), 6, "{name}");
        for record in own {
            let mut turns = record["messages"].as_array().unwrap().iter();
            let last = turns.rfind(|turn| turn["role"] == "assistant").unwrap()["content"].as_str().unwrap();
            let form = match name {
                "sat" => "\n\nx1=",
                "abd" => "<INPUT>\n",
                "ded" => "```python\n",
                // Their experts tell no reasons.
                "sciworld" | "sciworld-mini" => "Action:\n",
                // The bare action.
                "grid" => "",
                _ => "Thought:\n",
            };
            assert!(last.contains(form), "{name}: {last}");
            assert!(record["score"].as_f64().unwrap() >= 0.1 && record["source"].is_string(), "{record}");
        }
        for kind in ["random", "constant", "expert"] {
            assert!(summary["baselines"][kind][name]["n"].as_u64() > Some(0), "{kind} {name}");
        }
    }
}

#[test]
fn over_a_quantised_base_the_stages_keep_adapters_and_deploy_merges() {
    let folder = folder();
    let settings = [
        "data.environments={\"sat\"}",
        "model.quantize=nf4",
        "model.torch_dtype=float32",
        "training.learning_rate=0.01",
        "rl.learning_rate=0.01",
    ]
    .map(str::to_string);
    run(folder.path(), "full", &settings);
    let models = folder.path().join("models");
    for stage in ["sft_final", "rl_final"] {
        let held = ["adapter_model.safetensors", "tokenizer.json", "model.safetensors"];
        assert_eq!(held.map(|name| models.join(stage).join(name).exists()), [true, true, false], "{stage}");
    }
    let factors = |stage: &str| std::fs::read(models.join(stage).join("adapter_model.safetensors")).unwrap();
    assert!(factors("sft_final") != factors("rl_final"), "RL trains SFT's adapter on");
    let summary = std::fs::read_to_string(models.join("evaluation/summary.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    assert_eq!(summary["order"], json!(["base", "sft", "rl"]));

    let deployed = models.join("deploy/affine-model");
    assert!(deployed.join("model.safetensors").exists());
    let card = std::fs::read_to_string(deployed.join("README.md")).unwrap();
    assert!(card.contains("projections in nf4; this folder holds those rounded weights"), "{card}");
    let logs = std::fs::read_dir(folder.path().join("logs")).unwrap().map(|entry| entry.unwrap().path());
    let log = logs.into_iter().find(|path| path.display().to_string().contains("deploy")).unwrap();
    let log = std::fs::read_to_string(log).unwrap();
    let moved = log.split("log-probabilities move by ").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap();
    // In float32 the sum is rounded in the last digit only.
    assert!(moved.parse::<f64>().unwrap() < 1e-4, "{moved}");

    let mut command = Command::new(AFFINE);
    command.current_dir(folder.path()).args(["scripts/deploy.lua", "--adapter"]);
    for setting in SMALL.split_whitespace().chain(settings.iter().map(String::as_str)) {
        command.args(["--set", setting]);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let same = std::fs::read(models.join("deploy/affine-model-adapter/adapter_model.safetensors")).unwrap();
    assert!(same == factors("rl_final"), "the adapter as RL left it");
    assert!(deployed.join("model.safetensors").exists(), "it has a folder of its own");
}

#[test]
fn the_card_says_what_the_stages_recorded_keeps_what_its_author_wrote_and_its_lua_runs() {
    let folder = folder();
    let own = |more: &[&str]| {
        let settings = ["data.environments={{name=\"sat\",n=4,k=2,m=10},\"grid\"}", "huggingface.output_dir=Cometstar"];
        settings.iter().chain(more).map(|setting| setting.to_string()).collect::<Vec<_>>()
    };
    run(folder.path(), "full", &own(&[]));
    let path = folder.path().join("Cometstar/affine-model/README.md");
    let read = || std::fs::read_to_string(&path).unwrap();
    let record = |name: &str| -> serde_json::Value {
        serde_json::from_str(&std::fs::read_to_string(folder.path().join(name).join("stage.json")).unwrap()).unwrap()
    };
    let (sft, rl) = (record("models/sft_final"), record("models/rl_final"));
    let work = |record: &serde_json::Value| -> String {
        let (work, model) = (&record["notes"]["work"], &record["notes"]["model"]);
        let episodes = work["episodes"].as_u64().map(|count| count.to_string()).unwrap_or_default();
        format!(
            "|{}|{}|{episodes}|{} of {}|",
            work["steps"], work["tokens"], model["trainable_parameters"], model["parameters"]
        )
    };
    let card = read();
    for part in [
        &format!("|SFT{}", work(&sft)),
        &format!("|RL{}", work(&rl)),
        "language:\n- en\n",
        "- `sat` (`{ k = 2, m = 10, n = 4 }`): 6 episodes by the expert, 6 of them successes, task ids from 20000",
        "RL played tasks of the same environments with ids from 50000 to 899999; those that are judged were left out.",
        "affine scripts/full.lua --set data.num_samples=6 --set ",
        "training.max_steps = 2\n",
    ] {
        assert!(card.contains(part), "{part} in\n{card}");
    }
    assert!(sft["notes"]["work"]["tokens"].as_u64() > Some(0) && rl["notes"]["work"]["tokens"].as_u64() > Some(0));
    assert_eq!((&sft["notes"]["work"]["steps"], &rl["notes"]["work"]["steps"]), (&json!(2), &json!(1)));

    // The author's words, and settings of the day that no stage had.
    std::fs::write(&path, card.replace("A Qwen3 model trained with affine.", "Mine.") + "The end.").unwrap();
    run(folder.path(), "deploy", &own(&["huggingface.license=mit", "training.learning_rate=0.5", "rl.gamma=0.5"]));
    let again = read();
    let same =
        card.replace("A Qwen3 model trained with affine.", "Mine.").replace("license: apache-2.0", "license: mit");
    let without_hash = |text: &str| regex::Regex::new("front-matter=[0-9a-f]+").unwrap().replace(text, "").into_owned();
    assert_eq!(without_hash(&again), without_hash(&(same + "The end.")));
    run(folder.path(), "deploy", &own(&["huggingface.create_model_card=false"]));
    assert_eq!(read(), again);

    let runs = |card: &str| {
        let block = card.split("```lua\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        let output = Command::new(AFFINE).current_dir(folder.path()).args(["-e", block]).output().unwrap();
        assert!(output.status.success(), "{block}{}", String::from_utf8_lossy(&output.stderr));
    };
    runs(&again);
    let mut command = Command::new(AFFINE);
    command.current_dir(folder.path()).args(["scripts/deploy.lua", "--adapter"]);
    for setting in SMALL.split_whitespace().map(str::to_string).chain(own(&[])) {
        command.args(["--set", &setting]);
    }
    assert!(command.output().unwrap().status.success());
    let adapter = std::fs::read_to_string(folder.path().join("Cometstar/affine-model-adapter/README.md")).unwrap();
    assert!(adapter.contains("library_name: peft") && adapter.contains("# affine-model-adapter"), "{adapter}");
    runs(&adapter);
}

#[test]
fn what_a_quantised_base_cannot_do_is_said_before_any_work() {
    let folder = folder();
    for (setting, other, words) in [
        ("model.quantize=nf5", "seed=0", "model.quantize: expected \"none\", \"int8\" or \"nf4\", got \"nf5\""),
        ("model.quantize=nf4", "training.use_lora=false", "training.use_lora must be true"),
        ("model.quantize=int8", "model.double_quantize=true", "true only with model.quantize = \"nf4\", got \"int8\""),
    ] {
        let mut command = Command::new(AFFINE);
        let output =
            command.current_dir(folder.path()).args(["scripts/full.lua", "--set", setting, "--set", other]).output();
        let output = output.unwrap();
        let problem = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && problem.contains(words), "{problem}");
        assert!(!folder.path().join("data_cache").exists());
    }
}

#[test]
fn every_record_says_where_it_comes_from() {
    let folder = folder();
    let options = json!({ "generator": { "difficulty": 1, "split": "validation" } });
    let environments = "data.environments={\"sat\",{name=\"abd\",generator={difficulty=1,split=\"validation\"}}}";
    run(folder.path(), "collect", &[environments.to_string(), "data.train_split=0.5".to_string()]);
    let mut sides = [0, 0];
    for (side, (file, split)) in [("sft.jsonl", "train"), ("validation.jsonl", "validation")].into_iter().enumerate() {
        for record in records(folder.path(), file) {
            let is_abd = record["env"] == "abd";
            assert_eq!(record["split"], split);
            assert_eq!(record["options"], if is_abd { options.clone() } else { json!(null) });
            assert_eq!(record["generator"], if is_abd { json!(VERSION) } else { json!(null) });
            assert_eq!(record["source"], format!("affine {}", env!("CARGO_PKG_VERSION")));
            assert_eq!(record["policy"], "expert");
            assert!(record["task_id"].as_u64() >= Some(20_000), "{record}");
            assert_eq!(record["instructions"].is_string(), is_abd);
            sides[side] += 1;
        }
    }
    assert!(sides[0] + sides[1] == 12 && sides[1] > 0, "{sides:?}");
}

#[test]
fn collecting_goes_on_from_a_journal_whose_last_line_is_half_written() {
    let folder = folder();
    let sat = ["data.environments={\"sat\"}".to_string()];
    run(folder.path(), "collect", &sat);
    let whole = records(folder.path(), "sft.jsonl");
    let journals = folder.path().join("data_cache/journals");
    let journal = std::fs::read_dir(&journals).unwrap().map(|entry| entry.unwrap().path());
    let journal = journal.into_iter().find(|path| path.display().to_string().contains("sat-expert")).unwrap();
    let text = std::fs::read_to_string(&journal).unwrap();
    std::fs::write(&journal, &text[..text.len() * 2 / 3]).unwrap();
    std::fs::remove_file(folder.path().join("data_cache/stage.json")).unwrap();
    run(folder.path(), "collect", &sat);
    assert_eq!(records(folder.path(), "sft.jsonl"), whole);
    assert_eq!(std::fs::read_to_string(&journal).unwrap(), text);
}

/// Of each of the two schemas one result that scores and one that does not, and a conversation as AgentTraj has it.
#[test]
fn files_of_results_and_conversations_are_read_and_a_half_downloaded_one_loses_nothing() {
    let folder = folder();
    let said =
        |text: &str| serde_json::json!([{"role": "user", "content": text}, {"role": "assistant", "content": "A"}]);
    let old = |score: f64| {
        serde_json::json!({
            "challenge": {"env": "affine:sat", "prompt": "P", "challenge_id": "c"},
            "response": {"response": "R"}, "evaluation": {"env": "sat", "score": score, "extra": {}},
        })
    };
    let new = |score: f64| {
        let extra = serde_json::json!({"conversation": said("Q"), "request": {"task_id": 7}});
        serde_json::json!({"env": "agentgym:babyai", "score": score, "extra": extra})
    };
    let shard = serde_json::json!([old(1.0), old(0.0), new(0.9), new(0.0)]).to_string();
    std::fs::write(folder.path().join("shard.json"), &shard).unwrap();
    let turns = serde_json::json!([{"from": "human", "value": "H"}, {"from": "gpt", "value": "G"}]);
    let line = serde_json::json!({"item_id": "webshop_3", "conversations": turns});
    std::fs::write(folder.path().join("traj.jsonl"), format!("{line}\n")).unwrap();
    let more = |file: &str| {
        vec!["data.environments={\"sat\"}".to_string(), format!("data.files={{\"{file}\", \"traj.jsonl\"}}")]
    };
    run(folder.path(), "collect", &more("shard.json"));
    let collected = [records(folder.path(), "sft.jsonl"), records(folder.path(), "validation.jsonl")].concat();
    let mut read: Vec<_> = collected.iter().filter(|r| r["policy"] == "file").map(|r| r["env"].as_str()).collect();
    read.sort();
    assert_eq!(read, [Some("babyai"), Some("sat"), Some("webshop")]);

    std::fs::write(folder.path().join("half.json"), &shard[..shard.len() / 2]).unwrap();
    let mut command = Command::new(AFFINE);
    command.current_dir(&folder).arg("scripts/collect.lua");
    for setting in SMALL.split_whitespace().map(str::to_string).chain(more("half.json")) {
        command.args(["--set", &setting]);
    }
    let output = command.output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && err.contains("half.json: is no whole JSON file"), "{err}");
    let after = [records(folder.path(), "sft.jsonl"), records(folder.path(), "validation.jsonl")].concat();
    assert_eq!(after, collected);
}
