//! What must stay the same between a checkpoint and the run that goes on from it: the model, its data, its settings.
//!
//! A setting counts unless it is on a trainer's short list of those that cannot matter, so a new one counts by default.

use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use tch::{Device, Kind, Tensor};

use crate::engine::model::Model;
use crate::engine::{Error, Result, file};

/// How the state is written. 0, which says nothing of it: fewer settings, a sample of each weight, no checksums.
pub const FORMAT: u32 = 1;

/// This build, as a state names it.
pub fn build() -> String {
    format!("{} ({})", env!("CARGO_PKG_VERSION"), env!("AFFINE_GIT_REVISION"))
}

/// All of `options` but those named in `immaterial`.
pub fn settings<T: Serialize>(options: &T, immaterial: &[&str]) -> Map<String, Value> {
    let mut all = match serde_json::to_value(options) {
        Ok(Value::Object(all)) => all,
        other => unreachable!("options are a struct of plain values: {other:?}"),
    };
    all.retain(|name, _| !immaterial.contains(&name.as_str()));
    all
}

/// A long list by what it holds, whatever its order: [`changes`] says how long it was and is.
pub fn list(items: &[String]) -> Value {
    let mut items: Vec<&str> = items.iter().map(String::as_str).collect();
    items.sort_unstable();
    items.dedup();
    serde_json::json!({ "count": items.len(), "sha256": file::sha256(items.join("\n").as_bytes()) })
}

/// `key = was, this run has is` for everything that differs. A setting that was not recorded, because there was none, was
/// what it is by default.
pub(super) fn changes(was: &Map<String, Value>, is: &Map<String, Value>, defaults: &Map<String, Value>) -> Vec<String> {
    let new = is.keys().filter(|key| !was.contains_key(*key));
    let changed = |key: &String| {
        let was = was.get(key).or(defaults.get(key)).unwrap_or(&Value::Null);
        let is = is.get(key).unwrap_or(&Value::Null);
        let counts = |list: &Value| list.get("sha256").and(list.get("count")).cloned();
        match (counts(was), counts(is)) {
            _ if was == is => None,
            (Some(were), Some(are)) if were == are => Some(format!("other {key} ({were} then and now)")),
            (Some(were), Some(are)) => Some(format!("other {key} ({were} were, {are} are)")),
            _ => Some(format!("{key} = {was}, this run has {is}")),
        }
    };
    was.keys().chain(new).filter_map(changed).collect()
}

/// The same for a state of format 0: on the settings that it recorded.
pub(super) fn changes_from_old(was: &Map<String, Value>, is: &Map<String, Value>) -> Vec<String> {
    let mut was = was.clone();
    if let Some(Value::Object(mut loss)) = was.remove("loss") {
        if loss.get("value_clip_range").is_some_and(Value::is_null) {
            loss.insert("value_clip_range".into(), Value::from(0.0));
        }
        was.extend(loss);
    }
    if let Some(betas) = was.remove("adam_betas") {
        was.insert("adam_beta1".into(), betas[0].clone());
        was.insert("adam_beta2".into(), betas[1].clone());
    }
    let known: Map<String, Value> =
        is.iter().filter(|(key, _)| was.contains_key(*key)).map(|(key, value)| (key.clone(), value.clone())).collect();
    changes(&was, &known, &Map::new())
}

/// An error that names what has changed since `path` was written, or with `force` a warning; nothing where nothing has.
pub fn refuse(path: &Path, changes: &[String], force: bool) -> Result<()> {
    match changes.join(", and ") {
        text if text.is_empty() => Ok(()),
        text if force => {
            tracing::warn!("{} {text}; going on all the same, as resume = \"force\" asks", path.display());
            Ok(())
        }
        text => {
            let hint = "resume = \"force\" goes on all the same; it is not the same run any more";
            Err(Error::hinted(format!("{}: {text}", path.display()), hint))
        }
    }
}

/// SHA-256 (hex) of what must stay the same between a checkpoint and the model that continues it: the shape, the
/// adapter's configuration, and under an adapter every bit of every frozen weight.
pub fn fingerprint(model: &Model) -> String {
    fingerprint_by(model, &|tensor, digest| {
        bit_sums(tensor).iter().for_each(|sum| digest.update(sum.to_le_bytes()));
    })
}

/// As [`fingerprint`] was in format 0: of a sample of every frozen weight.
pub(super) fn fingerprint_of_samples(model: &Model) -> String {
    fingerprint_by(model, &|tensor, digest| {
        let sample = tensor.flatten(0, -1).narrow(0, 0, tensor.numel().min(64) as i64);
        let sample = sample.to_kind(Kind::Float).to_device(Device::Cpu);
        let values = Vec::<f32>::try_from(&sample).unwrap_or_default();
        values.iter().for_each(|value| digest.update(value.to_le_bytes()));
    })
}

fn fingerprint_by(model: &Model, numbers: &dyn Fn(&Tensor, &mut Sha256)) -> String {
    let mut digest = Sha256::new();
    let config = &model.net.config;
    digest.update(format!("{:?}", (config.head_dim, config.rope_theta, config.rms_norm_eps, model.lora())));
    for (name, tensor) in model.net.weights() {
        digest.update(format!("{name} {:?}", tensor.size()));
        if model.lora().is_some() {
            numbers(tensor, &mut digest);
        }
    }
    file::hex(&digest.finalize())
}

/// Numbers to a row of [`bit_sums`], and rows that are summed at once: 32 MiB of sums in the making.
const ROW: i64 = 4096;
const ROWS: i64 = 1024;

/// A tensor's numbers, taken as integers by their bits, in rows of 4096: the sum of every row and of every column. One
/// changed bit changes two of them, two exchanged rows or columns do, and no order of adding does. It runs where the tensor
/// is, at the speed of memory; hashing the bytes of a large base would take a minute wherever a run begins.
fn bit_sums(tensor: &Tensor) -> Vec<i64> {
    let _no_grad = tch::no_grad_guard();
    let bits = match tensor.kind().elt_size_in_bytes() {
        1 => Kind::Uint8,
        2 => Kind::Int16,
        4 => Kind::Int,
        _ => Kind::Int64,
    };
    let bits = tensor.detach().contiguous().view_dtype(bits).flatten(0, -1);
    let (whole, count) = (bits.numel() as i64 / ROW, bits.numel() as i64);
    let rows = bits.narrow(0, 0, whole * ROW).view([whole, ROW]);
    let mut columns = Tensor::zeros([ROW], (Kind::Int64, tensor.device()));
    let mut sums = Vec::new();
    for first in (0..whole).step_by(ROWS as usize) {
        let block = rows.narrow(0, first, ROWS.min(whole - first));
        columns += block.sum_dim_intlist(0, false, Kind::Int64);
        sums.push(block.sum_dim_intlist(1, false, Kind::Int64));
    }
    let rest = bits.narrow(0, whole * ROW, count - whole * ROW).to_kind(Kind::Int64);
    sums.extend([columns, rest]);
    let sums = Tensor::cat(&sums, 0).to_device(Device::Cpu);
    let mut numbers = vec![0; sums.numel()];
    sums.copy_data(&mut numbers, sums.numel());
    numbers
}
