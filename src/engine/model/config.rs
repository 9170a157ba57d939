//! A Qwen3 model's `config.json`, as transformers 4 and 5 write it, and the presets for new models.

use std::path::Path;

use serde_json::{Map, Value, json};
use tch::Kind;

use crate::engine::system::machine;
use crate::engine::{Error, Result, device, utf8};

/// The shape of a Qwen3 model. Names are those of `config.json`.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    pub vocab_size: i64,
    pub hidden_size: i64,
    pub intermediate_size: i64,
    pub num_hidden_layers: i64,
    pub num_attention_heads: i64,
    pub num_key_value_heads: i64,
    /// Independent of `hidden_size / num_attention_heads` (Qwen3-4B: 128, not 80).
    pub head_dim: i64,
    pub rms_norm_eps: f64,
    pub rope_theta: f64,
    /// The context: the longest sequence, prompt and reply together.
    pub max_position_embeddings: i64,
    /// The output head is the embedding itself; most files then have no `lm_head.weight`.
    pub tie_word_embeddings: bool,
    /// The dtype that the document names, which is the model's own whatever its files hold.
    pub dtype: Option<Kind>,
    /// The document as it was read, so that saving keeps keys that affine does not know.
    pub document: Map<String, Value>,
}

impl ModelConfig {
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => Error::File {
                path: path.to_path_buf(),
                problem: "no such file; a model folder holds config.json, *.safetensors and tokenizer.json".to_string(),
            },
            _ => Error::file(path, e),
        })?;
        let text = utf8::text(&bytes).map_err(|problem| Error::file(path, problem))?;
        let document: Value = serde_json::from_str(text).map_err(|e| Error::file(path, format!("not JSON: {e}")))?;
        let Value::Object(document) = document else {
            return Err(Error::file(path, "expected a JSON object"));
        };
        Self::from_document(document).map_err(|e| Error::file(path, e))
    }

    /// Reads and checks a `config.json` document, in the spelling of transformers 4 (`torch_dtype`, `rope_theta`,
    /// `rope_scaling`) or 5 (`dtype`, `rope_parameters`).
    pub fn from_document(document: Map<String, Value>) -> Result<Self> {
        require_qwen3(&document)?;
        require_plain_attention(&document)?;
        let integer = |key: &str| positive_integer(&document, key);
        let config = ModelConfig {
            vocab_size: integer("vocab_size")?,
            hidden_size: integer("hidden_size")?,
            intermediate_size: integer("intermediate_size")?,
            num_hidden_layers: integer("num_hidden_layers")?,
            num_attention_heads: integer("num_attention_heads")?,
            num_key_value_heads: integer("num_key_value_heads")?,
            head_dim: match document.get("head_dim") {
                // transformers' own default for Qwen3.
                None | Some(Value::Null) => 128,
                Some(_) => integer("head_dim")?,
            },
            rms_norm_eps: number(&document, "rms_norm_eps")?.unwrap_or(1e-6),
            rope_theta: rope_theta(&document)?,
            max_position_embeddings: integer("max_position_embeddings")?,
            tie_word_embeddings: boolean(&document, "tie_word_embeddings")?,
            dtype: dtype(&document)?,
            document,
        };
        config.check()?;
        Ok(config)
    }

    /// `eos_token_id`, a number or a list; empty when the document names none.
    pub fn eos_ids(&self) -> Vec<i64> {
        match self.document.get("eos_token_id") {
            Some(Value::Array(ids)) => ids.iter().filter_map(Value::as_i64).collect(),
            Some(id) => id.as_i64().into_iter().collect(),
            None => Vec::new(),
        }
    }

    /// How many numbers a model of this shape has. No shape is too large for this number.
    pub fn numbers(&self) -> f64 {
        let [vocab, hidden, intermediate, layers, heads, kv_heads, head_dim] = [
            self.vocab_size,
            self.hidden_size,
            self.intermediate_size,
            self.num_hidden_layers,
            self.num_attention_heads,
            self.num_key_value_heads,
            self.head_dim,
        ]
        .map(|count| count as f64);
        let attention = 2.0 * hidden * head_dim * (heads + kv_heads);
        let layer = attention + 3.0 * hidden * intermediate + 2.0 * (hidden + head_dim);
        let embeddings = if self.tie_word_embeddings { vocab } else { 2.0 * vocab };
        layers * layer + (embeddings + 1.0) * hidden
    }

    /// An error where this machine has no room for a table of angles for every position, in the making three float32 tables.
    pub fn check_positions(&self) -> Result<()> {
        let bytes = 12.0 * self.max_position_embeddings as f64 * self.head_dim as f64;
        match machine::memory() {
            Some(memory) if bytes > memory.total as f64 => Err(Error::option(
                "max_position_embeddings",
                "as many positions as this machine's memory holds angles for",
                self.max_position_embeddings,
            )),
            _ => Ok(()),
        }
    }

    fn check(&self) -> Result<()> {
        if !(self.rms_norm_eps >= 0.0 && self.rms_norm_eps < 1.0) {
            return Err(Error::option("rms_norm_eps", "a number from 0 up to 1", self.rms_norm_eps));
        }
        // What one position has in each of the layers must still be a number that indexes.
        let width = |count: i64| count.checked_mul(self.head_dim).is_some_and(|width| width < 1 << 40);
        if !width(self.num_attention_heads) || !width(self.num_key_value_heads) {
            let heads = format!("{} heads of {}", self.num_attention_heads, self.head_dim);
            return Err(Error::option("head_dim", "a width of attention that some machine has room for", heads));
        }
        if self.head_dim % 2 != 0 {
            return Err(Error::option("head_dim", "an even number (RoPE turns pairs of dimensions)", self.head_dim));
        }
        if self.num_attention_heads % self.num_key_value_heads != 0 {
            return Err(Error::option(
                "num_key_value_heads",
                format!("a divisor of num_attention_heads ({})", self.num_attention_heads),
                self.num_key_value_heads,
            ));
        }
        Ok(())
    }

    /// A document for a new model, in the spelling that transformers 4 and 5 both read.
    pub fn new_document(shape: &ModelShape, vocab_size: i64) -> Map<String, Value> {
        let document = json!({
            "architectures": ["Qwen3ForCausalLM"],
            "attention_bias": false,
            "attention_dropout": 0.0,
            "head_dim": shape.head_dim,
            "hidden_act": "silu",
            "hidden_size": shape.hidden_size,
            "initializer_range": 0.02,
            "intermediate_size": shape.intermediate_size,
            "max_position_embeddings": shape.max_position_embeddings,
            "max_window_layers": shape.num_hidden_layers,
            "model_type": "qwen3",
            "num_attention_heads": shape.num_attention_heads,
            "num_hidden_layers": shape.num_hidden_layers,
            "num_key_value_heads": shape.num_key_value_heads,
            "rms_norm_eps": 1e-6,
            "rope_scaling": null,
            "rope_theta": shape.rope_theta,
            "sliding_window": null,
            "tie_word_embeddings": shape.tie_word_embeddings,
            "torch_dtype": "float32",
            "use_cache": true,
            "use_sliding_window": false,
            "vocab_size": vocab_size,
        });
        match document {
            Value::Object(map) => map,
            _ => unreachable!("json! of braces is an object"),
        }
    }
}

