//! A bias-free linear map, with a low-rank adapter on top where one was added.

use tch::{Kind, Tensor};

use super::compute::Pass;
use super::weight::{Weight, snapshot};

/// `y = x Wᵀ + s · dropout(x) Aᵀ Bᵀ` (Hu et al. 2021, as PEFT's `lora/layer.py` computes it).
#[derive(Debug)]
pub struct Linear {
    pub weight: Weight,
    pub adapter: Option<Adapter>,
}

/// The factors of a low-rank update; float32 whatever the base's dtype, as PEFT keeps them.
#[derive(Debug)]
pub struct Adapter {
    /// `[r, in]`
    pub a: Tensor,
    /// `[out, r]`
    pub b: Tensor,
    /// `[out]`: the length of each row of the adapted weight, where DoRA learns it (Liu et al. 2024).
    pub magnitude: Option<Tensor>,
    /// `lora_alpha / r`, with rsLoRA `lora_alpha / √r`.
    pub scale: f64,
    /// Probability of dropping an input of the adapter while training.
    pub dropout: f64,
}

impl Linear {
    pub fn new(weight: impl Into<Weight>) -> Self {
        Linear { weight: weight.into(), adapter: None }
    }

    /// `x`: `[.., in]` → `[.., out]` in the base's dtype.
    pub fn forward(&self, x: &Tensor, pass: Pass) -> Tensor {
        let kernels = pass.compute.kernels;
        match (&self.adapter, &self.weight) {
            (None, Weight::Plain(weight)) => weight.linear(x, None, kernels),
            (None, Weight::Quantized(weight)) => weight.linear(x),
            (Some(adapter), Weight::Plain(weight)) if adapter.is_one_operation(pass) => {
                weight.linear(x, Some((&adapter.a, &adapter.b, adapter.scale)), kernels)
            }
            (Some(adapter), weight) => adapter.add_to(&weight.linear(x, kernels), x, weight, pass),
        }
    }

    /// Folds the adapter into the weight: `W ← W + s · B A`, with DoRA each row then brought to its magnitude;
    /// computed in float32. The weight is plain then.
    pub fn merge(&mut self) {
        if let Some(adapter) = self.adapter.take() {
            let _no_grad = tch::no_grad_guard();
            let weight = self.weight.plain();
            let merged = weight.to_kind(Kind::Float) + adapter.delta();
            let merged = match adapter.stretch(&self.weight) {
                None => merged,
                Some(stretch) => merged * stretch.unsqueeze(-1),
            };
            self.weight = merged.to_kind(weight.kind()).into();
        }
    }

    /// The same map with the frozen weight shared and the trained factors copied.
    pub fn snapshot(&self) -> Self {
        Linear {
            weight: self.weight.snapshot(),
            adapter: self.adapter.as_ref().map(|adapter| Adapter {
                a: snapshot(&adapter.a),
                b: snapshot(&adapter.b),
                magnitude: adapter.magnitude.as_ref().map(snapshot),
                scale: adapter.scale,
                dropout: adapter.dropout,
            }),
        }
    }
}

impl Adapter {
    /// Whether our own operation computes it: it adds `s · x Aᵀ Bᵀ` and nothing else.
    fn is_one_operation(&self, pass: Pass) -> bool {
        self.magnitude.is_none() && !(pass.training && self.dropout > 0.0) && pass.compute.kernels.are_own()
    }

    /// `base + s · dropout(x) Aᵀ Bᵀ`, in float32 and then in the base's dtype. The scale goes onto the `[.., r]` product
    /// and the sum into the second matrix product: two passes over `[.., out]` fewer.
    fn add_to(&self, base: &Tensor, x: &Tensor, weight: &Weight, pass: Pass) -> Tensor {
        let drops = pass.training && self.dropout > 0.0;
        let wide = x.to_kind(Kind::Float);
        let wide = if drops { wide.dropout(self.dropout, true) } else { wide };
        let low = wide.linear::<Tensor>(&self.a, None) * self.scale;
        let rows = |tensor: &Tensor| tensor.flatten(0, -2);
        let sum = match self.stretch(weight) {
            None => rows(&base.to_kind(Kind::Float)).addmm(&rows(&low), &self.b.tr()),
            Some(stretch) => {
                // As PEFT: what the stretch adds to the base's part sees the dropped input, the base's part itself does not.
                let seen = match drops {
                    true => weight.linear(&wide.to_kind(x.kind()), pass.compute.kernels),
                    false => base.shallow_clone(),
                };
                let update = rows(&low).matmul(&self.b.tr());
                let seen = rows(&seen.to_kind(Kind::Float));
                rows(&base.to_kind(Kind::Float)) + (&stretch - 1.0) * seen + &stretch * update
            }
        };
        sum.view_as(base).to_kind(base.kind())
    }

    /// DoRA's factor per output row, `magnitude / ‖W + s · B A‖`, `[out]` in float32; `None` for plain LoRA. The norm is
    /// a constant for the gradient (section 4.3 of the paper).
    fn stretch(&self, weight: &Weight) -> Option<Tensor> {
        self.magnitude.as_ref().map(|magnitude| magnitude / self.row_norms(weight))
    }

    /// `‖W + s · B A‖` per output row, `[out]` in float32, without a gradient.
    pub fn row_norms(&self, weight: &Weight) -> Tensor {
        let _no_grad = tch::no_grad_guard();
        (weight.plain().to_kind(Kind::Float) + self.delta()).square().sum_dim_intlist(-1, false, Kind::Float).sqrt()
    }

    /// `s · B A`, `[out, in]` in float32.
    pub fn delta(&self) -> Tensor {
        self.b.matmul(&self.a) * self.scale
    }
}
