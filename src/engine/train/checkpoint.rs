//! Checkpoints: folders `checkpoint-N` that hold everything that decides the next step, complete or absent.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tch::{Device, Tensor};

use super::adamw::AdamW;
use crate::engine::error::Context;
use crate::engine::model::Model;
use crate::engine::tensor::safetensors;
use crate::engine::{Error, Result, file};

const STATE: &str = "trainer_state.json";
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
    /// [`fingerprint`] of the model that was trained.
    pub model: String,
    /// The options and data that decide the order of the steps; resuming with others would not continue this run.
    pub identity: Value,
}

/// Whether to continue a run: `true` from the newest checkpoint of the output folder, or a checkpoint's path.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged, expecting = "expected true, false or the path of a checkpoint")]
pub enum Resume {
    Newest(bool),
    Path(PathBuf),
}

impl Default for Resume {
    fn default() -> Self {
        Resume::Newest(false)
    }
}

impl Resume {
    /// The checkpoint to continue from, if any.
    pub fn find(&self, output_dir: &Path) -> Result<Option<PathBuf>> {
        match self {
            Resume::Newest(false) => Ok(None),
            Resume::Newest(true) => Ok(all(output_dir)?.pop().map(|(_, path)| path)),
            Resume::Path(path) if path.join(STATE).exists() => Ok(Some(path.clone())),
            Resume::Path(path) => Err(Error::option(
                "resume_from_checkpoint",
                format!("a checkpoint folder with {STATE}"),
                path.display(),
            )),
        }
    }
}

/// Writes `checkpoint-{step}` under `output_dir`: model or adapter, optimizer, state and whatever `more` adds. The
/// folder is filled under another name and renamed, so that a checkpoint that exists is whole. Beyond `limit`
/// checkpoints (0: no limit) the oldest are removed, never the one just written.
pub fn save(
    output_dir: &Path,
    model: &Model,
    optimizer: &AdamW,
    state: &TrainerState,
    limit: usize,
    more: &dyn Fn(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let path = output_dir.join(format!("checkpoint-{}", state.global_step));
    let unfinished = output_dir.join(format!(".unfinished-checkpoint-{}", state.global_step));
    remove(&unfinished)?;
    file::create_folder(&unfinished)?;
    save_model(model, &unfinished)?;
    safetensors::write(unfinished.join(OPTIMIZER), &optimizer.state())?;
    more(&unfinished)?;
    let text = serde_json::to_string_pretty(state).map_err(|e| Error::file(&path, e))?;
    file::write_atomic(unfinished.join(STATE), text.as_bytes())?;
    remove(&path)?;
    std::fs::rename(&unfinished, &path).map_err(|e| Error::file(&path, e))?;
    if limit > 0 {
        let mut others = all(output_dir)?;
        others.retain(|(_, other)| *other != path);
        others.truncate(others.len().saturating_sub(limit - 1));
        others.iter().try_for_each(|(_, old)| remove(old))?;
    }
    Ok(path)
}

/// The adapter where there is one, else the whole model: what a trainer leaves in its output folder.
pub fn save_model(model: &Model, folder: &Path) -> Result<()> {
    if model.lora().is_some() { model.save_adapter(folder) } else { model.save(folder) }
}

/// Reads a checkpoint's state and checks that it belongs to this trainer, model and run.
pub fn open(path: &Path, expected: &TrainerState) -> Result<TrainerState> {
    let file = path.join(STATE);
    let text = std::fs::read_to_string(&file).map_err(|e| file::unreadable(&file, &e))?;
    let state: TrainerState =
        serde_json::from_str(&text).map_err(|e| Error::file(&file, format!("not a trainer's state: {e}")))?;
    if state.trainer != expected.trainer {
        let problem = format!("is a checkpoint of trainer.{}, not of trainer.{}", state.trainer, expected.trainer);
        return Err(Error::file(path, problem));
    }
    if state.model != expected.model {
        return Err(Error::File {
            path: path.to_path_buf(),
            problem: "is a checkpoint of another model (base weights, shape or adapter differ)".to_string(),
        });
    }
    if let Some(key) = difference(&state.identity, &expected.identity) {
        let was = state.identity.get(&key).unwrap_or(&Value::Null);
        let is = expected.identity.get(&key).unwrap_or(&Value::Null);
        return Err(Error::file(path, format!("was made with {key} = {was}, this run has {is}")));
    }
    Ok(state)
}

/// Puts the saved weights into the model's own tensors, and the saved state into the optimizer.
pub fn restore(path: &Path, model: &Model, optimizer: &mut AdamW) -> Result<()> {
    let saved = saved_weights(path)?;
    for (name, parameter) in model.trainable() {
        copy_into(&saved, &name, parameter).context(format!("resume from {}", path.display()))?;
    }
    optimizer.load_state(&safetensors::read(path.join(OPTIMIZER))?).context(format!("resume from {}", path.display()))
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

/// SHA-256 (hex) of what must stay the same between a checkpoint and the model that continues it: the shape, the
/// adapter's configuration, and under an adapter a sample of every frozen weight.
pub fn fingerprint(model: &Model) -> String {
    let mut digest = Sha256::new();
    let config = &model.net.config;
    digest.update(format!("{:?}", (config.head_dim, config.rope_theta, config.rms_norm_eps, model.lora())));
    for (name, tensor) in model.net.weights() {
        digest.update(format!("{name} {:?}", tensor.size()));
        if model.lora().is_some() {
            let sample = tensor.flatten(0, -1).narrow(0, 0, tensor.numel().min(64) as i64);
            let sample = sample.to_kind(tch::Kind::Float).to_device(Device::Cpu);
            let values = Vec::<f32>::try_from(&sample).unwrap_or_default();
            values.iter().for_each(|value| digest.update(value.to_le_bytes()));
        }
    }
    file::hex(&digest.finalize())
}

/// The finished checkpoints of a folder, oldest first.
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
        if let Some(step) = step
            && path.join(STATE).exists()
        {
            found.push((step, path));
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

/// The first key whose value differs.
fn difference(a: &Value, b: &Value) -> Option<String> {
    let (a, b) = (a.as_object()?, b.as_object()?);
    a.keys().chain(b.keys()).find(|key| a.get(*key) != b.get(*key)).cloned()
}
