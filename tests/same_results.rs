//! What may change memory and speed and must not change results: packing, chunks, recomputation, splits. And what happens
//! when numbers go wrong.

use std::cell::Cell;

use affine::engine::model::Model;
use affine::engine::train::adamw::{AdamW, AdamWOptions, Group};
use affine::engine::train::batch::{Batch, Batching, Sequence, Shape};
use affine::engine::train::sft::negative_log_likelihood;
use affine::engine::train::step::{Entropy, Loss, Outputs, Policy, StepReport, StepSettings};
use tch::{Device, Kind, TchError, Tensor};

use super::toys::{model, numbers, records, tokenizer, with_lora};

fn base() -> Model {
    model()
}

fn adapted() -> Model {
    with_lora(model())
}

/// The conversations of the toy, of lengths 8 to 30.
fn sequences() -> Vec<Sequence<'static>> {
    let encode = |record: &affine::engine::data::Record| {
        let (ids, mask) = record.encode(&tokenizer()).unwrap().into_parts();
        Sequence::new(ids, mask)
    };
    records().iter().map(encode).collect()
}

fn optimizer(model: &Model) -> AdamW {
    model.begin_training().unwrap();
    let group = Group { params: model.trainable(), learning_rate: 1e-3, weight_decay: 0.0 };
    AdamW::new(AdamWOptions::default(), vec![group])
}

fn gradients(optimizer: &AdamW) -> Vec<Tensor> {
    optimizer.params().map(|param| param.grad().copy()).collect()
}

fn largest_difference(a: &[Tensor], b: &[Tensor]) -> f64 {
    assert_eq!(a.len(), b.len());
    let scale = b.iter().map(|b| b.abs().max().double_value(&[])).fold(0.0, f64::max);
    let apart = a.iter().zip(b).map(|(a, b)| (a - b).abs().max().double_value(&[]));
    apart.fold(0.0, f64::max) / scale
}

/// A loss in which log-probs and entropies both have gradients, different for every token.
fn mixed(outputs: &Outputs, _: &Batch, denominator: f64) -> Loss {
    let entropy = outputs.entropy.as_ref().unwrap();
    let each: Tensor = outputs.logprobs.square() - entropy.sin() * 0.3;
    let value = each.sum(Kind::Float) / denominator;
    Loss { sums: vec![("mixed", value.detach())], value }
}

#[test]
fn packing_changes_no_log_prob_beyond_rounding_and_nothing_crosses_a_boundary() {
    let (model, all) = (adapted(), sequences());
    let all: Vec<&Sequence> = all.iter().collect();
    let policy = Policy::new(&model);
    let logprobs = |sequences: &[&Sequence]| -> Vec<Vec<f32>> {
        let places: Vec<usize> = (0..sequences.len()).collect();
        let batch = Batch::new(sequences, &places, Shape::OneRow, Device::Cpu);
        assert_eq!(batch.ids.size()[0], 1);
        let (logprobs, _) = policy.head().judged(&policy.hidden(&batch), &batch.targets);
        let mut rest = Vec::<f32>::try_from(&logprobs).unwrap();
        sequences.iter().map(|sequence| rest.drain(..sequence.trained().count()).collect()).collect()
    };
    let packed = logprobs(&all);
    for (sequence, packed) in all.iter().zip(&packed) {
        let alone = model.logprobs(&sequence.ids, 1.0).unwrap();
        for (t, packed) in sequence.trained().zip(packed) {
            assert!((alone[t - 1] - packed).abs() < 1e-5, "{} and {packed}", alone[t - 1]);
        }
    }
    // Other words before it: not a bit of the last sequence changes.
    let others: Vec<Sequence> =
        all.iter().map(|s| Sequence::new(s.ids.iter().map(|id| (id + 7) % 200).collect(), s.mask.to_vec())).collect();
    let mut changed: Vec<&Sequence> = others.iter().collect();
    *changed.last_mut().unwrap() = all.last().unwrap();
    assert_eq!(logprobs(&changed).last(), packed.last());
}

#[test]
fn layout_chunks_and_recomputation_change_a_gradient_by_rounding_alone() {
    for make in [base, adapted] {
        let (model, all) = (make(), sequences());
        let all: Vec<&Sequence> = all.iter().collect();
        let take = |batching, logits_at_once, gradient_checkpointing, fits| {
            let mut optimizer = optimizer(&model);
            let plain = Policy::new(&model);
            let policy = Policy { entropy: Entropy::Trained, logits_at_once, gradient_checkpointing, ..plain };
            let settings = StepSettings { batching, fits, ..StepSettings::default() };
            let report = policy.gradient(&mut optimizer, &all, &settings, &mixed).unwrap();
            (report.sum("mixed"), gradients(&optimizer))
        };
        let many = i64::MAX;
        let (loss, expected) = take(Batching::Sequences(10, Shape::Padded), many, false, usize::MAX);
        // One position at a time, three, all.
        for logits_at_once in [1, 900, many] {
            for (batching, fits) in [
                (Batching::Sequences(10, Shape::Padded), usize::MAX),
                (Batching::Sequences(3, Shape::OneRow), usize::MAX),
                (Batching::Tokens(64), usize::MAX),
                (Batching::Sequences(10, Shape::Padded), 50),
            ] {
                for checkpointing in [false, true] {
                    let (got, gradients) = take(batching, logits_at_once, checkpointing, fits);
                    let what = format!("{batching:?}, {logits_at_once} logits, checkpointing {checkpointing}");
                    assert!((got - loss).abs() < 1e-5 * loss.abs(), "{what}: {got} and {loss}");
                    let difference = largest_difference(&gradients, &expected);
                    assert!(difference < 1e-5, "{what}: {difference}");
                }
            }
        }
    }
}

