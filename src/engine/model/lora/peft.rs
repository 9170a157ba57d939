//! PEFT's `adapter_config.json`, read: what affine would compute differently is refused, whichever of PEFT's options it is.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::config::{DEFAULT, LoraConfig, LoraOptions};
use crate::engine::{Error, Result};

/// Options that [`config`] reads.
const READ: [&str; 13] = [
    "r",
    "lora_alpha",
    "lora_dropout",
    "target_modules",
    "exclude_modules",
    "layers_to_transform",
    "layers_pattern",
    "rank_pattern",
    "alpha_pattern",
    "use_rslora",
    "use_dora",
    "bias",
    "init_lora_weights",
];

/// Options that change nothing of what a saved adapter computes: who made it, and how the way it began was chosen, which
/// `init_lora_weights` alone decides.
const NEUTRAL: [&str; 15] = [
    "auto_mapping",
    "base_model_name_or_path",
    "corda_config",
    "ensure_weight_tying",
    "eva_config",
    "inference_mode",
    "loftq_config",
    "lora_ga_config",
    "megatron_core",
    "peft_type",
    "peft_version",
    "qalora_group_size",
    "revision",
    "runtime_config",
    "task_type",
];

/// An adapter by its document.
pub(super) fn config(document: &Value) -> Result<LoraConfig> {
    let empty = Map::new();
    let document = document.as_object().unwrap_or(&empty);
    match document.get("peft_type").and_then(Value::as_str) {
        Some("LORA") => {}
        other => return Err(Error::option("peft_type", "\"LORA\"", other.unwrap_or("nothing"))),
    }
    check_unknown(document)?;
    check_beginning(document.get("init_lora_weights").unwrap_or(&Value::Null))?;
    let bias: Option<String> = take(document, "bias", "\"none\"")?;
    if let Some(bias) = bias.filter(|bias| bias != "none") {
        return Err(Error::option("bias", "\"none\"", format!("\"{bias}\"")));
    }
    let needed = |key: &str, expected: &str| Error::option(key, expected, "nothing");
    let flag = |key: &str| Ok::<bool, Error>(take(document, key, "true or false")?.unwrap_or(false));
    let patterns = |key: &str| Ok::<_, Error>(take(document, key, "an object")?.unwrap_or_default());
    let choice = "a list of projections or a regular expression";
    LoraConfig::new(&LoraOptions {
        lora_r: take(document, "r", "an integer")?.ok_or_else(|| needed("r", "an integer"))?,
        lora_alpha: take(document, "lora_alpha", "a number")?.ok_or_else(|| needed("lora_alpha", "a number"))?,
        lora_dropout: take(document, "lora_dropout", "a number")?.unwrap_or(0.0),
        target_modules: take(document, "target_modules", choice)?.ok_or_else(|| needed("target_modules", choice))?,
        exclude_modules: unless_empty(document, "exclude_modules", choice)?,
        layers_to_transform: unless_empty(document, "layers_to_transform", "an integer or a list of them")?,
        layers_pattern: unless_empty(document, "layers_pattern", "a text or a list of them")?,
        use_rslora: flag("use_rslora")?,
        use_dora: flag("use_dora")?,
        rank_pattern: patterns("rank_pattern")?,
        alpha_pattern: patterns("alpha_pattern")?,
        seed: 0,
        adapter_name: DEFAULT.to_string(),
    })
}

/// The value of a key; nothing where there is none or a null.
fn take<T: DeserializeOwned>(document: &Map<String, Value>, key: &str, expected: &str) -> Result<Option<T>> {
    let value = document.get(key).unwrap_or(&Value::Null);
    serde_json::from_value(value.clone()).map_err(|_| Error::option(key, expected, value))
}

