//! SFT's options beyond the plain run: each resumes bit for bit; evaluation, the best checkpoint, preflight, bad numbers.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use affine::engine::data::{Record, write as write_records};
use affine::engine::model::{LoraOptions, Model};
use affine::engine::text::Message;
use affine::engine::train::bundle::Replay;
use affine::engine::train::checkpoint::{Force, Resume, ResumeFrom};
use affine::engine::train::options::{NonFinite, Optim};
use affine::engine::train::run::Trainer;
use affine::engine::train::schedule::ScheduleKind;
use affine::engine::train::sft::{Sft, SftOptions};

use super::cli::{affine, code};
use super::toys::{checkpoints, model, numbers, records, tokenizer, weights_in, with_lora};
use super::training::{self, adapted, steps};

fn options(output_dir: &Path) -> SftOptions {
    SftOptions { weight_decay: SftOptions::default().weight_decay, logging_steps: 0, ..training::options(output_dir) }
}

/// Large enough that its state is kept in 8 bits.
fn with_wide_lora() -> Model {
    let mut model = model();
    model.add_lora(&LoraOptions { lora_r: 128, lora_dropout: 0.1, ..LoraOptions::default() }).unwrap();
    model
}

/// libtorch has one generator for all threads, and other tests draw from it: dropout and noise repeat themselves only
/// where this test is alone.
#[test]
fn every_option_resumes_as_if_it_had_not_stopped() {
    let mut alone = Command::new(std::env::current_exe().unwrap());
    let name = "sft_options::every_option_resumes_alone_in_its_process";
    let output = alone.args(["--exact", name, "--ignored"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
#[ignore = "started by another test"]
fn every_option_resumes_alone_in_its_process() {
    let change: [fn(&mut SftOptions); 4] = [
        |options| (options.packing, options.max_length) = (true, Some(64)),
        |options| options.optim = Optim::Adamw8bit,
        |options| (options.neftune_noise_alpha, options.padding_free) = (Some(5.0), true),
        |options| options.gradient_checkpointing = true,
    ];
    for (i, change) in change.into_iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let options = |name: &str| {
            let mut options = options(&folder.path().join(name));
            options.max_steps = Some(6);
            change(&mut options);
            options
        };
        let whole = with_wide_lora();
        let mut sft = Sft::new(&whole, &records(), &[], options("straight")).unwrap();
        assert_eq!(steps(&mut sft, &whole, 100).len(), 6);
        let straight = sft.save(&whole).unwrap();

        let first = with_wide_lora();
        let mut sft = Sft::new(&first, &records(), &[], options("halves")).unwrap();
        steps(&mut sft, &first, 3);
        sft.save(&first).unwrap();
        let second = with_wide_lora();
        let again = SftOptions { resume: Resume::Unchanged(true), ..options("halves") };
        let mut sft = Sft::new(&second, &records(), &[], again).unwrap();
        assert_eq!(steps(&mut sft, &second, 100).len(), 3);
        let halves = sft.save(&second).unwrap();
        assert_eq!(weights_in(&halves), weights_in(&straight), "change {i}");
        assert_eq!(numbers(&second), numbers(&whole), "change {i}");
    }
}

#[test]
fn packing_and_eight_bits_learn_what_is_to_be_learned() {
    for optim in [Optim::AdamwTorch, Optim::Adamw8bit] {
        let folder = tempfile::tempdir().unwrap();
        let model = with_wide_lora();
        let packing = SftOptions {
            packing: true,
            max_length: Some(64),
            optim,
            max_steps: Some(60),
            learning_rate: 1e-2,
            ..options(folder.path())
        };
        let mut sft = Sft::new(&model, &records(), &[], packing).unwrap();
        let before = sft.evaluate(&model, &records()).unwrap();
        training::run(&mut sft, &model).unwrap();
        let after = sft.evaluate(&model, &records()).unwrap();
        assert!(before.eval_loss > 4.0 && after.eval_loss < 0.5, "{optim:?}: {before:?}, {after:?}");
        assert!(after.eval_accuracy > 0.9 && before.eval_accuracy < 0.5, "{optim:?}: {before:?}, {after:?}");
    }
}

#[test]
fn the_best_evaluation_is_kept_and_ends_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let model = adapted();
    // What is trained contradicts what is evaluated, so that after a while only training gains.
    let other: Vec<Record> = (0..4)
        .map(|i| Record::messages(vec![Message::user(["red", "blue", "one", "yes"][i]), Message::assistant("no")]))
        .collect();
    let judged = SftOptions {
        eval_steps: 2,
        early_stopping_patience: 3,
        load_best_model_at_end: true,
        save_total_limit: 1,
        save_steps: 2,
        num_epochs: 200,
        lr_scheduler_type: ScheduleKind::Constant,
        learning_rate: 2e-2,
        ..options(folder.path())
    };
    let mut sft = Sft::new(&model, &records(), &other, judged.clone()).unwrap();
    let taken = steps(&mut sft, &model, 600);
    let losses: Vec<f64> = taken.iter().filter_map(|step| Some(step.evaluation?.eval_loss)).collect();
    let best = losses.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(taken.len() < 600 && losses.len() >= 4, "{} steps", taken.len());
    assert_eq!(losses.iter().position(|&loss| loss == best).unwrap(), losses.len() - 4, "{losses:?}");
    let kept = 2 * (losses.len() as u64 - 3);
    assert!(checkpoints(folder.path()).contains(&kept), "{:?}", checkpoints(folder.path()));

    let result = sft.finish(&model).unwrap();
    assert!(result.stopped_early);
    assert_eq!(result.best_metric, Some(best));
    assert_eq!(sft.evaluate(&model, &other).unwrap().eval_loss, best);

    // What was best on other records says nothing of these.
    let again = SftOptions { resume_from_checkpoint: ResumeFrom::Newest(true), ..judged };
    let refused = Sft::new(&model, &records(), &other[1..], again.clone()).err().unwrap().to_string();
    assert!(refused.contains("was made with eval_data = \""), "{refused}");
    Sft::new(&model, &records(), &other, again).unwrap();
}

#[test]
fn preflight_measures_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let run = |preflight: bool| {
        let model = adapted();
        let mut sft = Sft::new(&model, &records(), &[], options(folder.path())).unwrap();
        let before = numbers(&model);
        let found = preflight.then(|| sft.preflight(&model).unwrap());
        assert_eq!(numbers(&model), before);
        (found, steps(&mut sft, &model, 3).iter().map(|step| step.loss).collect::<Vec<_>>())
    };
    let ((found, with), (_, without)) = (run(true), run(false));
    assert_eq!(with, without);
    let found = found.unwrap();
    let lengths: Vec<usize> = records().iter().map(|record| record.encode(&tokenizer()).unwrap().len()).collect();
    let longest = *lengths.iter().max().unwrap();
    assert_eq!((found.longest, found.sequences, found.tokens, found.split), (longest, 2, 2 * longest, false));
    assert_eq!(found.steps, 12);
    assert!(found.peak_memory.unwrap() > 1 << 20 && found.peak_memory < found.memory);
    // Four epochs of every token.
    let seconds = 4.0 * lengths.iter().sum::<usize>() as f64 / found.tokens_per_second;
    assert!((found.seconds_to_finish / seconds - 1.0).abs() < 1e-9);
    // Two means and a float32 of every adapter number, and the steps.
    let adapter = adapted().trainable_parameters() as u64;
    assert!((12 * adapter..13 * adapter).contains(&found.checkpoint_bytes), "{}", found.checkpoint_bytes);
}

