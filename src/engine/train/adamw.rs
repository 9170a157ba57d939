//! AdamW over named tensors, with its state in our hands: tch's own optimizers hide theirs, so no run could resume.
//!
//! The update is PyTorch's (`torch/optim/adamw.py`), operation by operation, with decoupled weight decay:
//!
//! ```text
//! p ← p·(1 − lr·wd)
//! m ← m + (1−β₁)(g − m)        v ← β₂·v + (1−β₂)g²
//! p ← p − lr/(1−β₁ᵗ) · m / (√v/√(1−β₂ᵗ) + ε)
//! ```
//!
//! A half-precision parameter is updated through a float32 master copy: a bfloat16 weight near 1 moves in steps of
//! 0.008, so most updates of 1e-3 would be lost. The rate's course is [`super::schedule`]'s, files are the caller's.

use std::collections::HashMap;

use tch::{Kind, Tensor};

use super::blockwise::{self, Blocks};
use crate::engine::{Error, Result};

/// What all groups share. The defaults are PyTorch's and transformers'.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWOptions {
    pub beta1: f64,
    pub beta2: f64,
    pub epsilon: f64,
    /// Keeps m and v in 8 bits ([`super::blockwise`]), the update itself stays in float32.
    pub eight_bit: bool,
    pub decayed: Decayed,
}

/// Which parameters of a group its `weight_decay` makes smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decayed {
    All,
    /// All but norms and biases, told by their names as transformers' `Trainer.get_decay_parameter_names` tells them: an
    /// adapter's factors and DoRA's magnitudes are among them.
    Weights,
}

impl Decayed {
    fn holds(self, name: &str) -> bool {
        let name = name.to_lowercase();
        let is_norm = |part: &str| part == "norm" || part.ends_with("_norm");
        let excluded = ["bias", "layernorm", "rmsnorm"].iter().any(|word| name.contains(word));
        self == Decayed::All || !(excluded || name.split('.').any(is_norm))
    }
}

impl Default for AdamWOptions {
    fn default() -> Self {
        AdamWOptions { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, eight_bit: false, decayed: Decayed::All }
    }
}

/// Parameters that share a rate and a decay: the policy is one group, the value head another.
#[derive(Debug)]
pub struct Group {
    /// Leaf tensors that require gradients, each under a name that is unique in the optimizer.
    pub params: Vec<(String, Tensor)>,
    /// The full rate; [`AdamW::step`] multiplies it by the schedule's factor.
    pub learning_rate: f64,
    pub weight_decay: f64,
}

/// The optimizer. It shares its parameters with the model and changes them in place.
///
/// Where a parameter has a master copy, the master is the truth: whoever overwrites the parameter must make the
/// optimizer afterwards or load the state that belongs to the new values.
#[derive(Debug)]
pub struct AdamW {
    options: AdamWOptions,
    groups: Vec<(Group, Vec<State>)>,
}

/// One parameter's state, on the parameter's device. float32, or float64 for a float64 parameter.
#[derive(Debug)]
struct State {
    /// Updates made so far.
    step: i64,
    /// The running mean of gradients (m).
    exp_avg: Moment,
    /// The running mean of squared gradients (v).
    exp_avg_sq: Moment,
    /// The parameter at full precision, where the parameter itself is float16 or bfloat16.
    master: Option<Tensor>,
}

/// A running mean.
#[derive(Debug)]
enum Moment {
    Full(Tensor),
    EightBit(Blocks),
}

impl AdamW {
    /// Zero state for every parameter, so that [`state`](Self::state) is complete before the first step too.
    pub fn new(options: AdamWOptions, groups: Vec<Group>) -> Self {
        let _no_grad = tch::no_grad_guard();
        let with_state = |group: Group| {
            let states = group.params.iter().map(|(_, param)| State::new(param, options.eight_bit)).collect();
            (group, states)
        };
        AdamW { options, groups: groups.into_iter().map(with_state).collect() }
    }

    /// One update of every parameter that has a gradient, at `learning_rate · factor` of its group. Gradients stay as
    /// they are until [`zero_grad`](Self::zero_grad).
    pub fn step(&mut self, factor: f64) {
        let _no_grad = tch::no_grad_guard();
        for (group, states) in &mut self.groups {
            for ((name, param), state) in group.params.iter_mut().zip(states) {
                let grad = param.grad();
                if grad.defined() {
                    let weight_decay = if self.options.decayed.holds(name) { group.weight_decay } else { 0.0 };
                    state.update(&self.options, param, &grad, group.learning_rate * factor, weight_decay);
                }
            }
        }
    }

