//! The one step loop. It is blind to the algorithm: a rule turns log-probs, entropies and values of the trained tokens
//! into a loss, and everything else is the same for SFT and PPO.
//!
//! A step is the gradient of all its sequences, batch by batch, and then one update. A batch for which there is no
//! memory is split ([`super::passes`]) and the gradient begun anew.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::adamw::{AdamW, grad_norm, scale_down};
use super::batch::{Batch, Batching, Sequence, Shape};
use super::neftune;
use super::passes::Passes;
use crate::engine::model::checkpointed::pull_back;
use crate::engine::model::head::{Head, LOGITS_AT_ONCE, Logprobs};
use crate::engine::model::value_head::ValueHead;
use crate::engine::model::{Mode, Model};
use crate::engine::{Error, Result, refusal};

/// What is trained, and how its forward pass runs.
pub struct Policy<'a> {
    pub model: &'a Model,
    pub value_head: Option<&'a ValueHead>,
    /// Log-probs are those of `log_softmax(logits / temperature)`.
    pub temperature: f64,
    pub gradient_checkpointing: bool,
    /// Whether adapters drop inputs, as their `dropout` says. PPO's do not: its policy sampled without.
    pub dropout: bool,
    pub entropy: Entropy,
    /// Decides memory, and nothing else but rounding: see [`Head`].
    pub logits_at_once: i64,
}

/// What a rule asks of the entropy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entropy {
    Unused,
    /// Nothing flows back through it.
    Reported,
    Trained,
}

/// What the policy says of a batch's N trained tokens.
pub struct Outputs {
    /// `[N]` float32
    pub logprobs: Tensor,
    /// `[N]` float32, in nats, unless it is [`Entropy::Unused`].
    pub entropy: Option<Tensor>,
    /// `[N]` float32, where there is a value head: the value of the state before each token.
    pub values: Option<Tensor>,
}

/// A batch's part of the step's loss, and named sums for the report.
pub struct Loss {
    /// Already divided by the step's denominator.
    pub value: Tensor,
    /// Scalar tensors, summed over the step's batches.
    pub sums: Vec<(&'static str, Tensor)>,
}

/// Turns outputs into a loss; the number is the step's denominator.
pub type Rule<'a> = &'a dyn Fn(&Outputs, &Batch, f64) -> Loss;

/// How one optimizer step is taken.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StepSettings {
    pub batching: Batching,
    /// No batch of more tokens than this, padding included: what memory was found to hold.
    pub fits: usize,
    /// The schedule's factor on every group's rate.
    pub learning_rate_factor: f64,
    /// Where the model's gradient is clipped, and apart from it the value head's; `None` does not clip.
    pub max_grad_norm: Option<f64>,
    /// Decides dropout, where there is any, and noise.
    pub seed: i64,
    /// α of the noise on embeddings, where there is one.
    pub neftune_noise_alpha: Option<f64>,
}

impl Default for StepSettings {
    fn default() -> Self {
        StepSettings {
            batching: Batching::Sequences(8, Shape::Padded),
            fits: usize::MAX,
            learning_rate_factor: 1.0,
            max_grad_norm: None,
            seed: 0,
            neftune_noise_alpha: None,
        }
    }
}

impl StepSettings {
    fn passes(&self) -> Passes {
        Passes { batching: self.batching, fits: self.fits }
    }

    fn batch_seed(&self, batch: usize) -> i64 {
        self.seed.wrapping_add(1000 * batch as i64)
    }
}

/// What an optimizer step reports.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StepReport {
    /// Each of the rule's sums over the whole step.
    pub sums: Vec<(&'static str, f64)>,
    /// Of the model's gradient, before clipping.
    pub grad_norm: f64,
    /// Of the value head's; 0 without one.
    pub value_grad_norm: f64,
    /// The denominator: trained tokens over all batches of the step.
    pub tokens: usize,
    /// Whether parameters were updated: not where a sum or the gradient is not finite. The gradient is then still there.
    pub taken: bool,
    /// [`StepSettings::fits`], or less where memory ran out on the way.
    pub fits: usize,
}

impl StepReport {
    /// Whether its numbers are numbers.
    pub fn is_finite(&self) -> bool {
        let norms = [self.grad_norm, self.value_grad_norm];
        self.sums.iter().map(|(_, sum)| *sum).chain(norms).all(f64::is_finite)
    }

    /// One of the rule's sums per trained token.
    pub fn mean(&self, name: &str) -> f64 {
        self.sum(name) / self.tokens.max(1) as f64
    }

    pub fn sum(&self, name: &str) -> f64 {
        self.sums.iter().find(|(known, _)| *known == name).map_or(0.0, |(_, sum)| *sum)
    }
}

impl<'a> Policy<'a> {
    /// A policy without a value head, at temperature 1.
    pub fn new(model: &'a Model) -> Self {
        Policy {
            model,
            value_head: None,
            temperature: 1.0,
            gradient_checkpointing: false,
            dropout: true,
            entropy: Entropy::Unused,
            logits_at_once: LOGITS_AT_ONCE,
        }
    }