/// A model with one number that spoils everything it meets.
fn spoiled() -> Model {
    let model = adapted();
    let _no_grad = tch::no_grad_guard();
    let (_, b) = model.trainable().into_iter().find(|(name, _)| name.contains("layers.1.mlp.up_proj.lora_B")).unwrap();
    let _ = b.get(3).fill_(f64::NAN);
    model
}

#[test]
fn bad_numbers_stop_the_run_with_a_bundle_that_replays_alone() {
    let folder = tempfile::tempdir().unwrap();
    let model = spoiled();
    let before = format!("{:?}", numbers(&model));
    let mut sft = Sft::new(&model, &records(), &[], options(folder.path())).unwrap();
    let error = sft.step(&model).unwrap_err();
    assert_eq!(error.to_string(), "the gradient is not finite, so this step was not taken");
    assert!(error.hint().unwrap().contains("bad-step-1 holds the step"), "{:?}", error.hint());
    assert_eq!(format!("{:?}", numbers(&model)), before, "the step was not taken");

    let bundle = folder.path().join("bad-step-1");
    let recorded = Replay::recorded(&bundle).unwrap();
    // In another process it would be another model: the bundle brings the weights.
    let fresh = adapted();
    let replayed = Sft::replay(&fresh, &bundle).unwrap();
    assert_eq!(replayed, recorded);
    assert_eq!(recorded.grad_norm, "NaN");
    // Into layer 1 all is well, what comes out of it is not.
    let norms = recorded.batches[0]["activation_norms"].as_array().unwrap();
    assert!(norms[0].is_number() && norms[1].is_number() && norms[2] == "NaN", "{norms:?}");
    let culprit: Vec<&str> =
        recorded.parameters.iter().filter(|p| p["weight_norm"] == "NaN").map(|p| p["name"].as_str().unwrap()).collect();
    assert_eq!(culprit, ["model.layers.1.mlp.up_proj.lora_B.weight"]);
}

