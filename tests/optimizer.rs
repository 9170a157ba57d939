//! AdamW, gradient clipping and learning rate schedules against PyTorch and transformers; `source` in
//! `tests/golden/rl/schedules.json` names functions and versions. Left out because this trainer has no such rule:
//! restarts, warmup-stable-decay, cosine with more than half a cycle, clipping by other norms than the second, AdamW
//! on bfloat16 weights without a master copy.

use affine::engine::train::adamw::{AdamW, AdamWOptions, Group, clip_grad_norm};
use affine::engine::train::schedule::{ScheduleKind, Scheduler};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

use crate::rl_golden::{assert_close, cases, flat, name};

/// The cases whose name begins so.
fn cases_named(prefix: &str) -> Vec<Value> {
    cases("schedules").into_iter().filter(|case| name(case).starts_with(prefix)).collect()
}

fn entries(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(tensor.to_kind(Kind::Double).reshape([-1])).unwrap()
}

/// A leaf of the golden value's own shape.
fn leaf(value: &Value, kind: Kind) -> Tensor {
    Tensor::from_slice(&flat(value)).reshape(shape(value)).to_kind(kind).set_requires_grad(true)
}

fn shape(value: &Value) -> Vec<i64> {
    match value {
        Value::Array(entries) => [vec![entries.len() as i64], shape(&entries[0])].concat(),
        _ => Vec::new(),
    }
}

/// Gives a leaf exactly this gradient.
fn set_grad(param: &mut Tensor, grad: &Tensor) {
    param.zero_grad();
    (&*param * grad.to_kind(param.kind())).sum(param.kind()).backward();
}

fn group(params: &[(&str, &Tensor)], learning_rate: f64, weight_decay: f64) -> Group {
    let params = params.iter().map(|(name, param)| (name.to_string(), param.shallow_clone())).collect();
    Group { params, learning_rate, weight_decay }
}

fn options(case: &Value) -> AdamWOptions {
    let betas = flat(&case["betas"]);
    AdamWOptions { beta1: betas[0], beta2: betas[1], epsilon: case["eps"].as_f64().unwrap(), ..AdamWOptions::default() }
}

/// One entry of an optimizer's state.
fn state(optimizer: &AdamW, name: &str) -> Tensor {
    let found = optimizer.state().into_iter().find(|(other, _)| other == name);
    found.unwrap_or_else(|| panic!("no {name} in the state")).1
}

fn scheduler(kind: &str, warmup_steps: u64, total_steps: u64, min_lr_ratio: f64) -> Scheduler {
    let kind: ScheduleKind = serde_json::from_value(Value::from(kind)).unwrap();
    Scheduler { kind, warmup_steps, total_steps, min_lr_ratio }
}

// transformers.get_scheduler(name, optimizer, num_warmup_steps, num_training_steps, scheduler_specific_kwargs): rates
// of steps 0..=total. cosine_with_min_lr and verl's cosine are `cosine` with a minimum here.
#[test]
fn schedules_agree_with_transformers_and_verl() {
    let cases = cases_named("schedule ");
    assert_eq!(cases.len(), 15);
    for case in &cases {
        let (kind, kwargs, lr) = (case["scheduler"].as_str().unwrap(), &case["kwargs"], case["lr"].as_f64().unwrap());
        let number = |key: &str| kwargs.get(key).and_then(Value::as_f64);
        let min_lr_ratio = number("min_lr_rate").or(number("min_lr_ratio")).or(number("min_lr").map(|min| min / lr));
        let kind = if kind.contains("cosine") { "cosine" } else { kind };
        let (warmup, total) = (case["warmup"].as_u64().unwrap(), case["total"].as_u64().unwrap());
        let scheduler = scheduler(kind, warmup, total, min_lr_ratio.unwrap_or(0.0));
        let rates: Vec<f64> = (0..=total).map(|step| lr * scheduler.factor(step)).collect();
        assert_close(name(case), &rates, &flat(&case["out"]["lr_at_step"]), 1e-15);
    }
}

// torch.optim.AdamW([p], lr, betas, eps, weight_decay), ten steps with the given gradients, in float64 and float32.
#[test]
fn adamw_agrees_with_pytorch() {
    let cases = cases_named("adamw lr");
    assert_eq!(cases.len(), 3);
    for case in &cases {
        let lr = case["lr"].as_f64().unwrap();
        let schedule = match &case["schedule"] {
            Value::Array(parts) => {
                scheduler(parts[0].as_str().unwrap(), parts[1].as_u64().unwrap(), parts[2].as_u64().unwrap(), 0.0)
            }
            _ => scheduler("constant", 0, 10, 0.0),
        };
        for (kind, suffix, tolerance) in [(Kind::Double, "f64", 1e-15), (Kind::Float, "f32", 1e-7)] {
            let mut param = leaf(&case["param0"], kind);
            let weights = group(&[("w", &param)], lr, case["weight_decay"].as_f64().unwrap());
            let mut optimizer = AdamW::new(options(case), vec![weights]);
            let expected = &case["out"];
            for (step, grad) in case["grads"].as_array().unwrap().iter().enumerate() {
                set_grad(&mut param, &leaf(grad, Kind::Double).detach());
                optimizer.step(schedule.factor(step as u64));
                let after = flat(&expected[format!("params_{suffix}")][step]);
                assert_close(&format!("{} {suffix}, step {step}", name(case)), &entries(&param), &after, tolerance);
            }
            for part in ["exp_avg", "exp_avg_sq"] {
                let got = entries(&state(&optimizer, &format!("w.{part}")));
                assert_close(name(case), &got, &flat(&expected[format!("{part}_{suffix}")]), tolerance);
            }
            assert_eq!(state(&optimizer, "w.step").int64_value(&[]), 10);
        }
    }
}

