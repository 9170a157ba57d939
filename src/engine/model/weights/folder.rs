//! Reading a model's safetensors files, whole or in shards, one tensor at a time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tch::{Device, Kind, Tensor};

use super::{INDEX, SINGLE, Weights};
use crate::engine::model::config::ModelConfig;
use crate::engine::pairs::Pairs;
use crate::engine::tensor::safetensors::File;
use crate::engine::track::Progress;
use crate::engine::{Error, Result, cancel, utf8};

/// Smaller models are loaded before a person could read how far it is.
const PROGRESS_FROM: u64 = 100_000_000;

const EMBEDDING: &str = "model.embed_tokens.weight";
const HEAD: &str = "lm_head.weight";

/// A model's safetensors files: `model.safetensors`, or else the shards that `model.safetensors.index.json` names.
pub struct Folder {
    path: PathBuf,
    files: Vec<File>,
    /// Where each tensor is that was not taken yet.
    places: BTreeMap<String, Place>,
    kind: Kind,
    device: Device,
    progress: Option<Progress>,
}

struct Place {
    /// Index into `files`.
    file: usize,
    /// The tensor's name there.
    name: String,
}

impl Folder {
    /// Reads the files' headers. `kind`: the dtype to convert to; `None` is that of the embedding as it is stored.
    pub fn open(path: impl AsRef<Path>, kind: Option<Kind>, device: Device) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        let index = path.join(INDEX);
        let single = path.join(SINGLE);
        let (files, places) = match index.exists() && !single.exists() {
            true => open_shards(&path, &Index::read(&index)?)?,
            false => open_files(vec![open_single(&path, &single)?])?,
        };
        let mut folder = Folder { path, files, places, kind: Kind::Float, device, progress: None };
        folder.kind = kind.map_or_else(|| folder.stored_kind(), Ok)?;
        Ok(folder)
    }

    /// An error where the files cannot hold what `config` asks for, before anything is made for it.
    pub fn check_size(&self, config: &ModelConfig) -> Result<()> {
        let bytes: u64 = self.files.iter().map(File::bytes).sum();
        if config.numbers() > bytes as f64 {
            let problem = format!(
                "asks for a model of {:.3e} numbers (vocab_size {}, hidden_size {}, intermediate_size {}, \
                 num_hidden_layers {}), but the safetensors files beside it hold {bytes} bytes",
                config.numbers(),
                config.vocab_size,
                config.hidden_size,
                config.intermediate_size,
                config.num_hidden_layers
            );
            return Err(Error::file(self.path.join("config.json"), problem));
        }
        config.check_positions().map_err(|error| Error::file(self.path.join("config.json"), error))
    }

    /// The dtype of every tensor that is taken.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Shows how far the loading is, where it takes long enough.
    pub fn with_progress(mut self) -> Self {
        let bytes: u64 = self.files.iter().map(File::bytes).sum();
        self.progress = (bytes >= PROGRESS_FROM).then(|| {
            let label = format!("loading {} ({:.1} GB), tensors", self.path.display(), bytes as f64 / 1e9);
            Progress::new(label, self.places.len() as u64)
        });
        self
    }

    /// For a model whose head is its embedding: a file may hold it under either name, or the same tensor under both.
    ///
    /// Of two that differ transformers 4 uses the embedding and transformers 5 the head, so such a folder is refused.
    pub fn tie(&mut self) -> Result<()> {
        let Some(head) = self.places.remove(HEAD) else { return Ok(()) };
        let Some(embedding) = self.places.get(EMBEDDING) else {
            self.places.insert(EMBEDDING.to_string(), head);
            return Ok(());
        };
        let head_file = &self.files[head.file];
        match self.files[embedding.file].same(&embedding.name, head_file, &head.name)? {
            true => Ok(()),
            false => Err(Error::hinted(
                format!(
                    "{}: {HEAD} differs from {EMBEDDING}, but config.json says tie_word_embeddings",
                    head_file.path().display()
                ),
                "set tie_word_embeddings to false where the head was trained, else take lm_head.weight out of the file",
            )),
        }
    }

    /// Ends the loading. Tensors that nobody asked for mean that the configuration may be another model's.
    pub fn finish(self) {
        // Buffers that old versions of transformers saved; they are computed anew.
        let mut left = self.places.keys().filter(|name| !name.ends_with("rotary_emb.inv_freq"));
        if let Some(first) = left.next() {
            tracing::warn!(
                "{}: {} tensors are in the files, but config.json asks for none of them ({first} is the first)",
                self.path.display(),
                1 + left.count()
            );
        }
        if let Some(progress) = self.progress {
            progress.finish();
        }
    }

    fn stored_kind(&self) -> Result<Kind> {
        let place = self.places.get(EMBEDDING).or_else(|| self.places.get(HEAD));
        let place = place.ok_or_else(|| self.missing(EMBEDDING))?;
        float_kind(&self.files[place.file], &place.name)
    }

    fn missing(&self, name: &str) -> Error {
        let problem = format!("tensor {name} is missing from the safetensors files");
        match name == HEAD {
            true => Error::hinted(
                format!("{}: {problem}", self.path.display()),
                "where the head is the embedding, config.json says \"tie_word_embeddings\": true",
            ),
            false => Error::file(&self.path, problem),
        }
    }
}

