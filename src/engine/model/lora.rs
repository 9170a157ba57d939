//! Low-rank adapters on the seven projections, in PEFT's file format: `adapter_config.json` and
//! `adapter_model.safetensors`.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

use super::linear::{Adapter, Linear};
use super::qwen3::Qwen3;
use crate::engine::tensor::safetensors;
use crate::engine::{Error, Result, file, random};

/// The projections that can carry an adapter; `"all-linear"` means all of them.
pub const PROJECTIONS: [&str; 7] = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";

/// Options of a new adapter, named as in the original pipeline and PEFT.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoraOptions {
    /// Rank r, at least 1.
    pub lora_r: i64,
    pub lora_alpha: f64,
    /// 0 up to, not including, 1.
    pub lora_dropout: f64,
    pub target_modules: TargetModules,
    /// Scale by `alpha / √r` in place of `alpha / r` (Kalajdzievski 2023).
    pub use_rslora: bool,
    pub seed: u64,
}

impl Default for LoraOptions {
    fn default() -> Self {
        LoraOptions {
            lora_r: 16,
            lora_alpha: 32.0,
            lora_dropout: 0.0,
            target_modules: TargetModules::default(),
            use_rslora: false,
            seed: 0,
        }
    }
}

/// `"all-linear"`, or a list of projections.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged, expecting = "expected \"all-linear\" or a list of projection names")]
pub enum TargetModules {
    Name(String),
    List(Vec<String>),
}

impl Default for TargetModules {
    fn default() -> Self {
        TargetModules::Name("all-linear".to_string())
    }
}

impl TargetModules {
    fn projections(&self) -> Result<Vec<String>> {
        let names = match self {
            TargetModules::Name(name) if name == "all-linear" => {
                return Ok(PROJECTIONS.map(str::to_string).to_vec());
            }
            TargetModules::Name(name) => vec![name.clone()],
            TargetModules::List(names) => names.clone(),
        };
        if names.is_empty() {
            return Err(Error::option("target_modules", "at least one projection", "an empty list"));
        }
        match names.iter().find(|name| !PROJECTIONS.contains(&name.as_str())) {
            Some(name) => Err(Error::option(
                "target_modules",
                format!("\"all-linear\" or a list of {}", PROJECTIONS.join(", ")),
                format!("\"{name}\""),
            )),
            None => Ok(names),
        }
    }
}

impl LoraOptions {
    pub fn validate(&self) -> Result<()> {
        if self.lora_r < 1 {
            return Err(Error::option("lora_r", "an integer of at least 1", self.lora_r));
        }
        if self.lora_alpha <= 0.0 {
            return Err(Error::option("lora_alpha", "a positive number", self.lora_alpha));
        }
        if !(0.0..1.0).contains(&self.lora_dropout) {
            return Err(Error::option("lora_dropout", "a number from 0 up to 1", self.lora_dropout));
        }
        self.target_modules.projections().map(|_| ())
    }
}

/// What is known of the adapter on a model.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraConfig {
    pub r: i64,
    pub alpha: f64,
    pub dropout: f64,
    pub projections: Vec<String>,
    pub use_rslora: bool,
}

impl LoraConfig {
    pub fn new(options: &LoraOptions) -> Result<Self> {
        options.validate()?;
        Ok(LoraConfig {
            r: options.lora_r,
            alpha: options.lora_alpha,
            dropout: options.lora_dropout,
            projections: options.target_modules.projections()?,
            use_rslora: options.use_rslora,
        })
    }

    fn scale(&self) -> f64 {
        let r = self.r as f64;
        self.alpha / if self.use_rslora { r.sqrt() } else { r }
    }

    fn targets(&self, module: &str) -> bool {
        self.projections.iter().any(|name| module.ends_with(&format!(".{name}")))
    }

    /// Reads PEFT's `adapter_config.json`; refuses what affine would compute differently.
    fn read(path: &Path) -> Result<Self> {
        Self::from_document(&read_document(path)?).map_err(|e| Error::file(path, e))
    }