// The float32 master: torch.optim.AdamW on p.float() with g.float(); after each step p.copy_(master).
#[test]
fn a_bfloat16_parameter_follows_its_float32_master() {
    let cases = cases_named("adamw bf16");
    assert_eq!(cases.len(), 2);
    for case in &cases {
        let mut param = leaf(&case["param0_bf16"], Kind::BFloat16);
        let before = entries(&param);
        let weights = group(&[("w", &param)], case["lr"].as_f64().unwrap(), case["weight_decay"].as_f64().unwrap());
        let mut optimizer = AdamW::new(options(case), vec![weights]);
        for (step, grad) in case["grads_bf16"].as_array().unwrap().iter().enumerate() {
            set_grad(&mut param, &leaf(grad, Kind::Double).detach());
            optimizer.step(1.0);
            let master = flat(&case["out"]["fp32_master"][step]);
            assert_close(name(case), &entries(&state(&optimizer, "w.master")), &master, 1e-7);
            assert_eq!(entries(&param), flat(&case["out"]["bf16_copy_of_master"][step]), "{}", name(case));
        }
        let moved = entries(&param).iter().zip(&before).filter(|(after, before)| after != before).count() as u64;
        assert_eq!(moved, case["out"]["entries_moved_master_copy"].as_u64().unwrap());
        assert_eq!(param.kind(), Kind::BFloat16);
    }
}

// torch.nn.utils.clip_grad_norm_(params, max_norm)
#[test]
fn clipping_agrees_with_pytorch() {
    let cases = cases_named("clip_grad_norm");
    assert_eq!(cases.len(), 3);
    for case in &cases {
        let params: Vec<Tensor> = case["grads"]
            .as_array()
            .unwrap()
            .iter()
            .map(|grad| {
                let mut param = leaf(grad, Kind::Double);
                let grad = param.detach().copy();
                set_grad(&mut param, &grad);
                param
            })
            .collect();
        let norm = clip_grad_norm(&params, case["max_norm"].as_f64().unwrap());
        assert_close(name(case), &[norm], &[case["out"]["total_norm"].as_f64().unwrap()], 1e-14);
        let clipped: Vec<f64> = params.iter().flat_map(|param| entries(&param.grad())).collect();
        assert_close(name(case), &clipped, &flat(&case["out"]["clipped"]), 1e-14);
    }
}

// g * min(1, max_norm / (norm + 1e-6)) over all gradients as one vector; a bfloat16 gradient keeps its kind.
#[test]
fn one_norm_spans_all_parameters_and_kinds() {
    let zero = |kind| Tensor::zeros([1], (kind, Device::Cpu)).set_requires_grad(true);
    let mut params = [zero(Kind::Float), zero(Kind::BFloat16)];
    set_grad(&mut params[0], &Tensor::from_slice(&[3.0]));
    set_grad(&mut params[1], &Tensor::from_slice(&[4.0]));
    assert_eq!(clip_grad_norm(&params, 6.0), 5.0);
    assert_eq!((entries(&params[0].grad()), entries(&params[1].grad())), (vec![3.0], vec![4.0]));
    assert_eq!(clip_grad_norm(&params, 2.5), 5.0);
    assert_close("float32", &entries(&params[0].grad()), &[3.0 * 2.5 / (5.0 + 1e-6)], 1e-7);
    assert_eq!(entries(&params[1].grad()), [2.0]);
}

