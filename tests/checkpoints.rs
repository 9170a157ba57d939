//! What a checkpoint answers for: that it is whole, that it is this run's, and that one run writes it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use affine::engine::data::write as write_records;
use affine::engine::env::Environment;
use affine::engine::env::sat::{Sat, SatOptions};
use affine::engine::file::sha256;
use affine::engine::model::Model;
use affine::engine::rl::options::{DiscountUnit, NumRollouts, PpoOptions};
use affine::engine::rl::ppo::Ppo;
use affine::engine::train::checkpoint::{Force, Resume, ResumeFrom};
use affine::engine::train::options::NonFinite;
use affine::engine::train::run::Trainer;
use affine::engine::train::schedule::ScheduleKind;
use affine::engine::train::sft::{Sft, SftOptions};
use serde_json::Value;

use super::cli::{affine, code, stderr};
use super::toys::{Letters, Walk, model, model_with, numbers, records, with_lora};
use super::training::{self, adapted, steps};

fn resuming(folder: &Path) -> SftOptions {
    SftOptions { resume: Resume::Unchanged(true), ..training::options(folder) }
}

/// A folder with checkpoints of steps 2 and 4.
fn two_checkpoints() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let model = adapted();
    let mut sft = Sft::new(&model, &records(), &[], training::options(folder.path())).unwrap();
    for _ in 0..2 {
        steps(&mut sft, &model, 2);
        sft.save(&model).unwrap();
    }
    folder
}

fn flip(file: &Path, at: usize, bit: u8) {
    let mut bytes = std::fs::read(file).unwrap();
    let at = at % bytes.len();
    bytes[at] ^= 1 << bit;
    std::fs::write(file, bytes).unwrap();
}

#[test]
fn no_flipped_bit_resumes() {
    let folder = two_checkpoints();
    let newest = folder.path().join("checkpoint-4");
    let names = ["adapter_model.safetensors", "optimizer.safetensors", "trainer_state.json", "adapter_config.json"];
    for (round, name) in (0..48).zip(names.iter().cycle()) {
        let file = newest.join(name);
        let whole = std::fs::read(&file).unwrap();
        flip(&file, 7919 * (round + 1) + round, (round % 8) as u8);
        // White space between the state's words is nothing that could be wrong.
        let same = serde_json::from_slice::<Value>(&std::fs::read(&file).unwrap()).ok()
            == serde_json::from_slice::<Value>(&whole).ok();
        let named =
            SftOptions { resume_from_checkpoint: ResumeFrom::Path(newest.clone()), ..training::options(folder.path()) };
        match Sft::new(&adapted(), &records(), &[], named).err() {
            Some(error) => assert!(error.to_string().contains(name), "{name}: {error}"),
            None => assert!(*name == "trainer_state.json" && same, "{name}, round {round}"),
        }
        std::fs::write(&file, whole).unwrap();
    }
    assert_eq!(Sft::new(&adapted(), &records(), &[], resuming(folder.path())).unwrap().run().done(), 4);
}

#[test]
fn a_damaged_checkpoint_is_set_aside_and_the_whole_one_before_it_taken() {
    type Damage = fn(&Path);
    let damages: [Damage; 4] = [
        |newest| flip(&newest.join("optimizer.safetensors"), 5000, 3),
        |newest| std::fs::write(newest.join("trainer_state.json"), "{").unwrap(),
        |newest| std::fs::remove_file(newest.join("adapter_model.safetensors")).unwrap(),
        |newest| flip(&newest.join("trainer_state.json"), 40, 0),
    ];
    for damage in damages {
        let folder = two_checkpoints();
        let newest = folder.path().join("checkpoint-4");
        damage(&newest);
        let named =
            SftOptions { resume_from_checkpoint: ResumeFrom::Path(newest.clone()), ..training::options(folder.path()) };
        assert!(Sft::new(&adapted(), &records(), &[], named).is_err());
        assert!(newest.exists());
        let sft = Sft::new(&adapted(), &records(), &[], resuming(folder.path())).unwrap();
        assert_eq!(sft.run().done(), 2);
        assert!(folder.path().join("damaged-checkpoint-4").exists() && !newest.exists());
    }
}

