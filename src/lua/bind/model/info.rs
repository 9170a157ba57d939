//! What `model:info` tells.

use serde_json::json;

use crate::engine::device;
use crate::engine::model::Model;

pub fn info(model: &Model) -> serde_json::Value {
    let mut info = json!({
        "parameters": model.parameters(),
        "trainable_parameters": model.trainable_parameters(),
        "source": model.source().name,
        "torch_dtype": device::dtype_name(model.net.kind()),
        "device": device::name(model.net.device()),
        "adapters": model.adapter_names(),
        "attention": model.net.attention_kernel(),
        "kernels": model.net.compute().kernels.resolved().name(),
        "config": model.net.config.document,
    });
    // What is not there is nil in Lua.
    if let Some(name) = model.active_adapter() {
        info["active_adapter"] = json!(name);
    }
    if let Some(revision) = &model.source().revision {
        info["revision"] = json!(revision);
    }
    if let Some(quantization) = quantization(model) {
        info["quantization"] = quantization;
    }
    info
}

/// How a quantised base is stored, and how far each projection is from what was read.
fn quantization(model: &Model) -> Option<serde_json::Value> {
    let quantization = model.quantization()?;
    let (mut bytes, mut plain_bytes, mut errors) = (0, 0, serde_json::Map::new());
    for (name, weight) in model.quantized() {
        bytes += weight.bytes();
        plain_bytes += weight.plain_bytes();
        errors.insert(name, json!(weight.error));
    }
    Some(json!({
        "quantize": quantization.name(),
        "double_quantize": quantization.double,
        "bytes": bytes,
        "plain_bytes": plain_bytes,
        "errors": errors,
    }))
}