    pub fn zero_grad(&mut self) {
        for (group, _) in &mut self.groups {
            for (_, param) in &mut group.params {
                param.zero_grad();
            }
        }
    }

    /// All parameters, group after group: what [`clip_grad_norm`] takes.
    pub fn params(&self) -> impl Iterator<Item = &Tensor> {
        self.groups.iter().flat_map(|(group, _)| group.params.iter().map(|(_, param)| param))
    }

    /// Everything that decides the next step: per parameter `<name>.step` (int64, no dimensions), `<name>.exp_avg`,
    /// `<name>.exp_avg_sq` and, for half precision, `<name>.master`, the last three in the parameter's shape. In 8 bits the
    /// two means are codes without a shape, and `<name>.exp_avg.absmax` and its like are their scales. The tensors are the
    /// live ones: write them out before the next step.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let mut all = Vec::new();
        for (group, states) in &self.groups {
            for ((name, _), state) in group.params.iter().zip(states) {
                all.push((format!("{name}.step"), Tensor::from(state.step)));
                all.extend(
                    state
                        .tensors()
                        .into_iter()
                        .map(|(part, tensor)| (format!("{name}.{part}"), tensor.shallow_clone())),
                );
            }
        }
        all
    }

    /// Takes over what [`state`](Self::state) gave, from any device, for an optimizer over the same parameters.
    ///
    /// Fails, and leaves the optimizer unchanged, when a tensor is missing, has another shape than its parameter, or
    /// belongs to no parameter: it is then another model's state.
    pub fn load_state(&mut self, saved: &[(String, Tensor)]) -> Result<()> {
        let state = self.state();
        restore(&state, saved)?;
        let steps = state.iter().filter(|(name, _)| name.ends_with(".step"));
        for (state, (_, step)) in self.groups.iter_mut().flat_map(|(_, states)| states).zip(steps) {
            state.step = step.int64_value(&[]);
        }
        Ok(())
    }
}

/// Copies saved tensors over the targets of the same names. Fails before it changes any of them when one is missing,
/// has another shape, or belongs to no target.
pub(super) fn restore(targets: &[(String, Tensor)], saved: &[(String, Tensor)]) -> Result<()> {
    let _no_grad = tch::no_grad_guard();
    let mut saved: HashMap<&str, &Tensor> = saved.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    let mut copies = Vec::new();
    for (name, target) in targets {
        copies.push((target.shallow_clone(), take(&mut saved, name, &target.size())?));
    }
    if let Some(name) = saved.keys().min() {
        return Err(Error::message(format!("the optimizer's state has {name}, which belongs to no parameter here")));
    }
    for (mut to, from) in copies {
        to.copy_(from);
    }
    Ok(())
}

/// Removes one saved tensor of the given shape.
fn take<'a>(saved: &mut HashMap<&str, &'a Tensor>, name: &str, shape: &[i64]) -> Result<&'a Tensor> {
    let tensor = saved.remove(name).ok_or_else(|| {
        Error::message(format!("the optimizer's state lacks {name}, expected a tensor of shape {shape:?}"))
    })?;
    if tensor.size() != shape {
        let got = tensor.size();
        return Err(Error::message(format!("the optimizer's state has {name} of shape {got:?}, expected {shape:?}")));
    }
    Ok(tensor)
}

impl State {
    /// Zero state for one parameter; the caller has switched gradients off.
    fn new(param: &Tensor, eight_bit: bool) -> Self {
        let kind = full_precision(param.kind());
        let master = (kind != param.kind()).then(|| param.to_kind(kind));
        let eight_bit = eight_bit && param.numel() >= blockwise::LEAST;
        let zeros = |signed| match eight_bit {
            true => Moment::EightBit(Blocks::zeros_like(param, signed)),
            false => Moment::Full(param.zeros_like().to_kind(kind)),
        };
        State { step: 0, exp_avg: zeros(true), exp_avg_sq: zeros(false), master }
    }

    /// The tensors under the names they are saved by.
    fn tensors(&self) -> Vec<(&'static str, &Tensor)> {
        let mut tensors = Vec::new();
        let moments =
            [("exp_avg", "exp_avg.absmax", &self.exp_avg), ("exp_avg_sq", "exp_avg_sq.absmax", &self.exp_avg_sq)];
        for (name, scales, moment) in moments {
            match moment {
                Moment::Full(tensor) => tensors.push((name, tensor)),
                Moment::EightBit(blocks) => tensors.extend([(name, &blocks.codes), (scales, &blocks.absmax)]),
            }
        }
        tensors.extend(self.master.iter().map(|master| ("master", master)));
        tensors
    }

