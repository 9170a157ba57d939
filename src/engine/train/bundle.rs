//! A step whose numbers went wrong, in a folder of its own from which it can be taken alone: weights before it, ids, masks
//! and numbers of its sequences, seeds, and the norms of activations and gradients, layer by layer.
//!
//! Everything random in a step comes from its seed, so the seed is the generators' whole state.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tch::Kind;

use super::adamw::{AdamW, AdamWOptions, Group, grad_norm};
use super::batch::{Batch, Sequence};
use super::checkpoint;
use super::step::{Entropy, Loss, Outputs, Policy, StepReport, StepSettings};
use crate::engine::model::Model;
use crate::engine::model::value_head::ValueHead;
use crate::engine::{Error, Result, file};

const STEP: &str = "step.json";
const SEQUENCES: &str = "sequences.jsonl";

/// A step that was not taken, on its way into a folder.
pub struct Bundle<'a> {
    /// `sft` or `ppo`.
    pub trainer: &'static str,
    /// Counted from 1.
    pub step: u64,
    pub policy: &'a Policy<'a>,
    pub sequences: &'a [&'a Sequence<'a>],
    /// With what memory was found to hold: the batches are to be the same ones.
    pub settings: &'a StepSettings,
    pub report: &'a StepReport,
    /// What the trainer's rule needs beside the outputs.
    pub options: Value,
}

/// What is needed to take the step again, as it is written.
#[derive(Serialize, Deserialize)]
struct Step {
    trainer: String,
    step: u64,
    temperature: f64,
    gradient_checkpointing: bool,
    #[serde(default = "always")]
    dropout: bool,
    entropy: Entropy,
    logits_at_once: i64,
    settings: StepSettings,
    options: Value,
    found: Replay,
}

/// Steps that were kept before this was written all dropped.
fn always() -> bool {
    true
}

/// What a step came to. Numbers that are not finite are written as text: JSON has none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Replay {
    pub step: u64,
    /// The rule's sums, by name.
    pub sums: Value,
    pub grad_norm: Value,
    /// Of the value head; 0 without one.
    pub value_grad_norm: Value,
    /// The denominator.
    pub tokens: usize,
    /// One per forward pass.
    pub batches: Vec<Value>,
    /// Norms of every trained tensor and of its gradient.
    pub parameters: Vec<Value>,
}

/// A rule made from a bundle's options.
pub type MakeRule<'a> = &'a dyn Fn(&Value) -> Result<Box<dyn Fn(&Outputs, &Batch, f64) -> Loss>>;

impl Bundle<'_> {
    /// Writes `bad-step-{step}` under `output_dir`, whole or not at all, and gives its path. The parameters hold the step's
    /// gradient, and their values from before it.
    pub fn write(&self, output_dir: &Path) -> Result<PathBuf> {
        let name = format!("bad-step-{}", self.step);
        checkpoint::write_folder(output_dir, &name, &|folder| {
            checkpoint::save_model(self.policy.model, folder)?;
            self.policy.value_head.map_or(Ok(()), |head| head.save(folder))?;
            let lines: Vec<String> = self.sequences.iter().map(|sequence| format!("{}\n", to_json(sequence))).collect();
            file::write_atomic(folder.join(SEQUENCES), lines.concat().as_bytes())?;
            let step = Step {
                trainer: self.trainer.to_string(),
                step: self.step,
                temperature: self.policy.temperature,
                gradient_checkpointing: self.policy.gradient_checkpointing,
                dropout: self.policy.dropout,
                entropy: self.policy.entropy,
                logits_at_once: self.policy.logits_at_once,
                settings: *self.settings,
                options: self.options.clone(),
                found: found(self.step, self.policy, self.sequences, self.settings, self.report)?,
            };
            let text = serde_json::to_string_pretty(&step).map_err(|e| Error::file(folder, e))?;
            file::write_atomic(folder.join(STEP), text.as_bytes())
        })
    }
}

impl Replay {
    /// Takes the step that `folder` holds once more, with the weights that it holds, and without an update. The model has
    /// these weights afterwards.
    pub fn take(
        folder: &Path,
        trainer: &str,
        model: &Model,
        value_head: Option<&ValueHead>,
        rule: MakeRule,
    ) -> Result<Self> {
        let step = read(folder)?;
        if step.trainer != trainer {
            return Err(Error::file(
                folder,
                format!("holds a step of trainer.{}, not of trainer.{trainer}", step.trainer),
            ));
        }
        let sequences = sequences(folder)?;
        let sequences: Vec<&Sequence> = sequences.iter().collect();
        model.begin_training()?;
        let mut params = model.trainable();
        checkpoint::restore_weights(folder, model)?;
        params.extend(value_head.iter().flat_map(|head| head.parameters()));
        let policy = Policy {
            model,
            value_head,
            temperature: step.temperature,
            gradient_checkpointing: step.gradient_checkpointing,
            dropout: step.dropout,
            entropy: step.entropy,
            logits_at_once: step.logits_at_once,
        };
        let group = Group { params, learning_rate: 0.0, weight_decay: 0.0 };
        let mut optimizer = AdamW::new(AdamWOptions::default(), vec![group]);
        let rule = rule(&step.options)?;
        let mut report = policy.gradient(&mut optimizer, &sequences, &step.settings, &*rule)?;
        (report.grad_norm, report.value_grad_norm) = policy.grad_norms();
        found(step.step, &policy, &sequences, &step.settings, &report)
    }