/// Reference §2.4: micro-batches of 2 tokens at a loss of 1 and 8 tokens at a loss of 2 are 1.8 together, not 1.5.
#[test]
fn the_denominator_is_that_of_the_whole_step() {
    let model = base();
    let trained = |length: usize, count: usize| {
        Sequence::new(vec![1; length], (0..length).map(|t| t >= length - count).collect())
    };
    let all = [trained(12, 8), trained(5, 2)];
    let settings = StepSettings { batching: Batching::Sequences(1, Shape::Padded), ..StepSettings::default() };
    let rule = |outputs: &Outputs, batch: &Batch, denominator: f64| {
        let each = if batch.tokens() == 2 { 1.0 } else { 2.0 };
        let value = (&outputs.logprobs * 0.0 + each).sum(Kind::Float) / denominator;
        Loss { sums: vec![("loss", value.detach())], value }
    };
    let all: Vec<&Sequence> = all.iter().collect();
    let report = Policy::new(&model).gradient(&mut optimizer(&model), &all, &settings, &rule).unwrap();
    assert!((report.sum("loss") - 1.8).abs() < 1e-6, "{}", report.sum("loss"));
    assert_eq!(report.tokens, 10);
}

/// What libtorch answers where a GPU has no more room.
fn refuse(size: &str) -> Result<(), TchError> {
    let place = "GPU 0 has a total capacity of 3 GiB";
    Err(TchError::Torch(format!("CUDA out of memory. Tried to allocate {size}. {place}")))
}

#[test]
fn running_out_of_memory_splits_the_step_further_and_the_update_stays() {
    let all = sequences();
    let all: Vec<&Sequence> = all.iter().collect();
    // A device on which a pass over more than `room` trained tokens does not fit: the panic is tch's.
    let take = |room: usize| -> (StepReport, Model, usize) {
        let (model, refused) = (adapted(), Cell::new(0));
        let settings = StepSettings { batching: Batching::Sequences(10, Shape::Padded), ..StepSettings::default() };
        let rule = |outputs: &Outputs, batch: &Batch, denominator: f64| {
            if batch.tokens() > room {
                refused.set(refused.get() + 1);
                refuse("2.00 GiB").unwrap();
            }
            negative_log_likelihood(outputs, batch, denominator)
        };
        let report = Policy::new(&model).step(&mut optimizer(&model), &all, &settings, &rule).unwrap();
        (report, model, refused.get())
    };
    let (whole, expected, _) = take(usize::MAX);
    let (split, got, refused) = take(8);
    assert!(refused >= 2, "{refused}");
    assert!(split.taken && split.fits < whole.fits);
    assert!((split.sum("nll") - whole.sum("nll")).abs() < 1e-4);
    assert!((split.grad_norm / whole.grad_norm - 1.0).abs() < 1e-5);
    for ((name, got), expected) in numbers(&got).iter().zip(numbers(&expected).values()) {
        let apart = got.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        // A step of Adam is as long as its rate whatever the gradient: rounding of a gradient near 0 is seen.
        assert!(apart < 2e-4, "{name}: {apart}");
    }

    let alone = [all[9]];
    let rule = |_: &Outputs, _: &Batch, _: f64| -> Loss {
        refuse("9.00 GiB").unwrap();
        unreachable!()
    };
    let model = adapted();
    let error = Policy::new(&model).step(&mut optimizer(&model), &alone, &StepSettings::default(), &rule).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("a single sequence of ") && text.contains("no room for 9.00 GiB on the GPU"), "{text}");
}

#[test]
fn noise_on_embeddings_does_not_depend_on_the_batches() {
    let (model, all) = (adapted(), sequences());
    let all: Vec<&Sequence> = all.iter().collect();
    let take = |batching, neftune_noise_alpha| {
        let settings = StepSettings { batching, neftune_noise_alpha, seed: 3, ..StepSettings::default() };
        let mut optimizer = optimizer(&model);
        let report = Policy::new(&model).gradient(&mut optimizer, &all, &settings, &negative_log_likelihood).unwrap();
        report.sum("nll")
    };
    let noisy = take(Batching::Sequences(10, Shape::Padded), Some(5.0));
    for batching in [Batching::Sequences(3, Shape::Padded), Batching::Sequences(4, Shape::OneRow), Batching::Tokens(50)]
    {
        let other = take(batching, Some(5.0));
        assert!((other - noisy).abs() < 1e-4 * noisy, "{batching:?}: {other} and {noisy}");
    }
    let quiet = take(Batching::Sequences(10, Shape::Padded), None);
    assert!((quiet - noisy).abs() > 1e-3 * noisy);
}
