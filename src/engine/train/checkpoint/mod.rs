//! Checkpoints: folders `checkpoint-N` that hold everything that decides the next step, complete or absent.

mod checksums;
mod identity;
mod resume;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tch::Tensor;

use super::adamw::AdamW;
use crate::engine::error::Context;
use crate::engine::model::{KernelChoice, Model};
use crate::engine::tensor::safetensors;
use crate::engine::{Error, Result, cancel, file};
pub use checksums::{FileSum, verify};
use identity::{fingerprint, refuse};
pub use identity::{list, settings};
pub use resume::{Force, Resume, ResumeFrom};

pub(super) const STATE: &str = "trainer_state.json";
const OPTIMIZER: &str = "optimizer.safetensors";

/// Where a trainer stands. The first keys are those of transformers' file of the same name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainerState {
    pub global_step: u64,
    pub max_steps: u64,
    /// One object per logged step.
    pub log_history: Vec<Value>,
    /// Which trainer wrote it: `sft` or `ppo`.
    pub trainer: String,
    /// How this is written, [`identity::FORMAT`].
    #[serde(default)]
    pub format: u32,
    /// The build that wrote it. Another one goes on all the same.
    #[serde(default)]
    pub affine: String,
    /// [`fingerprint`] of the model that was trained.
    pub model: String,
    /// The options and data that decide the steps; resuming with others would not continue this run.
    pub identity: Map<String, Value>,
    /// The environments of the last rollout, in the same form.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub environments: Map<String, Value>,
    /// The checkpoint's other files.
    #[serde(default)]
    pub files: BTreeMap<String, FileSum>,
    /// The kernels that computed it on the CPU, [`KernelChoice::resolved`]: a resumed run takes the same ones.
    #[serde(default)]
    pub kernels: Option<KernelChoice>,
    /// The best evaluation so far, and the name of its checkpoint's folder beside this one, where one was kept.
    #[serde(default)]
    pub best_metric: Option<f64>,
    #[serde(default)]
    pub best_model_checkpoint: Option<String>,
    /// Evaluations since the best one.
    #[serde(default)]
    pub evaluations_without_gain: u64,
    /// Whether early stopping has ended the run.
    #[serde(default)]
    pub stopped_early: bool,
    /// What somebody has scaled the learning rates by while it ran.
    #[serde(default = "unscaled")]
    pub learning_rate_scale: f64,
    /// What a loss spike is told from: the losses of the last steps.
    #[serde(default)]
    pub recent_losses: Vec<f64>,
    #[serde(default)]
    pub losses: Losses,
    /// The last step's report, until whoever drives the trainer has heard of it: an interruption may come between the
    /// step and the loop's body. A run that goes on from here begins with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unheard: Option<Value>,
    /// What a script keeps of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<Value>,
}

fn unscaled() -> f64 {
    1.0
}

/// The losses of all steps of a run that were taken. A checkpoint of an older version knows none: then of those since.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Losses {
    pub sum: f64,
    pub count: u64,
    pub last: Option<f64>,
}

impl Losses {
    pub fn add(&mut self, loss: f64) {
        self.sum += loss;
        self.count += 1;
        self.last = Some(loss);
    }

    /// Not a number where there is none.
    pub fn mean(&self) -> f64 {
        self.sum / self.count as f64
    }
}

impl TrainerState {
    /// The state before the first step. How the model's base is stored joins `identity`.
    pub fn new(trainer: &str, model: &Model, max_steps: u64, mut identity: Map<String, Value>) -> Self {
        if let Some(quantization) = model.quantization() {
            identity.insert("quantize".into(), json!(quantization.name()));
            identity.insert("double_quantize".into(), json!(quantization.double));
        }
        TrainerState {
            global_step: 0,
            max_steps,
            log_history: Vec::new(),
            trainer: trainer.to_string(),
            format: identity::FORMAT,
            affine: identity::build(),
            model: fingerprint(model),
            identity,
            environments: Map::new(),
            files: BTreeMap::new(),
            kernels: Some(model.net.compute().kernels.resolved()),
            best_metric: None,
            best_model_checkpoint: None,
            evaluations_without_gain: 0,
            stopped_early: false,
            learning_rate_scale: unscaled(),
            recent_losses: Vec::new(),
            losses: Losses::default(),
            unheard: None,
            script: None,
        }
    }
}

