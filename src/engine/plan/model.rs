//! The tiny random models that stand in for real ones.
//!
//! A model's folder is checked as far as it can be without reading its weights: config.json, the names in the weight
//! files, the tokenizer, the chat template. The stand-in keeps the tokenizer and the context, and is deep enough for every
//! adapter and option. A model so small that loading it costs nothing stands for itself.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};

use tch::{Device, Kind};

use super::note;
use crate::engine::model::{LoraOptions, Model, ModelConfig, ModelShape, lora, weights};
use crate::engine::text::Tokenizer;
use crate::engine::{Result, bytes, hub};

/// Weights up to this many bytes are loaded as they are: what the plan itself has saved is smaller.
const SMALL_BYTES: u64 = 32 << 20;
/// A new model with more numbers is made smaller.
const SMALL_PARAMETERS: i64 = 4_000_000;
/// The context where the real one is not known: Qwen3's.
const CONTEXT: i64 = 40_960;
const VOCABULARY: usize = 1024;
/// Of each file of records, what the tokenizer is trained on.
const SAMPLE_BYTES: usize = 200_000;

/// Where runs keep what they make: no owner of models on the Hub is meant by these.
const RUN_TIME: [&str; 6] = ["data_cache", "checkpoints", "models", "logs", "runs", "experiments"];

/// Some English and some code, for a tokenizer.
const TEXT: &str = include_str!("../../../README.md");

static LENGTHS_UNKNOWN: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// One tokenizer for all models whose own is not here.
    static TOKENIZER: RefCell<Option<Rc<Tokenizer>>> = const { RefCell::new(None) };
}

/// Whether texts are counted in another tokenizer's tokens than the real one's: limits on lengths then mean nothing.
pub fn lengths_are_unknown() -> bool {
    LENGTHS_UNKNOWN.load(Ordering::SeqCst)
}

/// What `Model::load` does in a real run.
pub fn load(path: &str, revision: Option<&str>, kind: Option<Kind>, device: Device) -> Result<Model> {
    let folder = Path::new(path);
    if folder.is_dir() {
        return from_folder(path, folder, kind, device);
    }
    // `models/typo` has the form of a Hub id, too.
    let beside =
        folder.iter().next().is_some_and(|first| Path::new(first).is_dir() || RUN_TIME.iter().any(|f| first == *f));
    if beside || !hub::is_id(path) {
        return Model::load(folder, kind, device);
    }
    match hub::cached(path, revision) {
        Some(folder) => from_folder(path, &folder, kind, device),
        None => from_hub(path, kind, device),
    }
}

/// The shape of a new model, made smaller where it is large.
pub fn shape(shape: ModelShape, vocab_size: i64) -> ModelShape {
    let embedding = vocab_size * shape.hidden_size * if shape.tie_word_embeddings { 1 } else { 2 };
    let attention = 2 * shape.hidden_size * shape.head_dim * (shape.num_attention_heads + shape.num_key_value_heads);
    let layer = attention + 3 * shape.hidden_size * shape.intermediate_size;
    let parameters = embedding.saturating_add(shape.num_hidden_layers.saturating_mul(layer));
    if !super::active() || parameters <= SMALL_PARAMETERS {
        return shape;
    }
    note(format!("model: a new one of {} parameters; here a smaller one", parameters_in_words(parameters)));
    ModelShape {
        rope_theta: shape.rope_theta,
        tie_word_embeddings: shape.tie_word_embeddings,
        ..tiny(shape.max_position_embeddings)
    }
}

/// What `Model::load_adapter` does in a real run. A real model's adapter does not fit a stand-in; one that is whole is
/// replaced by a new one.
pub fn load_adapter(model: &mut Model, name: Option<&str>, folder: &Path) -> Result<()> {
    let name = name.or(model.active_adapter()).unwrap_or(lora::DEFAULT).to_string();
    match model.load_adapter_as(&name, folder) {
        Err(_) if super::active() && lora::is_whole(folder) => {
            note(format!("adapter: the one in {}; here a new one", folder.display()));
            if model.adapter_names().contains(&name.as_str()) {
                model.delete_adapter(&name)?;
            }
            model.add_lora(&LoraOptions { adapter_name: name, ..LoraOptions::default() })
        }
        loaded => loaded,
    }
}

