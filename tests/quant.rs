//! Quantised bases: NF4 against numbers that bitsandbytes gave (`tests/golden/quant/record.py`), gradients against those
//! of the plain weight, and LoRA on top.

use std::path::Path;

use affine::engine::env::Environment;
use affine::engine::generate::{GenerateOptions, generate};
use affine::engine::model::compute::Pass;
use affine::engine::model::linear::Linear;
use affine::engine::model::quant::Quantized;
use affine::engine::model::weight::Weight;
use affine::engine::model::{LoraOptions, Model, Quantization, Scheme};
use affine::engine::rl::options::{NumRollouts, PpoOptions};
use affine::engine::rl::ppo::Ppo;
use affine::engine::train::adamw::{AdamW, AdamWOptions, Group};
use affine::engine::train::batch::{Batching, Sequence, Shape};
use affine::engine::train::checkpoint::{Force, Resume};
use affine::engine::train::run::Trainer;
use affine::engine::train::sft::{Sft, SftOptions, negative_log_likelihood};
use affine::engine::train::step::{Policy, StepSettings};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

use super::toys::{Letters, numbers as numbers_of, records, weights_in, with_lora};
use super::training::{self, steps};
use super::{golden, toys};

const NF4: Quantization = Quantization { scheme: Scheme::Nf4, double: false };
const NF4_DOUBLE: Quantization = Quantization { scheme: Scheme::Nf4, double: true };
const INT8: Quantization = Quantization { scheme: Scheme::Int8, double: false };

