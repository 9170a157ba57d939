//! Where a model's tensors come from: a folder of safetensors files, or a random stream. And how they are saved.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

use super::linear::Linear;
use crate::engine::tensor::safetensors;
use crate::engine::{Error, Result};

/// A source of named tensors.
pub trait Weights {
    /// The tensor called `name`, which must have `shape`.
    fn take(&mut self, name: &str, shape: &[i64]) -> Result<Tensor>;

    /// A projection with the weight of that name.
    fn linear(&mut self, name: &str, shape: &[i64]) -> Result<Linear> {
        self.take(name, shape).map(Linear::new)
    }
}

/// A model's safetensors files: `model.safetensors`, or the shards that `model.safetensors.index.json` names.
pub struct Folder {
    files: Vec<safetensors::File>,
    /// Tensor name → index into `files`.
    places: BTreeMap<String, usize>,
    path: PathBuf,
    kind: Option<Kind>,
    device: Device,
}

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

impl Folder {
    /// `kind`: the dtype to convert to; `None` keeps each tensor's own.
    pub fn open(path: impl AsRef<Path>, kind: Option<Kind>, device: Device) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        let index = path.join(INDEX);
        let names = match index.exists() {
            true => shards(&index)?,
            false => vec![SINGLE.to_string()],
        };
        let mut files = Vec::with_capacity(names.len());
        let mut places = BTreeMap::new();
        for name in names {
            let file = safetensors::File::open(path.join(&name))?;
            places.extend(file.names()?.into_iter().map(|tensor| (tensor, files.len())));
            files.push(file);
        }
        Ok(Folder { files, places, path, kind, device })
    }

    /// The dtype of the embedding as it is stored: a model's own dtype.
    pub fn stored_kind(&self) -> Result<Kind> {
        let name = "model.embed_tokens.weight";
        match self.places.get(name) {
            Some(&file) => Ok(self.files[file].tensor(name, Device::Cpu)?.kind()),
            None => Err(self.missing(name)),
        }
    }

    fn missing(&self, name: &str) -> Error {
        Error::file(&self.path, format!("tensor {name} is missing from the safetensors files"))
    }
}

impl Weights for Folder {
    fn take(&mut self, name: &str, shape: &[i64]) -> Result<Tensor> {
        let &file = self.places.get(name).ok_or_else(|| self.missing(name))?;
        let tensor = self.files[file].tensor(name, Device::Cpu)?;
        if tensor.size() != shape {
            return Err(Error::file(
                self.files[file].path(),
                format!("tensor {name} has the shape {:?}, config.json asks for {shape:?}", tensor.size()),
            ));
        }
        let kind = self.kind.unwrap_or(tensor.kind());
        Ok(tensor.to_device(self.device).to_kind(kind))
    }
}

fn shards(index: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(index).map_err(|e| Error::file(index, e))?;
    let document: Value = serde_json::from_str(&text).map_err(|e| Error::file(index, format!("not JSON: {e}")))?;
    let map = document
        .get("weight_map")
        .and_then(Value::as_object)
        .ok_or_else(|| Error::file(index, "expected an object `weight_map` from tensor to file"))?;
    let mut names: Vec<String> = map.values().filter_map(Value::as_str).map(str::to_string).collect();
    names.sort();
    names.dedup();
    Ok(names)
}

/// New random weights: linears and head from N(0, 0.5/√in), the embedding from N(0, 0.02), norms 1.
///
/// The linears start larger than transformers' 0.02: a model this narrow learns several times slower from 0.02.
pub struct Random {
    pub kind: Kind,
    pub device: Device,
}

impl Weights for Random {
    fn take(&mut self, name: &str, shape: &[i64]) -> Result<Tensor> {
        let options = (Kind::Float, Device::Cpu);
        let tensor = match shape {
            [_, _] if name == "model.embed_tokens.weight" => Tensor::randn(shape, options) * 0.02,
            [_, input] => Tensor::randn(shape, options) * (0.5 / (*input as f64).sqrt()),
            _ => Tensor::ones(shape, options),
        };
        Ok(tensor.to_device(self.device).to_kind(self.kind))
    }
}

/// The largest file that [`save`] writes, in bytes; transformers' own limit.
const SHARD_BYTES: usize = 5_000_000_000;

/// Writes one `model.safetensors`, or shards with an index when the weights are larger than 5 GB.
pub fn save(folder: &Path, weights: &[(String, &Tensor)]) -> Result<()> {
    let bytes = |tensor: &Tensor| tensor.numel() * tensor.kind().elt_size_in_bytes();
    let mut shards: Vec<Vec<(&str, Tensor)>> = vec![Vec::new()];
    let mut filled = 0;
    for (name, tensor) in weights {
        if filled > 0 && filled + bytes(tensor) > SHARD_BYTES {
            shards.push(Vec::new());
            filled = 0;
        }
        filled += bytes(tensor);
        shards.last_mut().expect("there is a first shard").push((name, tensor.shallow_clone()));
    }
    if let [only] = shards.as_slice() {
        remove(&folder.join(INDEX))?;
        return safetensors::write(folder.join(SINGLE), only);
    }
    let mut map = serde_json::Map::new();
    for (i, shard) in shards.iter().enumerate() {
        let name = format!("model-{:05}-of-{:05}.safetensors", i + 1, shards.len());
        safetensors::write(folder.join(&name), shard)?;
        map.extend(shard.iter().map(|(tensor, _)| (tensor.to_string(), json!(name))));
    }
    let total: usize = weights.iter().map(|(_, tensor)| bytes(tensor)).sum();
    let index = json!({ "metadata": { "total_size": total }, "weight_map": map });
    crate::engine::file::write_atomic(folder.join(INDEX), format!("{index:#}\n").as_bytes())?;
    remove(&folder.join(SINGLE))
}

/// A leftover of the other form would be read in place of what was just written.
fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::file(path, e)),
        _ => Ok(()),
    }
}
