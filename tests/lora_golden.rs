//! Adapters against numbers that PEFT gave in float64; `tests/golden/rl/lora.json` names in `source` and `net` what was
//! run: `lm_head(o_proj(tanh(q_proj(x))) + sum(k_proj(x), last dim, keepdim))`. Ours computes in float32.

use affine::engine::model::compute::Pass;
use affine::engine::model::linear::{Adapter, Linear};
use affine::engine::model::{LoraConfig, LoraOptions};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

use super::rl_golden::{cases, flat};

const MODULES: [&str; 4] = ["layers.0.q_proj", "layers.0.k_proj", "layers.0.o_proj", "lm_head"];

fn tensor(value: &Value) -> Tensor {
    let numbers = Tensor::from_slice(&flat(value)).to_kind(Kind::Float);
    match value[0].as_array() {
        Some(row) => numbers.view([-1, row.len() as i64]),
        None => numbers,
    }
}

/// PEFT's keys as the options of a new adapter.
fn config(case: &Value) -> LoraConfig {
    let mut options = case["config"].as_object().unwrap().clone();
    let r = options.remove("r").unwrap();
    options.insert("lora_r".to_string(), r);
    LoraConfig::new(&serde_json::from_value::<LoraOptions>(Value::Object(options)).unwrap()).unwrap()
}

/// A module of the net, its adapter asking for gradients where it has one.
fn linear(case: &Value, config: &LoraConfig, name: &str) -> Linear {
    let mut linear = Linear::new(tensor(&case["base_weight"][name]));
    let factor = |part: &str| tensor(&case[part][name]).set_requires_grad(true);
    if case["lora_A"].get(name).is_some() {
        linear.adapter = Some(Adapter {
            a: factor("lora_A"),
            b: factor("lora_B"),
            magnitude: config.use_dora.then(|| factor("magnitude")),
            scale: config.scale(name),
            dropout: 0.0,
        });
    }
    linear
}

fn output(case: &Value, linears: &[Linear], x: &Tensor) -> Tensor {
    let [q, k, o, head] = linears else { panic!("four modules") };
    let pass = Pass { training: true, ..Pass::default() };
    let biased = q.forward(x, pass) + tensor(&case["base_bias"]["layers.0.q_proj"]);
    let low = o.forward(&biased.tanh(), pass);
    head.forward(&(low + k.forward(x, pass).sum_dim_intlist(-1, true, Kind::Float)), pass)
}

fn near(got: &Tensor, wanted: &Value, what: &str) {
    let wanted = Tensor::from_slice(&flat(wanted)).to_kind(Kind::Float);
    let apart = (got.detach().to_device(Device::Cpu).flatten(0, -1) - &wanted).abs().max().double_value(&[]);
    let size = 1.0_f64.max(wanted.abs().max().double_value(&[]));
    assert!(apart <= 1e-5 * size, "{what}: {apart} apart");
}

#[test]
fn adapters_compute_and_merge_what_peft_computes() {
    for case in cases("lora") {
        let name = case["name"].as_str().unwrap();
        let config = config(&case);
        let mut linears: Vec<Linear> = MODULES.iter().map(|module| linear(&case, &config, module)).collect();
        let x = tensor(&case["input"]).set_requires_grad(true);
        let y = output(&case, &linears, &x);
        near(&y, &case["out"]["output"], &format!("{name}: output"));
        (&y * tensor(&case["upstream_grad"])).sum(Kind::Float).backward();
        near(&x.grad(), &case["out"]["grad_input"], &format!("{name}: gradient of the input"));
        let _no_grad = tch::no_grad_guard();
        for (module, linear) in MODULES.iter().zip(&mut linears).filter(|(_, linear)| linear.adapter.is_some()) {
            let gradients = &case["out"]["grads"][module];
            let adapter = linear.adapter.as_ref().unwrap();
            near(&adapter.a.grad(), &gradients["lora_A"], &format!("{name}: gradient of A in {module}"));
            near(&adapter.b.grad(), &gradients["lora_B"], &format!("{name}: gradient of B in {module}"));
            if let Some(magnitude) = &adapter.magnitude {
                near(
                    &magnitude.grad(),
                    &gradients["magnitude"],
                    &format!("{name}: gradient of the magnitude in {module}"),
                );
            }
            linear.merge();
            near(&linear.weight.plain(), &case["out"]["merged_weight"][module], &format!("{name}: merged {module}"));
        }
        near(&output(&case, &linears, &x), &case["out"]["output_merged"], &format!("{name}: merged output"));
    }
}

#[test]
fn ranks_scales_and_targets_are_those_of_peft() {
    for case in cases("lora") {
        let name = case["name"].as_str().unwrap();
        let config = config(&case);
        for module in MODULES.iter().filter(|module| **module != "lm_head") {
            let rank = case["rank"].get(*module).and_then(Value::as_i64);
            assert_eq!(config.targets(module), rank.is_some(), "{name}: {module}");
            if let Some(rank) = rank {
                assert_eq!(config.rank(module), rank, "{name}: rank of {module}");
                let scale = case["out"]["scaling"][module].as_f64().unwrap();
                assert!((config.scale(module) - scale).abs() < 1e-12, "{name}: scale of {module}");
            }
        }
    }
}
