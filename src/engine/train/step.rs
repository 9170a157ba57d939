//! The one step loop. It is blind to the algorithm: a rule turns log-probs, entropies and values of the trained tokens
//! into a loss, and everything else is the same for SFT and PPO.

use tch::{Kind, Tensor};

use super::adamw::{AdamW, clip_grad_norm};
use super::batch::{Batch, Sequence, split};
use crate::engine::model::value_head::ValueHead;
use crate::engine::model::{Mode, Model};
use crate::engine::{Error, Result};

/// What is trained, and how its forward pass runs.
pub struct Policy<'a> {
    pub model: &'a Model,
    pub value_head: Option<&'a ValueHead>,
    /// Log-probs are those of `log_softmax(logits / temperature)`.
    pub temperature: f64,
    pub gradient_checkpointing: bool,
}

/// What the policy says of a batch's N trained tokens.
pub struct Outputs {
    /// `[N]` float32
    pub logprobs: Tensor,
    /// `[N]` float32, where there is a value head: the value of the state before each token.
    pub values: Option<Tensor>,
    /// `[N, V]` float32
    distribution: Tensor,
}

impl Outputs {
    /// Per token, in nats, `[N]`.
    pub fn entropy(&self) -> Tensor {
        entropy(&self.distribution)
    }

    /// As [`Outputs::entropy`], but nothing flows back through it.
    pub fn detached_entropy(&self) -> Tensor {
        entropy(&self.distribution.detach())
    }
}

fn entropy(log_softmax: &Tensor) -> Tensor {
    -(log_softmax.exp() * log_softmax).sum_dim_intlist(-1, false, Kind::Float)
}

/// A batch's part of the step's loss, and named sums for the report.
pub struct Loss {
    /// Already divided by the step's denominator.
    pub value: Tensor,
    /// Scalar tensors, summed over the step's batches.
    pub sums: Vec<(&'static str, Tensor)>,
}

/// What an optimizer step reports.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StepReport {
    /// Each of the rule's sums over the whole step.
    pub sums: Vec<(&'static str, f64)>,
    /// Before clipping.
    pub grad_norm: f64,
    /// The denominator: trained tokens over all batches of the step.
    pub tokens: usize,
}

impl StepReport {
    pub fn sum(&self, name: &str) -> f64 {
        self.sums.iter().find(|(known, _)| *known == name).map_or(0.0, |(_, sum)| *sum)
    }
}

impl Policy<'_> {
    /// A forward pass without gradients.
    pub fn look(&self, batch: &Batch) -> Outputs {
        let _no_grad = tch::no_grad_guard();
        self.outputs(&self.model.net.hidden(&batch.ids, Mode::Inference), batch)
    }

    /// `hidden`: `[B, T, C]`. The head works on the trained tokens alone.
    pub fn outputs(&self, hidden: &Tensor, batch: &Batch) -> Outputs {
        let picked = hidden.flatten(0, 1).index_select(0, &batch.at);
        let logits = self.model.net.logits(&picked).to_kind(Kind::Float);
        let logits = if self.temperature == 1.0 { logits } else { logits / self.temperature };
        let distribution = logits.log_softmax(-1, Kind::Float);
        Outputs {
            logprobs: distribution.gather(-1, &batch.targets.unsqueeze(-1), false).squeeze_dim(-1),
            values: self.value_head.map(|head| head.forward(&picked)),
            distribution,
        }
    }

    /// Adds a batch's gradient to what the parameters hold. `seed` decides dropout.
    fn accumulate(
        &self,
        batch: &Batch,
        seed: i64,
        rule: &dyn Fn(&Outputs, &Batch) -> Loss,
    ) -> Vec<(&'static str, Tensor)> {
        let mode = Mode::Training { seed };
        if self.gradient_checkpointing {
            let pass = self.model.net.hidden_checkpointed(&batch.ids, mode);
            let loss = rule(&self.outputs(&pass.hidden, batch), batch);
            loss.value.backward();
            pass.backward();
            loss.sums
        } else {
            let loss = rule(&self.outputs(&self.model.net.hidden(&batch.ids, mode), batch), batch);
            loss.value.backward();
            loss.sums
        }
    }

    /// One optimizer step over `sequences`, in batches of at most `batch_size`.
    ///
    /// The rule hears the denominator, the trained tokens of all sequences, before the first batch: splitting the
    /// sequences differently changes nothing but rounding. A step whose gradient is not finite is not taken.
    pub fn step(
        &self,
        optimizer: &mut AdamW,
        sequences: &[&Sequence],
        settings: &StepSettings,
        rule: &dyn Fn(&Outputs, &Batch, f64) -> Loss,
    ) -> Result<StepReport> {
        let tokens: usize = sequences.iter().map(|sequence| sequence.trained().count()).sum();
        let denominator = tokens.max(1) as f64;
        optimizer.zero_grad();
        let mut sums: Vec<(&'static str, f64)> = Vec::new();
        for (i, places) in split(sequences, settings.batch_size).iter().enumerate() {
            let batch = Batch::new(sequences, places, self.model.net.device());
            if batch.tokens() == 0 {
                continue;
            }
            let seed = settings.seed.wrapping_add(1000 * i as i64);
            for (name, sum) in self.accumulate(&batch, seed, &|outputs, batch| rule(outputs, batch, denominator)) {
                let sum = sum.double_value(&[]);
                match sums.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, total)) => *total += sum,
                    None => sums.push((name, sum)),
                }
            }
        }
        let grad_norm = clip_grad_norm(optimizer.params(), settings.max_grad_norm);
        if !grad_norm.is_finite() {
            return Err(Error::hinted(
                "the gradient is not finite, so this step was not taken",
                "lower learning_rate, or look at the last records in the data",
            ));
        }
        optimizer.step(settings.learning_rate_factor);
        Ok(StepReport { sums, grad_norm, tokens })
    }
}

/// How one optimizer step is taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepSettings {
    /// Sequences per forward pass: decides memory and speed, not results.
    pub batch_size: usize,
    /// The schedule's factor on every group's rate.
    pub learning_rate_factor: f64,
    pub max_grad_norm: f64,
    /// Decides dropout.
    pub seed: i64,
}