#[test]
fn where_no_checkpoint_is_whole_nothing_begins_afresh() {
    let folder = two_checkpoints();
    for step in [2, 4] {
        flip(&folder.path().join(format!("checkpoint-{step}/optimizer.safetensors")), 9000, 1);
    }
    let error = Sft::new(&adapted(), &records(), &[], resuming(folder.path())).err().unwrap();
    assert!(
        error.to_string().ends_with(
            "checkpoint-4/optimizer.safetensors: is damaged: it is not what was saved (its checksum differs)"
        ),
        "{error}"
    );
    assert!(error.hint().unwrap().starts_with("no other checkpoint is whole"));
    assert!(folder.path().join("checkpoint-4").exists());
}

#[test]
fn the_best_checkpoint_is_checked_before_a_run_ends_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let model = adapted();
    let options = SftOptions { eval_steps: 2, load_best_model_at_end: true, ..training::options(folder.path()) };
    let mut sft = Sft::new(&model, &records(), &records()[..4], options).unwrap();
    let taken = steps(&mut sft, &model, 12);
    let best = taken.iter().filter_map(|step| Some((step.evaluation?.eval_loss, step.step)));
    let (_, best) = best.min_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
    flip(&folder.path().join(format!("checkpoint-{best}/adapter_model.safetensors")), 3000, 6);
    let error = sft.finish(&model).err().unwrap().to_string();
    assert!(error.contains("adapter_model.safetensors: is damaged"), "{error}");
}

/// The state's text, changed.
fn edit_state(checkpoint: &Path, change: impl Fn(&mut Value)) {
    let path = checkpoint.join("trainer_state.json");
    let mut state = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut state);
    std::fs::write(path, state.to_string()).unwrap();
}

#[test]
fn a_checkpoint_of_an_earlier_affine_goes_on_and_is_compared_on_what_it_recorded() {
    let folder = two_checkpoints();
    let newest = folder.path().join("checkpoint-4");
    // As format 0 had it; the model's hash was of a sample, and is told from this one's by the format.
    let recorded_by_old = ["seed", "sequences per step", "train_on", "data", "eval_data", "learning_rate"];
    let old = |state: &mut Value| {
        let state = state.as_object_mut().unwrap();
        ["format", "affine", "files", "checksum"].iter().for_each(|key| drop(state.remove(*key)));
        let identity = state["identity"].as_object_mut().unwrap();
        identity.retain(|key, _| recorded_by_old.contains(&key.as_str()));
        identity.insert("adam_betas".into(), serde_json::json!([0.9, 0.999]));
    };
    edit_state(&newest, old);
    let error = Sft::new(&adapted(), &records(), &[], resuming(folder.path())).err().unwrap().to_string();
    assert!(error.ends_with("is a checkpoint of another model (base weights, shape or adapter differ)"), "{error}");
    let forced = SftOptions { resume: Resume::Although(Force::Force), ..training::options(folder.path()) };
    assert_eq!(Sft::new(&adapted(), &records(), &[], forced.clone()).unwrap().run().done(), 4);
    let other = SftOptions { adam_beta2: 0.9, seed: 77, ..resuming(folder.path()) };
    let error = Sft::new(&adapted(), &records(), &[], other).err().unwrap().to_string();
    assert!(
        error.contains("seed = 5, this run has 77") && error.contains("adam_beta2 = 0.999, this run has 0.9"),
        "{error}"
    );
}

#[test]
fn a_setting_that_was_not_there_yet_was_its_default() {
    let folder = two_checkpoints();
    let newest = folder.path().join("checkpoint-4");
    edit_state(&newest, |state| {
        let state = state.as_object_mut().unwrap();
        assert!(state["identity"].as_object_mut().unwrap().remove("adam_beta2").is_some());
        state.remove("checksum");
        let checksum = sha256(serde_json::json!(state).to_string().as_bytes());
        state.insert("checksum".into(), checksum.into());
    });
    let other = SftOptions { adam_beta2: 0.9, ..resuming(folder.path()) };
    let error = Sft::new(&adapted(), &records(), &[], other).err().unwrap().to_string();
    assert!(error.ends_with("was made with adam_beta2 = 0.999, this run has 0.9"), "{error}");
    assert_eq!(Sft::new(&adapted(), &records(), &[], resuming(folder.path())).unwrap().run().done(), 4);
}

