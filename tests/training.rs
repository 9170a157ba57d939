//! Supervised fine-tuning on toy models: resuming, accumulation, which tokens carry loss, what is left on the disk.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use affine::engine::data::{Record, write as write_records};
use affine::engine::model::{LoraOptions, Model};
use affine::engine::rl::options::PpoOptions;
use affine::engine::rl::ppo::Ppo;
use affine::engine::text::Message;
use affine::engine::train::checkpoint::ResumeFrom;
use affine::engine::train::run::Trainer;
use affine::engine::train::schedule::ScheduleKind;
use affine::engine::train::sft::{Sft, SftOptions, SftResult, SftStep, TrainOn};
use serde_json::Value;
use tch::Device;

use super::cli::{affine, code};
use super::toys::{checkpoints, model, model_with, numbers, records, tokenizer, weights_in, with_lora};

/// Twelve steps: four epochs of two whole windows and a short one.
pub fn options(output_dir: &Path) -> SftOptions {
    SftOptions {
        output_dir: output_dir.to_path_buf(),
        num_epochs: 4,
        batch_size: 2,
        gradient_accumulation_steps: 2,
        learning_rate: 3e-3,
        lr_scheduler_type: ScheduleKind::Cosine,
        warmup_ratio: 0.2,
        weight_decay: 0.01,
        seed: 5,
        save_steps: 0,
        logging_steps: 1,
        ..SftOptions::default()
    }
}

/// All remaining steps.
pub fn run(sft: &mut Sft, model: &Model) -> affine::engine::Result<SftResult> {
    while sft.step(model)?.is_some() {}
    sft.finish(model)
}

fn resuming(output_dir: &Path) -> SftOptions {
    SftOptions { resume_from_checkpoint: ResumeFrom::Newest(true), ..options(output_dir) }
}

pub fn steps(sft: &mut Sft, model: &Model, count: usize) -> Vec<SftStep> {
    (0..count).map_while(|_| sft.step(model).unwrap()).collect()
}

fn losses(steps: &[SftStep]) -> Vec<f64> {
    steps.iter().map(|step| step.loss).collect()
}

fn refusal(model: &Model, records: &[Record], options: SftOptions) -> String {
    Sft::new(model, records, &[], options).err().expect("this must be refused").to_string()
}

/// A checkpoint's log without the times.
fn history(checkpoint: &Path) -> Vec<Value> {
    let state: Value = serde_json::from_slice(&std::fs::read(checkpoint.join("trainer_state.json")).unwrap()).unwrap();
    let mut history = state["log_history"].as_array().unwrap().clone();
    for step in &mut history {
        // What the run was to be, and how long it took, is no part of what it did.
        step.as_object_mut().unwrap().retain(|name, _| name != "seconds" && name != "total");
    }
    history
}

fn base() -> Model {
    model()
}

pub fn adapted() -> Model {
    with_lora(model())
}

#[test]
fn stopping_and_resuming_equals_not_stopping() {
    for make in [base, adapted] {
        let folder = tempfile::tempdir().unwrap();
        let (straight, halves) = (folder.path().join("straight"), folder.path().join("halves"));

        let whole = make();
        let mut sft = Sft::new(&whole, &records(), &[], options(&straight)).unwrap();
        let expected = losses(&steps(&mut sft, &whole, 100));
        assert_eq!(expected.len(), 12);
        let straight = sft.save(&whole).unwrap();
        let result = sft.finish(&whole).unwrap();
        assert!((result.train_loss - expected.iter().sum::<f64>() / 12.0).abs() < 1e-12);

        // In the middle of the second epoch.
        let first = make();
        let mut sft = Sft::new(&first, &records(), &[], options(&halves)).unwrap();
        let mut got = losses(&steps(&mut sft, &first, 5));
        sft.save(&first).unwrap();
        drop((sft, first));

        let second = make();
        let mut sft = Sft::new(&second, &records(), &[], resuming(&halves)).unwrap();
        assert_eq!(sft.run().done(), 5);
        got.extend(losses(&steps(&mut sft, &second, 100)));
        let halves = sft.save(&second).unwrap();
        let resumed = sft.finish(&second).unwrap();
        assert_eq!((resumed.train_loss, resumed.final_loss), (result.train_loss, result.final_loss));
        // Nothing is left to do, and the result is still the run's.
        let done = Sft::new(&second, &records(), &[], resuming(&folder.path().join("halves"))).unwrap().finish(&second);
        assert_eq!(done.unwrap().train_loss, result.train_loss);

        assert_eq!(got, expected);
        assert_eq!(numbers(&second), numbers(&whole));
        assert_eq!(weights_in(&halves), weights_in(&straight));
        assert_eq!(history(&halves), history(&straight));
    }
}

