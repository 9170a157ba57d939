//! Evaluation: loss and accuracy on other records, while training and on request. Nothing per token is kept.

use serde::{Deserialize, Serialize};
use tch::Kind;

use super::{Metric, Sft, cut, policy, records};
use crate::engine::data::Record;
use crate::engine::model::Model;
use crate::engine::train::batch::Sequence;
use crate::engine::train::checkpoint;
use crate::engine::train::passes::Passes;
use crate::engine::train::run::Trainer;
use crate::engine::{Result, cancel};

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
        let records = cut::evaluation_records(records);
        let encoded = records::encode(model, records, self.options.train_on, self.limit)?;
        self.measure(model, &encoded.sequences).or_else(|error| self.leave(model, error))
    }

    /// Evaluates after `step`, and notes whether it is the best so far and whether it was enough.
    pub(super) fn judge(&mut self, model: &Model, step: u64) -> Result<Evaluation> {
        let evaluation = self.measure(model, &self.evaluation_data)?;
        let (options, state) = (&self.options, &mut self.run.state);
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
        let (mut nll, mut right, mut tokens) = (0.0, 0.0, 0);
        let policy = policy(model, &self.options);
        // What memory holds is found anew: a pass without gradients holds more than one with them.
        let mut passes = Passes::new(self.options.batching(self.limit));
        passes.each(&sequences, model.net.device(), &mut |batch, _| {
            let (logprobs, hits) = policy.head().judged(&policy.hidden(batch), &batch.targets);
            let sum = |tensor: tch::Tensor| tensor.sum(Kind::Double).double_value(&[]);
            let (logprobs, hits) = (sum(logprobs), sum(hits));
            nll -= logprobs;
            right += hits;
            tokens += batch.tokens();
            Ok(())
        })?;
        Ok(Evaluation { eval_loss: nll / tokens as f64, eval_accuracy: right / tokens as f64 })
    }
}