#[test]
fn one_changed_weight_anywhere_in_the_base_is_another_model() {
    let folder = tempfile::tempdir().unwrap();
    let model = adapted();
    let mut sft = Sft::new(&model, &records(), &[], training::options(folder.path())).unwrap();
    steps(&mut sft, &model, 1);
    sft.save(&model).unwrap();
    let changes: [fn(&Model); 3] = [
        |model| {
            let _no_grad = tch::no_grad_guard();
            let (_, tensor) = model.net.weights().into_iter().find(|(name, _)| name.contains("down_proj")).unwrap();
            let _ = tensor.flatten(0, -1).get(1500).f_mul_scalar_(1.0 + 1e-6).unwrap();
        },
        // Two rows exchanged: the same numbers, elsewhere.
        |model| {
            let _no_grad = tch::no_grad_guard();
            let (_, tensor) = model.net.weights().into_iter().find(|(name, _)| name.contains("embed")).unwrap();
            let row = tensor.get(200).copy();
            tensor.get(200).copy_(&tensor.get(201));
            tensor.get(201).copy_(&row);
        },
        |model| {
            let _no_grad = tch::no_grad_guard();
            let (_, tensor) = model.net.weights().into_iter().next_back().unwrap();
            let _ = tensor.flatten(0, -1).get(-1).f_add_scalar_(0.25).unwrap();
        },
    ];
    for change in changes {
        let other = adapted();
        change(&other);
        let error = Sft::new(&other, &records(), &[], resuming(folder.path())).err().unwrap().to_string();
        assert!(error.contains("is a checkpoint of another model"), "{error}");
    }
    Sft::new(&adapted(), &records(), &[], resuming(folder.path())).unwrap();
}

/// With room for a SAT formula.
fn roomy() -> Model {
    with_lora(model_with(1, 4096))
}

fn ppo_options(output_dir: &Path) -> PpoOptions {
    PpoOptions {
        output_dir: output_dir.to_path_buf(),
        iterations: 3,
        num_rollouts: NumRollouts::Each(4),
        ppo_epochs: 1,
        minibatch_size: 4,
        max_new_tokens: 3,
        save_steps: 0,
        seed: 2,
        exclude_prompts: vec!["a".into(), "b".into()],
        ..PpoOptions::default()
    }
}

fn walk() -> Vec<Box<dyn Environment>> {
    vec![Box::new(Walk::new())]
}

/// A folder with the checkpoint of an iteration on these environments.
fn played(environments: &[Box<dyn Environment>]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let policy = roomy();
    let mut ppo = Ppo::new(&policy, ppo_options(folder.path())).unwrap();
    ppo.iterate(&policy, environments).unwrap();
    ppo.save(&policy).unwrap();
    folder
}