impl Weights for Folder {
    fn take(&mut self, name: &str, shape: &[i64]) -> Result<Tensor> {
        cancel::check()?;
        let place = self.places.remove(name).ok_or_else(|| self.missing(name))?;
        let file = &self.files[place.file];
        float_kind(file, &place.name)?;
        let stored = file.shape(&place.name)?;
        if stored != shape {
            return Err(Error::file(
                file.path(),
                format!("tensor {name} has the shape {stored:?}, config.json asks for {shape:?}"),
            ));
        }
        let tensor = file.tensor(&place.name, self.device)?.to_kind(self.kind);
        if let Some(progress) = &mut self.progress {
            progress.tick(1);
        }
        Ok(tensor)
    }
}

/// The dtype of a weight. Integers are what quantised models keep, which mean nothing without their scales.
fn float_kind(file: &File, name: &str) -> Result<Kind> {
    match file.kind(name)? {
        kind @ (Kind::Float | Kind::BFloat16 | Kind::Half | Kind::Double) => Ok(kind),
        kind => {
            let problem = format!("tensor {name} is of {kind:?}: expected float32, bfloat16, float16 or float64");
            Err(Error::file(file.path(), problem))
        }
    }
}

/// Which file each tensor is in, as `model.safetensors.index.json` says.
#[derive(Deserialize)]
struct Index {
    weight_map: Pairs<String>,
}

impl Index {
    fn read(path: &Path) -> Result<Self> {
        let text = utf8::read(path)?;
        let index: Index = serde_json::from_str(&text).map_err(|e| {
            Error::file(
                path,
                format!("expected an object `weight_map` from tensor to file, but this does not fit: {e}"),
            )
        })?;
        if let Some(tensor) = index.weight_map.repeated() {
            return Err(Error::file(path, format!("weight_map names the tensor {tensor} twice")));
        }
        if index.weight_map.0.is_empty() {
            return Err(Error::file(path, "weight_map names no tensor"));
        }
        let inside = |name: &str| Path::new(name).file_name().is_some_and(|file| file == name);
        match index.weight_map.0.iter().find(|(_, name)| !inside(name)) {
            Some((tensor, name)) => {
                Err(Error::file(path, format!("tensor {tensor}: expected a file of this folder, got \"{name}\"")))
            }
            None => Ok(index),
        }
    }

    /// The shards' names, each once.
    fn shards(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.weight_map.0.iter().map(|(_, name)| name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// Opened files and what is where in them.
type Opened = (Vec<File>, BTreeMap<String, Place>);

fn open_shards(folder: &Path, index: &Index) -> Result<Opened> {
    let names = index.shards();
    let missing: Vec<&str> = names.iter().copied().filter(|name| !folder.join(name).exists()).collect();
    if !missing.is_empty() {
        let problem = format!(
            "{} of the {} files that {INDEX} names are not here: {} (an unfinished download or copy?)",
            missing.len(),
            names.len(),
            missing.join(", ")
        );
        return Err(Error::file(folder, problem));
    }
    let files = names.iter().map(|name| File::open(folder.join(name))).collect::<Result<Vec<_>>>()?;
    let (files, places) = open_files(files)?;
    for (tensor, name) in &index.weight_map.0 {
        let place = places.get(tensor).map(|place| names[place.file]);
        if place != Some(name.as_str()) {
            let elsewhere = place.map_or(String::new(), |other| format!("; it is in {other}"));
            let problem = format!("tensor {tensor} is missing, though {INDEX} says that it is here{elsewhere}");
            return Err(Error::file(folder.join(name), problem));
        }
    }
    Ok((files, places))
}

fn open_files(files: Vec<File>) -> Result<Opened> {
    let mut places: BTreeMap<String, Place> = BTreeMap::new();
    for (index, file) in files.iter().enumerate() {
        for name in file.names() {
            if let Some(other) = places.insert(name.clone(), Place { file: index, name: name.clone() }) {
                let other = files[other.file].path().file_name().unwrap_or_default();
                let problem = format!("tensor {name} is here and in {}", other.display());
                return Err(Error::file(file.path(), problem));
            }
        }
    }
    Ok((files, places))
}

fn open_single(folder: &Path, path: &Path) -> Result<File> {
    if path.exists() {
        return File::open(path);
    }
    let there = |fits: fn(&str) -> bool| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name()).any(|name| name.to_str().is_some_and(fits))
    };
    let problem = if there(|name| name.starts_with("model-") && name.ends_with(".safetensors")) {
        format!("no such file; there are shards, but no {INDEX} that says what is in them")
    } else if there(|name| name.starts_with("pytorch_model") && name.contains(".bin")) {
        "no such file; affine reads no pytorch_model.bin: save the model from transformers as safetensors".to_string()
    } else {
        format!("no such file, and no {INDEX}")
    };
    Err(Error::file(path, format!("cannot be read: {problem}")))
}
