//! Gradient checkpointing: layers are computed again when their gradient is needed.

use tch::Tensor;

use super::compute::Compute;
use super::qwen3::{Layout, Mode, Qwen3};
use super::rope::Rotation;

impl Qwen3 {
    /// As [`Qwen3::hidden`], keeping only the layers' inputs: [`Checkpointed::backward`] computes each layer again
    /// when its gradient is needed. Memory falls from all activations to one layer's; the work grows by a forward.
    pub fn hidden_checkpointed<'a>(&'a self, ids: &Tensor, layout: Layout<'a>, mode: Mode) -> Checkpointed<'a> {
        let rotation = self.rotation(ids, &layout);
        let embedded = self.embed_with(ids, &layout);
        let mut inputs = Vec::with_capacity(self.layers.len());
        let no_grad = tch::no_grad_guard();
        let mut x = embedded.detach();
        for (i, layer) in self.layers.iter().enumerate() {
            let next = layer.forward(&x, &rotation, &mut layout.attend(), i, mode, self.compute());
            inputs.push(std::mem::replace(&mut x, next));
        }
        drop(no_grad);
        let last = x.set_requires_grad(true);
        let hidden = self.norm.forward(&last, self.compute().kernels);
        Checkpointed { model: self, layout, mode, compute: self.compute(), rotation, embedded, inputs, last, hidden }
    }
}

/// A forward pass that kept the layers' inputs only. Compute a loss from [`Checkpointed::hidden`], call `backward` on
/// that loss, then [`Checkpointed::backward`] carries the gradient through the layers.
pub struct Checkpointed<'a> {
    model: &'a Qwen3,
    layout: Layout<'a>,
    mode: Mode,
    compute: Compute,
    rotation: Rotation,
    embedded: Tensor,
    inputs: Vec<Tensor>,
    last: Tensor,
    pub hidden: Tensor,
}

impl Checkpointed<'_> {
    /// What goes into each layer and, last, into the final norm: `[B, T, C]` each, without gradients.
    pub fn inputs(&self) -> impl Iterator<Item = Tensor> {
        self.inputs.iter().chain([&self.last]).map(Tensor::detach)
    }

    pub fn backward(self) {
        let mut gradient = self.last.grad();
        let layers = self.model.layers.iter().enumerate().zip(self.inputs);
        for ((i, layer), input) in layers.rev() {
            let input = input.set_requires_grad(true);
            let output = layer.forward(&input, &self.rotation, &mut self.layout.attend(), i, self.mode, self.compute);
            pull_back(&output, &gradient);
            gradient = input.grad();
        }
        if self.embedded.requires_grad() {
            pull_back(&self.embedded, &gradient);
        }
    }
}

/// tch has no `backward` with an output gradient; the gradient of `sum(output * g)` is the same thing.
pub fn pull_back(output: &Tensor, gradient: &Tensor) {
    (output * gradient).sum(output.kind()).backward();
}
