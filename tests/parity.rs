//! The model against transformers and PEFT: log-probs, greedy continuations, adapters, gradients, optimizer steps.
//!
//! `tests/golden/parity/` was recorded with torch 2.11.0, transformers 5.23.0 and peft 0.21.2 in float32 on one thread.
//! What each tensor is, in their terms:
//!
//! ```python
//! model = AutoModelForCausalLM.from_pretrained(folder); ids = reference["plain.input_ids"][None]
//! plain.logprobs  = log_softmax(model(ids).logits[0, :-1].float(), -1).gather(-1, ids[0, 1:, None])
//! batch.logprobs  = the same for right-padded rows with their attention mask
//! lora.logprobs   = the same after get_peft_model, adapter saved by model.save_pretrained("adapter")
//! grad.*          = gradient of F.cross_entropy(logits[:, :-1], labels[:, 1:], ignore_index=-100) at that adapter
//! after.*         = the adapter after 3 steps of torch.optim.AdamW(lr=1e-3), clip_grad_norm_(1.0)
//! greedy          = model.generate(do_sample=False, max_new_tokens=32) after 16 prompt tokens
//! ```

use std::collections::HashMap;
use std::path::PathBuf;

use affine::engine::generate::{GenerateOptions, generate};
use affine::engine::model::value_head::ValueHead;
use affine::engine::model::{Mode, Model};
use affine::engine::tensor::safetensors;
use affine::engine::train::adamw::{AdamW, AdamWOptions, Group};
use affine::engine::train::batch::{Batch, Batching, Sequence, Shape};
use affine::engine::train::step::{Loss, Policy, StepSettings};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

const MODELS: [&str; 2] = ["tiny", "odd"];
const TOLERANCE: f64 = 1e-4;

fn folder(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/parity")).join(name)
}

fn model(name: &str) -> Model {
    Model::load(folder(&format!("model-{name}")), None, Device::Cpu).unwrap()
}

fn tensors(name: &str) -> HashMap<String, Tensor> {
    safetensors::read(folder(&format!("reference-{name}/reference.safetensors"))).unwrap().into_iter().collect()
}

