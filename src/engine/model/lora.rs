//! Low-rank adapters (LoRA, rsLoRA, DoRA) on the seven projections, in PEFT's file format: `adapter_config.json` and
//! `adapter_model.safetensors`.

use std::collections::BTreeMap;
use std::path::Path;

use regex::Regex;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tch::{Device, Kind, Tensor};

use super::adapters::DEFAULT;
use super::linear::{Adapter, Linear};
use super::qwen3::Qwen3;
use crate::engine::tensor::safetensors;
use crate::engine::{Error, Result, file, random};

/// The projections that can carry an adapter; `"all-linear"` means all of them.
pub const PROJECTIONS: [&str; 7] = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";
const MAGNITUDE: &str = "lora_magnitude_vector";

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
    /// Learn the length of each row of the adapted weight beside its direction (Liu et al. 2024).
    pub use_dora: bool,
    /// Other ranks for some modules. A key is a regular expression for the end of a module's name, from a dot on; the
    /// first key that fits decides, as in PEFT.
    pub rank_pattern: Map<String, Value>,
    /// Other alphas, likewise.
    pub alpha_pattern: Map<String, Value>,
    pub seed: u64,
    /// What the model calls it; files do not hold the name.
    pub adapter_name: String,
}

impl Default for LoraOptions {
    fn default() -> Self {
        LoraOptions {
            lora_r: 16,
            lora_alpha: 32.0,
            lora_dropout: 0.0,
            target_modules: TargetModules::default(),
            use_rslora: false,
            use_dora: false,
            rank_pattern: Map::new(),
            alpha_pattern: Map::new(),
            seed: 0,
            adapter_name: DEFAULT.to_string(),
        }
    }
}

/// What carries an adapter, as PEFT means it: `"all-linear"`, a regular expression for whole module names
/// (`model.layers.0.self_attn.q_proj`), or a list of module names or of their ends.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged, expecting = "expected \"all-linear\", a regular expression or a list of projection names")]
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
    fn is_all(&self) -> bool {
        matches!(self, TargetModules::Name(name) if name == "all-linear")
    }

    fn fits(&self, module: &str) -> bool {
        match self {
            _ if self.is_all() => PROJECTIONS.iter().any(|name| ends_with(module, name)),
            TargetModules::Name(pattern) => whole(pattern).is_ok_and(|pattern| pattern.is_match(module)),
            TargetModules::List(names) => names.iter().any(|name| ends_with(module, name)),
        }
    }

    fn validate(&self) -> Result<()> {
        match self {
            TargetModules::List(names) if names.is_empty() => {
                Err(Error::option("target_modules", "at least one projection", "an empty list"))
            }
            TargetModules::Name(pattern) => whole(pattern).map(|_| ()).map_err(|e| {
                Error::option("target_modules", "\"all-linear\", a regular expression or a list of projections", e)
            }),
            TargetModules::List(_) => Ok(()),
        }
    }

    /// Everything that was asked for is among `modules`.
    fn check(&self, modules: &[String]) -> Result<()> {
        let wrong = match self {
            TargetModules::Name(pattern) if !modules.iter().any(|module| self.fits(module)) => {
                let expected =
                    "a regular expression that fits whole module names such as model.layers.0.self_attn.q_proj";
                return Err(Error::option("target_modules", expected, format!("\"{pattern}\", which fits none")));
            }
            TargetModules::Name(_) => None,
            TargetModules::List(names) => {
                names.iter().find(|name| !modules.iter().any(|module| ends_with(module, name)))
            }
        };
        match wrong {
            Some(name) => Err(Error::option(
                "target_modules",
                format!("\"all-linear\" or a list of {}", PROJECTIONS.join(", ")),
                format!("\"{name}\""),
            )),
            None => Ok(()),
        }
    }
}