    /// PyTorch's order of operations, so that results agree to the last bits. Where tch's addcmul and addcdiv lack
    /// PyTorch's `value`, the factor goes onto their first operand, which is where libtorch applies it.
    fn update(&mut self, options: &AdamWOptions, param: &mut Tensor, grad: &Tensor, lr: f64, weight_decay: f64) {
        let AdamWOptions { beta1, beta2, epsilon, .. } = *options;
        self.step += 1;
        let correction1 = 1.0 - beta1.powf(self.step as f64);
        let correction2 = 1.0 - beta2.powf(self.step as f64);

        let (mut exp_avg, mut exp_avg_sq) = (self.exp_avg.get(), self.exp_avg_sq.get());
        let grad = grad.to_kind(exp_avg.kind());
        let mut target = self.master.as_ref().unwrap_or(param).shallow_clone();
        if weight_decay != 0.0 {
            let _ = target.g_mul_scalar_(1.0 - lr * weight_decay);
        }
        let _ = exp_avg.lerp_(&grad, 1.0 - beta1);
        let _ = exp_avg_sq.g_mul_scalar_(beta2).addcmul_(&(&grad * (1.0 - beta2)), &grad);
        let denominator = (exp_avg_sq.sqrt().g_div_scalar_(correction2.sqrt())).g_add_scalar_(epsilon);
        let _ = target.addcdiv_(&(&exp_avg * (-lr / correction1)), &denominator);
        if self.master.is_some() {
            param.copy_(&target);
        }
        self.exp_avg.set(&exp_avg);
        self.exp_avg_sq.set(&exp_avg_sq);
    }
}

impl Moment {
    /// The live tensor, or a copy out of 8 bits.
    fn get(&self) -> Tensor {
        match self {
            Moment::Full(tensor) => tensor.shallow_clone(),
            Moment::EightBit(blocks) => blocks.get(),
        }
    }

    /// Keeps what was made of [`Moment::get`]'s tensor in place.
    fn set(&mut self, tensor: &Tensor) {
        if let Moment::EightBit(blocks) = self {
            blocks.set(tensor);
        }
    }
}

/// What sums of many small numbers are kept in.
pub(super) fn full_precision(kind: Kind) -> Kind {
    match kind {
        Kind::Half | Kind::BFloat16 => Kind::Float,
        other => other,
    }
}

/// The 2-norm of all gradients as one vector (`torch/nn/utils/clip_grad.py`), summed in float32 or better. Parameters
/// without a gradient count as 0; none at all gives 0.
pub fn grad_norm<'a>(params: impl IntoIterator<Item = &'a Tensor>) -> f64 {
    let _no_grad = tch::no_grad_guard();
    let norm = |grad: Tensor| grad.norm_scalaropt_dtype(2, full_precision(grad.kind()));
    let norms: Vec<Tensor> = params.into_iter().map(Tensor::grad).filter(Tensor::defined).map(norm).collect();
    if norms.is_empty() { 0.0 } else { Tensor::stack(&norms, 0).norm().double_value(&[]) }
}

/// Scales all gradients by `min(1, max_norm / (norm + 1e-6))` and returns the [`grad_norm`] before that.
///
/// A norm that is not finite is returned with the gradients untouched: the caller decides whether to skip the step.
pub fn clip_grad_norm<'a>(params: impl IntoIterator<Item = &'a Tensor>, max_norm: f64) -> f64 {
    let params: Vec<&Tensor> = params.into_iter().collect();
    let norm = grad_norm(params.iter().copied());
    if norm.is_finite() {
        scale_down(params, norm, max_norm);
    }
    norm
}

/// Scales gradients of this norm by `min(1, max_norm / (norm + 1e-6))`.
pub(super) fn scale_down<'a>(params: impl IntoIterator<Item = &'a Tensor>, norm: f64, max_norm: f64) {
    let coefficient = max_norm / (norm + 1e-6);
    if coefficient < 1.0 {
        let _no_grad = tch::no_grad_guard();
        for mut grad in params.into_iter().map(Tensor::grad).filter(Tensor::defined) {
            let _ = grad.g_mul_scalar_(coefficient);
        }
    }
}