#[test]
fn a_full_checkpoint_does_not_need_the_weights_that_it_replaces() {
    let folder = tempfile::tempdir().unwrap();
    let trained = model();
    let mut sft = Sft::new(&trained, &records(), &[], options(folder.path())).unwrap();
    steps(&mut sft, &trained, 3);
    sft.save(&trained).unwrap();

    let other = model_with(2, 128);
    Sft::new(&other, &records(), &[], resuming(folder.path())).unwrap();
    assert_eq!(numbers(&other), numbers(&trained));
}

#[test]
fn how_a_step_is_split_into_batches_changes_no_loss() {
    for make in [base, adapted] {
        let run = |batch_size, gradient_accumulation_steps| {
            let folder = tempfile::tempdir().unwrap();
            let model = make();
            let options = SftOptions { batch_size, gradient_accumulation_steps, ..options(folder.path()) };
            let mut sft = Sft::new(&model, &records(), &[], options).unwrap();
            steps(&mut sft, &model, 100)
        };
        let whole = run(8, 1);
        assert_eq!(whole.len(), 8);
        for (batch_size, accumulation) in [(4, 2), (2, 4), (1, 8)] {
            for (split, whole) in run(batch_size, accumulation).iter().zip(&whole) {
                assert_eq!((split.step, split.tokens), (whole.step, whole.tokens));
                let difference = (split.loss - whole.loss).abs() / whole.loss;
                assert!(difference < 1e-6, "{batch_size} × {accumulation}, step {}: {difference}", split.step);
            }
        }
    }
}

#[test]
fn the_loss_falls_on_what_can_be_learned() {
    for make in [base, adapted] {
        let folder = tempfile::tempdir().unwrap();
        let model = make();
        let options = SftOptions { num_epochs: 40, learning_rate: 1e-2, ..options(folder.path()) };
        let mut sft = Sft::new(&model, &records(), &[], options).unwrap();
        let loss = |sft: &Sft| sft.evaluate(&model, &records()).unwrap().eval_loss;
        let before = loss(&sft);
        let result = run(&mut sft, &model).unwrap();
        let after = loss(&sft);
        assert_eq!((result.steps, result.records), (120, 10));
        assert!(before > 4.0 && after < 0.5, "{before} fell to {after}");
    }
}

/// The loss of the first step with one record, and the number of its trained tokens.
fn first_step(record: &Record, train_on: TrainOn) -> SftStep {
    let folder = tempfile::tempdir().unwrap();
    let model = model();
    let options = SftOptions { train_on, ..options(folder.path()) };
    let mut sft = Sft::new(&model, std::slice::from_ref(record), &[], options).unwrap();
    steps(&mut sft, &model, 1).remove(0)
}

#[test]
fn only_what_the_assistant_says_carries_loss() {
    let conversation = [
        Message::new("system", "one two"),
        Message::user("red"),
        Message::assistant("blue"),
        Message::user("green"),
        Message::assistant("yes no"),
        Message::user("nobody answers this"),
    ];
    let record = Record::messages(conversation.to_vec());
    let (ids, mask) = record.encode(&tokenizer()).unwrap().into_parts();
    let logprobs = model().logprobs(&ids, 1.0).unwrap();
    let said: Vec<f64> = (1..ids.len()).filter(|&t| mask[t]).map(|t| f64::from(logprobs[t - 1])).collect();

    // Two replies and the tokens that end them.
    let words = ["blue", "yes no"].map(|words| tokenizer().encode(words).unwrap().len());
    assert_eq!(said.len(), words[0] + words[1] + 2);
    let step = first_step(&record, TrainOn::Assistant);
    assert_eq!(step.tokens, said.len());
    let by_hand = -said.iter().sum::<f64>() / said.len() as f64;
    assert!((step.loss - by_hand).abs() < 1e-5, "{} instead of {by_hand}", step.loss);

    // What follows the last reply is no context of any of it.
    let shorter = Record::messages(conversation[..5].to_vec());
    assert_eq!(first_step(&shorter, TrainOn::Assistant).loss, step.loss);

    let everything = record.encode_all(&tokenizer()).unwrap().len() - 1;
    assert_eq!(first_step(&record, TrainOn::All).tokens, everything);
    assert!(everything > said.len() + 20);
}

