//! From logits to the next token of every row.

use tch::{Kind, Tensor};

use crate::engine::{Error, Result};

/// How the next token is chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// 0 is greedy.
    pub temperature: f64,
    /// Keep the k most likely tokens (and ties with the k-th); 0 keeps all.
    pub top_k: i64,
    /// Keep the fewest tokens whose probability reaches p, of those that top-k left; 1 keeps all.
    pub top_p: f64,
}

impl Sampling {
    pub fn validate(&self) -> Result<()> {
        if !(self.temperature >= 0.0 && self.temperature.is_finite()) {
            return Err(Error::option("temperature", "a number of at least 0", self.temperature));
        }
        if self.top_k < 0 {
            return Err(Error::option("top_k", "an integer of at least 0", self.top_k));
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return Err(Error::option("top_p", "a number above 0, at most 1", self.top_p));
        }
        Ok(())
    }

    /// `logits`: `[B, V]` of any floating dtype; `draws`: one number in 0..1 per row; `never`: `[V]`, true where an id must
    /// not be chosen. Returns token ids and log-probs, `[B]` each.
    ///
    /// The log-probs are those of `log_softmax(logits / temperature)` over the whole vocabulary, before top-k and
    /// top-p and with what is never chosen, as a trainer computes them; greedy log-probs are unscaled.
    pub fn sample(&self, logits: &Tensor, draws: &[f64], never: Option<&Tensor>) -> (Vec<i64>, Vec<f32>) {
        let logits = logits.to_kind(Kind::Float);
        let logits = if self.temperature == 0.0 { logits } else { logits / self.temperature };
        let logprobs = logits.log_softmax(-1, Kind::Float);
        // Normalised anew: what may be chosen can be so unlikely that its probabilities round to 0.
        let possible = never.map(|never| logits.masked_fill(never, f64::NEG_INFINITY));
        let tokens = match (self.temperature == 0.0, possible) {
            (true, possible) => possible.unwrap_or(logits).argmax(-1, false),
            (false, None) => draw(&self.filter(logprobs.exp()), draws),
            (false, Some(possible)) => draw(&self.filter(possible.softmax(-1, Kind::Float)), draws),
        };
        let picked = logprobs.gather(-1, &tokens.unsqueeze(-1), false).squeeze_dim(-1);
        (to_vec(&tokens), to_vec(&picked))
    }

    /// Sets to zero what top-k and top-p leave out. `probabilities`: `[B, V]`.
    fn filter(&self, mut probabilities: Tensor) -> Tensor {
        let vocabulary = probabilities.size()[1];
        if self.top_k > 0 && self.top_k < vocabulary {
            let (largest, _) = probabilities.topk(self.top_k, -1, true, true);
            let least = largest.narrow(1, self.top_k - 1, 1);
            probabilities = probabilities.masked_fill(&probabilities.lt_tensor(&least), 0.0);
        }
        if self.top_p < 1.0 {
            let total = probabilities.sum_dim_intlist(-1, true, Kind::Float);
            let (sorted, order) = (&probabilities / total).sort(-1, true);
            // A token stays while the mass before it has not reached p, so the most likely one always stays.
            let mass_before = sorted.cumsum(-1, Kind::Float) - &sorted;
            let late = mass_before.ge(self.top_p);
            let dropped = late.scatter(1, &order, &late);
            probabilities = probabilities.masked_fill(&dropped, 0.0);
        }
        probabilities
    }
}

/// Inverse-transform sampling: the first token whose cumulative weight exceeds `draw · total`.
fn draw(weights: &Tensor, draws: &[f64]) -> Tensor {
    let cumulative = weights.cumsum(-1, Kind::Double);
    let total = cumulative.narrow(1, weights.size()[1] - 1, 1);
    // A draw that rounds up to the total must not land behind the last positive weight.
    let targets = Tensor::from_slice(draws).to_device(weights.device()).unsqueeze(-1) * &total;
    let targets = targets.minimum(&(total * (1.0 - f64::EPSILON)));
    cumulative.le_tensor(&targets).sum_dim_intlist(-1, false, Kind::Int64)
}

fn to_vec<T: tch::kind::Element>(tensor: &Tensor) -> Vec<T> {
    let tensor = tensor.to_device(tch::Device::Cpu).contiguous();
    let mut values = vec![T::ZERO; tensor.numel()];
    tensor.copy_data(&mut values, tensor.numel());
    values
}