    /// What the bundle's folder says that the step came to when it was first taken.
    pub fn recorded(folder: &Path) -> Result<Self> {
        Ok(read(folder)?.found)
    }
}

/// Which trainer's step a bundle's folder holds.
pub fn trainer(folder: &Path) -> Result<String> {
    Ok(read(folder)?.trainer)
}

fn read(folder: &Path) -> Result<Step> {
    let path = folder.join(STEP);
    let text = std::fs::read_to_string(&path).map_err(|e| file::unreadable(&path, &e))?;
    serde_json::from_str(&text).map_err(|e| Error::file(&path, format!("not a step that was kept: {e}")))
}

fn found(
    step: u64,
    policy: &Policy,
    sequences: &[&Sequence],
    settings: &StepSettings,
    report: &StepReport,
) -> Result<Replay> {
    let batches = policy.activations(sequences, settings)?;
    let describe = |(places, norms): (Vec<usize>, Vec<f64>)| {
        json!({
            "sequences": places.iter().map(|place| place + 1).collect::<Vec<_>>(),
            // Into each layer, and last into the final norm.
            "activation_norms": norms.into_iter().map(number).collect::<Vec<_>>(),
        })
    };
    let value_head = policy.value_head.iter().flat_map(|head| head.parameters());
    let norms = policy.model.trainable().into_iter().chain(value_head).map(|(name, tensor)| {
        let weight = tensor.detach().to_kind(Kind::Double).norm().double_value(&[]);
        json!({ "name": name, "weight_norm": number(weight), "grad_norm": number(grad_norm([&tensor])) })
    });
    Ok(Replay {
        step,
        sums: report
            .sums
            .iter()
            .map(|(name, sum)| (name.to_string(), number(*sum)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        grad_norm: number(report.grad_norm),
        value_grad_norm: number(report.value_grad_norm),
        tokens: report.tokens,
        batches: batches.into_iter().map(describe).collect(),
        parameters: norms.collect(),
    })
}

/// A number as JSON, or as text where it is not finite.
fn number(value: f64) -> Value {
    if value.is_finite() { json!(value) } else { json!(value.to_string()) }
}

fn to_json(sequence: &Sequence) -> Value {
    let numbers = |column: &[f32]| column.iter().map(|&value| number(f64::from(value))).collect::<Vec<_>>();
    let columns = sequence.columns.iter().map(|(name, column)| (name.to_string(), json!(numbers(column))));
    json!({
        "ids": sequence.ids,
        "mask": sequence.mask,
        "columns": columns.collect::<serde_json::Map<_, _>>(),
    })
}

#[derive(Deserialize)]
struct Line {
    ids: Vec<i64>,
    mask: Vec<bool>,
    columns: std::collections::BTreeMap<String, Vec<Value>>,
}

fn sequences(folder: &Path) -> Result<Vec<Sequence<'static>>> {
    let path = folder.join(SEQUENCES);
    let text = std::fs::read_to_string(&path).map_err(|e| file::unreadable(&path, &e))?;
    let broken = |i: usize, e: &dyn std::fmt::Display| Error::file(&path, format!("line {}: {e}", i + 1));
    let parse = |(i, line): (usize, &str)| -> Result<Sequence<'static>> {
        let Line { ids, mask, columns } = serde_json::from_str(line).map_err(|e| broken(i, &e))?;
        let mut sequence = Sequence::new(ids, mask);
        for (name, column) in columns {
            let value = |value: &Value| match value {
                Value::String(text) => text.parse().ok(),
                number => number.as_f64().map(|number| number as f32),
            };
            let column: Option<Vec<f32>> = column.iter().map(value).collect();
            sequence.columns.insert(name.into(), column.ok_or_else(|| broken(i, &"expected numbers"))?.into());
        }
        let length = sequence.ids.len();
        if sequence.mask.len() != length || sequence.columns.values().any(|column| column.len() != length) {
            return Err(broken(i, &format!("expected {length} entries in mask and columns, one per id")));
        }
        Ok(sequence)
    };
    text.lines().enumerate().map(parse).collect()
}