/// Whether `module` is `name` or ends with it, from a dot on.
fn ends_with(module: &str, name: &str) -> bool {
    module.strip_suffix(name).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

/// A pattern that must fit the whole name.
fn whole(pattern: &str) -> std::result::Result<Regex, regex::Error> {
    Regex::new(&format!("^(?:{pattern})$"))
}

/// The value of the first key that fits `module`, by PEFT's rule: `(.*\.)?(key)$` from the beginning of the name.
fn pattern_value<'a>(patterns: &'a Map<String, Value>, module: &str) -> Option<&'a Value> {
    let fits = |key: &str| whole(&format!(r"(?:.*\.)?(?:{key})")).is_ok_and(|pattern| pattern.is_match(module));
    patterns.iter().find(|(key, _)| fits(key)).map(|(_, value)| value)
}

fn validate_patterns(
    option: &str,
    patterns: &Map<String, Value>,
    expected: &str,
    right: fn(&Value) -> bool,
) -> Result<()> {
    for (key, value) in patterns {
        let path = format!("{option}[\"{key}\"]");
        whole(key).map_err(|e| Error::option(&path, "a regular expression as the key", e))?;
        if !right(value) {
            return Err(Error::option(path, expected, value));
        }
    }
    Ok(())
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
        let is_rank = |value: &Value| value.as_i64().is_some_and(|rank| rank >= 1);
        validate_patterns("rank_pattern", &self.rank_pattern, "an integer of at least 1", is_rank)?;
        let is_alpha = |value: &Value| value.as_f64().is_some_and(|alpha| alpha > 0.0);
        validate_patterns("alpha_pattern", &self.alpha_pattern, "a positive number", is_alpha)?;
        validate_name(&self.adapter_name)?;
        self.target_modules.validate()
    }
}

pub fn validate_name(adapter_name: &str) -> Result<()> {
    match adapter_name.is_empty() {
        true => Err(Error::option("adapter_name", "a name", "an empty string")),
        false => Ok(()),
    }
}

/// What is known of the adapter on a model.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraConfig {
    pub r: i64,
    pub alpha: f64,
    pub dropout: f64,
    pub target_modules: TargetModules,
    pub use_rslora: bool,
    pub use_dora: bool,
    pub rank_pattern: Map<String, Value>,
    pub alpha_pattern: Map<String, Value>,
}

impl LoraConfig {
    pub fn new(options: &LoraOptions) -> Result<Self> {
        options.validate()?;
        Ok(LoraConfig {
            r: options.lora_r,
            alpha: options.lora_alpha,
            dropout: options.lora_dropout,
            target_modules: options.target_modules.clone(),
            use_rslora: options.use_rslora,
            use_dora: options.use_dora,
            rank_pattern: options.rank_pattern.clone(),
            alpha_pattern: options.alpha_pattern.clone(),
        })
    }

    /// The rank of a module's adapter.
    pub fn rank(&self, module: &str) -> i64 {
        pattern_value(&self.rank_pattern, module).and_then(Value::as_i64).unwrap_or(self.r)
    }

    /// What multiplies `B A` of a module.
    pub fn scale(&self, module: &str) -> f64 {
        let alpha = pattern_value(&self.alpha_pattern, module).and_then(Value::as_f64).unwrap_or(self.alpha);
        let r = self.rank(module) as f64;
        alpha / if self.use_rslora { r.sqrt() } else { r }
    }