#[test]
fn records_without_a_trained_token_are_left_out_and_long_ones_are_cut() {
    let folder = tempfile::tempdir().unwrap();
    let model = model();
    let long = Record::messages(vec![Message::user("red ".repeat(60)), Message::assistant("blue")]);
    let error = refusal(&model, std::slice::from_ref(&long), options(folder.path()));
    assert_eq!(error, "none of the 1 records has a token to train on");

    let data = [long, Record::messages(vec![Message::user("red"), Message::assistant("blue ".repeat(90))])];
    let mut sft = Sft::new(&model, &data, &[], options(folder.path())).unwrap();
    let step = steps(&mut sft, &model, 1).remove(0);
    // 128 tokens of context, of which the chat template takes some.
    assert!((90..128).contains(&step.tokens), "{}", step.tokens);
}

/// Masks come from where each reply stands in the rendered text. A template that leaves replies out, rewrites them or puts
/// no token at their end would give masks that are empty or wrong, so it trains nothing, packed or not.
#[test]
fn a_template_that_hides_what_the_assistant_says_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("base");
    model().save(&base).unwrap();
    let turn = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ CONTENT }}<|im_end|>\n{% endfor %}\
                {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
    let hiding = [
        turn.replace("CONTENT", "m.content if m.role == 'user' else '...'"),
        turn.replace("CONTENT", "m.content | upper"),
        turn.replace("CONTENT", "m.content").replace("<|im_end|>", "."),
    ];
    for (packing, template) in [false, true].into_iter().flat_map(|packing| hiding.iter().map(move |t| (packing, t))) {
        std::fs::write(base.join("chat_template.jinja"), template).unwrap();
        let model = Model::load(&base, None, Device::Cpu).unwrap();
        let packed = SftOptions { packing, ..options(folder.path()) };
        let error = refusal(&model, &records(), packed.clone());
        assert!(error.starts_with("10 of 10 records cannot be trained on: the chat template "), "{error}");
        assert!(error.contains("(record 1, record 2, "), "{error}");
        // Where every token is trained it does not matter who says it.
        Sft::new(&model, &records(), &[], SftOptions { train_on: TrainOn::All, ..packed }).unwrap();
    }
    let whole = turn.replace("CONTENT", "m.content");
    std::fs::write(base.join("chat_template.jinja"), whole).unwrap();
    let model = Model::load(&base, None, Device::Cpu).unwrap();
    Sft::new(&model, &records(), &[], SftOptions { packing: true, ..options(folder.path()) }).unwrap();
}

#[test]
fn old_checkpoints_are_removed_and_never_the_one_just_written() {
    let folder = tempfile::tempdir().unwrap();
    let saving = SftOptions { save_steps: 5, save_total_limit: 2, ..options(folder.path()) };
    let model = adapted();
    let mut sft = Sft::new(&model, &records(), &[], saving.clone()).unwrap();
    steps(&mut sft, &model, 100);
    // The last step is saved whatever save_steps says.
    assert_eq!(checkpoints(folder.path()), [10, 12]);

    let earlier = folder.path().join("checkpoint-10");
    let model = adapted();
    let again =
        SftOptions { save_total_limit: 1, save_steps: 1, resume_from_checkpoint: ResumeFrom::Path(earlier), ..saving };
    let mut sft = Sft::new(&model, &records(), &[], again).unwrap();
    steps(&mut sft, &model, 1);
    assert_eq!(checkpoints(folder.path()), [11]);
}