    fn from_document(document: &Value) -> Result<Self> {
        let flag = |key: &str| document.get(key).and_then(Value::as_bool).unwrap_or(false);
        match document.get("peft_type").and_then(Value::as_str) {
            Some("LORA") => {}
            other => return Err(Error::option("peft_type", "\"LORA\"", other.unwrap_or("nothing"))),
        }
        for key in ["use_dora", "lora_bias", "fan_in_fan_out"] {
            if flag(key) {
                return Err(Error::option(key, "false", "true"));
            }
        }
        for key in ["rank_pattern", "alpha_pattern", "modules_to_save", "layers_to_transform", "exclude_modules"] {
            let empty = match document.get(key) {
                None | Some(Value::Null) => true,
                Some(Value::Object(map)) => map.is_empty(),
                Some(Value::Array(list)) => list.is_empty(),
                Some(_) => false,
            };
            if !empty {
                return Err(Error::option(key, "nothing (one rank for all layers)", &document[key]));
            }
        }
        let number = |key: &str| document.get(key).and_then(Value::as_f64);
        let options = LoraOptions {
            lora_r: document
                .get("r")
                .and_then(Value::as_i64)
                .ok_or_else(|| Error::option("r", "an integer", "nothing"))?,
            lora_alpha: number("lora_alpha").ok_or_else(|| Error::option("lora_alpha", "a number", "nothing"))?,
            lora_dropout: number("lora_dropout").unwrap_or(0.0),
            target_modules: serde_json::from_value(document["target_modules"].clone())
                .map_err(|e| Error::option("target_modules", "a list of projections", e))?,
            use_rslora: flag("use_rslora"),
            seed: 0,
        };
        Self::new(&options)
    }

    fn document(&self, base: &str) -> Value {
        json!({
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": base,
            "r": self.r,
            "lora_alpha": self.alpha,
            "lora_dropout": self.dropout,
            "target_modules": self.projections,
            "use_rslora": self.use_rslora,
            "bias": "none",
            "fan_in_fan_out": false,
            "init_lora_weights": true,
            "inference_mode": true,
            "modules_to_save": null,
        })
    }
}

/// Whether a folder holds an adapter and no model of its own.
pub fn is_adapter(folder: &Path) -> bool {
    folder.join(CONFIG).exists() && !folder.join("config.json").exists()
}

/// Whether a folder holds an adapter's settings and its weights, whatever base they belong to.
pub fn is_whole(folder: &Path) -> bool {
    LoraConfig::read(&folder.join(CONFIG)).is_ok() && safetensors::File::open(folder.join(WEIGHTS)).is_ok()
}

/// The base that an adapter folder names.
pub fn base_of(folder: &Path) -> Result<String> {
    let path = folder.join(CONFIG);
    match read_document(&path)?.get("base_model_name_or_path").and_then(Value::as_str) {
        Some(base) if Path::new(base).is_dir() => Ok(base.to_string()),
        Some(base) => Err(Error::file(&path, format!("its base model `{base}` is not a folder here"))),
        None => Err(Error::file(&path, "names no base_model_name_or_path")),
    }
}

/// Adds a fresh adapter: A from U(±1/√in) (PEFT's kaiming_uniform with a = √5), B zero, so that the model computes
/// what it computed before. Everything but the adapter is frozen.
pub fn add(model: &mut Qwen3, config: &LoraConfig, seed: u64) {
    let device = model.device();
    let mut stream = random::stream(seed, "lora", 0);
    for (_, linear) in targeted(model, config) {
        let (out, input) = linear.weight.size2().expect("a linear's weight has two dimensions");
        let bound = 1.0 / (input as f64).sqrt();
        let values: Vec<f32> =
            (0..config.r * input).map(|_| ((2.0 * random::unit(&mut stream) - 1.0) * bound) as f32).collect();
        let a = Tensor::from_slice(&values).view([config.r, input]).to_device(device);
        let b = Tensor::zeros([out, config.r], (Kind::Float, device));
        attach(linear, config, a, b);
    }
}