    pub fn head(&self) -> Head<'_> {
        Head { net: &self.model.net, temperature: self.temperature, logits_at_once: self.logits_at_once }
    }

    /// Hidden states at the positions that predict trained tokens, `[N, C]`, without gradients.
    pub fn hidden(&self, batch: &Batch) -> Tensor {
        let _no_grad = tch::no_grad_guard();
        let hidden = self.model.net.hidden_of(&batch.ids, batch.layout(None), Mode::Inference);
        hidden.flatten(0, 1).index_select(0, &batch.at)
    }

    fn mode(&self, seed: i64) -> Mode {
        if self.dropout { Mode::Training { seed } } else { Mode::Inference }
    }

    /// Adds a batch's gradient to what the parameters hold. `seed` decides dropout and noise.
    fn accumulate(&self, batch: &Batch, noise: Option<&Tensor>, seed: i64, rule: &dyn Fn(&Outputs) -> Loss) -> Sums {
        let (mode, layout) = (self.mode(seed), batch.layout(noise));
        if self.gradient_checkpointing {
            let pass = self.model.net.hidden_checkpointed(&batch.ids, layout, mode);
            let sums = self.backward(&pass.hidden, batch, rule);
            pass.backward();
            sums
        } else {
            self.backward(&self.model.net.hidden_of(&batch.ids, layout, mode), batch, rule)
        }
    }

    /// The rule's loss and its gradient down to `hidden`, `[B, T, C]`, and on through its graph. The head works on the
    /// trained tokens alone.
    fn backward(&self, hidden: &Tensor, batch: &Batch, rule: &dyn Fn(&Outputs) -> Loss) -> Sums {
        let picked = hidden.flatten(0, 1).index_select(0, &batch.at);
        let head = self.head();
        if head.at_once(picked.size()[0]) {
            let entropy = (self.entropy != Entropy::Unused).then_some(self.entropy == Entropy::Trained);
            let Logprobs { logprobs, entropy } = head.logprobs(&picked, &batch.targets, entropy);
            let loss = rule(&Outputs { logprobs, entropy, values: self.values(&picked) });
            loss.value.backward();
            return Sums::of(loss.sums);
        }
        // The loss as a function of the scores, then the scores as a function of the hidden states, chunk by chunk.
        let leaf = picked.detach().set_requires_grad(true);
        let scores = head.logprobs_in_chunks(&leaf, &batch.targets, self.entropy != Entropy::Unused);
        let logprobs = scores.logprobs.set_requires_grad(true);
        let entropy = scores.entropy.map(|entropy| entropy.set_requires_grad(self.entropy == Entropy::Trained));
        let outputs = Outputs { logprobs, entropy, values: self.values(&leaf) };
        let loss = rule(&outputs);
        loss.value.backward();
        let entropy_grad = outputs.entropy.as_ref().map(Tensor::grad).filter(Tensor::defined);
        let mut gradient = head.pull_back(&leaf, &batch.targets, &outputs.logprobs.grad(), entropy_grad.as_ref());
        if leaf.grad().defined() {
            gradient += leaf.grad();
        }
        pull_back(&picked, &gradient);
        Sums::of(loss.sums)
    }

    fn values(&self, picked: &Tensor) -> Option<Tensor> {
        self.value_head.map(|head| head.forward(picked))
    }

    /// One optimizer step over `sequences`.
    ///
    /// The rule hears the denominator, the trained tokens of all sequences, before the first batch: splitting the
    /// sequences differently changes nothing but rounding (and what dropout and noise draw). A step whose numbers are not
    /// finite is not taken.
    pub fn step(
        &self,
        optimizer: &mut AdamW,
        sequences: &[&Sequence],
        settings: &StepSettings,
        rule: Rule,
    ) -> Result<StepReport> {
        let report = self.gradient(optimizer, sequences, settings, rule)?;
        Ok(self.update(optimizer, report, settings))
    }

    /// The update that follows from a [`gradient`](Self::gradient), clipped, unless its numbers are not finite.
    pub fn update(&self, optimizer: &mut AdamW, mut report: StepReport, settings: &StepSettings) -> StepReport {
        (report.grad_norm, report.value_grad_norm) = self.grad_norms();
        report.taken = report.is_finite();
        if report.taken {
            self.clip(&report, settings.max_grad_norm.unwrap_or(f64::INFINITY));
            optimizer.step(settings.learning_rate_factor);
        }
        report
    }

    /// The trained tensors of the model, and those of the value head.
    fn parts(&self) -> [Vec<(String, Tensor)>; 2] {
        let head = self.value_head.map(ValueHead::parameters);
        [self.model.trained_part_of(&self.model.net), head.unwrap_or_default()]
    }

    /// The norms of the model's gradient and of the value head's.
    pub fn grad_norms(&self) -> (f64, f64) {
        let [model, head] = self.parts().map(|part| grad_norm(part.iter().map(|(_, param)| param)));
        (model, head)
    }

    /// Clips the model's gradient and the value head's, each by its own norm.
    ///
    /// Hidden states are some √C long, and the head's gradient with them: under one norm it would be the head that
    /// decides how far the policy may move. What the value loss sends on into the model belongs to the model's norm.
    fn clip(&self, report: &StepReport, max_norm: f64) {
        for (part, norm) in self.parts().iter().zip([report.grad_norm, report.value_grad_norm]) {
            scale_down(part.iter().map(|(_, param)| param), norm, max_norm);
        }
    }

    /// The gradient of a step in the parameters, and its sums, without an update.
    pub fn gradient(
        &self,
        optimizer: &mut AdamW,
        sequences: &[&Sequence],
        settings: &StepSettings,
        rule: Rule,
    ) -> Result<StepReport> {
        self.check_lengths(sequences)?;
        let tokens: usize = sequences.iter().map(|sequence| sequence.trained().count()).sum();
        let mut passes = settings.passes();
        loop {
            // From zero every time: a batch that failed has left a part of its gradient.
            optimizer.zero_grad();
            let batches = passes.batches(sequences);
            match self.accumulate_all(sequences, &batches, settings, tokens.max(1) as f64, rule) {
                Ok(sums) => {
                    let fits = passes.fits;
                    return Ok(StepReport { sums: sums.numbers, tokens, fits, ..StepReport::default() });
                }
                Err((error, places)) => passes.shrink(error, sequences, &places)?,
            }
        }
    }

    /// All batches, or the error of one and that batch's places.
    fn accumulate_all(
        &self,
        sequences: &[&Sequence],
        batches: &[Vec<usize>],
        settings: &StepSettings,
        denominator: f64,
        rule: Rule,
    ) -> std::result::Result<Sums, (Error, Vec<usize>)> {
        let mut sums = Sums::default();
        for (i, places) in batches.iter().enumerate() {
            let seed = settings.batch_seed(i);
            // Running out of memory is a panic of tch. What the batch held is dropped on the way out.
            let outcome = refusal::attempt(|| {
                let batch = Batch::new(sequences, places, settings.batching.shape(), self.model.net.device());
                if batch.tokens() == 0 {
                    return Ok(Sums::default());
                }
                let noise = settings
                    .neftune_noise_alpha
                    .map(|alpha| neftune::noise(&self.model.net, sequences, places, &batch, alpha, settings.seed));
                Ok(self.accumulate(&batch, noise.as_ref(), seed, &|outputs| rule(outputs, &batch, denominator)))
            });
            sums.add(outcome.map_err(|error| (error, places.clone()))?);
        }
        Ok(sums)
    }

    /// For every batch of a step its sequences' places and the norms of what goes into each layer, and last into the
    /// final norm.
    pub fn activations(&self, sequences: &[&Sequence], settings: &StepSettings) -> Result<Vec<(Vec<usize>, Vec<f64>)>> {
        let _no_grad = tch::no_grad_guard();
        let batches = settings.passes().batches(sequences).into_iter().enumerate();
        let norms = |(i, places): (usize, Vec<usize>)| {
            refusal::attempt(|| {
                let batch = Batch::new(sequences, &places, settings.batching.shape(), self.model.net.device());
                let seed = settings.batch_seed(i);
                let noise = settings
                    .neftune_noise_alpha
                    .map(|alpha| neftune::noise(&self.model.net, sequences, &places, &batch, alpha, settings.seed));
                let layout = batch.layout(noise.as_ref());
                let pass = self.model.net.hidden_checkpointed(&batch.ids, layout, self.mode(seed));
                let norms = pass.inputs().map(|x| x.to_kind(Kind::Float).norm().double_value(&[])).collect();
                Ok((places, norms))
            })
        };
        batches.map(norms).collect()
    }

    fn check_lengths(&self, sequences: &[&Sequence]) -> Result<()> {
        let context = self.model.net.config.max_position_embeddings;
        match sequences.iter().find(|sequence| sequence.ids.len() as i64 > context) {
            None => Ok(()),
            Some(sequence) => Err(Error::message(format!(
                "a sequence of {} tokens is longer than this model's context of {context} (max_position_embeddings)",
                sequence.ids.len()
            ))),
        }
    }
}

/// Named numbers, summed over batches.
#[derive(Default)]
struct Sums {
    numbers: Vec<(&'static str, f64)>,
}

impl Sums {
    fn of(tensors: Vec<(&'static str, Tensor)>) -> Self {
        Sums {
            numbers: tensors
                .into_iter()
                .map(|(name, sum)| (name, sum.to_kind(Kind::Double).double_value(&[])))
                .collect(),
        }
    }

    fn add(&mut self, other: Sums) {
        for (name, sum) in other.numbers {
            match self.numbers.iter_mut().find(|(known, _)| *known == name) {
                Some((_, total)) => *total += sum,
                None => self.numbers.push((name, sum)),
            }
        }
    }
}