#[test]
fn every_setting_of_ppo_that_decides_its_steps_is_compared() {
    let folder = played(&walk());
    let problem = |change: fn(&mut PpoOptions)| {
        let mut options = PpoOptions { resume: Resume::Unchanged(true), ..ppo_options(folder.path()) };
        change(&mut options);
        Ppo::new(&roomy(), options).err().map(|error| error.to_string())
    };
    type Change = fn(&mut PpoOptions);
    let deciding: [(&str, Change); 22] = [
        ("discount_unit = \"turn\", this run has \"token\"", |o| o.discount_unit = DiscountUnit::Token),
        ("whiten_advantages = true, this run has false", |o| o.whiten_advantages = false),
        ("bootstrap_truncated = ", |o| o.bootstrap_truncated = !o.bootstrap_truncated),
        ("warmup_ratio = 0.0, this run has 0.5", |o| o.warmup_ratio = 0.5),
        ("num_rollouts = 4, this run has 5", |o| o.num_rollouts = NumRollouts::Each(5)),
        ("num_rollouts = 4, this run has {\"walk\":4}", |o| {
            o.num_rollouts = NumRollouts::ByName([("walk".into(), 4)].into())
        }),
        ("max_new_tokens = 3, this run has 4", |o| o.max_new_tokens = 4),
        ("first_task_id = 0, this run has 7", |o| o.first_task_id = 7),
        ("last_task_id = 4294967295, this run has 9", |o| o.last_task_id = 9),
        ("min_lr_ratio = 0.0, this run has 0.1", |o| o.min_lr_ratio = 0.1),
        ("other exclude_prompts (2 were, 3 are)", |o| o.exclude_prompts.push("c".into())),
        ("other exclude_prompts (2 then and now)", |o| o.exclude_prompts[0] = "c".into()),
        ("lr_scheduler_type = \"constant\", this run has \"linear\"", |o| o.lr_scheduler_type = ScheduleKind::Linear),
        ("gamma = 0.99, this run has 0.9", |o| o.gamma = 0.9),
        ("gae_lambda = ", |o| o.gae_lambda = 0.5),
        ("kl_coef = ", |o| o.kl_coef = 0.5),
        ("temperature = ", |o| o.temperature = 0.5),
        ("value_clip_range = 0.2, this run has 0.0", |o| o.value_clip_range = 0.0),
        ("vf_coef = ", |o| o.vf_coef = 0.5),
        ("value_learning_rate = ", |o| o.value_learning_rate = 0.5),
        ("weight_decay = ", |o| o.weight_decay = 0.5),
        ("seed = 2, this run has 3", |o| o.seed = 3),
    ];
    for (words, change) in deciding {
        let problem = problem(change).unwrap_or_else(|| panic!("resumed in spite of {words}"));
        assert!(problem.contains("checkpoint-1: was made with ") && problem.contains(words), "{words}: {problem}");
    }
    let immaterial: [Change; 7] = [
        |o| o.iterations = 9,
        |o| o.batch_size = 2,
        |o| o.rollout_batch_size = 2,
        |o| (o.save_steps, o.save_total_limit) = (1, 7),
        |o| (o.gradient_checkpointing, o.padding_free) = (true, true),
        |o| o.nonfinite = NonFinite::Skip,
        |o| o.exclude_prompts.reverse(),
    ];
    for change in immaterial {
        assert_eq!(problem(change), None);
    }
}

#[test]
fn ppo_goes_on_with_the_environments_that_it_stopped_with() {
    let sat =
        |n| -> Vec<Box<dyn Environment>> { vec![Box::new(Sat::new(&SatOptions { n, k: 2, m: Some(2) }).unwrap())] };
    let both = || -> Vec<Box<dyn Environment>> { vec![Box::new(Letters), Box::new(Walk::new())] };
    let longer = || -> Vec<Box<dyn Environment>> { vec![Box::new(Walk { max_turns: 6, ..Walk::new() })] };
    type Environments = Vec<Box<dyn Environment>>;
    let cases: [(Environments, Environments, &str); 4] = [
        (walk(), both(), "was made with environments = \"walk\", this run has \"letters, walk\""),
        (walk(), vec![Box::new(Letters)], "environments = \"walk\", this run has \"letters\""),
        (walk(), longer(), "was made with walk.max_turns = 5, this run has 6"),
        (sat(3), sat(4), "was made with sat.n = 3, this run has 4"),
    ];
    for (before, after, words) in cases {
        let folder = played(&before);
        let policy = roomy();
        let resumed = |resume| {
            let options = PpoOptions { resume, ..ppo_options(folder.path()) };
            Ppo::new(&policy, options).unwrap()
        };
        let error = resumed(Resume::Unchanged(true)).iterate(&policy, &after).err().unwrap().to_string();
        assert!(error.contains("checkpoint-1: ") && error.contains(words), "{error}");
        resumed(Resume::Unchanged(true)).iterate(&policy, &before).unwrap().unwrap();
        resumed(Resume::Although(Force::Force)).iterate(&policy, &after).unwrap().unwrap();
    }
}