fn facts(name: &str) -> Value {
    let text = std::fs::read_to_string(folder(&format!("reference-{name}/reference.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn ids(value: &Value) -> Vec<i64> {
    value.as_array().unwrap().iter().map(|id| id.as_i64().unwrap()).collect()
}

fn largest_difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    (a - b).abs().max().double_value(&[])
}

fn close(what: &str, a: &Tensor, b: &Tensor) {
    let difference = largest_difference(a, b);
    assert!(difference < TOLERANCE, "{what}: differs by {difference}");
}

/// The recorded batch as sequences whose trained tokens are the recorded labels.
fn sequences(reference: &HashMap<String, Tensor>) -> Vec<Sequence<'static>> {
    let (ids, mask) = (&reference["batch.input_ids"], &reference["batch.attention_mask"]);
    let labels = &reference["batch.labels"];
    (0..ids.size()[0])
        .map(|row| {
            let length = mask.get(row).sum(Kind::Int64).int64_value(&[]);
            let take = |t: &Tensor| Vec::<i64>::try_from(&t.get(row).narrow(0, 0, length)).unwrap();
            let trained = take(labels).into_iter().map(|label| label != -100).collect();
            Sequence::new(take(ids), trained)
        })
        .collect()
}

fn with_adapter(name: &str) -> Model {
    let mut model = model(name);
    model.load_adapter(folder(&format!("reference-{name}/adapter"))).unwrap();
    model
}

fn nll(outputs: &affine::engine::train::step::Outputs, _: &Batch, denominator: f64) -> Loss {
    let nll = -outputs.logprobs.sum(Kind::Float);
    Loss { sums: vec![("nll", nll.detach())], value: nll / denominator }
}

#[test]
fn log_probs_equal_transformers() {
    for name in MODELS {
        let (model, reference) = (model(name), tensors(name));
        let ids = Vec::<i64>::try_from(&reference["plain.input_ids"]).unwrap();
        let logprobs = Tensor::from_slice(&model.logprobs(&ids, 1.0).unwrap());
        close(name, &logprobs, &reference["plain.logprobs"]);
    }
}

#[test]
fn padded_rows_equal_transformers_with_an_attention_mask() {
    for name in MODELS {
        let (model, reference) = (model(name), tensors(name));
        let ids = &reference["batch.input_ids"];
        let real = reference["batch.attention_mask"].to_kind(Kind::Bool);
        let _no_grad = tch::no_grad_guard();
        let hidden = model.net.hidden(ids, Mode::Inference);
        let logits = model.net.logits(&hidden.flatten(0, 1)).view([ids.size()[0], ids.size()[1], -1]);
        let logprobs = logits.log_softmax(-1, Kind::Float).narrow(1, 0, ids.size()[1] - 1);
        let targets = ids.narrow(1, 1, ids.size()[1] - 1).unsqueeze(-1);
        let picked = logprobs.gather(-1, &targets, false).squeeze_dim(-1) * real.narrow(1, 1, ids.size()[1] - 1);
        close(name, &picked, &reference["batch.logprobs"]);
    }
}

#[test]
fn greedy_continuations_are_those_of_transformers() {
    for name in MODELS {
        let facts = facts(name);
        for (which, model) in [("base", model(name)), ("lora", with_adapter(name))] {
            let options = GenerateOptions { max_new_tokens: 32, temperature: 0.0, ..Default::default() };
            let prompt = ids(&facts["greedy"]["prompt"]);
            // A shorter and a longer neighbour share the batch and must change nothing.
            let prompts = [prompt[..5].to_vec(), prompt.clone(), [prompt.as_slice(), &prompt].concat()];
            let replies = generate(&model, &prompts, &options).unwrap();
            assert_eq!(replies[1].tokens, ids(&facts["greedy"][which]["ids"]), "{name} {which}");
        }
    }
}

#[test]
fn an_adapter_that_peft_saved_computes_what_peft_computes() {
    for name in MODELS {
        let (model, reference) = (with_adapter(name), tensors(name));
        for (row, sequence) in sequences(&reference).iter().enumerate() {
            let logprobs = Tensor::from_slice(&model.logprobs(&sequence.ids, 1.0).unwrap());
            let recorded = reference["lora.logprobs"].get(row as i64).narrow(0, 0, logprobs.size()[0]);
            close(name, &logprobs, &recorded);
        }
    }
}

#[test]
fn an_adapter_we_save_is_the_one_that_peft_saved() {
    for name in MODELS {
        let model = with_adapter(name);
        let saved = tempfile::tempdir().unwrap();
        model.save_adapter(saved.path()).unwrap();
        let file = "adapter_model.safetensors";
        let ours: HashMap<_, _> = safetensors::read(saved.path().join(file)).unwrap().into_iter().collect();
        let theirs = safetensors::read(folder(&format!("reference-{name}/adapter")).join(file)).unwrap();
        assert_eq!(ours.len(), theirs.len());
        for (key, tensor) in theirs {
            assert_eq!(largest_difference(&ours[&key], &tensor), 0.0, "{key}");
        }
    }
}

/// `tests/golden/parity/adapters/record.py` says how PEFT made them.
#[test]
fn every_kind_of_adapter_that_peft_saves_is_read_and_written_as_it_is() {
    let adapters = folder("adapters");
    let recorded: Value =
        serde_json::from_str(&std::fs::read_to_string(adapters.join("logprobs.json")).unwrap()).unwrap();
    let ids = ids(&recorded["ids"]);
    let kinds = recorded["logprobs"].as_object().unwrap();
    assert_eq!(kinds.len(), 6);
    let base = Tensor::from_slice(&model("tiny").logprobs(&ids, 1.0).unwrap());
    let mut model = model("tiny");
    for (kind, wanted) in kinds {
        model.load_adapter_as(kind, adapters.join(kind)).unwrap();
        let wanted: Vec<f32> = serde_json::from_value(wanted.clone()).unwrap();
        let wanted = Tensor::from_slice(&wanted);
        assert!(largest_difference(&wanted, &base) > 1e-2, "{kind} changes nothing");
        let got = Tensor::from_slice(&model.logprobs(&ids, 1.0).unwrap());
        assert!(largest_difference(&got, &wanted) < 1e-5, "{kind}: {}", largest_difference(&got, &wanted));

        let saved = tempfile::tempdir().unwrap();
        model.save_adapter(saved.path()).unwrap();
        let (weights, config) = ("adapter_model.safetensors", "adapter_config.json");
        let ours: HashMap<_, _> = safetensors::read(saved.path().join(weights)).unwrap().into_iter().collect();
        let theirs = safetensors::read(adapters.join(kind).join(weights)).unwrap();
        assert_eq!(ours.len(), theirs.len(), "{kind}");
        for (key, tensor) in theirs {
            assert_eq!(largest_difference(&ours[&key], &tensor), 0.0, "{kind}: {key}");
        }
        let read = |folder: &std::path::Path| -> Value {
            serde_json::from_str(&std::fs::read_to_string(folder.join(config)).unwrap()).unwrap()
        };
        let (ours, theirs) = (read(saved.path()), read(&adapters.join(kind)));
        for (key, value) in ours.as_object().unwrap() {
            let same = match (value.as_f64(), theirs[key].as_f64()) {
                (Some(ours), Some(theirs)) => ours == theirs,
                _ => *value == theirs[key] || key == "target_modules" || key == "base_model_name_or_path",
            };
            assert!(same, "{kind}: {key} is {value}, PEFT's is {}", theirs[key]);
        }
    }
    // All six are on the one base now, and none has changed it or another.
    for (kind, wanted) in kinds {
        model.set_adapter(kind).unwrap();
        let wanted: Vec<f32> = serde_json::from_value(wanted.clone()).unwrap();
        let got = Tensor::from_slice(&model.logprobs(&ids, 1.0).unwrap());
        assert!(largest_difference(&got, &Tensor::from_slice(&wanted)) < 1e-5, "{kind}");
    }
    model.disable_adapter();
    assert_eq!(model.logprobs(&ids, 1.0).unwrap(), Vec::<f32>::try_from(&base).unwrap());
}

#[test]
fn merging_an_adapter_changes_no_log_prob() {
    for name in MODELS {
        let mut model = with_adapter(name);
        let ids: Vec<i64> = (0..40).map(|i| (i * 37) % 400).collect();
        let before = Tensor::from_slice(&model.logprobs(&ids, 1.0).unwrap());
        model.merge_lora().unwrap();
        close(name, &Tensor::from_slice(&model.logprobs(&ids, 1.0).unwrap()), &before);
    }
}

#[test]
fn gradients_and_three_optimizer_steps_equal_pytorch() {
    for name in MODELS {
        for gradient_checkpointing in [false, true] {
            for batch_size in [4, 1] {
                three_steps(name, gradient_checkpointing, batch_size);
            }
        }
    }
}

fn three_steps(name: &str, gradient_checkpointing: bool, batch_size: usize) {
    let (model, reference, facts) = (with_adapter(name), tensors(name), facts(name));
    let sequences = sequences(&reference);
    let sequences: Vec<&Sequence> = sequences.iter().collect();
    let params = model.trainable();
    let mut optimizer = AdamW::new(
        AdamWOptions::default(),
        vec![Group { params: model.trainable(), learning_rate: 1e-3, weight_decay: 0.0 }],
    );
    let policy = Policy { gradient_checkpointing, ..Policy::new(&model) };
    for step in 0..3 {
        // Without clipping first, to see the gradients themselves.
        let max_grad_norm = (step > 0).then_some(1.0);
        let batching = Batching::Sequences(batch_size, Shape::Padded);
        let settings = StepSettings { batching, learning_rate_factor: 0.0, max_grad_norm, ..StepSettings::default() };
        if step == 0 {
            let mut idle = AdamW::new(
                AdamWOptions::default(),
                vec![Group { params: model.trainable(), learning_rate: 0.0, weight_decay: 0.0 }],
            );
            policy.step(&mut idle, &sequences, &settings, &nll).unwrap();
            for (key, parameter) in &params {
                close(key, &parameter.grad(), &reference[&format!("grad.base_model.model.{key}")]);
            }
        }
        let settings = StepSettings { learning_rate_factor: 1.0, max_grad_norm: Some(1.0), ..settings };
        let report = policy.step(&mut optimizer, &sequences, &settings, &nll).unwrap();
        assert_eq!(report.tokens as i64, facts["batch"]["loss_tokens"].as_i64().unwrap());
        let loss = report.sum("nll") / report.tokens as f64;
        assert!(
            (loss - facts["losses"][step].as_f64().unwrap()).abs() < TOLERANCE,
            "{name}: loss {loss} at step {step}"
        );
        let recorded = facts["clip_norms"][step].as_f64().unwrap();
        assert!((report.grad_norm - recorded).abs() < 1e-3, "{name}: norm {} at step {step}", report.grad_norm);
    }
    for (key, parameter) in &params {
        close(key, &parameter.detach(), &reference[&format!("after.base_model.model.{key}")]);
    }
}

#[test]
fn full_parameter_gradients_do_not_depend_on_checkpointing_or_splitting() {
    let reference = tensors("odd");
    let sequences = sequences(&reference);
    let sequences: Vec<&Sequence> = sequences.iter().collect();
    let gradients = |gradient_checkpointing: bool, batch_size: usize| -> Vec<Tensor> {
        let model = model("odd");
        model.begin_training().unwrap();
        let value_head = ValueHead::new(model.net.config.hidden_size, Device::Cpu);
        let params = model.trainable();
        let group = Group { params: model.trainable(), learning_rate: 0.0, weight_decay: 0.0 };
        let mut idle = AdamW::new(AdamWOptions::default(), vec![group]);
        let policy =
            Policy { value_head: Some(&value_head), temperature: 0.7, gradient_checkpointing, ..Policy::new(&model) };
        let batching = Batching::Sequences(batch_size, Shape::Padded);
        let settings = StepSettings { batching, ..StepSettings::default() };
        policy.step(&mut idle, &sequences, &settings, &nll).unwrap();
        params.iter().map(|(_, parameter)| parameter.grad()).collect()
    };
    let straight = gradients(false, 4);
    assert!(straight.iter().all(|gradient| gradient.abs().max().double_value(&[]) > 0.0));
    for other in [gradients(true, 4), gradients(false, 1), gradients(true, 3)] {
        for (a, b) in straight.iter().zip(&other) {
            close("gradient", a, b);
        }
    }
}

#[test]
fn a_saved_model_loads_as_the_same_model() {
    for name in MODELS {
        let model = model(name);
        let saved = tempfile::tempdir().unwrap();
        model.save(saved.path()).unwrap();
        let again = Model::load(saved.path(), None, Device::Cpu).unwrap();
        let ids: Vec<i64> = (0..20).map(|i| (i * 29) % 400).collect();
        assert_eq!(model.logprobs(&ids, 1.0).unwrap(), again.logprobs(&ids, 1.0).unwrap());
        let original = folder(&format!("model-{name}"));
        for file in ["tokenizer.json", "tokenizer_config.json"] {
            let read = |folder: &std::path::Path| std::fs::read(folder.join(file)).unwrap();
            assert_eq!(read(saved.path()), read(&original), "{file}");
        }
    }
}
