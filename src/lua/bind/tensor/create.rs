//! New tensors: from Lua values, filled, counted.

use mlua::{Lua, Table, Value};
use serde::Deserialize;
use tch::{Device, Kind, TchError};

use super::{Function, new_value, shape, tensor, values};
use crate::engine::tensor::{dtype, memory};
use crate::engine::{Error, Result, device};
use crate::lua::call::Call;
use crate::lua::kind::kind;
use crate::lua::options;

type T = tch::Tensor;

#[rustfmt::skip]
pub const FUNCTIONS: &[(&str, Function)] = &[
    ("new",        new),
    ("zeros",      |lua, function, args| filled(lua, function, args, |shape, target| T::f_zeros(shape, target))),
    ("ones",       |lua, function, args| filled(lua, function, args, |shape, target| T::f_ones(shape, target))),
    ("full",       full),
    ("zeros_like", |lua, function, args| filled_like(lua, function, args, |shape, target| T::f_zeros(shape, target))),
    ("ones_like",  |lua, function, args| filled_like(lua, function, args, |shape, target| T::f_ones(shape, target))),
    ("full_like",  full_like),
    ("eye",        eye),
    ("arange",     arange),
    ("linspace",   linspace),
];

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    pub dtype: Option<String>,
    pub device: Option<String>,
    pub requires_grad: bool,
}

impl Options {
    /// float32 on the CPU without another word. Lua's 1 and 1.0 are too easily one another's place for the dtype to
    /// hang on them.
    pub fn target(&self) -> Result<(Kind, Device)> {
        Ok((self.kind()?.unwrap_or(Kind::Float), self.device()?))
    }

    /// The dtype and the device of another tensor without another word.
    pub fn target_like(&self, like: &T) -> Result<(Kind, Device)> {
        let device = if self.device.is_some() { self.device()? } else { like.device() };
        Ok((self.kind()?.map_or_else(|| like.f_kind(), Ok)?, device))
    }

    pub fn kind(&self) -> Result<Option<Kind>> {
        self.dtype.as_deref().map(dtype::parse).transpose()
    }

    pub fn device(&self) -> Result<Device> {
        self.device.as_deref().map_or(Ok(Device::Cpu), device::device)
    }

    pub fn finish(&self, tensor: T) -> Result<T> {
        match self.requires_grad {
            true => Ok(tensor.f_set_requires_grad(true)?),
            false => Ok(tensor),
        }
    }
}

fn new(lua: &Lua, function: &str, mut args: Call) -> mlua::Result<Value> {
    let value = args.value("value")?;
    let options: Options = options::read(function, args.optional_table("options")?)?;
    args.finish()?;
    new_value(lua, function, || {
        options.finish(values::from_lua(&value, options.kind()?)?.f_to_device(options.device()?)?)
    })
}

/// A function of tch that makes a tensor of a shape.
type Fill = fn(&[i64], (Kind, Device)) -> Result<T, TchError>;

fn filled(lua: &Lua, function: &str, mut args: Call, fill: Fill) -> mlua::Result<Value> {
    let shape = shape::sizes(function, &args.table("shape")?, 0)?;
    let options: Options = options::read(function, args.optional_table("options")?)?;
    args.finish()?;
    new_value(lua, function, || {
        let (kind, device) = options.target()?;
        memory::afford(&shape, kind, device)?;
        options.finish(fill(&shape, (kind, device))?)
    })
}

fn filled_like(lua: &Lua, function: &str, mut args: Call, fill: Fill) -> mlua::Result<Value> {
    let like = tensor(&mut args, function, "tensor")?;
    let options: Options = options::read(function, args.optional_table("options")?)?;
    args.finish()?;
    new_value(lua, function, || {
        let (kind, device) = options.target_like(&like)?;
        memory::afford(&like.size(), kind, device)?;
        options.finish(fill(&like.size(), (kind, device))?)
    })
}

fn full(lua: &Lua, function: &str, mut args: Call) -> mlua::Result<Value> {
    let shape = shape::sizes(function, &args.table("shape")?, 0)?;
    let value = args.value("value")?;
    let options: Options = options::read(function, args.optional_table("options")?)?;
    args.finish()?;
    new_value(lua, function, || {
        let kind = options.kind()?;
        full_of(&options, &shape, single(&value, kind)?, options.device()?)
    })
}

