//! Draws from a seed: the numbers of PyTorch on a CPU after `torch.manual_seed(seed)`, whatever the device.

use mlua::{Lua, Value};
use serde::Deserialize;
use tch::{Device, Kind, TchError};

use super::create::Options;
use super::{Function, Method, TensorCall, new_value, shape, tensor};
use crate::engine::tensor::random::seeded;
use crate::engine::tensor::{dtype, memory};
use crate::engine::{Error, Result};
use crate::lua::call::Call;
use crate::lua::options;

type T = tch::Tensor;

#[rustfmt::skip]
pub const FUNCTIONS: &[(&str, Function)] = &[
    ("rand",       |lua, function, args| drawn(lua, function, args, uniform)),
    ("randn",      |lua, function, args| drawn(lua, function, args, standard)),
    ("rand_like",  |lua, function, args| drawn_like(lua, function, args, uniform)),
    ("randn_like", |lua, function, args| drawn_like(lua, function, args, standard)),
    ("normal",     normal),
    ("randint",    randint),
    ("randperm",   randperm),
];

pub const METHODS: &[(&str, Method)] = &[("bernoulli", bernoulli), ("multinomial", multinomial), ("dropout", dropout)];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DrawOptions {
    seed: i64,
    dtype: Option<String>,
    device: Option<String>,
    #[serde(default)]
    requires_grad: bool,
}

impl DrawOptions {
    fn read(lua: &Lua, function: &str, args: &mut Call) -> mlua::Result<(i64, Options)> {
        // Without a table, so that the seed is what is said to be missing.
        let table = args.optional_table("options")?.map_or_else(|| lua.create_table(), Ok)?;
        let DrawOptions { seed, dtype, device, requires_grad } = options::read(function, Some(table))?;
        Ok((seed, Options { dtype, device, requires_grad }))
    }
}

/// A function of tch that draws a tensor of a shape and a dtype on the CPU.
type Draw = fn(&[i64], Kind) -> Result<T, TchError>;

fn uniform(shape: &[i64], kind: Kind) -> Result<T, TchError> {
    T::f_rand(shape, (kind, Device::Cpu))
}

fn standard(shape: &[i64], kind: Kind) -> Result<T, TchError> {
    T::f_randn(shape, (kind, Device::Cpu))
}

fn drawn(lua: &Lua, function: &str, mut args: Call, draw: Draw) -> mlua::Result<Value> {
    let shape = shape::sizes(function, &args.table("shape")?, 0)?;
    let (seed, options) = DrawOptions::read(lua, function, &mut args)?;
    args.finish()?;
    new_value(lua, function, || {
        let (kind, device) = options.target()?;
        draw_to(&options, seed, &shape, kind, device, |shape, kind| Ok(draw(shape, kind)?))
    })
}

/// In the shape, dtype and on the device of another tensor.
fn drawn_like(lua: &Lua, function: &str, mut args: Call, draw: Draw) -> mlua::Result<Value> {
    let like = tensor(&mut args, function, "tensor")?;
    let (seed, options) = DrawOptions::read(lua, function, &mut args)?;
    args.finish()?;
    new_value(lua, function, || {
        let (kind, device) = options.target_like(&like)?;
        draw_to(&options, seed, &like.size(), kind, device, |shape, kind| Ok(draw(shape, kind)?))
    })
}

/// `(mean, std, shape, options)`
fn normal(lua: &Lua, function: &str, mut args: Call) -> mlua::Result<Value> {
    let (mean, std) = (args.number("mean")?, args.number("std")?);
    let shape = shape::sizes(function, &args.table("shape")?, 0)?;
    let (seed, options) = DrawOptions::read(lua, function, &mut args)?;
    args.finish()?;
    if !mean.is_finite() {
        return Err(options::reject(function, Error::option("mean", "a finite number", mean)));
    }
    if !(std.is_finite() && std >= 0.0) {
        return Err(options::reject(function, Error::option("std", "a finite number of at least 0", std)));
    }
    new_value(lua, function, || {
        let (kind, device) = options.target()?;
        let draw = |shape: &[i64], kind| Ok(T::f_empty(shape, (kind, Device::Cpu))?.f_normal_(mean, std)?);
        draw_to(&options, seed, &shape, kind, device, draw)
    })
}

/// `(low, high, shape, options)`: integers from low to high - 1.
fn randint(lua: &Lua, function: &str, mut args: Call) -> mlua::Result<Value> {
    let (low, high) = (args.integer("low")?, args.integer("high")?);
    let shape = shape::sizes(function, &args.table("shape")?, 0)?;
    let (seed, options) = DrawOptions::read(lua, function, &mut args)?;
    args.finish()?;
    if low >= high {
        return Err(options::reject(function, Error::option("high", format!("more than low, {low}"), high)));
    }
    new_value(lua, function, || {
        let (kind, device) = (options.kind()?.unwrap_or(Kind::Int64), options.device()?);
        let draw = |shape: &[i64], kind| Ok(T::f_randint_low(low, high, shape, (kind, Device::Cpu))?);
        draw_to(&options, seed, &shape, kind, device, draw)
    })
}