#[test]
fn a_norm_that_is_not_finite_is_returned_and_clips_nothing() {
    let mut params = [Tensor::zeros([2], (Kind::Float, Device::Cpu)).set_requires_grad(true)];
    set_grad(&mut params[0], &Tensor::from_slice(&[f32::INFINITY, 3.0]));
    assert_eq!(clip_grad_norm(&params, 1.0), f64::INFINITY);
    assert_eq!(entries(&params[0].grad()), [f64::INFINITY, 3.0]);
    let untouched = Tensor::zeros([2], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    assert_eq!(clip_grad_norm([&untouched], 1.0), 0.0);
}

#[test]
fn every_group_has_its_own_rate_and_decay() {
    let ones = || Tensor::ones([2], (Kind::Double, Device::Cpu)).set_requires_grad(true);
    let (mut policy, mut head, idle) = (ones(), ones(), ones());
    let groups = vec![group(&[("policy", &policy), ("idle", &idle)], 0.01, 0.0), group(&[("head", &head)], 0.1, 0.5)];
    let mut optimizer = AdamW::new(AdamWOptions::default(), groups);
    assert_eq!(optimizer.params().count(), 3);
    set_grad(&mut policy, &Tensor::from_slice(&[2.0, -2.0]));
    set_grad(&mut head, &Tensor::from_slice(&[2.0, -2.0]));
    optimizer.step(0.5);
    // The first step moves by the rate itself, against the gradient's sign.
    assert_close("policy", &entries(&policy), &[1.0 - 0.005, 1.0 + 0.005], 1e-8);
    assert_close("head", &entries(&head), &[0.975 - 0.05, 0.975 + 0.05], 1e-8);
    assert_eq!(entries(&idle), [1.0, 1.0], "a parameter without a gradient stays");
    assert_eq!(state(&optimizer, "idle.step").int64_value(&[]), 0);

    optimizer.zero_grad();
    assert_eq!(entries(&policy.grad()), [0.0, 0.0]);
}

/// One float32 and one bfloat16 parameter, with their optimizer.
fn small_model() -> (Vec<Tensor>, AdamW) {
    let param = |kind| {
        let ramp = Tensor::arange(6, (Kind::Float, Device::Cpu)).reshape([2, 3]) / 7.0 + 0.3;
        ramp.to_kind(kind).set_requires_grad(true)
    };
    let params = vec![param(Kind::Float), param(Kind::BFloat16)];
    let optimizer =
        AdamW::new(AdamWOptions::default(), vec![group(&[("a", &params[0]), ("b", &params[1])], 1e-3, 0.01)]);
    (params, optimizer)
}

fn train(params: &mut [Tensor], optimizer: &mut AdamW, steps: std::ops::Range<i64>) {
    for step in steps {
        for param in params.iter_mut() {
            let grad = (Tensor::arange(6, (Kind::Float, Device::Cpu)) + step as f64).sin().reshape([2, 3]);
            set_grad(param, &grad);
        }
        optimizer.step(1.0);
    }
}

#[test]
fn stopping_and_resuming_equals_not_having_stopped() {
    let (mut whole, mut optimizer) = small_model();
    train(&mut whole, &mut optimizer, 0..5);
    let straight = optimizer.state();

    let (mut first, mut optimizer) = small_model();
    train(&mut first, &mut optimizer, 0..3);
    let saved: Vec<(String, Tensor)> = optimizer.state().iter().map(|(name, t)| (name.clone(), t.copy())).collect();
    let names: Vec<&str> = saved.iter().map(|(name, _)| name.as_str()).collect();
    let expected = ["a.step", "a.exp_avg", "a.exp_avg_sq", "b.step", "b.exp_avg", "b.exp_avg_sq", "b.master"];
    assert_eq!(names, expected);

    let (mut resumed, mut optimizer) = small_model();
    tch::no_grad(|| resumed.iter_mut().zip(&first).for_each(|(to, from)| to.copy_(from)));
    optimizer.load_state(&saved).unwrap();
    train(&mut resumed, &mut optimizer, 3..5);
    for (resumed, whole) in resumed.iter().zip(&whole) {
        assert_eq!(entries(resumed), entries(whole));
    }
    for ((name, resumed), (_, straight)) in optimizer.state().iter().zip(&straight) {
        assert_eq!(entries(resumed), entries(straight), "{name}");
    }
}

#[test]
fn a_state_that_does_not_fit_is_named_and_changes_nothing() {
    let (mut params, mut optimizer) = small_model();
    train(&mut params, &mut optimizer, 0..2);
    let saved = optimizer.state();
    let (_, mut fresh) = small_model();
    let mut refusal = |saved: Vec<(String, Tensor)>| fresh.load_state(&saved).unwrap_err().to_string();

    let without = |gone: &str| saved.iter().filter(|(name, _)| name != gone).map(entry).collect::<Vec<_>>();
    assert_eq!(refusal(without("b.master")), "the optimizer's state lacks b.master, expected a tensor of shape [2, 3]");
    let mut wider = without("a.exp_avg_sq");
    wider.push(("a.exp_avg_sq".to_string(), Tensor::zeros([4, 3], (Kind::Float, Device::Cpu))));
    assert_eq!(refusal(wider), "the optimizer's state has a.exp_avg_sq of shape [4, 3], expected [2, 3]");
    let mut foreign = without("");
    foreign.push(("c.exp_avg".to_string(), Tensor::zeros([2], (Kind::Float, Device::Cpu))));
    assert_eq!(refusal(foreign), "the optimizer's state has c.exp_avg, which belongs to no parameter here");

    for part in ["a.exp_avg", "a.exp_avg_sq", "b.exp_avg"] {
        assert_eq!(entries(&state(&fresh, part)), [0.0; 6], "{part}");
    }
    assert_eq!(state(&fresh, "a.step").int64_value(&[]), 0);
}

fn entry((name, tensor): &(String, Tensor)) -> (String, Tensor) {
    (name.clone(), tensor.shallow_clone())
}