/// `weights` of record.py.
fn weights(rows: i64, columns: i64) -> Tensor {
    let number =
        |i: i64| (((i * 1_103_515_245 + 12_345) % (1 << 31)) as f64 / (1u64 << 31) as f64 - 0.5, 1 + i / 64 % 7);
    let numbers: Vec<f32> = (0..rows * columns).map(number).map(|(n, size)| (n * size as f64) as f32).collect();
    Tensor::from_slice(&numbers).view([rows, columns])
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn hex(tensor: &Tensor) -> String {
    Vec::<u8>::try_from(tensor).unwrap().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &Value) -> Vec<u8> {
    let digits = hex.as_str().unwrap();
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

fn apart(a: &Tensor, b: &Tensor) -> f64 {
    (a - b).abs().max().double_value(&[])
}

#[test]
fn nf4_stores_and_gives_back_what_bitsandbytes_does() {
    let cases = golden::json("quant/nf4.json");
    for case in cases.as_array().unwrap() {
        let (rows, columns) = (case["rows"].as_i64().unwrap(), case["columns"].as_i64().unwrap());
        let double = case["double"].as_bool().unwrap();
        let name = format!("{rows}x{columns}, double {double}");
        let quantized = Quantized::new(&weights(rows, columns), Quantization { scheme: Scheme::Nf4, double });
        let stored = quantized.tensors();
        let part = |name: &str| stored.iter().find(|(known, _)| *known == name).unwrap().1;
        let wanted = case["codes"].as_str().unwrap();
        // The last block is filled up with zeros here, and cut off there.
        assert_eq!(&hex(part(""))[..wanted.len()], wanted, "{name}: codes");
        if double {
            // bitsandbytes' CPU kernel looks the nearest of the 256 up in steps of 2^-16: near the middle of two of them
            // it may take the further one.
            let ours = Vec::<u8>::try_from(part(".absmax")).unwrap();
            let differing: Vec<(u8, u8)> =
                ours.iter().copied().zip(bytes(&case["scales"])).filter(|(a, b)| a != b).collect();
            assert!(differing.len() * 200 <= ours.len(), "{name}: scales {differing:?}");
            assert!(differing.iter().all(|(a, b)| a.abs_diff(*b) == 1), "{name}: scales {differing:?}");
            assert_eq!(ours.len(), bytes(&case["scales"]).len());
            let offset = case["offset"].as_f64().unwrap();
            assert!((part(".nested_offset").double_value(&[]) - offset).abs() < 1e-6, "{name}: offset");
        }
        let back = quantized.dequantized().flatten(0, -1);
        let last = back.numel() as i64 - 16;
        for (start, key) in [(0, "first"), (last, "last")] {
            let wanted = Tensor::from_slice(&numbers(&case[key]));
            assert!(apart(&back.narrow(0, start, 16), &wanted) < 1e-6, "{name}: {key} numbers");
        }
        let sum = back.sum(Kind::Double).double_value(&[]);
        assert!((sum - case["sum"].as_f64().unwrap()).abs() < 1e-2, "{name}: sum {sum}");
    }
}

#[test]
fn a_quantised_linear_computes_and_differentiates_as_its_dequantised_weight() {
    for quantization in [NF4, NF4_DOUBLE, INT8] {
        let quantized = Quantized::new(&weights(48, 70), quantization);
        let plain = Linear::new(quantized.dequantized());
        let linear = Linear::new(Weight::Quantized(quantized));
        let run = |linear: &Linear| {
            let x = weights(5, 70).set_requires_grad(true);
            let y = linear.forward(&x, Pass { training: true, ..Pass::default() });
            y.square().sum(Kind::Float).backward();
            (y.detach(), x.grad())
        };
        let ((y, gradient), (wanted, wanted_gradient)) = (run(&linear), run(&plain));
        assert!(apart(&y, &wanted) < 1e-5, "{quantization:?}");
        assert!(apart(&gradient, &wanted_gradient) < 1e-3, "{quantization:?}");
    }
}

#[test]
fn a_few_rows_are_multiplied_as_many_are() {
    for (kind, tolerance) in [(Kind::Float, 1e-6), (Kind::BFloat16, 1.0 / 128.0)] {
        for quantization in [NF4, NF4_DOUBLE, INT8] {
            let quantized = Quantized::new(&weights(100, 192).to_kind(kind), quantization);
            let weight = quantized.dequantized().to_kind(Kind::Float);
            for rows in [1, 3, 8, 9, 40] {
                let x = weights(rows, 192).to_kind(kind).view([1, rows, 192]);
                let y = quantized.linear(&x);
                let wanted = x.to_kind(Kind::Float).linear::<Tensor>(&weight, None);
                assert_eq!((y.size(), y.kind()), (vec![1, rows, 100], kind));
                let apart = apart(&y.to_kind(Kind::Float), &wanted);
                let size = wanted.abs().max().double_value(&[]);
                assert!(apart < tolerance * size, "{quantization:?} {kind:?}, {rows} rows: {apart} of {size}");
            }
        }
    }
}

#[test]
fn pieces_are_as_the_whole() {
    // More than one piece of 2^18 numbers, and a last block that is not whole.
    let weight = weights(700, 1001);
    for quantization in [NF4, NF4_DOUBLE, INT8] {
        let quantized = Quantized::new(&weight, quantization);
        let back = quantized.dequantized();
        let error = ((&back - &weight).norm() / weight.norm()).double_value(&[]);
        assert!((quantized.error - error).abs() < 1e-6, "{quantization:?}: {} and {error}", quantized.error);
        let scales = weight.flatten(0, -1).constant_pad_nd([0, 36]).view([-1, 64]).abs().amax([-1], true);
        let numbers = back.flatten(0, -1).constant_pad_nd([0, 36]).view([-1, 64]) / &scales;
        // Within half of the widest step of the codes, and what rounding the scales adds.
        let most =
            if quantization == INT8 { 0.5 / 127.0 } else { 0.16 } + if quantization.double { 0.04 } else { 1e-6 };
        let wanted = weight.flatten(0, -1).constant_pad_nd([0, 36]).view([-1, 64]) / &scales;
        assert!(apart(&numbers, &wanted) <= most, "{quantization:?}: {}", apart(&numbers, &wanted));
    }
}

#[test]
fn rounding_to_fewer_bits_costs_what_it_should() {
    tch::manual_seed(0);
    let weight = Tensor::randn([256, 512], (Kind::Float, Device::Cpu));
    // QLoRA's NF4 loses about 9 % of a normal weight, eight bits in blocks of 64 about half a percent.
    let error = |quantization| Quantized::new(&weight, quantization).error;
    assert!((0.08..0.10).contains(&error(NF4)), "{}", error(NF4));
    assert!((0.08..0.10).contains(&error(NF4_DOUBLE)), "{}", error(NF4_DOUBLE));
    assert!((0.003..0.008).contains(&error(INT8)), "{}", error(INT8));
    let bits = |quantization| Quantized::new(&weight, quantization).bytes() as f64 * 8.0 / weight.numel() as f64;
    assert!(bits(NF4) < 4.7 && bits(NF4_DOUBLE) < 4.4 && bits(INT8) < 8.6);
}

#[test]
fn zeros_stay_zeros() {
    for quantization in [NF4, NF4_DOUBLE, INT8] {
        let back = Quantized::new(&Tensor::zeros([8, 64], (Kind::Float, Device::Cpu)), quantization).dequantized();
        assert_eq!(back.abs().max().double_value(&[]), 0.0, "{quantization:?}");
    }
}

#[test]
fn a_quantised_model_stays_near_the_plain_one_and_keeps_its_count() {
    let ids: Vec<i64> = (1..20).collect();
    let wanted = toys::model().logprobs(&ids, 1.0).unwrap();
    for (quantization, most) in [(INT8, 0.02), (NF4, 0.5)] {
        let mut model = toys::model();
        let parameters = model.parameters();
        model.quantize(quantization);
        assert_eq!(model.parameters(), parameters);
        let got = model.logprobs(&ids, 1.0).unwrap();
        let apart = got.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).sum::<f32>() / got.len() as f32;
        assert!(apart > 0.0 && apart < most, "{quantization:?}: {apart}");
        model.dequantize();
        let back = model.logprobs(&ids, 1.0).unwrap();
        assert!(got.iter().zip(&back).all(|(a, b)| (a - b).abs() < 1e-5), "{quantization:?}");
    }
}

/// The tiny model in few bits, read from a folder, with an adapter whose factors are none of them zero.
fn adapted(base: &Path, quantization: Quantization) -> Model {
    let model = with_lora(Model::load_quantized(base, None, Device::Cpu, Some(quantization)).unwrap());
    let _no_grad = tch::no_grad_guard();
    for (_, mut tensor) in model.trainable() {
        let (rows, columns) = tensor.size2().unwrap();
        let _ = tensor.g_add_(&(weights(rows, columns) * 0.02));
    }
    model.freeze();
    model
}

fn saved_base() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    toys::model().save(folder.path().join("base")).unwrap();
    folder
}