#[test]
fn bad_numbers_may_be_skipped_and_are_then_marked() {
    let folder = tempfile::tempdir().unwrap();
    let model = spoiled();
    let skipping = SftOptions { nonfinite: NonFinite::Skip, ..options(folder.path()) };
    let mut sft = Sft::new(&model, &records(), &[], skipping).unwrap();
    let before = format!("{:?}", numbers(&model));
    let taken = steps(&mut sft, &model, 2);
    assert!(taken.iter().all(|step| step.skipped) && taken.len() == 2);
    assert_eq!(format!("{:?}", numbers(&model)), before);
    assert!(folder.path().join("bad-step-2").is_dir());
}

#[test]
fn a_resumed_run_with_changes_goes_on_only_by_force() {
    let folder = tempfile::tempdir().unwrap();
    let model = adapted();
    let mut sft = Sft::new(&model, &records(), &[], options(folder.path())).unwrap();
    steps(&mut sft, &model, 2);
    sft.save(&model).unwrap();
    let changed = |resume| SftOptions { learning_rate: 1e-3, resume, ..options(folder.path()) };
    let error = Sft::new(&adapted(), &records(), &[], changed(Resume::Unchanged(true))).err().unwrap();
    assert!(error.to_string().ends_with("was made with learning_rate = 0.003, this run has 0.001"), "{error}");
    assert_eq!(error.hint(), Some("resume = \"force\" goes on all the same; it is not the same run any more"));
    let forced = Sft::new(&adapted(), &records(), &[], changed(Resume::Although(Force::Force))).unwrap();
    assert_eq!(forced.run().done(), 2);
}

#[test]
fn a_run_taken_up_again_from_an_older_checkpoint_sets_the_newer_ones_aside() {
    let folder = tempfile::tempdir().unwrap();
    let saving = SftOptions { save_steps: 2, save_total_limit: 0, ..options(folder.path()) };
    let model = adapted();
    let mut sft = Sft::new(&model, &records(), &[], saving.clone()).unwrap();
    steps(&mut sft, &model, 8);
    assert_eq!(checkpoints(folder.path()), [2, 4, 6, 8]);
    let older = ResumeFrom::Path(folder.path().join("checkpoint-2"));
    let model = adapted();
    let mut sft =
        Sft::new(&model, &records(), &[], SftOptions { resume_from_checkpoint: older, ..saving.clone() }).unwrap();
    steps(&mut sft, &model, 2);
    assert_eq!(checkpoints(folder.path()), [2, 4]);
    assert!(folder.path().join("abandoned-checkpoint-8").is_dir());
    let newest = SftOptions { resume: Resume::Unchanged(true), ..saving };
    assert_eq!(Sft::new(&adapted(), &records(), &[], newest).unwrap().run().done(), 4);
}

#[test]
fn a_trainer_refuses_a_model_whose_adapter_was_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = adapted();
    let mut sft = Sft::new(&model, &records(), &[], options(folder.path())).unwrap();
    steps(&mut sft, &model, 1);
    model.merge_lora().unwrap();
    let model = with_lora(model);
    let error = sft.step(&model).unwrap_err().to_string();
    assert!(error.starts_with("the model's parameters are not those that this trainer was made for"), "{error}");
}

const KILLED: &str = r#"
local affine = require "affine"
local m = affine.model.load "base"
m:add_lora { lora_r = 4, lora_dropout = 0.1 }
affine.trainer.sft(m, {
  data = "train.jsonl", output_dir = arg[1], max_steps = 12, batch_size = 2, gradient_accumulation_steps = 2,
  learning_rate = 1e-3, warmup_ratio = 0.2, logging_steps = 1, save_steps = 6, save_total_limit = 0, resume = true,
  on_step = function(step)
    if arg[2] and step.step == 7 then
      require("affine.log").info("now")
      require("affine.time").sleep(60)
    end
  end,
}):run()
"#;

#[test]
fn half_a_run_killed_and_resumed_is_the_run_that_was_not_killed() {
    let folder = tempfile::tempdir().unwrap();
    model().save(folder.path().join("base")).unwrap();
    write_records(folder.path().join("train.jsonl"), &records()).unwrap();
    std::fs::write(folder.path().join("train.lua"), KILLED).unwrap();
    let train = |args: &[&str]| {
        let mut command = affine();
        command.current_dir(folder.path()).arg("train.lua").args(args);
        command
    };
    let mut child = train(&["halves", "wait"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("now")), "the run ended before its seventh step");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(checkpoints(&folder.path().join("halves")), [6]);
    for name in ["halves", "straight"] {
        let output = train(&[name]).output().unwrap();
        assert_eq!(code(&output), 0, "{}", String::from_utf8_lossy(&output.stderr));
    }
    let last = |name: &str| weights_in(&folder.path().join(name).join("checkpoint-12"));
    assert_eq!(last("halves"), last("straight"));
}
