//! A model: the network, its tokenizer, its adapter, and the folder they live in.

pub mod adapters;
pub mod attention;
pub mod cache;
pub mod checkpointed;
pub mod compute;
pub mod config;
mod fingerprint;
pub mod head;
pub mod linear;
pub mod lora;
pub mod quant;
pub mod qwen3;
pub mod rope;
mod source;
pub mod value_head;
pub mod weight;
pub mod weights;

use std::path::{Path, PathBuf};
use std::rc::Rc;

use tch::{Device, Kind, Tensor};

use super::system::machine;
use super::tensor::random::seeded;
use super::text::Tokenizer;
use super::{Error, Result, file, random};
use adapters::Adapters;
pub use compute::{Compute, CudaGraph, KernelChoice};
pub use config::{ModelConfig, ModelShape};
pub use lora::{LoraConfig, LoraOptions};
use quant::Quantized;
pub use quant::{Quantization, Scheme};
pub use qwen3::{Layout, Mode, Qwen3};
pub use source::Source;
use weight::Weight;
use weights::Quantizing;
pub use weights::SaveOptions;

pub struct Model {
    pub net: Qwen3,
    pub tokenizer: Option<Rc<Tokenizer>>,
    adapters: Adapters,
    quantization: Option<Quantization>,
    /// What it came from, which a saved adapter names as its base.
    source: Source,
    eos_ids: Vec<i64>,
    /// `[vocab_size]`, true where the tokenizer has no token; `None` where it has one for every row of the embedding.
    never_said: Option<Tensor>,
}

/// Numbers of a model that no device holds.
const TOO_MANY: f64 = 1e13;

/// An error where a new model of this shape has no room in this machine's memory; of a GPU's, libtorch knows.
fn check_room(config: &ModelConfig, device: Device) -> Result<()> {
    config.check_positions()?;
    let memory = machine::memory().filter(|_| device == Device::Cpu);
    let (numbers, room) = (config.numbers(), memory.map_or(4.0 * TOO_MANY, |memory| memory.total as f64));
    if 4.0 * numbers <= room {
        return Ok(());
    }
    Err(Error::hinted(
        format!("a model of this shape has {numbers:.3e} numbers: more than this machine's memory holds"),
        "hidden_size, intermediate_size, num_hidden_layers and the tokenizer's vocabulary decide how many",
    ))
}

impl Model {
    /// Loads a Hugging Face folder: `config.json`, safetensors, and `tokenizer.json` where there is one. A folder with
    /// an adapter alone loads the base that it names, then the adapter. `kind`: `None` is the dtype that `config.json`
    /// names, else the stored one.
    pub fn load(folder: impl AsRef<Path>, kind: Option<Kind>, device: Device) -> Result<Self> {
        Self::load_quantized(folder, kind, device, None)
    }

    /// As [`Model::load`], each projection in few bits as soon as it is read.
    pub fn load_quantized(
        folder: impl AsRef<Path>,
        kind: Option<Kind>,
        device: Device,
        quantization: Option<Quantization>,
    ) -> Result<Self> {
        Self::load_finding(folder, kind, device, quantization, &|_| Ok(None))
    }