/// Reads an adapter that PEFT or affine saved onto `model`.
pub fn load(model: &mut Qwen3, folder: &Path) -> Result<LoraConfig> {
    let config = LoraConfig::read(&folder.join(CONFIG))?;
    let file = safetensors::File::open(folder.join(WEIGHTS))?;
    let device = model.device();
    let mut wanted = Vec::new();
    for (name, linear) in targeted(model, &config) {
        let (out, input) = linear.weight.size2().expect("a linear's weight has two dimensions");
        wanted.push((key(&name, "A"), vec![config.r, input]));
        wanted.push((key(&name, "B"), vec![out, config.r]));
    }
    let mut tensors = Vec::with_capacity(wanted.len());
    for (name, shape) in &wanted {
        let tensor = file.tensor(name, device)?.to_kind(Kind::Float);
        if tensor.size() != *shape {
            let problem = format!("tensor {name} has the shape {:?}, this base asks for {shape:?}", tensor.size());
            return Err(Error::file(file.path(), problem));
        }
        tensors.push(tensor);
    }
    if let Some(extra) = file.names()?.iter().find(|name| !wanted.iter().any(|(known, _)| known == *name)) {
        return Err(Error::file(file.path(), format!("tensor {extra} belongs to no targeted projection of this base")));
    }
    let mut tensors = tensors.into_iter();
    for (_, linear) in targeted(model, &config) {
        let (a, b) = (tensors.next(), tensors.next());
        attach(linear, &config, a.expect("one A per linear"), b.expect("one B per linear"));
    }
    Ok(config)
}

/// Writes the adapter as PEFT does. `base`: what `base_model_name_or_path` names.
pub fn save(model: &Qwen3, config: &LoraConfig, base: &str, folder: &Path) -> Result<()> {
    file::create_folder(folder)?;
    let tensors: Vec<(String, Tensor)> = parameters(model)
        .into_iter()
        .map(|(name, tensor)| (format!("base_model.model.{name}"), tensor.to_device(Device::Cpu)))
        .collect();
    safetensors::write(folder.join(WEIGHTS), &tensors)?;
    file::write_atomic(folder.join(CONFIG), format!("{:#}\n", config.document(base)).as_bytes())
}

/// The adapter's factors, named `model.layers.{i}.{module}.lora_{A,B}.weight`.
pub fn parameters(model: &Qwen3) -> Vec<(String, Tensor)> {
    let mut all = Vec::new();
    for (i, layer) in model.layers.iter().enumerate() {
        for (name, linear) in layer.linears() {
            if let Some(adapter) = &linear.adapter {
                all.push((format!("model.layers.{i}.{name}.lora_A.weight"), adapter.a.shallow_clone()));
                all.push((format!("model.layers.{i}.{name}.lora_B.weight"), adapter.b.shallow_clone()));
            }
        }
    }
    all
}

/// Folds the adapter into the base's weights and removes it.
pub fn merge(model: &mut Qwen3) {
    for layer in &mut model.layers {
        for (_, linear) in layer.linears_mut() {
            linear.merge();
        }
    }
}

/// Removes the adapter and leaves the base as it was.
pub fn remove(model: &mut Qwen3) {
    for layer in &mut model.layers {
        for (_, linear) in layer.linears_mut() {
            linear.adapter = None;
        }
    }
}

fn read_document(path: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(path).map_err(|e| file::unreadable(path, &e))?;
    serde_json::from_str(&text).map_err(|e| Error::file(path, format!("not JSON: {e}")))
}

fn key(module: &str, factor: &str) -> String {
    format!("base_model.model.{module}.lora_{factor}.weight")
}

fn targeted<'a>(model: &'a mut Qwen3, config: &'a LoraConfig) -> impl Iterator<Item = (String, &'a mut Linear)> {
    model.layers.iter_mut().enumerate().flat_map(move |(i, layer)| {
        layer
            .linears_mut()
            .into_iter()
            .filter(|(name, _)| config.targets(name))
            .map(move |(name, linear)| (format!("model.layers.{i}.{name}"), linear))
    })
}

fn attach(linear: &mut Linear, config: &LoraConfig, a: Tensor, b: Tensor) {
    linear.adapter = Some(Adapter {
        a: a.set_requires_grad(true),
        b: b.set_requires_grad(true),
        scale: config.scale(),
        dropout: config.dropout,
    });
}
