//! Stochastic gradient descent with momentum, for tensors that a script owns. The update is PyTorch's
//! (`torch.optim.SGD`, dampening 0):
//!
//! ```text
//! g ← g + wd·p        b ← μ·b + g        p ← p − lr·(b, or g + μ·b with Nesterov)
//! ```
//!
//! Half-precision parameters are updated through a float32 master copy, as in [`super::adamw`], and its rules on who
//! may overwrite a parameter hold here too.

use tch::Tensor;

use super::adamw::{full_precision, restore};
use crate::engine::Result;

#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SgdOptions {
    /// μ, at least 0.
    pub momentum: f64,
    /// wd, at least 0.
    pub weight_decay: f64,
    pub nesterov: bool,
}

/// The optimizer. It shares its parameters with their owner and changes them in place.
#[derive(Debug)]
pub struct Sgd {
    options: SgdOptions,
    params: Vec<Param>,
}

#[derive(Debug)]
struct Param {
    name: String,
    tensor: Tensor,
    /// The running sum of gradients (b), where there is a momentum.
    momentum_buffer: Option<Tensor>,
    /// The parameter at full precision, where the parameter itself is float16 or bfloat16.
    master: Option<Tensor>,
}

impl Sgd {
    /// Leaf tensors that require gradients, each under a name of its own.
    pub fn new(options: SgdOptions, params: Vec<(String, Tensor)>) -> Self {
        let _no_grad = tch::no_grad_guard();
        let with_state = |(name, tensor): (String, Tensor)| {
            let kind = full_precision(tensor.kind());
            // A buffer of zeros becomes the first gradient, with which PyTorch's begins.
            let momentum_buffer = (options.momentum != 0.0).then(|| tensor.zeros_like().to_kind(kind));
            let master = (kind != tensor.kind()).then(|| tensor.to_kind(kind));
            Param { name, tensor, momentum_buffer, master }
        };
        Sgd { options, params: params.into_iter().map(with_state).collect() }
    }

    /// One update of every parameter that has a gradient.
    pub fn step(&mut self, learning_rate: f64) {
        let _no_grad = tch::no_grad_guard();
        for param in &mut self.params {
            let grad = param.tensor.grad();
            if grad.defined() {
                param.update(&self.options, &grad, learning_rate);
            }
        }
    }

    pub fn zero_grad(&mut self) {
        for param in &mut self.params {
            param.tensor.zero_grad();
        }
    }

    /// Everything but the rate that decides the next step: `<name>.momentum_buffer` where there is a momentum and
    /// `<name>.master` for half precision. The tensors are the live ones.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        self.params.iter().flat_map(Param::state).collect()
    }

    /// Takes over what [`state`](Self::state) gave; fails and changes nothing where it belongs to other parameters.
    pub fn load_state(&mut self, saved: &[(String, Tensor)]) -> Result<()> {
        restore(&self.state(), saved)
    }
}

impl Param {
    fn update(&mut self, options: &SgdOptions, grad: &Tensor, learning_rate: f64) {
        let SgdOptions { momentum, weight_decay, nesterov } = *options;
        let mut target = self.master.as_ref().unwrap_or(&self.tensor).shallow_clone();
        let grad = grad.to_kind(target.kind());
        // Nothing here is changed in place: the gradient itself stays as it is.
        let mut step = if weight_decay == 0.0 { grad } else { grad + &target * weight_decay };
        if let Some(buffer) = &mut self.momentum_buffer {
            let _ = buffer.g_mul_scalar_(momentum).g_add_(&step);
            step = if nesterov { step + &*buffer * momentum } else { buffer.shallow_clone() };
        }
        let _ = target.g_sub_(&(step * learning_rate));
        if self.master.is_some() {
            self.tensor.copy_(&target);
        }
    }

    fn state(&self) -> Vec<(String, Tensor)> {
        let parts = [("momentum_buffer", &self.momentum_buffer), ("master", &self.master)];
        let named = |(part, tensor): (&str, &Option<Tensor>)| {
            tensor.as_ref().map(|tensor| (format!("{}.{part}", self.name), tensor.shallow_clone()))
        };
        parts.into_iter().filter_map(named).collect()
    }
}
