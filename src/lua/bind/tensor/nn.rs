//! Layers and losses, functions of several tensors.

use mlua::{Lua, Value};
use serde::Deserialize;
use tch::Reduction;

use super::{Function, new_value, optional_tensor, tensor, tensor_of};
use crate::engine::tensor::nn::{self, Labels, reduction};
use crate::engine::{Error, Result};
use crate::lua::call::Call;
use crate::lua::options::{self, Options};

type T = tch::Tensor;

#[rustfmt::skip]
pub const FUNCTIONS: &[(&str, Function)] = &[
    ("embedding",      embedding),
    ("linear",         linear),
    ("layer_norm",     layer_norm),
    ("rms_norm",       rms_norm),
    ("attention",      attention),
    ("cross_entropy",  |lua, function, args| label_loss(lua, function, args, "logits")),
    ("nll_loss",       |lua, function, args| label_loss(lua, function, args, "logprobs")),
    ("mse_loss",       |lua, function, args| pair_loss(lua, function, args, nn::mse_loss)),
    ("l1_loss",        |lua, function, args| pair_loss(lua, function, args, nn::l1_loss)),
    ("smooth_l1_loss", smooth_l1_loss),
    ("kl_div",         kl_div),
    ("binary_cross_entropy_with_logits", |lua, function, args| {
        pair_loss(lua, function, args, nn::binary_cross_entropy_with_logits)
    }),
];

/// `(weight, index)`
fn embedding(lua: &Lua, function: &str, mut args: Call) -> mlua::Result<Value> {
    let (weight, index) = (tensor(&mut args, function, "weight")?, tensor(&mut args, function, "index")?);
    args.finish()?;
    new_value(lua, function, || nn::embedding(&weight, &index))
}