    /// As [`Model::load_quantized`], with the base of an adapter found by `find` where its name is no folder here.
    pub fn load_finding(
        folder: impl AsRef<Path>,
        kind: Option<Kind>,
        device: Device,
        quantization: Option<Quantization>,
        find: &dyn Fn(&Source) -> Result<Option<PathBuf>>,
    ) -> Result<Self> {
        let folder = folder.as_ref();
        if !folder.is_dir() {
            return Err(Error::hinted(
                format!("{}: no such model folder", folder.display()),
                "a model folder holds config.json, *.safetensors and tokenizer.json",
            ));
        }
        if lora::is_adapter(folder) {
            let base = lora::base_of(folder)?;
            let found = match Path::new(&base.name).is_dir() {
                true => PathBuf::from(&base.name),
                false => find(&base)?.ok_or_else(|| lora::no_base(folder, &base))?,
            };
            if lora::is_adapter(&found) {
                let problem = format!("its base model `{}` is an adapter itself", base.name);
                return Err(Error::file(folder, problem));
            }
            let mut model = Self::load_finding(found, kind, device, quantization, find)?;
            model.load_adapter(folder)?;
            return Ok(model);
        }
        let config = ModelConfig::read(folder.join("config.json"))?;
        let mut weights = weights::Folder::open(folder, kind.or(config.dtype), device)?.with_progress();
        weights.check_size(&config)?;
        if config.tie_word_embeddings {
            weights.tie()?;
        }
        let net = match quantization {
            None => Qwen3::build(config, &mut weights)?,
            Some(quantization) => machine::giving_memory_back(|| {
                Qwen3::build(config, &mut Quantizing { from: &mut weights, quantization })
            })?,
        };
        weights.finish();
        let tokenizer = match folder.join("tokenizer.json").exists() {
            true => Some(Rc::new(Tokenizer::load(folder)?)),
            false => None,
        };
        let model = Model { quantization, ..Self::new(net, tokenizer, Source::of(folder))? };
        model.tell_quantization();
        Ok(model)
    }

    /// A new random model whose vocabulary is the tokenizer's, in float32.
    pub fn create(shape: &ModelShape, tokenizer: Rc<Tokenizer>, seed: u64, device: Device) -> Result<Self> {
        let document = ModelConfig::new_document(shape, tokenizer.vocab_size());
        Self::random(ModelConfig::from_document(document)?, Some(tokenizer), seed, Kind::Float, device)
    }

    /// A new random model of any configuration.
    pub fn random(
        config: ModelConfig,
        tokenizer: Option<Rc<Tokenizer>>,
        seed: u64,
        kind: Kind,
        device: Device,
    ) -> Result<Self> {
        check_room(&config, device)?;
        let seed = random::torch_seed(seed, "model", 0);
        let net = seeded(seed, || Qwen3::build(config, &mut weights::Random { kind, device }))?;
        Self::new(net, tokenizer, Source::named("a new random model"))
    }

    fn new(net: Qwen3, tokenizer: Option<Rc<Tokenizer>>, source: Source) -> Result<Self> {
        if let Some(tokenizer) = &tokenizer
            && tokenizer.vocab_size() > net.config.vocab_size
        {
            return Err(Error::message(format!(
                "{}: the tokenizer has {} ids, but the embedding has {} rows; they belong to different models",
                source.name,
                tokenizer.vocab_size(),
                net.config.vocab_size
            )));
        }
        let eos_ids = match &tokenizer {
            Some(tokenizer) => end_ids(tokenizer),
            None => net.config.eos_ids(),
        };
        let never_said = tokenizer.as_ref().and_then(|tokenizer| without_token(tokenizer, &net));
        let adapters = Adapters::default();
        Ok(Model { net, tokenizer, adapters, quantization: None, source, eos_ids, never_said })
    }

    /// The token ids that end a reply.
    pub fn eos_ids(&self) -> &[i64] {
        &self.eos_ids
    }

    /// Where the head has rows for ids that the tokenizer does not have (Qwen3's is padded from 151,669 to 151,936): nobody
    /// can read what is said there, so it is never sampled. A model without a tokenizer may say all of its ids.
    pub fn never_said(&self) -> Option<&Tensor> {
        self.never_said.as_ref()
    }

    /// The tokenizer, or a sentence saying that this model has none.
    pub fn tokenizer(&self) -> Result<&Tokenizer> {
        self.tokenizer.as_deref().ok_or_else(|| {
            Error::hinted(
                format!("{}: this model has no tokenizer.json, so it reads token ids only", self.source.name),
                "give prompts as lists of token ids, or put the tokenizer's files into the folder",
            )
        })
    }

    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Says that `folder` holds exactly these weights: an adapter that is saved from now on names it as its base.
    pub fn set_source(&mut self, folder: impl Into<String>) {
        self.source = Source::named(folder);
    }