#[test]
fn an_interrupted_save_is_not_taken_for_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let first = adapted();
    let mut sft = Sft::new(&first, &records(), &[], options(folder.path())).unwrap();
    steps(&mut sft, &first, 4);
    let whole = sft.save(&first).unwrap();
    // What a crash while saving leaves, and a folder that lost its state.
    let unfinished = folder.path().join(".unfinished-checkpoint-6");
    for leftover in [&unfinished, &folder.path().join("checkpoint-9")] {
        std::fs::create_dir(leftover).unwrap();
        std::fs::copy(whole.join("adapter_model.safetensors"), leftover.join("adapter_model.safetensors")).unwrap();
    }

    let second = adapted();
    let mut sft = Sft::new(&second, &records(), &[], resuming(folder.path())).unwrap();
    assert_eq!(sft.run().done(), 4);
    steps(&mut sft, &second, 2);
    sft.save(&second).unwrap();
    assert!(!unfinished.exists());
    assert_eq!(Sft::new(&adapted(), &records(), &[], resuming(folder.path())).unwrap().run().done(), 6);
}

#[test]
fn resuming_where_no_checkpoint_is_starts_afresh() {
    let folder = tempfile::tempdir().unwrap();
    let model = adapted();
    let sft = Sft::new(&model, &records(), &[], resuming(&folder.path().join("new"))).unwrap();
    assert_eq!(sft.run().done(), 0);

    let nowhere = ResumeFrom::Path(folder.path().join("checkpoint-3"));
    let error = refusal(&model, &records(), SftOptions { resume_from_checkpoint: nowhere, ..options(folder.path()) });
    assert!(
        error.starts_with("resume_from_checkpoint: expected a checkpoint folder with trainer_state.json"),
        "{error}"
    );
}

#[test]
fn a_checkpoint_of_something_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let model = adapted();
    let mut sft = Sft::new(&model, &records(), &[], options(folder.path())).unwrap();
    steps(&mut sft, &model, 2);
    let checkpoint = sft.save(&model).unwrap();
    let problem = |model: &Model, records: &[Record], options: SftOptions| {
        let error = refusal(model, records, options);
        error.strip_prefix(&format!("{}: ", checkpoint.display())).unwrap_or_else(|| panic!("{error}")).to_string()
    };

    let another = "is a checkpoint of another model (base weights, shape or adapter differ)";
    let mut other_rank = base();
    other_rank.add_lora(&LoraOptions { lora_r: 2, ..LoraOptions::default() }).unwrap();
    for other in [with_lora(model_with(2, 128)), other_rank, base()] {
        assert_eq!(problem(&other, &records(), resuming(folder.path())), another);
    }

    let fewer = problem(&model, &records()[1..], resuming(folder.path()));
    assert!(fewer.starts_with("was made with data = \""), "{fewer}");
    let seed = SftOptions { seed: 6, ..resuming(folder.path()) };
    assert_eq!(problem(&model, &records(), seed), "was made with seed = 5, this run has 6");
    let window = SftOptions { batch_size: 4, ..resuming(folder.path()) };
    let window = problem(&model, &records(), window);
    // And what follows from it.
    assert!(window.starts_with("was made with sequences per step = 4, this run has 8; with "), "{window}");

    let ppo = PpoOptions { resume_from_checkpoint: ResumeFrom::Path(checkpoint.clone()), ..PpoOptions::default() };
    let ppo = PpoOptions { output_dir: folder.path().join("rl"), ..ppo };
    let error = Ppo::new(&model, ppo).err().unwrap().to_string();
    assert_eq!(error, format!("{}: is a checkpoint of trainer.sft, not of trainer.ppo", checkpoint.display()));
}

#[test]
fn a_damaged_checkpoint_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let model = adapted();
    let mut sft = Sft::new(&model, &records(), &[], options(folder.path())).unwrap();
    steps(&mut sft, &model, 1);
    let checkpoint = sft.save(&model).unwrap();
    let optimizer = checkpoint.join("optimizer.safetensors");
    let bytes = std::fs::read(&optimizer).unwrap();
    std::fs::write(&optimizer, &bytes[..bytes.len() / 2]).unwrap();
    let error = refusal(&adapted(), &records(), resuming(folder.path()));
    assert!(error.contains("optimizer.safetensors: is damaged: it is not what was saved"), "{error}");

    std::fs::write(checkpoint.join("trainer_state.json"), "{}").unwrap();
    let error = refusal(&adapted(), &records(), resuming(folder.path()));
    assert!(error.contains("trainer_state.json: not a trainer's state: missing field"), "{error}");
}