/// Writes `checkpoint-{step}` under `output_dir`: model or adapter, optimizer, state and whatever `more` adds. The
/// folder is filled under another name and renamed, so that a checkpoint that exists is whole. Beyond `limit`
/// checkpoints (0: no limit) the oldest are removed, never the one just written nor the best.
///
/// Steps only rise, so a checkpoint of a later step is of a run that went on from here before, or of another one. It is
/// renamed: resuming from the newest must not go back to it.
pub fn save(
    output_dir: &Path,
    model: &Model,
    optimizer: &AdamW,
    state: &TrainerState,
    limit: usize,
    more: &dyn Fn(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let path = write_folder(output_dir, &name(state.global_step), &|folder| {
        save_model(model, folder)?;
        safetensors::write(folder.join(OPTIMIZER), &optimizer.state())?;
        more(folder)?;
        checksums::write_state(folder, state)
    })?;
    for (step, later) in all(output_dir)?.into_iter().filter(|(step, _)| *step > state.global_step) {
        let aside = output_dir.join(format!("abandoned-{}", name(step)));
        remove(&aside)?;
        std::fs::rename(&later, &aside).map_err(|e| Error::file(&later, e))?;
        tracing::warn!("{} belongs to a run that was left: it is {} now", later.display(), aside.display());
    }
    if limit > 0 {
        let mut others = all(output_dir)?;
        let best = state.best_model_checkpoint.as_ref().map(|name| output_dir.join(name));
        others.retain(|(_, other)| *other != path && Some(other) != best.as_ref());
        others.truncate(others.len().saturating_sub(limit - 1));
        others.iter().try_for_each(|(_, old)| remove(old))?;
    }
    Ok(path)
}

/// What tells one state that is worth a checkpoint from another: the step, and whether it was heard of.
pub type Mark = (u64, Option<Value>);

impl TrainerState {
    pub fn mark(&self) -> Mark {
        (self.global_step, self.unheard.clone())
    }
}

/// Whoever drives the trainer has heard of the step that this checkpoint was made after; `script` is what became of the
/// script's own value then.
pub fn note_heard(path: &Path, script: Option<Value>) -> Result<()> {
    if !path.join(STATE).exists() {
        return Ok(());
    }
    let state = checksums::read_state(path)?;
    checksums::write(path, &TrainerState { unheard: None, script, ..state })
}

/// The name of the folder of the checkpoint after `step`.
pub fn name(step: u64) -> String {
    format!("checkpoint-{step}")
}

/// A folder below `output_dir` that `fill` fills under another name first, so that whoever finds it finds it whole. What a
/// `fill` that fails has written is removed: on a full disk it would be in the way of everything after it.
pub fn write_folder(output_dir: &Path, name: &str, fill: &dyn Fn(&Path) -> Result<()>) -> Result<PathBuf> {
    let _unfinished = cancel::unfinished();
    let (path, unfinished) = (output_dir.join(name), output_dir.join(format!(".unfinished-{name}")));
    remove(&unfinished)?;
    file::create_folder(&unfinished)?;
    if let Err(error) = fill(&unfinished) {
        let _ = remove(&unfinished);
        return Err(error);
    }
    remove(&path)?;
    std::fs::rename(&unfinished, &path).map_err(|e| Error::file(&path, e))?;
    Ok(path)
}

/// The adapter where there is one, else the whole model: what a trainer leaves in its output folder.
pub fn save_model(model: &Model, folder: &Path) -> Result<()> {
    if model.lora().is_some() { model.save_adapter(folder) } else { model.save(folder) }
}

/// Reads a checkpoint's state and checks that it belongs to this trainer, model and run. `defaults` are those of the
/// settings in `expected`. `force` goes on although model, data or settings have changed, and says which.
pub fn open(
    path: &Path,
    expected: &TrainerState,
    defaults: &Map<String, Value>,
    model: &Model,
    force: bool,
) -> Result<TrainerState> {
    let state = checksums::read_state(path)?;
    if state.trainer != expected.trainer {
        let problem = format!("is a checkpoint of trainer.{}, not of trainer.{}", state.trainer, expected.trainer);
        return Err(Error::file(path, problem));
    }
    let old = state.format < identity::FORMAT;
    let mut changes = Vec::new();
    let same_model =
        if old { identity::fingerprint_of_samples(model) == state.model } else { expected.model == state.model };
    // Another quantisation is told by its name below; the stored numbers are others then, whatever the base.
    let quantized = ["quantize", "double_quantize"];
    let requantized = quantized.iter().any(|&key| state.identity.get(key) != expected.identity.get(key));
    if !same_model && !requantized {
        changes.push("is a checkpoint of another model (base weights, shape or adapter differ)".to_string());
    }
    let changed = match old {
        true => identity::changes_from_old(&state.identity, &expected.identity),
        false => identity::changes(&state.identity, &expected.identity, defaults),
    };
    if !changed.is_empty() {
        changes.push(format!("was made with {}", changed.join("; with ")));
    }
    refuse(path, &changes, force)?;
    if old {
        tracing::warn!(
            "{} is of an earlier affine, which recorded fewer settings: it was compared with this run on those alone",
            path.display()
        );
    } else if state.affine != expected.affine {
        tracing::info!("{} was written by affine {}; this is {}", path.display(), state.affine, expected.affine);
    }
    let expected = expected.clone();
    Ok(TrainerState {
        format: expected.format,
        affine: expected.affine,
        identity: expected.identity,
        model: expected.model,
        ..state
    })
}

/// An error where the environments are others than those of the last rollout before `path` was written.
pub fn check_environments(path: &Path, was: &Map<String, Value>, is: &Map<String, Value>, force: bool) -> Result<()> {
    let changed = if was.is_empty() { Vec::new() } else { identity::changes(was, is, &Map::new()) };
    let said = (!changed.is_empty()).then(|| format!("was made with {}", changed.join("; with ")));
    refuse(path, &Vec::from_iter(said), force)
}

/// Puts the saved weights into the model's own tensors, and the saved state into the optimizer.
pub fn restore(path: &Path, model: &Model, optimizer: &mut AdamW) -> Result<()> {
    restore_weights(path, model)?;
    optimizer.load_state(&safetensors::read(path.join(OPTIMIZER))?).context(format!("resume from {}", path.display()))
}

/// Puts the saved weights into the model's own tensors.
pub fn restore_weights(path: &Path, model: &Model) -> Result<()> {
    let saved = saved_weights(path)?;
    for (name, parameter) in model.trainable() {
        copy_into(&saved, &name, parameter).context(format!("take the weights of {}", path.display()))?;
    }
    Ok(())
}

/// Copies the saved tensor of that name into `parameter`.
pub fn copy_into(saved: &[(String, Tensor)], name: &str, mut parameter: Tensor) -> Result<()> {
    let (_, tensor) = saved
        .iter()
        .find(|(known, _)| known == name)
        .ok_or_else(|| Error::message(format!("tensor {name} is missing")))?;
    if tensor.size() != parameter.size() {
        let message =
            format!("tensor {name} has the shape {:?}, this model asks for {:?}", tensor.size(), parameter.size());
        return Err(Error::message(message));
    }
    let _no_grad = tch::no_grad_guard();
    parameter.copy_(tensor);
    Ok(())
}

/// A checkpoint's trained tensors by the names of [`Model::trainable`].
fn saved_weights(path: &Path) -> Result<Vec<(String, Tensor)>> {
    let adapter = path.join("adapter_model.safetensors");
    if adapter.exists() {
        let tensors = safetensors::read(adapter)?;
        let bare = |name: String| name.strip_prefix("base_model.model.").map(str::to_string).unwrap_or(name);
        return Ok(tensors.into_iter().map(|(name, tensor)| (bare(name), tensor)).collect());
    }
    let mut all = Vec::new();
    for entry in std::fs::read_dir(path).map_err(|e| Error::file(path, e))? {
        let name = entry.map_err(|e| Error::file(path, e))?.file_name().to_string_lossy().to_string();
        if name.starts_with("model") && name.ends_with(".safetensors") {
            all.extend(safetensors::read(path.join(name))?);
        }
    }
    Ok(all)
}

/// The finished checkpoints of a folder, oldest first. One without its state is none; it is named, because a run would go
/// on from an earlier one.
fn all(output_dir: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let entries = match std::fs::read_dir(output_dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::file(output_dir, e)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| Error::file(output_dir, e))?.path();
        let step = path.file_name().and_then(|name| name.to_str()?.strip_prefix("checkpoint-")?.parse().ok());
        match step {
            Some(step) if path.join(STATE).exists() => found.push((step, path)),
            Some(_) => tracing::warn!("{} has no {STATE}: it is passed over", path.display()),
            None => {}
        }
    }
    found.sort();
    Ok(found)
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::file(path, e)),
        _ => Ok(()),
    }
}