/// `(x, weight, bias)`
fn linear(lua: &Lua, function: &str, mut args: Call) -> mlua::Result<Value> {
    let (x, weight) = (tensor(&mut args, function, "x")?, tensor(&mut args, function, "weight")?);
    let bias = optional_tensor(&mut args, function, "bias")?;
    args.finish()?;
    new_value(lua, function, || nn::linear(&x, &weight, bias.as_ref()))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct NormOptions {
    eps: Option<f64>,
}

impl NormOptions {
    fn read(function: &str, args: &mut Call) -> mlua::Result<Option<f64>> {
        let options: NormOptions = options::read(function, args.optional_table("options")?)?;
        match options.eps {
            Some(eps) if eps < 0.0 => Err(options::reject(function, Error::option("eps", "at least 0", eps))),
            eps => Ok(eps),
        }
    }
}

/// `(x, weight, bias, options)`
fn layer_norm(lua: &Lua, function: &str, mut args: Call) -> mlua::Result<Value> {
    let x = tensor(&mut args, function, "x")?;
    let weight = optional_tensor(&mut args, function, "weight")?;
    let bias = optional_tensor(&mut args, function, "bias")?;
    let eps = NormOptions::read(function, &mut args)?.unwrap_or(1e-5);
    args.finish()?;
    new_value(lua, function, || nn::layer_norm(&x, weight.as_ref(), bias.as_ref(), eps))
}

/// `(x, weight, options)`
fn rms_norm(lua: &Lua, function: &str, mut args: Call) -> mlua::Result<Value> {
    let x = tensor(&mut args, function, "x")?;
    let weight = optional_tensor(&mut args, function, "weight")?;
    let eps = NormOptions::read(function, &mut args)?;
    args.finish()?;
    new_value(lua, function, || nn::rms_norm(&x, weight.as_ref(), eps))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct AttentionOptions {
    causal: bool,
    scale: Option<f64>,
}

/// `(query, key, value, options)`
fn attention(lua: &Lua, function: &str, mut args: Call) -> mlua::Result<Value> {
    let [query, key, value] = ["query", "key", "value"].map(|name| tensor(&mut args, function, name));
    let (query, key, value) = (query?, key?, value?);
    let mut table = Options::new(lua, function.to_string(), args.optional_table("options")?)?;
    args.finish()?;
    let mask = match table.take("mask")? {
        Value::Nil => None,
        value => Some(tensor_of(&value, "mask").map_err(|error| table.reject(error))?),
    };
    let options: AttentionOptions = table.read()?;
    new_value(lua, function, || nn::attention(&query, &key, &value, mask.as_ref(), options.causal, options.scale))
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct LabelOptions {
    ignore_index: i64,
    reduction: String,
    label_smoothing: f64,
}

impl Default for LabelOptions {
    fn default() -> Self {
        LabelOptions { ignore_index: -100, reduction: "mean".to_string(), label_smoothing: 0.0 }
    }
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct NllOptions {
    ignore_index: i64,
    reduction: String,
}

impl Default for NllOptions {
    fn default() -> Self {
        NllOptions { ignore_index: -100, reduction: "mean".to_string() }
    }
}

/// `(logits or logprobs, labels, options)`
fn label_loss(lua: &Lua, function: &str, mut args: Call, input: &str) -> mlua::Result<Value> {
    let (scores, labels) = (tensor(&mut args, function, input)?, tensor(&mut args, function, "labels")?);
    let table = args.optional_table("options")?;
    args.finish()?;
    let loss = if input == "logits" { nn::cross_entropy } else { nn::nll_loss };
    let LabelOptions { ignore_index, reduction: how, label_smoothing } = match input {
        "logits" => options::read(function, table)?,
        _ => {
            let NllOptions { ignore_index, reduction } = options::read(function, table)?;
            LabelOptions { ignore_index, reduction, label_smoothing: 0.0 }
        }
    };
    new_value(lua, function, || {
        loss(&scores, &labels, Labels { ignore_index, reduction: reduction(&how)?, label_smoothing })
    })
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct LossOptions {
    reduction: String,
}

impl Default for LossOptions {
    fn default() -> Self {
        LossOptions { reduction: "mean".to_string() }
    }
}

/// `(input, target, options)`
fn pair_loss(
    lua: &Lua,
    function: &str,
    mut args: Call,
    loss: fn(&T, &T, Reduction) -> Result<T>,
) -> mlua::Result<Value> {
    let (input, target) = (tensor(&mut args, function, "input")?, tensor(&mut args, function, "target")?);
    let options: LossOptions = options::read(function, args.optional_table("options")?)?;
    args.finish()?;
    new_value(lua, function, || loss(&input, &target, reduction(&options.reduction)?))
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SmoothOptions {
    reduction: String,
    beta: f64,
}

impl Default for SmoothOptions {
    fn default() -> Self {
        SmoothOptions { reduction: "mean".to_string(), beta: 1.0 }
    }
}

fn smooth_l1_loss(lua: &Lua, function: &str, mut args: Call) -> mlua::Result<Value> {
    let (input, target) = (tensor(&mut args, function, "input")?, tensor(&mut args, function, "target")?);
    let options: SmoothOptions = options::read(function, args.optional_table("options")?)?;
    args.finish()?;
    new_value(lua, function, || nn::smooth_l1_loss(&input, &target, reduction(&options.reduction)?, options.beta))
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct KlOptions {
    reduction: String,
    log_target: bool,
}

impl Default for KlOptions {
    fn default() -> Self {
        KlOptions { reduction: "mean".to_string(), log_target: false }
    }
}

fn kl_div(lua: &Lua, function: &str, mut args: Call) -> mlua::Result<Value> {
    let (input, target) = (tensor(&mut args, function, "input")?, tensor(&mut args, function, "target")?);
    let options: KlOptions = options::read(function, args.optional_table("options")?)?;
    args.finish()?;
    new_value(lua, function, || nn::kl_div(&input, &target, &options.reduction, options.log_target))
}