/// `(n, options)`: the integers from 0 to n - 1 in random order.
fn randperm(lua: &Lua, function: &str, mut args: Call) -> mlua::Result<Value> {
    let n = args.integer("n")?;
    let (seed, options) = DrawOptions::read(lua, function, &mut args)?;
    args.finish()?;
    if n < 0 {
        return Err(options::reject(function, Error::option("n", "a non-negative integer", n)));
    }
    new_value(lua, function, || {
        let (kind, device) = (options.kind()?.unwrap_or(Kind::Int64), options.device()?);
        draw_to(&options, seed, &[n], kind, device, |_, kind| Ok(T::f_randperm(n, (kind, Device::Cpu))?))
    })
}

/// Draws on the CPU what then goes to its device.
fn draw_to(
    options: &Options,
    seed: i64,
    shape: &[i64],
    kind: Kind,
    device: Device,
    draw: impl FnOnce(&[i64], Kind) -> Result<T>,
) -> Result<T> {
    memory::afford(shape, kind, Device::Cpu)?;
    options.finish(seeded(seed, || draw(shape, kind))?.f_to_device(device)?)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seed {
    seed: i64,
}

impl Seed {
    fn read(call: &TensorCall, args: &mut Call) -> mlua::Result<i64> {
        let table = args.optional_table("options")?.map_or_else(|| call.lua.create_table(), Ok)?;
        options::read(&call.function, Some(table)).map(|Seed { seed }| seed)
    }
}

/// `(options)`: 1 with each value's probability, else 0.
fn bernoulli(call: &TensorCall, mut args: Call) -> mlua::Result<Value> {
    let seed = Seed::read(call, &mut args)?;
    args.finish()?;
    call.make(|| {
        dtype::require_float("t", &call.this)?;
        let probabilities = call.this.f_detach()?.f_to_device(Device::Cpu)?;
        within(&probabilities, 0.0, 1.0)?;
        Ok(seeded(seed, || probabilities.f_bernoulli())?.f_to_device(call.this.device())?)
    })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MultinomialOptions {
    seed: i64,
    #[serde(default)]
    replacement: bool,
}

/// `(n, options)`: from each row of weights n places, counted from 0, drawn in proportion to the weights.
fn multinomial(call: &TensorCall, mut args: Call) -> mlua::Result<Value> {
    let n = args.integer("n")?;
    let table = args.optional_table("options")?.map_or_else(|| call.lua.create_table(), Ok)?;
    let MultinomialOptions { seed, replacement } = options::read(&call.function, Some(table))?;
    args.finish()?;
    call.make(|| {
        dtype::require_float("t", &call.this)?;
        let weights = call.this.f_detach()?.f_to_device(Device::Cpu)?;
        let places = match weights.size().as_slice() {
            [places] | [_, places] => *places,
            other => return Err(Error::message(format!("expected one or two dimensions, got the shape {other:?}"))),
        };
        let most = if replacement { i64::MAX } else { places };
        if !(1..=most).contains(&n) {
            let expected =
                if replacement { "at least 1".into() } else { format!("1 to {most}, as nothing is put back") };
            return Err(Error::option("n", expected, n));
        }
        within(&weights, 0.0, f64::MAX)?;
        if weights.f_sum_dim_intlist(-1, false, None)?.f_min()?.f_double_value(&[])? <= 0.0 {
            return Err(Error::message("expected a weight above 0 in every row, got a row of zeros"));
        }
        Ok(seeded(seed, || weights.f_multinomial(n, replacement))?.f_to_device(call.this.device())?)
    })
}

/// `(p, options)`: each value to 0 with probability p, the others over 1 - p.
fn dropout(call: &TensorCall, mut args: Call) -> mlua::Result<Value> {
    let p = args.number("p")?;
    let seed = Seed::read(call, &mut args)?;
    args.finish()?;
    if !(0.0..=1.0).contains(&p) {
        return Err(call.error(Error::option("p", "0 to 1", p)));
    }
    call.make(|| {
        dtype::require_float("t", &call.this)?;
        if p == 1.0 {
            return Ok(call.this.f_mul_scalar(0.0)?);
        }
        let empty = || T::f_empty(call.this.size(), (call.this.f_kind()?, Device::Cpu));
        let kept = seeded(seed, || empty()?.f_bernoulli_float_(1.0 - p))?.f_div_scalar_(1.0 - p)?;
        Ok(call.this.f_mul(&kept.f_to_device(call.this.device())?)?)
    })
}

/// Refuses values outside a range, and NaN.
fn within(tensor: &T, least: f64, most: f64) -> Result<()> {
    let inside = tensor.f_ge(least)?.f_logical_and(&tensor.f_le(most)?)?;
    match inside.f_all()?.f_int64_value(&[])? {
        1 => Ok(()),
        _ => {
            let outside = tensor.f_masked_select(&inside.f_logical_not()?)?.f_double_value(&[0])?;
            let expected = if most == 1.0 { "values from 0 to 1" } else { "finite values of at least 0" };
            Err(Error::option("t", expected, outside))
        }
    }
}