/// What a user chooses when making a new model; the vocabulary comes from the tokenizer.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelShape {
    pub hidden_size: i64,
    pub intermediate_size: i64,
    pub num_hidden_layers: i64,
    pub num_attention_heads: i64,
    pub num_key_value_heads: i64,
    pub head_dim: i64,
    pub rope_theta: f64,
    pub max_position_embeddings: i64,
    pub tie_word_embeddings: bool,
}

impl Default for ModelShape {
    /// The preset `tiny`: 0.35 million parameters at a vocabulary of 512.
    fn default() -> Self {
        ModelShape {
            hidden_size: 96,
            intermediate_size: 256,
            num_hidden_layers: 3,
            num_attention_heads: 3,
            num_key_value_heads: 1,
            head_dim: 32,
            rope_theta: 10_000.0,
            max_position_embeddings: 2048,
            tie_word_embeddings: true,
        }
    }
}

impl ModelShape {
    /// `tiny` (0.35 million parameters), `qwen3-0.6b` or `qwen3-4b`.
    pub fn preset(name: &str) -> Result<Self> {
        let qwen3 = |hidden_size, intermediate_size, num_hidden_layers, num_attention_heads| ModelShape {
            hidden_size,
            intermediate_size,
            num_hidden_layers,
            num_attention_heads,
            num_key_value_heads: 8,
            head_dim: 128,
            rope_theta: 1e6,
            max_position_embeddings: 40_960,
            tie_word_embeddings: true,
        };
        match name {
            "tiny" => Ok(Self::default()),
            "qwen3-0.6b" => Ok(qwen3(1024, 3072, 28, 16)),
            "qwen3-4b" => Ok(qwen3(2560, 9728, 36, 32)),
            _ => Err(Error::option("preset", "\"tiny\", \"qwen3-0.6b\" or \"qwen3-4b\"", format!("\"{name}\""))),
        }
    }
}

