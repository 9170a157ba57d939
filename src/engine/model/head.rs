//! The output head over the positions that count, in chunks: the logits of all positions never exist at once.
//!
//! A vocabulary of 152 000 costs 608 KB of float32 logits per token, four times over in a backward pass. So where they
//! would be many, the head runs twice: a first pass without a graph gives every number that a loss needs, and
//! [`Head::pull_back`] computes each chunk's logits again when the loss's gradient is known.

use tch::{Kind, Tensor};

use super::compute::KernelChoice;
use super::qwen3::Qwen3;
use crate::engine::native::logprob;

/// The logits that exist at once, as many as make 256 MiB of float32.
pub const LOGITS_AT_ONCE: i64 = 1 << 26;

/// The head of a network, at a sampling temperature.
#[derive(Clone, Copy)]
pub struct Head<'a> {
    pub net: &'a Qwen3,
    /// Log-probs are those of `log_softmax(logits / temperature)`.
    pub temperature: f64,
    /// Decides memory, and nothing else but rounding.
    pub logits_at_once: i64,
}

/// What the head says of N positions.
pub struct Logprobs {
    /// Of the targets, `[N]` float32.
    pub logprobs: Tensor,
    /// In nats, `[N]` float32, where it was asked for.
    pub entropy: Option<Tensor>,
}

/// What logits say of their targets, in float32 and differentiable. `logits`: `[N, V]` of any floating dtype; `targets`: `[N]`
/// int64 ids in 0..V. `entropy`: `None` computes none, `Some(false)` one through which nothing flows back.
pub fn logprobs_of(
    logits: &Tensor,
    targets: &Tensor,
    temperature: f64,
    entropy: Option<bool>,
    kernels: KernelChoice,
) -> Logprobs {
    if kernels.take(logits) {
        let (logprobs, entropies) = logprob::logprobs(logits, targets, temperature);
        let entropy = entropy.map(|differentiable| if differentiable { entropies } else { entropies.detach() });
        return Logprobs { logprobs, entropy };
    }
    let distribution = distribution(logits, temperature);
    Logprobs {
        logprobs: pick(&distribution, targets),
        entropy: entropy.map(|differentiable| match differentiable {
            true => entropy_of(&distribution),
            false => entropy_of(&distribution.detach()),
        }),
    }
}

/// `[N, V]` of any dtype → `[N, V]` float32.
fn distribution(logits: &Tensor, temperature: f64) -> Tensor {
    let logits = logits.to_kind(Kind::Float);
    let logits = if temperature == 1.0 { logits } else { logits / temperature };
    logits.log_softmax(-1, Kind::Float)
}

impl<'a> Head<'a> {
    pub fn new(net: &'a Qwen3, temperature: f64) -> Self {
        Head { net, temperature, logits_at_once: LOGITS_AT_ONCE }
    }

    /// Positions per chunk.
    fn rows(&self) -> i64 {
        (self.logits_at_once / self.net.config.vocab_size).max(1)
    }

    /// Whether `positions` are few enough to be computed at once, with a graph.
    pub fn at_once(&self, positions: i64) -> bool {
        positions <= self.rows()
    }

    /// All positions at once, differentiable. `hidden`: `[N, C]`; `targets` and `entropy` as [`logprobs_of`] takes them.
    pub fn logprobs(&self, hidden: &Tensor, targets: &Tensor, entropy: Option<bool>) -> Logprobs {
        logprobs_of(&self.net.logits(hidden), targets, self.temperature, entropy, self.net.compute().kernels)
    }

    /// As [`Head::logprobs`], chunk by chunk and without a graph.
    pub fn logprobs_in_chunks(&self, hidden: &Tensor, targets: &Tensor, entropy: bool) -> Logprobs {
        let _no_grad = tch::no_grad_guard();
        let (mut logprobs, mut entropies) = (Vec::new(), Vec::new());
        for (hidden, targets) in self.chunks(hidden, targets) {
            let said = self.logprobs(&hidden, &targets, entropy.then_some(false));
            logprobs.push(said.logprobs);
            entropies.extend(said.entropy);
        }
        Logprobs { logprobs: Tensor::cat(&logprobs, 0), entropy: entropy.then(|| Tensor::cat(&entropies, 0)) }
    }

    /// Log-probs of the targets and whether each target is the likeliest token, `[N]` each, without a graph.
    pub fn judged(&self, hidden: &Tensor, targets: &Tensor) -> (Tensor, Tensor) {
        let _no_grad = tch::no_grad_guard();
        let judge = |(hidden, targets): (Tensor, Tensor)| {
            let distribution = distribution(&self.net.logits(&hidden), self.temperature);
            (pick(&distribution, &targets), distribution.argmax(-1, false).eq_tensor(&targets))
        };
        let (logprobs, right): (Vec<Tensor>, Vec<Tensor>) = self.chunks(hidden, targets).map(judge).unzip();
        (Tensor::cat(&logprobs, 0), Tensor::cat(&right, 0))
    }

    /// The gradient of a loss with respect to `hidden`, given its gradients with respect to log-probs and entropies; the head's
    /// own weight gets its gradient too where it is trained. An entropy without a gradient costs nothing.
    pub fn pull_back(
        &self,
        hidden: &Tensor,
        targets: &Tensor,
        logprobs_grad: &Tensor,
        entropy_grad: Option<&Tensor>,
    ) -> Tensor {
        let mut start = 0;
        let mut gradients = Vec::new();
        for (hidden, targets) in self.chunks(hidden, targets) {
            let rows = hidden.size()[0];
            let hidden = hidden.detach().set_requires_grad(true);
            let said = self.logprobs(&hidden, &targets, entropy_grad.map(|_| true));
            let mut sum = (said.logprobs * logprobs_grad.narrow(0, start, rows)).sum(Kind::Float);
            if let (Some(entropy), Some(gradient)) = (said.entropy, entropy_grad) {
                sum += (entropy * gradient.narrow(0, start, rows)).sum(Kind::Float);
            }
            sum.backward();
            gradients.push(hidden.grad());
            start += rows;
        }
        Tensor::cat(&gradients, 0)
    }

    fn chunks(&self, hidden: &Tensor, targets: &Tensor) -> impl Iterator<Item = (Tensor, Tensor)> {
        hidden.split(self.rows(), 0).into_iter().zip(targets.split(self.rows(), 0))
    }
}

fn pick(distribution: &Tensor, targets: &Tensor) -> Tensor {
    distribution.gather(-1, &targets.unsqueeze(-1), false).squeeze_dim(-1)
}

fn entropy_of(log_softmax: &Tensor) -> Tensor {
    -(log_softmax.exp() * log_softmax).sum_dim_intlist(-1, false, Kind::Float)
}