fn from_folder(path: &str, folder: &Path, kind: Option<Kind>, device: Device) -> Result<Model> {
    if lora::is_adapter(folder) {
        let base = lora::base_of(folder)?;
        let mut model = load(&base.name, base.revision.as_deref(), kind, device)?;
        load_adapter(&mut model, None, folder)?;
        return Ok(model);
    }
    if weight_bytes(folder) <= SMALL_BYTES {
        return Model::load(folder, kind, device);
    }
    let config = ModelConfig::read(folder.join("config.json"))?;
    let kind = weights::Folder::open(folder, kind.or(config.dtype), Device::Cpu)?.kind();
    let tokenizer = match folder.join("tokenizer.json").exists() {
        true => Some(Rc::new(Tokenizer::load(folder)?)),
        false => None,
    };
    note(format!("model: {path} ({}); here a random one", bytes::of_file(weight_bytes(folder))));
    let rows = tokenizer.as_ref().map_or(config.vocab_size, |tokenizer| tokenizer.vocab_size());
    let shape = ModelShape { rope_theta: config.rope_theta, ..tiny(config.max_position_embeddings) };
    stand_in(path, &shape, rows.max(config.vocab_size), tokenizer, kind, device)
}

/// Nothing of the model is here.
fn from_hub(id: &str, kind: Option<Kind>, device: Device) -> Result<Model> {
    let tokenizer = any_tokenizer()?;
    LENGTHS_UNKNOWN.store(true, Ordering::SeqCst);
    note(format!(
        "model: {id}, downloaded from the Hub; here a random one with a tokenizer of its own, so that no \
                  length in tokens was judged"
    ));
    let rows = tokenizer.vocab_size();
    stand_in(id, &tiny(CONTEXT), rows, Some(tokenizer), kind.unwrap_or(Kind::BFloat16), device)
}

fn stand_in(
    path: &str,
    shape: &ModelShape,
    rows: i64,
    tokenizer: Option<Rc<Tokenizer>>,
    kind: Kind,
    device: Device,
) -> Result<Model> {
    let config = ModelConfig::from_document(ModelConfig::new_document(shape, rows))?;
    let mut model = Model::random(config, tokenizer, 0, kind, device)?;
    model.set_source(path);
    Ok(model)
}

fn tiny(context: i64) -> ModelShape {
    ModelShape {
        hidden_size: 32,
        intermediate_size: 64,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        num_key_value_heads: 1,
        head_dim: 16,
        rope_theta: 1e6,
        max_position_embeddings: context,
        tie_word_embeddings: true,
    }
}

/// A tokenizer trained on the records that are here, so that it cuts them into words, and on English.
fn any_tokenizer() -> Result<Rc<Tokenizer>> {
    if let Some(tokenizer) = TOKENIZER.with_borrow(Clone::clone) {
        return Ok(tokenizer);
    }
    let mut texts = vec![TEXT.to_string()];
    for file in record_files() {
        if let Ok(bytes) = std::fs::read(&file) {
            texts.push(String::from_utf8_lossy(&bytes[..bytes.len().min(SAMPLE_BYTES)]).replace("\\n", "\n"));
        }
    }
    let tokenizer = Rc::new(Tokenizer::train(&texts, VOCABULARY)?);
    TOKENIZER.set(Some(tokenizer.clone()));
    Ok(tokenizer)
}

fn record_files() -> Vec<PathBuf> {
    let entries = std::fs::read_dir("data_cache").into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let mut files: Vec<_> = paths.filter(|path| path.extension().is_some_and(|kind| kind == "jsonl")).collect();
    files.sort();
    files
}

fn weight_bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let weights = entries.filter(|entry| entry.path().extension().is_some_and(|kind| kind == "safetensors"));
    weights.filter_map(|entry| Some(std::fs::metadata(entry.path()).ok()?.len())).sum()
}

fn parameters_in_words(count: i64) -> String {
    match count {
        ..1_000_000_000 => format!("{:.0} million", count as f64 / 1e6),
        _ => format!("{:.1} billion", count as f64 / 1e9),
    }
}