fn require_qwen3(document: &Map<String, Value>) -> Result<()> {
    let architecture = document
        .get("architectures")
        .and_then(|list| list.get(0))
        .or_else(|| document.get("model_type"))
        .and_then(Value::as_str)
        .unwrap_or("none named");
    if architecture == "Qwen3ForCausalLM" || architecture == "qwen3" {
        return Ok(());
    }
    Err(Error::option("architectures", "Qwen3ForCausalLM", architecture))
}

/// Refuses what would silently change the result: biases, other activations, stretched or windowed positions.
fn require_plain_attention(document: &Map<String, Value>) -> Result<()> {
    if boolean(document, "attention_bias")? {
        return Err(Error::option("attention_bias", "false (affine has no biased attention)", "true"));
    }
    if boolean(document, "use_sliding_window")? {
        return Err(Error::option("use_sliding_window", "false (affine attends to the whole context)", "true"));
    }
    let layers = document.get("layer_types").and_then(Value::as_array).into_iter().flatten();
    if let Some(other) = layers.into_iter().find(|kind| *kind != "full_attention") {
        return Err(Error::option("layer_types", "\"full_attention\" in every layer", other));
    }
    if let Some(how) = document.get("quantization_config").filter(|value| !value.is_null()) {
        let method = how.get("quant_method").and_then(Value::as_str).unwrap_or("a method that is not named");
        let expected =
            "none (weights as float32, bfloat16 or float16; load the plain model with quantize = \"nf4\" or \"int8\")";
        return Err(Error::option("quantization_config", expected, method));
    }
    match document.get("hidden_act").and_then(Value::as_str) {
        None | Some("silu") => {}
        Some(other) => return Err(Error::option("hidden_act", "\"silu\"", format!("\"{other}\""))),
    }
    let scaling = document.get("rope_scaling").filter(|value| !value.is_null());
    let parameters = document.get("rope_parameters").filter(|value| !value.is_null());
    for (key, value) in [("rope_scaling", scaling), ("rope_parameters", parameters)] {
        let kind = value.and_then(|v| v.get("rope_type").or_else(|| v.get("type"))).and_then(Value::as_str);
        if let Some(kind) = kind
            && kind != "default"
        {
            return Err(Error::option(format!("{key}.rope_type"), "\"default\"", format!("\"{kind}\"")));
        }
    }
    Ok(())
}

/// transformers 4 keeps `rope_theta` beside `rope_scaling`, transformers 5 inside `rope_parameters`; transformers 5 also
/// reads it out of a `rope_scaling`.
fn rope_theta(document: &Map<String, Value>) -> Result<f64> {
    let mut theta = None;
    for key in ["rope_parameters", "rope_scaling"] {
        if let (None, Some(parameters)) = (theta, document.get(key).and_then(Value::as_object)) {
            theta = number(parameters, "rope_theta").map_err(|e| e.within(key))?;
        }
    }
    match theta.or(number(document, "rope_theta")?) {
        Some(theta) if theta > 0.0 => Ok(theta),
        Some(theta) => Err(Error::option("rope_theta", "a positive number", theta)),
        None => Ok(10_000.0),
    }
}

/// `dtype` (transformers 5) or `torch_dtype` (transformers 4); of both the former counts, as there.
fn dtype(document: &Map<String, Value>) -> Result<Option<Kind>> {
    for key in ["dtype", "torch_dtype"] {
        match document.get(key) {
            None | Some(Value::Null) => {}
            Some(Value::String(name)) => return device::dtype(key, name).map(Some),
            Some(other) => return Err(Error::option(key, "the name of a dtype", other)),
        }
    }
    Ok(None)
}

fn boolean(document: &Map<String, Value>, key: &str) -> Result<bool> {
    match document.get(key) {
        None | Some(Value::Null) => Ok(false),
        Some(value) => value.as_bool().ok_or_else(|| Error::option(key, "true or false", value)),
    }
}

fn positive_integer(document: &Map<String, Value>, key: &str) -> Result<i64> {
    match document.get(key) {
        Some(value) => match value.as_i64() {
            Some(n) if n > 0 => Ok(n),
            _ => Err(Error::option(key, "a positive integer", value)),
        },
        None => Err(Error::option(key, "a positive integer", "nothing: the key is missing")),
    }
}

fn number(document: &Map<String, Value>, key: &str) -> Result<Option<f64>> {
    match document.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_f64().map(Some).ok_or_else(|| Error::option(key, "a number", value)),
    }
}