/// As [`take`]; PEFT takes an empty list or text for nothing, too.
fn unless_empty<T: DeserializeOwned>(document: &Map<String, Value>, key: &str, expected: &str) -> Result<Option<T>> {
    match document.get(key) {
        Some(value) if is_nothing(value) => Ok(None),
        _ => take(document, key, expected),
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}

/// An option that is not known here, of this PEFT or a later one, must not be in use.
fn check_unknown(document: &Map<String, Value>) -> Result<()> {
    let known = |key: &str| READ.contains(&key) || NEUTRAL.contains(&key);
    match document.iter().find(|(key, value)| !known(key) && !is_nothing(value)) {
        Some((key, value @ Value::Bool(true))) => Err(Error::option(key, "false", value)),
        Some((key, value)) => Err(Error::option(key, "nothing, for affine does not compute what it asks for", value)),
        None => Ok(()),
    }
}

/// How the adapter began. Some ways take that beginning out of the base's weights, so that what was trained belongs to a base
/// that is nowhere: PEFT does it again as it loads (PiSSA, OLoRA, CorDA), rounds the base (LoftQ), or cannot (LoRA-GA).
fn check_beginning(value: &Value) -> Result<()> {
    let way = match value {
        Value::Null | Value::Bool(_) => return Ok(()),
        Value::String(way) => way.to_lowercase(),
        _ => String::new(),
    };
    let changes = |hint: &str| {
        let problem = format!(
            "init_lora_weights: {value} changes the weights of the base, so this adapter does not belong to the base as it is"
        );
        Err(Error::hinted(problem, hint))
    };
    match way.as_str() {
        "gaussian" | "eva" | "orthogonal" | "mica" => Ok(()),
        "loftq" => changes("merge it in PEFT with merge_and_unload(), save that model, and load it"),
        way if ["pissa", "olora", "corda", "lora_ga"].iter().any(|known| way.starts_with(known)) => changes(
            "save it from PEFT as plain LoRA: model.save_pretrained(folder, path_initial_model_for_weight_conversion = …), where the \
             adapter was kept as it began; or merge it there with merge_and_unload(), and load that model",
        ),
        _ => Err(Error::option(
            "init_lora_weights",
            "true, false, \"gaussian\", \"eva\", \"orthogonal\" or \"mica\"",
            value,
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with(key: &str, value: Value) -> Result<LoraConfig, String> {
        let mut document = json!({ "peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"] });
        document[key] = value;
        config(&document).map_err(|error| error.to_string())
    }

    /// Every option of PEFT 0.21.2's LoraConfig, set to what would change the numbers.
    #[test]
    fn what_affine_would_compute_differently_is_refused() {
        for (key, value) in [
            ("fan_in_fan_out", json!(true)),
            ("bias", json!("all")),
            ("bias", json!("lora_only")),
            ("modules_to_save", json!(["lm_head"])),
            ("megatron_config", json!({ "hidden_size": 8 })),
            ("trainable_token_indices", json!([1, 2])),
            ("trainable_token_indices", json!({ "embed_tokens": [1] })),
            ("velora_config", json!({ "num_groups": 4 })),
            ("alora_invocation_tokens", json!([5])),
            ("use_qalora", json!(true)),
            ("monteclora_config", json!({ "num_samples": 8 })),
            ("layer_replication", json!([[0, 2]])),
            ("lora_bias", json!(true)),
            ("target_parameters", json!(["experts.down_proj"])),
            ("use_bdlora", json!({ "nblocks": 2 })),
            ("arrow_config", json!({ "top_k": 3 })),
            ("kasa_config", json!({ "beta": 1e-4 })),
            ("of_tomorrow", json!(1)),
            ("use_rslora", json!("true")),
            ("rank_pattern", json!([1])),
        ] {
            let error = with(key, value).unwrap_err();
            assert!(error.starts_with(&format!("{key}: expected ")), "{error}");
        }
        for way in ["pissa", "pissa_niter_16", "olora", "OLoRA", "corda", "loftq", "lora_ga"] {
            let error = with("init_lora_weights", json!(way)).unwrap_err();
            assert!(error.contains("changes the weights of the base"), "{error}");
        }
        assert!(with("init_lora_weights", json!("new")).unwrap_err().starts_with("init_lora_weights: expected true"));
    }

    #[test]
    fn what_changes_nothing_is_taken() {
        for (key, value) in [
            ("init_lora_weights", json!("gaussian")),
            ("init_lora_weights", json!("eva")),
            ("init_lora_weights", json!("orthogonal")),
            ("init_lora_weights", json!("mica")),
            ("init_lora_weights", json!(false)),
            ("eva_config", json!({ "rho": 2.0 })),
            ("loftq_config", json!({ "loftq_bits": 4 })),
            ("auto_mapping", json!({ "base_model_class": "Qwen3ForCausalLM" })),
            ("megatron_core", json!("megatron.core")),
            ("ensure_weight_tying", json!(true)),
            ("qalora_group_size", json!(16)),
            ("modules_to_save", json!(null)),
            ("modules_to_save", json!([])),
            ("layer_replication", json!(null)),
            ("use_bdlora", json!(null)),
            ("of_tomorrow", json!(null)),
            ("layers_pattern", json!([])),
            ("revision", json!("abc")),
        ] {
            with(key, value.clone()).unwrap_or_else(|error| panic!("{key} = {value}: {error}"));
        }
    }
}
