//! A bias-free linear map, with a low-rank adapter on top where one was added.

use tch::{Kind, Tensor};

/// `y = x Wᵀ + s · dropout(x) Aᵀ Bᵀ` (Hu et al. 2021, as PEFT's `lora/layer.py` computes it).
#[derive(Debug)]
pub struct Linear {
    /// `[out, in]`
    pub weight: Tensor,
    pub adapter: Option<Adapter>,
}

/// The two factors of a low-rank update; float32 whatever the base's dtype, as PEFT keeps them.
#[derive(Debug)]
pub struct Adapter {
    /// `[r, in]`
    pub a: Tensor,
    /// `[out, r]`
    pub b: Tensor,
    /// `lora_alpha / r`, with rsLoRA `lora_alpha / √r`.
    pub scale: f64,
    /// Probability of dropping an input of the adapter while training.
    pub dropout: f64,
}

impl Linear {
    pub fn new(weight: Tensor) -> Self {
        Linear { weight, adapter: None }
    }

    /// `x`: `[.., in]` → `[.., out]` in the base's dtype.
    pub fn forward(&self, x: &Tensor, training: bool) -> Tensor {
        let base = x.linear::<Tensor>(&self.weight, None);
        match &self.adapter {
            None => base,
            Some(adapter) => adapter.add_to(&base, x, training),
        }
    }

    /// Folds the adapter into the weight: `W ← W + s · B A`, computed in float32.
    pub fn merge(&mut self) {
        if let Some(adapter) = self.adapter.take() {
            let _no_grad = tch::no_grad_guard();
            let kind = self.weight.kind();
            let merged = self.weight.to_kind(Kind::Float) + adapter.delta();
            self.weight = merged.to_kind(kind);
        }
    }

    /// The same map with the frozen weight shared and the trained factors copied.
    pub fn snapshot(&self) -> Self {
        Linear {
            weight: snapshot(&self.weight),
            adapter: self.adapter.as_ref().map(|adapter| Adapter {
                a: snapshot(&adapter.a),
                b: snapshot(&adapter.b),
                scale: adapter.scale,
                dropout: adapter.dropout,
            }),
        }
    }
}

impl Adapter {
    /// `base + s · dropout(x) Aᵀ Bᵀ`, in float32 and then in the base's dtype. The scale goes onto the `[.., r]` product
    /// and the sum into the second matrix product: two passes over `[.., out]` fewer.
    fn add_to(&self, base: &Tensor, x: &Tensor, training: bool) -> Tensor {
        let x = x.to_kind(Kind::Float);
        let x = if training && self.dropout > 0.0 { x.dropout(self.dropout, true) } else { x };
        let low = x.linear::<Tensor>(&self.a, None) * self.scale;
        let rows = |tensor: &Tensor| tensor.flatten(0, -2);
        let sum = rows(&base.to_kind(Kind::Float)).addmm(&rows(&low), &self.b.tr());
        sum.view_as(base).to_kind(base.kind())
    }

    /// `s · B A`, `[out, in]` in float32.
    pub fn delta(&self) -> Tensor {
        self.b.matmul(&self.a) * self.scale
    }
}

/// A tensor that will not change: the same storage when it is frozen, a copy when it is being trained.
pub fn snapshot(tensor: &Tensor) -> Tensor {
    if tensor.requires_grad() { tensor.detach().copy() } else { tensor.shallow_clone() }
}
