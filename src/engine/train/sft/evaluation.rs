//! Evaluation: loss and accuracy on other records, while training and on request. Nothing per token is kept.

use serde::{Deserialize, Serialize};
use tch::Kind;

use super::{Metric, Sft, policy, records};
use crate::engine::data::Record;
use crate::engine::model::Model;
use crate::engine::train::batch::{Batch, Sequence};
use crate::engine::train::checkpoint;
use crate::engine::{Result, cancel, refusal};

/// What an evaluation came to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Mean negative log-likelihood per trained token, in nats.
    pub eval_loss: f64,
    /// The share of trained tokens that the model finds likeliest.
    pub eval_accuracy: f64,
}

impl Evaluation {
    fn metric(&self, metric: Metric) -> f64 {
        match metric {
            Metric::EvalLoss => self.eval_loss,
            Metric::EvalAccuracy => self.eval_accuracy,
        }
    }
}

impl Sft {
    /// Loss and accuracy of other records. Ctrl-C saves what was trained.
    pub fn evaluate(&self, model: &Model, records: &[Record]) -> Result<Evaluation> {
        let _unfinished = cancel::unfinished();
        let encoded = records::encode(model, records, self.options.train_on, self.limit)?;
        self.measure(model, &encoded.sequences).or_else(|error| self.leave(model, error))
    }

    /// Evaluates after `step`, and notes whether it is the best so far and whether it was enough.
    pub(super) fn judge(&mut self, model: &Model, step: u64) -> Result<Evaluation> {
        let evaluation = self.measure(model, &self.evaluation_data)?;
        let (options, state) = (&self.options, &mut self.state);
        let value = evaluation.metric(options.metric_for_best_model);
        // A metric that is no number is never better.
        let better = |best: f64, threshold: f64| options.metric_for_best_model.better(value, best, threshold);
        match state.best_metric {
            Some(best) if !better(best, options.early_stopping_threshold) => state.evaluations_without_gain += 1,
            _ => state.evaluations_without_gain = 0,
        }
        if value.is_finite() && state.best_metric.is_none_or(|best| better(best, 0.0)) {
            state.best_metric = Some(value);
            state.best_model_checkpoint = options.load_best_model_at_end.then(|| checkpoint::name(step));
        }
        tracing::info!(
            "sft step {step}: eval_loss {:.4}  eval_accuracy {:.3}",
            evaluation.eval_loss,
            evaluation.eval_accuracy
        );
        if (1..=state.evaluations_without_gain).contains(&options.early_stopping_patience) {
            state.stopped_early = true;
            let evaluations = state.evaluations_without_gain;
            tracing::info!("sft step {step}: no better evaluation for {evaluations} in a row, so the run ends here");
        }
        Ok(evaluation)
    }

    fn measure(&self, model: &Model, sequences: &[Sequence]) -> Result<Evaluation> {
        let sequences: Vec<&Sequence> = sequences.iter().collect();
        let batching = self.options.batching(self.limit);
        let (mut nll, mut right, mut tokens) = (0.0, 0.0, 0);
        // What memory holds is found anew: a pass without gradients holds more than one with them.
        let mut batches = batching.split(&sequences);
        batches.reverse();
        while let Some(places) = batches.pop() {
            cancel::check()?;
            let outcome = refusal::attempt(|| {
                let batch = Batch::new(&sequences, &places, batching.shape(), model.net.device());
                let policy = policy(model, &self.options);
                let (logprobs, hits) = policy.head().judged(&policy.look(&batch), &batch.targets);
                let sum = |tensor: tch::Tensor| tensor.sum(Kind::Double).double_value(&[]);
                Ok((sum(logprobs), sum(hits), batch.tokens()))
            });
            match outcome {
                Ok((logprobs, hits, count)) => {
                    nll -= logprobs;
                    right += hits;
                    tokens += count;
                }
                Err(error) if error.is_out_of_memory() && places.len() > 1 => {
                    tracing::warn!("{error}: an evaluation batch of {} sequences is split in two", places.len());
                    let (first, second) = places.split_at(places.len() / 2);
                    batches.extend([second.to_vec(), first.to_vec()]);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Evaluation { eval_loss: nll / tokens as f64, eval_accuracy: right / tokens as f64 })
    }
}