/// The gradient of every factor of the adapter.
fn gradients(model: &Model, gradient_checkpointing: bool) -> Vec<(String, Tensor)> {
    let sequences: Vec<Sequence> = (0..3)
        .map(|row| Sequence {
            ids: (0..20 + row).map(|i| (i * 37 + row * 11) % 250).collect(),
            mask: (0..20 + row).map(|i| i > 3).collect(),
            ..Sequence::default()
        })
        .collect();
    let group = Group { params: model.trainable(), learning_rate: 0.0, weight_decay: 0.0 };
    let mut idle = AdamW::new(AdamWOptions::default(), vec![group]);
    let policy = Policy { gradient_checkpointing, ..Policy::new(model) };
    let settings = StepSettings { batching: Batching::Sequences(2, Shape::Padded), ..StepSettings::default() };
    policy.step(&mut idle, &sequences.iter().collect::<Vec<_>>(), &settings, &negative_log_likelihood).unwrap();
    model.trainable().into_iter().map(|(name, tensor)| (name, tensor.grad())).collect()
}

#[test]
fn an_adapter_learns_on_a_quantised_base_what_it_learns_on_the_rounded_weights() {
    let folder = saved_base();
    for quantization in [NF4, NF4_DOUBLE, INT8] {
        let base = folder.path().join("base");
        let mut plain = adapted(&base, quantization);
        plain.dequantize();
        let wanted = gradients(&plain, false);
        assert!(wanted.iter().all(|(_, gradient)| gradient.abs().max().double_value(&[]) > 1e-4));
        for checkpointed in [false, true] {
            for ((name, wanted), (_, got)) in wanted.iter().zip(gradients(&adapted(&base, quantization), checkpointed))
            {
                assert!(apart(&got, wanted) < 1e-5, "{quantization:?} {name}: {}", apart(&got, wanted));
            }
        }
    }
}

#[test]
fn sampling_from_a_quantised_base_gives_what_the_rounded_weights_give() {
    let folder = saved_base();
    for quantization in [NF4, INT8] {
        let mut model = adapted(&folder.path().join("base"), quantization);
        let options = GenerateOptions { max_new_tokens: 12, temperature: 0.8, seed: 5, ..Default::default() };
        let prompts = [vec![5, 17, 40], vec![99, 3, 120, 8, 7]];
        let sampled = generate(&model, &prompts, &options).unwrap();
        // What sampling recorded is what scoring gives.
        for (prompt, reply) in prompts.iter().zip(&sampled) {
            let scored = model.logprobs(&[prompt.as_slice(), &reply.tokens].concat(), 0.8).unwrap();
            for (recorded, scored) in reply.logprobs.iter().zip(&scored[prompt.len() - 1..]) {
                assert!((f64::from(*recorded) - f64::from(*scored)).abs() < 1e-4, "{recorded} and {scored}");
            }
        }
        model.dequantize();
        let plain = generate(&model, &prompts, &options).unwrap();
        assert!(sampled.iter().zip(&plain).all(|(a, b)| a.tokens == b.tokens), "{quantization:?}");
    }
}

