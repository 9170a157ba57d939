//! What an adapter is: which projections it adapts, how strongly, and how PEFT's `adapter_config.json` says that.

use std::path::Path;

use regex::Regex;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::read_document;
use crate::engine::model::adapters::DEFAULT;
use crate::engine::{Error, Result};

/// The projections that can carry an adapter; `"all-linear"` means all of them.
pub const PROJECTIONS: [&str; 7] = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

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
    pub(super) fn check(&self, modules: &[String]) -> Result<()> {
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
    pub(super) fn read(path: &Path) -> Result<Self> {
        Self::from_document(&read_document(path)?).map_err(|e| Error::file(path, e))
    }

    pub(super) fn from_document(document: &Value) -> Result<Self> {
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

    pub(super) fn document(&self, base: &str) -> Value {
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