#[test]
fn sft_compares_what_chooses_among_its_steps_where_something_is_chosen() {
    let folder = two_checkpoints();
    let problem = |change: fn(&mut SftOptions)| {
        let mut options = resuming(folder.path());
        change(&mut options);
        Sft::new(&adapted(), &records(), &records()[..2], options).err().map(|error| error.to_string())
    };
    let words = problem(|o| o.early_stopping_patience = 0).unwrap_or_default();
    assert_eq!(words, "");
    let words = problem(|o| (o.eval_steps, o.early_stopping_patience) = (1, 3)).unwrap();
    assert!(words.contains("early_stopping_patience = 0, this run has 3"), "{words}");
    let immaterial: [fn(&mut SftOptions); 3] =
        [|o| o.save_steps = 1, |o| o.nonfinite = NonFinite::Skip, |o| o.gradient_checkpointing = true];
    for change in immaterial {
        assert_eq!(problem(change), None);
    }
}

#[test]
fn a_later_trainer_of_one_script_takes_its_folder_over() {
    let folder = tempfile::tempdir().unwrap();
    let model = with_lora(model());
    let mut first = Sft::new(&model, &records(), &[], training::options(folder.path())).unwrap();
    steps(&mut first, &model, 1);
    let mut second = Sft::new(&model, &records(), &[], training::options(folder.path())).unwrap();
    let before = numbers(&model);
    let error = first.step(&model).unwrap_err();
    assert!(
        error.to_string().ends_with("belongs to a trainer that this script made later: this one writes there no more")
    );
    assert!(first.save(&model).is_err() && first.finish(&model).is_err());
    assert_eq!(numbers(&model), before);
    steps(&mut second, &model, 1);
    second.save(&model).unwrap();
    drop((first, second));
    let beside = folder.path().with_file_name(format!(".{}.lock", folder.path().file_name().unwrap().display()));
    assert!(!beside.exists());
}

const SLOW: &str = r#"
local affine = require "affine"
local m = affine.model.load "base"
m:add_lora { lora_r = 2 }
local sft = affine.trainer.sft(m, { data = "train.jsonl", output_dir = "out", max_steps = 2, logging_steps = 0 })
for step in sft:steps() do
  print "ready"
  if arg[1] == "wait" then
    io.read()
  end
end
"#;

#[test]
fn a_second_process_hears_who_writes_there_and_goes_on_after_it() {
    let folder = tempfile::tempdir().unwrap();
    model().save(folder.path().join("base")).unwrap();
    write_records(folder.path().join("train.jsonl"), &records()).unwrap();
    std::fs::write(folder.path().join("slow.lua"), SLOW).unwrap();
    let train = |how: &str| {
        let mut command = affine();
        command.current_dir(folder.path()).args(["slow.lua", how]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let mut first = train("wait");
    let mut line = String::new();
    BufReader::new(first.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");

    let mut second = train("on");
    let mut said = BufReader::new(second.stderr.take().unwrap());
    line.clear();
    while !line.contains("out is in use by ") {
        line.clear();
        assert!(said.read_line(&mut line).unwrap() > 0, "the second run says nothing");
    }
    for words in [&format!("process {} on ", first.id()), "slow.lua wait), since 20", "waiting for its end"] {
        assert!(line.contains(words), "{line}");
    }
    assert!(folder.path().join(".out.lock").exists());
    // Death frees it, however it comes.
    first.kill().unwrap();
    first.wait().unwrap();
    let second = second.wait_with_output().unwrap();
    assert_eq!(code(&second), 0, "{}", stderr(&second));
    assert!(!folder.path().join(".out.lock").exists());
}

#[test]
fn a_lock_of_this_process_is_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let script = "local fs = require 'affine.fs'
        local lock = fs.lock 'a/b'
        print(pcall(fs.lock, 'a/b'))
        lock:close()
        do local again <close> = fs.lock 'a/b' end
        print(#fs.list 'a')";
    let output = affine().current_dir(folder.path()).args(["-e", script]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.starts_with("false\t") && said.contains("a/b is in use by this process, since 20"), "{said}");
    assert!(said.ends_with("\n0\n"), "{said}");
}