#[test]
fn the_output_folder_holds_what_was_trained() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("base");
    model().save(&base).unwrap();
    let load = |path: &Path| Model::load(path, None, Device::Cpu).unwrap();
    let ids = tokenizer().encode("red blue green yes no").unwrap();

    for (name, make) in [
        ("full", load as fn(&Path) -> Model),
        ("adapter", |path: &Path| with_lora(Model::load(path, None, Device::Cpu).unwrap())),
    ] {
        let model = make(&base);
        let before = model.logprobs(&ids, 1.0).unwrap();
        let output = folder.path().join(name);
        let result = run(&mut Sft::new(&model, &records(), &[], options(&output)).unwrap(), &model).unwrap();
        assert_eq!(result.steps, 12);
        let after = model.logprobs(&ids, 1.0).unwrap();
        assert_ne!(after, before);
        assert_eq!(load(&output).logprobs(&ids, 1.0).unwrap(), after, "{name}");
        assert_eq!(output.join("adapter_config.json").exists(), name == "adapter");
        assert_eq!(output.join("config.json").exists(), name == "full");
    }
}

#[test]
fn a_gradient_that_is_not_finite_ends_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let model = model();
    let wild = SftOptions { learning_rate: 1e30, max_grad_norm: 0.0, warmup_ratio: 0.0, ..options(folder.path()) };
    let error = run(&mut Sft::new(&model, &records(), &[], wild).unwrap(), &model).unwrap_err();
    assert_eq!(error.to_string(), "the gradient is not finite, so this step was not taken");
}

const INTERRUPTED: &str = r#"
local affine = require "affine"
local m = affine.model.load "base"
m:add_lora { lora_r = 4, lora_dropout = 0.1 }
affine.trainer.sft(m, {
  data = "train.jsonl",
  output_dir = arg[1],
  max_steps = tonumber(arg[2]),
  batch_size = 2,
  gradient_accumulation_steps = 2,
  learning_rate = 1e-3,
  lr_scheduler_type = "constant",
  logging_steps = 1,
  save_steps = 1000000000,
  resume_from_checkpoint = true,
}):run()
"#;

#[test]
fn ctrl_c_saves_a_checkpoint_that_goes_on_as_if_nothing_had_happened() {
    let folder = tempfile::tempdir().unwrap();
    model().save(folder.path().join("base")).unwrap();
    write_records(folder.path().join("train.jsonl"), &records()).unwrap();
    std::fs::write(folder.path().join("train.lua"), INTERRUPTED).unwrap();
    let train = |output: &str, max_steps: u64| -> Command {
        let mut command = affine();
        command.current_dir(folder.path()).args(["train.lua", output, &max_steps.to_string()]);
        command
    };

    let mut child = train("halves", 1_000_000).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("sft step 3/") {
        line.clear();
        assert!(log.read_line(&mut line).unwrap() > 0, "the run ended before its third step");
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let mut rest = String::new();
    log.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest}");
    assert!(rest.trim_end().ends_with("affine: interrupted"), "{rest}");

    let halves = folder.path().join("halves");
    let [reached] = checkpoints(&halves)[..] else { panic!("{:?}", checkpoints(&halves)) };
    assert!(reached >= 3);
    let goal = reached + 4;
    for output in ["halves", "straight"] {
        let output = train(output, goal).output().unwrap();
        assert_eq!(code(&output), 0, "{}", String::from_utf8_lossy(&output.stderr));
    }
    let last = |output: &str| -> PathBuf { folder.path().join(output).join(format!("checkpoint-{goal}")) };
    assert_eq!(weights_in(&last("halves")), weights_in(&last("straight")));
    assert_eq!(history(&last("halves")), history(&last("straight")));
}