    /// Whether a module, by its whole name, carries an adapter.
    pub fn targets(&self, module: &str) -> bool {
        self.target_modules.fits(module)
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
        for key in ["lora_bias", "fan_in_fan_out", "use_qalora", "use_bdlora"] {
            if flag(key) {
                return Err(Error::option(key, "false", "true"));
            }
        }
        for key in [
            "modules_to_save",
            "layers_to_transform",
            "exclude_modules",
            "layer_replication",
            "target_parameters",
            "trainable_token_indices",
            "alora_invocation_tokens",
            "arrow_config",
            "kasa_config",
            "monteclora_config",
        ] {
            let empty = match document.get(key) {
                None | Some(Value::Null) => true,
                Some(Value::Object(map)) => map.is_empty(),
                Some(Value::Array(list)) => list.is_empty(),
                Some(_) => false,
            };
            if !empty {
                return Err(Error::option(key, "nothing", &document[key]));
            }
        }
        let patterns = |key: &str| document.get(key).and_then(Value::as_object).cloned().unwrap_or_default();
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
            use_dora: flag("use_dora"),
            rank_pattern: patterns("rank_pattern"),
            alpha_pattern: patterns("alpha_pattern"),
            seed: 0,
            adapter_name: DEFAULT.to_string(),
        };
        Self::new(&options)
    }

    fn document(&self, base: &str) -> Value {
        let target_modules = match &self.target_modules {
            all if all.is_all() => json!(PROJECTIONS),
            TargetModules::Name(pattern) => json!(pattern),
            TargetModules::List(names) => json!(names),
        };
        json!({
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": base,
            "r": self.r,
            "lora_alpha": self.alpha,
            "lora_dropout": self.dropout,
            "target_modules": target_modules,
            "rank_pattern": self.rank_pattern,
            "alpha_pattern": self.alpha_pattern,
            "use_rslora": self.use_rslora,
            "use_dora": self.use_dora,
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

/// The factors of a fresh adapter: A from U(±1/√in) (PEFT's kaiming_uniform with a = √5), B zero, so that the model
/// computes what it computed before.
pub fn fresh(model: &Qwen3, config: &LoraConfig, seed: u64) -> Result<Vec<(String, Adapter)>> {
    config.target_modules.check(&names(model))?;
    let device = model.device();
    let mut stream = random::stream(seed, "lora", 0);
    let mut adapter = |name: &str, linear: &Linear| {
        let (out, input) = linear.weight.size();
        let r = config.rank(name);
        let bound = 1.0 / (input as f64).sqrt();
        let values: Vec<f32> =
            (0..r * input).map(|_| ((2.0 * random::unit(&mut stream) - 1.0) * bound) as f32).collect();
        let a = Tensor::from_slice(&values).view([r, input]).to_device(device);
        let b = Tensor::zeros([out, r], (Kind::Float, device));
        let mut adapter = Adapter { a, b, magnitude: None, scale: config.scale(name), dropout: config.dropout };
        adapter.magnitude = config.use_dora.then(|| adapter.row_norms(&linear.weight));
        adapter
    };
    Ok(targeted(model, config).map(|(name, linear)| (name.clone(), adapter(&name, linear))).collect())
}

/// The factors of an adapter that PEFT or affine saved, fit for `model`, which came from `source`.
pub fn read(model: &Qwen3, source: &str, folder: &Path) -> Result<(LoraConfig, Vec<(String, Adapter)>)> {
    let config_file = folder.join(CONFIG);
    let document = read_document(&config_file)?;
    let config = LoraConfig::from_document(&document).map_err(|e| Error::file(&config_file, e))?;
    config.target_modules.check(&names(model)).map_err(|e| Error::file(&config_file, e))?;
    let made_for = document.get("base_model_name_or_path").and_then(Value::as_str).unwrap_or("an unnamed base");
    let file = safetensors::File::open(folder.join(WEIGHTS))?;
    let device = model.device();
    let (mut adapters, mut known) = (Vec::new(), Vec::new());
    for (name, linear) in targeted(model, &config) {
        let (out, input) = linear.weight.size();
        let r = config.rank(&name);
        let mut take = |part: &str, shape: &[i64]| -> Result<Tensor> {
            let key = format!("base_model.model.{name}.{part}");
            let tensor = file.tensor(&key, device)?.to_kind(Kind::Float);
            let stored = tensor.size();
            if stored != shape {
                let rank = if part == "lora_B.weight" { stored.get(1) } else { stored.first() };
                let problem = match rank {
                    Some(&rank) if part != MAGNITUDE && rank != r => {
                        format!("tensor {key} has the shape {stored:?}, so rank {rank}; {CONFIG} says rank {r}")
                    }
                    _ => format!(
                        "tensor {key} has the shape {stored:?}, this base asks for {shape:?}; the adapter was made for \
                         {made_for}, this base is {source}"
                    ),
                };
                return Err(Error::file(file.path(), problem));
            }
            known.push(key);
            Ok(tensor)
        };
        let adapter = Adapter {
            a: take("lora_A.weight", &[r, input])?,
            b: take("lora_B.weight", &[out, r])?,
            magnitude: if config.use_dora { Some(take(MAGNITUDE, &[out])?) } else { None },
            scale: config.scale(&name),
            dropout: config.dropout,
        };
        adapters.push((name, adapter));
    }
    if let Some(extra) = file.names().iter().find(|name| !known.contains(name)) {
        return Err(Error::file(file.path(), format!("tensor {extra} belongs to no targeted projection of this base")));
    }
    Ok((config, adapters))
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

/// The adapter's factors, named `model.layers.{i}.{module}.lora_{A,B}.weight`, and DoRA's magnitudes.
pub fn parameters(model: &Qwen3) -> Vec<(String, Tensor)> {
    let mut all = Vec::new();
    for (i, layer) in model.layers.iter().enumerate() {
        for (name, linear) in layer.linears() {
            if let Some(adapter) = &linear.adapter {
                all.push((format!("model.layers.{i}.{name}.lora_A.weight"), adapter.a.shallow_clone()));
                all.push((format!("model.layers.{i}.{name}.lora_B.weight"), adapter.b.shallow_clone()));
                if let Some(magnitude) = &adapter.magnitude {
                    all.push((format!("model.layers.{i}.{name}.{MAGNITUDE}"), magnitude.shallow_clone()));
                }
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

/// Takes the adapter off; the base is left as it was.
pub fn take(model: &mut Qwen3) -> Vec<(String, Adapter)> {
    let linears = linears_mut(model);
    linears.filter_map(|(name, linear)| linear.adapter.take().map(|adapter| (name, adapter))).collect()
}

/// Puts an adapter on whose factors are trained from now on.
pub fn put(model: &mut Qwen3, factors: Vec<(String, Adapter)>) {
    let mut factors: BTreeMap<String, Adapter> = factors.into_iter().collect();
    for (name, linear) in linears_mut(model) {
        linear.adapter = factors.remove(&name).map(|adapter| Adapter {
            a: adapter.a.set_requires_grad(true),
            b: adapter.b.set_requires_grad(true),
            magnitude: adapter.magnitude.map(|magnitude| magnitude.set_requires_grad(true)),
            ..adapter
        });
    }
}

fn read_document(path: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(path).map_err(|e| file::unreadable(path, &e))?;
    serde_json::from_str(&text).map_err(|e| Error::file(path, format!("not JSON: {e}")))
}

fn names(model: &Qwen3) -> Vec<String> {
    linears(model).map(|(name, _)| name).collect()
}

fn targeted<'a>(model: &'a Qwen3, config: &'a LoraConfig) -> impl Iterator<Item = (String, &'a Linear)> {
    linears(model).filter(|(name, _)| config.targets(name))
}

/// The linears that can carry an adapter by their whole names.
pub fn linears(model: &Qwen3) -> impl Iterator<Item = (String, &Linear)> {
    model.layers.iter().enumerate().flat_map(|(i, layer)| {
        layer.linears().into_iter().map(move |(name, linear)| (format!("model.layers.{i}.{name}"), linear))
    })
}

fn linears_mut(model: &mut Qwen3) -> impl Iterator<Item = (String, &mut Linear)> {
    model.layers.iter_mut().enumerate().flat_map(|(i, layer)| {
        layer.linears_mut().into_iter().map(move |(name, linear)| (format!("model.layers.{i}.{name}"), linear))
    })
}