    /// How the projections are stored, where not in the model's dtype.
    pub fn quantization(&self) -> Option<Quantization> {
        self.quantization
    }

    /// The quantised weights by their modules' names.
    pub fn quantized(&self) -> Vec<(String, &Quantized)> {
        lora::linears(&self.net)
            .filter_map(|(name, linear)| linear.weight.quantized().map(|weight| (name, weight)))
            .collect()
    }

    /// Logs what quantising saved, and what it cost.
    fn tell_quantization(&self) {
        let Some(quantization) = self.quantization else { return };
        let weights = self.quantized();
        let megabytes = |bytes: fn(&Quantized) -> usize| {
            weights.iter().map(|(_, weight)| bytes(weight)).sum::<usize>() as f64 / 1e6
        };
        let mean = weights.iter().map(|(_, weight)| weight.error).sum::<f64>() / weights.len().max(1) as f64;
        if let Some((worst, weight)) = weights.iter().max_by(|(_, a), (_, b)| a.error.total_cmp(&b.error)) {
            tracing::info!(
                "projections in {}: {:.1} MB in place of {:.1} MB; relative error {mean:.4} in the mean, at most {:.4} \
                 ({worst})",
                quantization.name(),
                megabytes(Quantized::bytes),
                megabytes(Quantized::plain_bytes),
                weight.error
            );
        }
    }

    /// Stores the projections in few bits.
    pub fn quantize(&mut self, quantization: Quantization) {
        for (_, linear) in self.net.layers.iter_mut().flat_map(|layer| layer.linears_mut()) {
            linear.weight = Weight::Quantized(Quantized::new(&linear.weight.plain(), quantization));
        }
        self.quantization = Some(quantization);
    }

    /// Brings the projections to the model's dtype again, rounded as they are.
    pub fn dequantize(&mut self) {
        if let Some(quantization) = self.quantization.take() {
            for (_, linear) in self.net.layers.iter_mut().flat_map(|layer| layer.linears_mut()) {
                linear.weight = linear.weight.plain().into();
            }
            self.source = Source::named(format!("{} rounded to {}", self.source.name, quantization.name()));
        }
    }

