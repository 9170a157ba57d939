//! Writing a model's tensors as transformers does: one file, or shards with an index.

use std::path::Path;

use serde::Deserialize;
use serde_json::json;
use tch::Tensor;

use super::{INDEX, SINGLE};
use crate::engine::file::{self, Staged};
use crate::engine::tensor::safetensors;
use crate::engine::{Error, Result};

/// How a model is saved.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SaveOptions {
    /// The largest file in bytes, headers aside. A tensor that is larger gets a file of its own.
    pub max_shard_size: i64,
}

impl Default for SaveOptions {
    /// 5 GB, the limit of transformers 4: what the Hub takes and a person can copy.
    fn default() -> Self {
        SaveOptions { max_shard_size: 5_000_000_000 }
    }
}

impl SaveOptions {
    /// `save` expects what this accepts.
    pub fn validate(&self) -> Result<()> {
        match self.max_shard_size {
            ..1 => Err(Error::option("max_shard_size", "a number of bytes of at least 1", self.max_shard_size)),
            _ => Ok(()),
        }
    }
}

type Shard<'a> = Vec<(&'a str, Tensor)>;

/// Writes `model.safetensors`, or shards with an index where the weights are larger than one shard may be.
///
/// Every file is whole under a temporary name before the first old one goes, so that a full disk costs nothing. When the
/// process dies between the renames, the folder loads as the old model, as the new one, or not at all: never as a mixture.
/// Ctrl-C does not stop it: saving is what trainers do then.
pub fn save(folder: &Path, weights: &[(String, &Tensor)], options: &SaveOptions) -> Result<()> {
    let shards = split(weights, options.max_shard_size as usize);
    let names: Vec<String> = match shards.len() {
        1 => vec![SINGLE.to_string()],
        count => (1..=count).map(|i| format!("model-{i:05}-of-{count:05}.safetensors")).collect(),
    };
    let mut staged = Vec::with_capacity(shards.len());
    for (name, shard) in names.iter().zip(&shards) {
        staged.push(safetensors::stage(folder.join(name), shard)?);
    }
    if names.len() > 1 {
        // An old index must not lead to new shards of the same names.
        file::remove(folder.join(INDEX))?;
    }
    staged.into_iter().try_for_each(Staged::commit)?;
    match names.len() {
        // A single file is read in place of an index, so from here on the new model is what loads.
        1 => file::remove(folder.join(INDEX))?,
        _ => {
            write_index(folder, &names, &shards)?;
            file::remove(folder.join(SINGLE))?;
        }
    }
    remove_old_shards(folder, &names)
}

/// The tensors in their order, cut where the next one would make a shard larger than `most` bytes.
fn split<'a>(weights: &'a [(String, &Tensor)], most: usize) -> Vec<Shard<'a>> {
    let mut shards = vec![Shard::new()];
    let mut filled = 0;
    for (name, tensor) in weights {
        let size = bytes(tensor);
        if filled > 0 && filled + size > most {
            shards.push(Shard::new());
            filled = 0;
        }
        filled += size;
        shards.last_mut().expect("there is a first shard").push((name, tensor.shallow_clone()));
    }
    shards
}

fn write_index(folder: &Path, names: &[String], shards: &[Shard]) -> Result<()> {
    let tensors = || shards.iter().flatten().map(|(_, tensor)| tensor);
    let places = names.iter().zip(shards).flat_map(|(file, shard)| shard.iter().map(move |(name, _)| (*name, file)));
    let map: serde_json::Map<_, _> = places.map(|(name, file)| (name.to_string(), json!(file))).collect();
    let index = json!({
        "metadata": {
            "total_parameters": tensors().map(Tensor::numel).sum::<usize>(),
            "total_size": tensors().map(bytes).sum::<usize>(),
        },
        "weight_map": map,
    });
    file::write_atomic(folder.join(INDEX), format!("{index:#}\n").as_bytes())
}

/// Removes the shards of a model that was in this folder before.
fn remove_old_shards(folder: &Path, new: &[String]) -> Result<()> {
    let entries = std::fs::read_dir(folder).map_err(|e| file::unreadable(folder, &e))?;
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| is_shard(name) && !new.contains(name)).try_for_each(|name| file::remove(folder.join(name)))
}

/// `model-00001-of-00002.safetensors`.
fn is_shard(name: &str) -> bool {
    let middle = name.strip_prefix("model-").and_then(|rest| rest.strip_suffix(".safetensors"));
    let parts = middle.and_then(|middle| middle.split_once("-of-"));
    let number = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    parts.is_some_and(|(which, count)| number(which) && number(count))
}

fn bytes(tensor: &Tensor) -> usize {
    tensor.numel() * tensor.kind().elt_size_in_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_told_from_other_files() {
        assert!(is_shard("model-00001-of-00012.safetensors"));
        for name in [
            "model.safetensors",
            "model-1-of-2.safetensors",
            "model-00001-of-00002.bin",
            "my-model-00001-of-00002.safetensors",
        ] {
            assert!(!is_shard(name), "{name}");
        }
    }
}
