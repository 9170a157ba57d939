//! A model's adapters: several on one base, at most one of them on. The one that is on sits in the network; those that
//! are off wait here with their factors, so that switching moves a few handles and reads no file.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Once;

use super::Model;
use super::linear::Adapter;
use super::lora::{self, LoraConfig, LoraOptions};
use super::qwen3::Qwen3;
use super::source::Source;
use crate::engine::{Error, Result};

#[derive(Default)]
pub struct Adapters {
    on: Option<(String, LoraConfig)>,
    off: BTreeMap<String, (LoraConfig, Vec<(String, Adapter)>)>,
}

impl Adapters {
    fn turn_off(&mut self, net: &mut Qwen3) {
        if let Some((name, config)) = self.on.take() {
            self.off.insert(name, (config, lora::take(net)));
        }
    }

    fn turn_on(&mut self, net: &mut Qwen3, name: &str, config: LoraConfig, factors: Vec<(String, Adapter)>) {
        self.turn_off(net);
        self.off.remove(name);
        lora::put(net, factors);
        self.on = Some((name.to_string(), config));
    }

    fn unknown(&self, name: &str) -> Error {
        let names: Vec<String> = self.names().iter().map(|name| format!("\"{name}\"")).collect();
        let expected = if names.is_empty() { "an adapter, but this model has none".into() } else { names.join(", ") };
        Error::option("adapter_name", expected, format!("\"{name}\""))
    }

    /// In alphabetical order.
    fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.off.keys().map(String::as_str).collect();
        names.extend(self.on.as_ref().map(|(name, _)| name.as_str()));
        names.sort_unstable();
        names
    }
}

impl Model {
    /// The configuration of the adapter that is on.
    pub fn lora(&self) -> Option<&LoraConfig> {
        self.adapters.on.as_ref().map(|(_, config)| config)
    }

    /// The name of the adapter that is on.
    pub fn active_adapter(&self) -> Option<&str> {
        self.adapters.on.as_ref().map(|(name, _)| name.as_str())
    }

    /// The names of all adapters, on or off.
    pub fn adapter_names(&self) -> Vec<&str> {
        self.adapters.names()
    }

    /// Adds a fresh adapter, turns it on and freezes everything else.
    pub fn add_lora(&mut self, options: &LoraOptions) -> Result<()> {
        let name = &options.adapter_name;
        if self.adapters.names().contains(&name.as_str()) {
            return Err(Error::hinted(
                format!("this model carries an adapter \"{name}\" already"),
                "call merge_lora() or delete_adapter() first, or choose another adapter_name",
            ));
        }
        let config = LoraConfig::new(options)?;
        let factors = lora::fresh(&self.net, &config, options.seed)?;
        self.adapters.turn_on(&mut self.net, name, config, factors);
        self.freeze();
        Ok(())
    }

    /// Reads an adapter that PEFT or affine saved, in place of the one of the same name, and turns it on.
    pub fn load_adapter_as(&mut self, name: &str, folder: impl AsRef<Path>) -> Result<()> {
        lora::validate_name(name)?;
        let (config, factors) = lora::read(&self.net, &self.source, folder.as_ref())?;
        self.adapters.turn_on(&mut self.net, name, config, factors);
        self.freeze();
        Ok(())
    }

    /// [`Model::load_adapter_as`] in place of the adapter that is on.
    pub fn load_adapter(&mut self, folder: impl AsRef<Path>) -> Result<()> {
        let name = self.active_adapter().unwrap_or(lora::DEFAULT).to_string();
        self.load_adapter_as(&name, folder)
    }

    /// Turns the adapter of that name on, and the one that was on off.
    pub fn set_adapter(&mut self, name: &str) -> Result<()> {
        if self.active_adapter() == Some(name) {
            return Ok(());
        }
        let (config, factors) = self.adapters.off.remove(name).ok_or_else(|| self.adapters.unknown(name))?;
        self.adapters.turn_on(&mut self.net, name, config, factors);
        Ok(())
    }

    /// Turns the adapter that is on off: the model is its base until [`Model::set_adapter`].
    pub fn disable_adapter(&mut self) {
        self.adapters.turn_off(&mut self.net);
    }

    pub fn delete_adapter(&mut self, name: &str) -> Result<()> {
        if self.active_adapter() == Some(name) {
            self.adapters.turn_off(&mut self.net);
        }
        self.adapters.off.remove(name).map(|_| ()).ok_or_else(|| self.adapters.unknown(name))
    }

    /// Writes the adapter that is on; where its base does not stop at the end of a turn, a generation_config.json that does.
    pub fn save_adapter(&self, folder: impl AsRef<Path>) -> Result<()> {
        let config = self.lora().ok_or_else(|| Error::message("this model carries no adapter to save"))?;
        lora::save(&self.net, config, &self.source, folder.as_ref())?;
        if let Some(tokenizer) = &self.tokenizer
            && tokenizer.save_generation_config(folder)?
        {
            static TOLD: Once = Once::new();
            TOLD.call_once(|| {
                let end = tokenizer.end_of_turn_id().ok().and_then(|id| tokenizer.token(id)).unwrap_or_default();
                tracing::warn!(
                    "{}: its generation_config.json does not name {end}, which ends a turn; the one beside the adapter does, \
                     but who serves the adapter over this base must stop there too",
                    self.source.name
                );
            });
        }
        Ok(())
    }

    /// Folds the adapter that is on into the weights; without one nothing changes. A quantised base is refused, for the
    /// sum would have to be rounded to its few bits again, and so is a base that other adapters were made for.
    pub fn merge_lora(&mut self) -> Result<()> {
        if self.adapters.on.is_none() {
            return Ok(());
        }
        if let Some(quantization) = self.quantization() {
            return Err(Error::hinted(
                format!(
                    "an adapter cannot be merged into a base in {}: the sum would be rounded to it again, and the \
                     adapter's part mostly lost",
                    quantization.name()
                ),
                "call dequantize() first: the sum is then exact; or keep the adapter beside the base with save_adapter(dir)",
            ));
        }
        if let Some(other) = self.adapters.off.keys().next() {
            return Err(Error::hinted(
                format!("merging would change the base that the adapter \"{other}\" was made for"),
                "call delete_adapter() for every other adapter first",
            ));
        }
        self.adapters.on = None;
        lora::merge(&mut self.net);
        self.source = Source::named(format!("{} with an adapter merged into it", self.source.name));
        Ok(())
    }

    /// From here on what training changes ([`Model::trainable`]) asks for gradients, until [`Model::freeze`]; an error where
    /// there is nothing that it may change. A snapshot taken before would share what is trained.
    pub fn begin_training(&self) -> Result<()> {
        if self.lora().is_some() {
            return Ok(());
        }
        if let Some(quantization) = self.quantization() {
            return Err(Error::hinted(
                format!("a model in {} cannot be trained in full: its weights are frozen codes", quantization.name()),
                "call add_lora() first, or load it without `quantize`",
            ));
        }
        if let Some(name) = self.adapters.off.keys().next() {
            return Err(Error::hinted(
                "all adapters of this model are off, and training the base would change what they were made for",
                format!("call set_adapter(\"{name}\") first, or delete_adapter() to train the base"),
            ));
        }
        for (_, tensor) in self.net.weights() {
            let _ = tensor.set_requires_grad(true);
        }
        Ok(())
    }
}
