//! What an adapter is: which projections it adapts, and how strongly.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::modules::{
    Named, OneOrMore, PROJECTIONS, TargetModules, check_keys, check_layers, layer, pattern_value, validate_patterns,
};
use crate::engine::model::source::Source;
use crate::engine::{Error, Result};

/// The name of an adapter that was given none; PEFT's.
pub const DEFAULT: &str = "default";

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
    /// What carries none though `target_modules` names it, chosen as there.
    pub exclude_modules: Option<TargetModules>,
    /// The layers, from 0, whose modules carry an adapter; without it those of all. Modules that `target_modules` names
    /// whole carry one anyway.
    pub layers_to_transform: Option<OneOrMore<i64>>,
    /// What stands before a layer's number, a regular expression; without it anything may.
    pub layers_pattern: Option<OneOrMore<String>>,
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
            exclude_modules: None,
            layers_to_transform: None,
            layers_pattern: None,
            use_rslora: false,
            use_dora: false,
            rank_pattern: Map::new(),
            alpha_pattern: Map::new(),
            seed: 0,
            adapter_name: DEFAULT.to_string(),
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
        let is_rank = |value: &Value| value.as_i64().is_some_and(|rank| rank >= 1);
        validate_patterns("rank_pattern", &self.rank_pattern, "an integer of at least 1", is_rank)?;
        let is_alpha = |value: &Value| value.as_f64().is_some_and(|alpha| alpha > 0.0);
        validate_patterns("alpha_pattern", &self.alpha_pattern, "a positive number", is_alpha)?;
        validate_name(&self.adapter_name)?;
        self.validate_layers()?;
        self.exclude_modules.as_ref().map_or(Ok(()), |names| names.validate("exclude_modules"))?;
        self.target_modules.validate("target_modules")
    }

    fn validate_layers(&self) -> Result<()> {
        if self.layers_to_transform.is_some() && self.target_modules.is_pattern() {
            let expected = "nothing beside a regular expression for target_modules, which chooses layers itself";
            return Err(Error::option("layers_to_transform", expected, "layers"));
        }
        if self.layers_pattern.is_some() && self.layers_to_transform.is_none() {
            return Err(Error::option("layers_pattern", "nothing without layers_to_transform", "a pattern"));
        }
        match &self.layers_to_transform {
            Some(layers) if layers.list().is_empty() => {
                Err(Error::option("layers_to_transform", "at least one layer", "an empty list"))
            }
            _ => Ok(()),
        }
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
    pub exclude_modules: Option<TargetModules>,
    /// Nothing for all layers.
    pub layers_to_transform: Option<Vec<i64>>,
    pub layers_pattern: Vec<String>,
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
            exclude_modules: options.exclude_modules.clone(),
            layers_to_transform: options.layers_to_transform.as_ref().map(OneOrMore::list),
            layers_pattern: options.layers_pattern.as_ref().map(OneOrMore::list).unwrap_or_default(),
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
        let excluded = |names: &TargetModules| !names.is_all() && names.names(module).is_some();
        if self.exclude_modules.as_ref().is_some_and(excluded) {
            return false;
        }
        match (self.target_modules.names(module), &self.layers_to_transform) {
            (Some(Named::End), Some(layers)) => {
                layer(module, &self.layers_pattern).is_some_and(|layer| layers.contains(&layer))
            }
            (named, _) => named.is_some(),
        }
    }

    /// Everything that is named is among `modules`, all that the base has, and something carries an adapter.
    pub(super) fn check(&self, modules: &[String]) -> Result<()> {
        self.target_modules.check(modules)?;
        self.exclude_modules.as_ref().map_or(Ok(()), |names| names.check_excluded(modules))?;
        check_layers(self.layers_to_transform.as_deref().unwrap_or_default(), &self.layers_pattern, modules)?;
        if !modules.iter().any(|module| self.targets(module)) {
            return Err(Error::option(
                "exclude_modules",
                "a choice that leaves something to adapt",
                "one that leaves nothing",
            ));
        }
        self.check_patterns(modules)
    }

    /// Every key of the patterns fits one of `modules`.
    pub(super) fn check_patterns(&self, modules: &[String]) -> Result<()> {
        check_keys("rank_pattern", &self.rank_pattern, modules)?;
        check_keys("alpha_pattern", &self.alpha_pattern, modules)
    }

    /// PEFT's `adapter_config.json`.
    pub(super) fn document(&self, base: &Source) -> Value {
        json!({
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": base.name,
            "revision": base.revision,
            "r": self.r,
            "lora_alpha": self.alpha,
            "lora_dropout": self.dropout,
            "target_modules": names(&self.target_modules),
            "exclude_modules": self.exclude_modules.as_ref().map(names),
            "layers_to_transform": self.layers_to_transform,
            "layers_pattern": (!self.layers_pattern.is_empty()).then_some(&self.layers_pattern),
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

fn names(modules: &TargetModules) -> Value {
    match modules {
        all if all.is_all() => json!(PROJECTIONS),
        TargetModules::Name(pattern) => json!(pattern),
        TargetModules::List(names) => json!(names),
    }
}
