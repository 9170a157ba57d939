//! By what a model is known again: the hash of all that it computes with.

use sha2::{Digest, Sha256};
use tch::Tensor;

use super::{Model, lora};
use crate::engine::device;
use crate::engine::file::hex;
use crate::engine::tensor::safetensors::bytes_of;

impl Model {
    /// SHA-256 in hex of configuration, weights, adapter and number format; not of where they are kept. Reads every weight: a
    /// second or so per GB.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(serde_json::Value::Object(self.net.config.document.clone()).to_string());
        hash.update(device::dtype_name(self.net.kind()));
        if let Some(config) = self.lora() {
            hash.update(format!("{config:?}"));
        }
        for (name, tensor) in self.net.weights() {
            add(&mut hash, &name, tensor);
        }
        for (name, tensor) in lora::parameters(&self.net) {
            add(&mut hash, &name, &tensor);
        }
        hex(&hash.finalize())
    }
}

fn add(hash: &mut Sha256, name: &str, tensor: &Tensor) {
    hash.update(format!("{name} {:?} {:?}\n", tensor.kind(), tensor.size()));
    hash.update(bytes_of(tensor));
}