    /// Writes the model as it was read: `config.json`, safetensors, tokenizer. An adapter must be merged or saved on
    /// its own first.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<()> {
        self.save_with(folder, &SaveOptions::default())
    }

    pub fn save_with(&self, folder: impl AsRef<Path>, options: &SaveOptions) -> Result<()> {
        let folder = folder.as_ref();
        if let Some(quantization) = self.quantization {
            return Err(Error::hinted(
                format!("this model's base is in {}, which a model folder cannot hold", quantization.name()),
                "save the adapter alone with save_adapter(dir), or call dequantize() first: the folder then holds the \
                 rounded weights in the model's dtype",
            ));
        }
        if self.lora().is_some() {
            return Err(Error::hinted(
                "this model carries an adapter, which a model folder cannot hold",
                "call merge_lora() first, or save_adapter(dir)",
            ));
        }
        options.validate()?;
        file::create_folder(folder)?;
        weights::save(folder, &self.net.weights(), options)?;
        let mut document = self.net.config.document.clone();
        for key in ["torch_dtype", "dtype"] {
            if document.contains_key(key) {
                document.insert(key.to_string(), super::device::dtype_name(self.net.kind()).into());
            }
        }
        let text = format!("{:#}\n", serde_json::Value::Object(document));
        file::write_atomic(folder.join("config.json"), text.as_bytes())?;
        match &self.tokenizer {
            Some(tokenizer) => tokenizer.save(folder),
            None => Ok(()),
        }
    }

    /// What training changes: the adapter where there is one, else every weight, of a quantised base none.
    pub fn trainable(&self) -> Vec<(String, Tensor)> {
        self.trained_part_of(&self.net)
    }

    /// How many numbers the model has, adapter included.
    pub fn parameters(&self) -> usize {
        let stored: usize = self.net.weights().iter().map(|(_, tensor)| tensor.numel()).sum();
        let base = self.quantized().iter().fold(stored, |sum, (_, weight)| {
            let parts: usize = weight.tensors().iter().map(|(_, tensor)| tensor.numel()).sum();
            sum - parts + (weight.size().0 * weight.size().1) as usize
        });
        base + lora::parameters(&self.net).iter().map(|(_, tensor)| tensor.numel()).sum::<usize>()
    }

    /// How many of them training changes.
    pub fn trainable_parameters(&self) -> usize {
        match self.lora().is_some() || self.quantization.is_some() {
            true => lora::parameters(&self.net).iter().map(|(_, tensor)| tensor.numel()).sum(),
            false => self.parameters(),
        }
    }

    /// The tensors of [`Model::trainable`] in another network of the same shape: a snapshot's copies of them.
    pub fn trained_part_of(&self, net: &Qwen3) -> Vec<(String, Tensor)> {
        match self.lora().is_some() || self.quantization.is_some() {
            true => lora::parameters(net),
            false => net.weights().into_iter().map(|(name, tensor)| (name, tensor.shallow_clone())).collect(),
        }
    }

    /// Ends training: no weight asks for gradients any more.
    pub fn freeze(&self) {
        for (_, tensor) in self.net.weights() {
            let _ = tensor.set_requires_grad(false);
        }
    }

    /// `log p(ids[t] | ids[<t])` for `t = 1..ids.len()`, float32: `log_softmax(logits / temperature)`.
    pub fn logprobs(&self, ids: &[i64], temperature: f64) -> Result<Vec<f32>> {
        if temperature <= 0.0 {
            return Err(Error::option("temperature", "a positive number", temperature));
        }
        if ids.len() < 2 {
            return Err(Error::message(format!("log-probs need at least 2 token ids, got {}", ids.len())));
        }
        self.check_ids(ids)?;
        let _no_grad = tch::no_grad_guard();
        let row = Tensor::from_slice(ids).to_device(self.net.device());
        let hidden = self.net.hidden(&row.unsqueeze(0), Mode::Inference).squeeze_dim(0);
        let predicting = hidden.narrow(0, 0, ids.len() as i64 - 1);
        let targets = row.narrow(0, 1, ids.len() as i64 - 1);
        let scores = head::Head::new(&self.net, temperature).logprobs_in_chunks(&predicting, &targets, false);
        let picked = scores.logprobs.to_device(Device::Cpu);
        Ok(Vec::<f32>::try_from(&picked)?)
    }

    /// Every id is a row of the embedding, and there are no more of them than the context holds.
    pub fn check_ids(&self, ids: &[i64]) -> Result<()> {
        let config = &self.net.config;
        if let Some(id) = ids.iter().find(|&&id| id < 0 || id >= config.vocab_size) {
            return Err(Error::message(format!(
                "token id {id} is outside this model's vocabulary (0 to {})",
                config.vocab_size - 1
            )));
        }
        let context = config.max_position_embeddings;
        if ids.len() as i64 > context {
            return Err(Error::message(format!(
                "{} tokens are longer than this model's context of {context} (max_position_embeddings)",
                ids.len()
            )));
        }
        Ok(())
    }
}

/// The rows of the embedding that are no token, where there are any: behind the tokenizer's last one, or between its ids.
fn without_token(tokenizer: &Tokenizer, net: &Qwen3) -> Option<Tensor> {
    let never: Vec<bool> = (0..net.config.vocab_size).map(|id| tokenizer.token(id).is_none()).collect();
    never.contains(&true).then(|| Tensor::from_slice(&never).to_device(net.device()))
}

/// The ids that end a text, and the one that ends a turn: a base model may name only the former.
fn end_ids(tokenizer: &Tokenizer) -> Vec<i64> {
    let mut ids = tokenizer.eos_ids().to_vec();
    ids.extend(tokenizer.end_of_turn_id().ok().filter(|id| !ids.contains(id)));
    ids
}