#[test]
fn sft_on_a_quantised_base_resumes_exactly_and_names_another_quantisation() {
    let folder = saved_base();
    let base = folder.path().join("base");
    let before = weights_in(&base);
    let model = |quantization| with_lora(Model::load_quantized(&base, None, Device::Cpu, quantization).unwrap());
    let options = |name: &str| SftOptions {
        max_steps: Some(6),
        gradient_checkpointing: true,
        ..training::options(&folder.path().join(name))
    };
    let whole = model(Some(NF4_DOUBLE));
    let mut sft = Sft::new(&whole, &records(), &[], options("straight")).unwrap();
    assert_eq!(steps(&mut sft, &whole, 100).len(), 6);

    let first = model(Some(NF4_DOUBLE));
    let mut sft = Sft::new(&first, &records(), &[], options("halves")).unwrap();
    steps(&mut sft, &first, 3);
    let checkpoint = sft.save(&first).unwrap();
    let names: Vec<String> = weights_in(&checkpoint).into_keys().collect();
    assert_eq!(names, ["adapter_model.safetensors", "optimizer.safetensors"]);
    let again = || SftOptions { resume: Resume::Unchanged(true), ..options("halves") };
    for (other, is) in [(Some(INT8), "\"int8\""), (None, "null")] {
        let error = Sft::new(&model(other), &records(), &[], again()).err().unwrap().to_string();
        assert!(error.contains(&format!("quantize = \"nf4\", this run has {is}")), "{error}");
        assert!(!error.contains("another model"), "{error}");
    }
    let forced = SftOptions { resume: Resume::Although(Force::Force), ..options("halves") };
    assert_eq!(Sft::new(&model(Some(INT8)), &records(), &[], forced).unwrap().run().done(), 3);

    let second = model(Some(NF4_DOUBLE));
    let mut sft = Sft::new(&second, &records(), &[], again()).unwrap();
    assert_eq!(steps(&mut sft, &second, 100).len(), 3);
    assert_eq!(numbers_of(&second), numbers_of(&whole));
    assert_eq!(weights_in(&base), before);
}

#[test]
fn ppo_trains_an_adapter_on_a_quantised_base_and_its_reference_is_the_model_as_it_began() {
    let folder = saved_base();
    let load = || Model::load_quantized(folder.path().join("base"), None, Device::Cpu, Some(NF4)).unwrap();
    let policy = with_lora(load());
    let options = PpoOptions {
        output_dir: folder.path().join("ppo"),
        iterations: 3,
        num_rollouts: NumRollouts::Each(48),
        max_new_tokens: 1,
        gamma: 1.0,
        learning_rate: 3e-3,
        save_steps: 0,
        seed: 2,
        ..PpoOptions::default()
    };
    let mut ppo = Ppo::new(&policy, options).unwrap();
    let letters: Vec<Box<dyn Environment>> = vec![Box::new(Letters)];
    let mut divergence = Vec::new();
    while let Some(iteration) = ppo.iterate(&policy, &letters).unwrap() {
        divergence.push(iteration.rollout.kl.unwrap());
    }
    assert!(divergence[0].abs() < 1e-4 && divergence[2].abs() > 1e-3, "{divergence:?}");
    // The base is the very one that was read.
    let base = |model: &Model| -> Vec<(String, Vec<f32>)> {
        numbers_of(model).into_iter().filter(|(name, _)| !name.contains("lora_")).collect()
    };
    assert_eq!(base(&policy), base(&load()));
}

#[test]
fn a_quantised_base_is_neither_trained_nor_saved_nor_merged_into() {
    let folder = saved_base();
    let mut model = Model::load_quantized(folder.path().join("base"), None, Device::Cpu, Some(NF4)).unwrap();
    let sft = |model: &Model| Sft::new(model, &records(), &[], training::options(&folder.path().join("sft")));
    let error = sft(&model).err().unwrap().to_string();
    assert!(error.starts_with("a model in nf4 cannot be trained in full"), "{error}");
    let ppo = PpoOptions { output_dir: folder.path().join("ppo"), ..PpoOptions::default() };
    let error = Ppo::new(&model, ppo).err().unwrap().to_string();
    assert!(error.starts_with("a model in nf4 cannot be trained in full"), "{error}");
    let error = model.save(folder.path().join("saved")).unwrap_err().to_string();
    assert!(error.starts_with("this model's base is in nf4, which a model folder cannot hold"), "{error}");
    model.add_lora(&LoraOptions::default()).unwrap();
    let error = model.merge_lora().unwrap_err().to_string();
    assert!(error.starts_with("an adapter cannot be merged into a base in nf4"), "{error}");
    assert!(model.lora().is_some());
}

#[test]
fn merging_is_exact_against_the_dequantised_weights() {
    let folder = saved_base();
    let mut model = adapted(&folder.path().join("base"), NF4_DOUBLE);
    let ids: Vec<i64> = (0..30).map(|i| (i * 37) % 250).collect();
    let wanted = model.logprobs(&ids, 1.0).unwrap();
    model.dequantize();
    model.merge_lora().unwrap();
    model.save(folder.path().join("merged")).unwrap();
    let merged = Model::load(folder.path().join("merged"), None, Device::Cpu).unwrap().logprobs(&ids, 1.0).unwrap();
    assert!(merged.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-5), "{merged:?} and {wanted:?}");
}