/// `(tensor, value, options)`
fn full_like(lua: &Lua, function: &str, mut args: Call) -> mlua::Result<Value> {
    let like = tensor(&mut args, function, "tensor")?;
    let value = args.value("value")?;
    let options: Options = options::read(function, args.optional_table("options")?)?;
    args.finish()?;
    new_value(lua, function, || {
        let (kind, device) = options.target_like(&like)?;
        full_of(&options, &like.size(), single(&value, Some(kind))?, device)
    })
}

fn single(value: &Value, kind: Option<Kind>) -> Result<T> {
    match value {
        Value::Boolean(_) | Value::Integer(_) | Value::Number(_) => values::from_lua(value, kind),
        other => Err(Error::option("value", "number or boolean", self::kind(other))),
    }
}

fn full_of(options: &Options, shape: &[i64], value: T, device: Device) -> Result<T> {
    memory::afford(shape, value.f_kind()?, device)?;
    options.finish(value.f_to_device(device)?.f_expand(shape, false)?.f_contiguous()?)
}

/// `(n, m, options)`: ones on the diagonal of [n, m], m being n where it is not given.
fn eye(lua: &Lua, function: &str, mut args: Call) -> mlua::Result<Value> {
    let n = args.integer("n")?;
    let mut rest = args.optional_value("m or options")?;
    let m = rest.as_ref().and_then(values::as_integer);
    if m.is_some() {
        rest = args.optional_value("options")?;
    }
    args.finish()?;
    let options: Options = options::read(function, last_table(function, rest, "behind at most two integers")?)?;
    let shape = [n, m.unwrap_or(n)];
    if shape.iter().any(|&size| size < 0) {
        return Err(options::reject(function, Error::option("n and m", "non-negative integers", format!("{shape:?}"))));
    }
    new_value(lua, function, || {
        let (kind, device) = options.target()?;
        memory::afford(&shape, kind, device)?;
        options.finish(T::f_eye_m(shape[0], shape[1], (kind, device))?)
    })
}

/// `(stop)`, `(start, stop)` or `(start, stop, step)`, then options: `start` (0), and on while below `stop`.
fn arange(lua: &Lua, function: &str, mut args: Call) -> mlua::Result<Value> {
    let (mut start, mut stop, mut step) = (0.0, args.number("stop")?, 1.0);
    let mut rest = args.optional_value("stop or options")?;
    if let Some(number) = rest.as_ref().and_then(values::as_number) {
        (start, stop) = (stop, number);
        rest = args.optional_value("step or options")?;
        if let Some(number) = rest.as_ref().and_then(values::as_number) {
            step = number;
            rest = args.optional_value("options")?;
        }
    }
    args.finish()?;
    let options: Options = options::read(function, last_table(function, rest, "behind at most three numbers")?)?;
    new_value(lua, function, || {
        let (kind, device) = options.target()?;
        for (name, number) in [("start", start), ("stop", stop), ("step", step)] {
            finite(name, number)?;
        }
        if step == 0.0 {
            return Err(Error::option("step", "a number other than 0", 0));
        }
        memory::afford(&[((stop - start) / step).max(0.0).ceil() as i64], kind, device)?;
        options.finish(T::f_arange_start_step(start, stop, step, (kind, device))?)
    })
}

/// `(start, stop, steps, options)`: so many numbers at equal distances, both ends included.
fn linspace(lua: &Lua, function: &str, mut args: Call) -> mlua::Result<Value> {
    let (start, stop, steps) = (args.number("start")?, args.number("stop")?, args.integer("steps")?);
    let options: Options = options::read(function, args.optional_table("options")?)?;
    args.finish()?;
    new_value(lua, function, || {
        finite("start", start)?;
        finite("stop", stop)?;
        if steps < 0 {
            return Err(Error::option("steps", "a non-negative integer", steps));
        }
        let (kind, device) = options.target()?;
        memory::afford(&[steps], kind, device)?;
        options.finish(T::f_linspace(start, stop, steps, (kind, device))?)
    })
}

fn finite(name: &str, number: f64) -> Result<()> {
    if number.is_finite() { Ok(()) } else { Err(Error::option(name, "a finite number", number)) }
}

/// The options behind arguments that may be missing.
fn last_table(function: &str, value: Option<Value>, place: &str) -> mlua::Result<Option<Table>> {
    match value {
        None => Ok(None),
        Some(Value::Table(table)) => Ok(Some(table)),
        Some(other) => {
            Err(options::reject(function, Error::option("options", format!("table, {place}"), kind(&other))))
        }
    }
}
