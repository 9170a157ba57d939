//! Two checkpoints of one step, compared to the bit.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::checkpoint::STATE;
use crate::engine::tensor::safetensors;
use crate::engine::{Error, Result, file};

/// What was compared, and every difference.
#[derive(Debug, Default)]
pub struct Comparison {
    pub tensors: usize,
    /// Entries of the log.
    pub logged: usize,
    pub differences: Vec<String>,
}

impl Comparison {
    /// Compares all that decides how a run goes on from two checkpoints: weights, optimizer, and the trainer's state but for
    /// times (`seconds`, `rollout_seconds`).
    pub fn of(one: &Path, other: &Path) -> Result<Self> {
        let mut found = Comparison::default();
        for name in weight_files(one)?.union(&weight_files(other)?) {
            let [a, b] = [one, other].map(|folder| folder.join(name));
            match (a.exists(), b.exists()) {
                (true, true) => found.tensors_of(name, &a, &b)?,
                (here, _) => {
                    let absent = if here { other } else { one };
                    found.differences.push(format!("{name} is not in {}", absent.display()));
                }
            }
        }
        let [a, b] = [state(one)?, state(other)?];
        found.logged = a["log_history"].as_array().map_or(0, Vec::len);
        found.values("", &a, &b);
        Ok(found)
    }

    fn tensors_of(&mut self, name: &str, one: &Path, other: &Path) -> Result<()> {
        let [a, b] = [safetensors::File::open(one)?, safetensors::File::open(other)?];
        let names = |file: &safetensors::File| file.names().into_iter().collect::<BTreeSet<String>>();
        for tensor in names(&a).symmetric_difference(&names(&b)) {
            self.differences.push(format!("{name}: {tensor} is in one of the two only"));
        }
        for tensor in names(&a).intersection(&names(&b)) {
            self.tensors += 1;
            if !a.same(tensor, &b, tensor)? {
                self.differences.push(format!("{name}: {tensor} {}", distance(&a, &b, tensor)?));
            }
        }
        Ok(())
    }

    /// The places at which two JSON values differ.
    fn values(&mut self, place: &str, a: &Value, b: &Value) {
        match (a, b) {
            (Value::Object(x), Value::Object(y)) => {
                let keys: BTreeSet<&String> = x.keys().chain(y.keys()).collect();
                // The checksums of files say no more than the files.
                let said = |key: &str| place.is_empty() && ["files", "checksum"].contains(&key);
                for key in keys.into_iter().filter(|key| !key.ends_with("seconds") && !said(key)) {
                    let within = if place.is_empty() { key.clone() } else { format!("{place}.{key}") };
                    self.values(&within, &a[key], &b[key]);
                }
            }
            (Value::Array(x), Value::Array(y)) if x.len() == y.len() => {
                x.iter().zip(y).enumerate().for_each(|(i, (x, y))| self.values(&format!("{place}[{}]", i + 1), x, y));
            }
            _ if a == b => {}
            (Value::Array(x), Value::Array(y)) => {
                self.differences.push(format!("{STATE}: {place} has {} entries and {}", x.len(), y.len()));
            }
            _ => self.differences.push(format!("{STATE}: {place} is {a} and {b}")),
        }
    }
}

/// How far two tensors of one name are apart.
fn distance(a: &safetensors::File, b: &safetensors::File, name: &str) -> Result<String> {
    if a.shape(name)? != b.shape(name)? || a.kind(name)? != b.kind(name)? {
        return Ok("has another shape or number format".to_string());
    }
    let [a, b] = [a, b].map(|file| file.tensor(name, tch::Device::Cpu));
    let (a, b) = (a?.to_kind(tch::Kind::Double), b?.to_kind(tch::Kind::Double));
    let (count, apart) = (a.ne_tensor(&b).sum(tch::Kind::Int64).int64_value(&[]), (a - b).abs());
    Ok(format!("differs in {count} of {} numbers, by up to {:.3e}", apart.numel(), apart.max().double_value(&[])))
}

fn weight_files(folder: &Path) -> Result<BTreeSet<String>> {
    let entries = std::fs::read_dir(folder).map_err(|error| file::unreadable(folder, &error))?;
    let mut names = BTreeSet::new();
    for entry in entries {
        let name = entry.map_err(|error| file::unreadable(folder, &error))?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".safetensors") {
            names.insert(name);
        }
    }
    Ok(names)
}

fn state(folder: &Path) -> Result<Value> {
    let path = folder.join(STATE);
    let text = std::fs::read(&path).map_err(|error| file::unreadable(&path, &error))?;
    serde_json::from_slice(&text).map_err(|error| Error::file(&path, format!("not JSON: {error}")))
}
