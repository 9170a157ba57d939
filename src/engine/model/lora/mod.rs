//! Low-rank adapters (LoRA, rsLoRA, DoRA) on the seven projections, in PEFT's file format: `adapter_config.json` and
//! `adapter_model.safetensors`.

mod config;
mod modules;
mod peft;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use tch::{Device, Kind, Tensor};

use super::linear::{Adapter, Linear};
use super::qwen3::Qwen3;
use super::source::Source;
use crate::engine::system::machine;
use crate::engine::tensor::safetensors;
use crate::engine::{Error, Result, file, random, utf8};
pub use config::{DEFAULT, LoraConfig, LoraOptions, validate_name};
pub use modules::{OneOrMore, PROJECTIONS, TargetModules};

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";
const MAGNITUDE: &str = "lora_magnitude_vector";

/// Whether a folder holds an adapter and no model of its own.
pub fn is_adapter(folder: &Path) -> bool {
    folder.join(CONFIG).exists() && !folder.join("config.json").exists()
}

/// Whether a folder holds an adapter's settings and its weights, whatever base they belong to.
pub fn is_whole(folder: &Path) -> bool {
    read_document(&folder.join(CONFIG)).and_then(|document| peft::config(&document)).is_ok()
        && safetensors::File::open(folder.join(WEIGHTS)).is_ok()
}

/// The base that an adapter folder names.
pub fn base_of(folder: &Path) -> Result<Source> {
    let path = folder.join(CONFIG);
    let document = read_document(&path)?;
    let text = |key: &str| document.get(key).and_then(Value::as_str).map(str::to_string);
    match text("base_model_name_or_path") {
        Some(name) => Ok(Source { name, revision: text("revision") }),
        None => Err(Error::file(&path, "names no base_model_name_or_path")),
    }
}

/// Layers of a model that is not there yet.
const MOST_LAYERS: usize = 256;

/// Whether an adapter with these options can be, on a model that need not be there yet.
pub fn check(options: &LoraOptions) -> Result<()> {
    let module = |layer: usize, (index, name): (usize, &str)| {
        format!("model.layers.{layer}.{}.{name}", if index < 4 { "self_attn" } else { "mlp" })
    };
    let names: Vec<String> = (0..MOST_LAYERS)
        .flat_map(|layer| PROJECTIONS.into_iter().enumerate().map(move |projection| module(layer, projection)))
        .collect();
    LoraConfig::new(options)?.check(&names)
}

/// The error of an adapter folder whose base is nowhere.
pub fn no_base(folder: &Path, base: &Source) -> Error {
    Error::file(folder.join(CONFIG), format!("its base model `{}` is not a folder here", base.name))
}

/// The factors of a fresh adapter: A from U(±1/√in) (PEFT's kaiming_uniform with a = √5), B zero, so that the model
/// computes what it computed before.
pub fn fresh(model: &Qwen3, config: &LoraConfig, seed: u64) -> Result<Vec<(String, Adapter)>> {
    config.check(&names(model))?;
    config.check_patterns(&targeted(model, config).map(|(name, _)| name).collect::<Vec<_>>())?;
    let device = model.device();
    check_room(targeted(model, config).map(|(name, linear)| (config.rank(&name), linear.weight.size())))?;
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

/// An error where factors of these ranks have no room in this machine's memory, in which they begin.
fn check_room(factors: impl Iterator<Item = (i64, (i64, i64))>) -> Result<()> {
    let numbers: f64 = factors.map(|(rank, (out, input))| rank as f64 * (out as f64 + input as f64)).sum();
    match machine::memory() {
        Some(memory) if 4.0 * numbers > memory.total as f64 => {
            let got = format!("one that gives an adapter of {numbers:.3e} numbers");
            Err(Error::option("lora_r", "a rank whose adapter this machine's memory holds", got))
        }
        _ => Ok(()),
    }
}

/// The factors of an adapter that PEFT or affine saved, fit for `model`, which came from `source`.
pub fn read(model: &Qwen3, source: &Source, folder: &Path) -> Result<(LoraConfig, Vec<(String, Adapter)>)> {
    let config_file = folder.join(CONFIG);
    let document = read_document(&config_file)?;
    let config = peft::config(&document).and_then(|config| config.check(&names(model)).map(|()| config));
    let config = config.map_err(|error| error.within(config_file.display()))?;
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
                         {made_for}, this base is {}",
                        source.name
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

/// Writes the adapter as PEFT does. `base`: what `base_model_name_or_path` and `revision` name.
pub fn save(model: &Qwen3, config: &LoraConfig, base: &Source, folder: &Path) -> Result<()> {
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
    serde_json::from_str(&utf8::read(path)?).map_err(|e| Error::file(path, format!("not JSON: {e}")))
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
