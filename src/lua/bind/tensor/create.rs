//! New tensors: from Lua values, filled, counted, drawn, read from files.

use mlua::{Lua, Table, Value};
use serde::Deserialize;
use tch::{Device, Kind, TchError};

use super::{Function, Tensor, attempt, new_value, shape, tensor_of, values};
use crate::engine::tensor::safetensors;
use crate::engine::{Error, Result, device};
use crate::lua::args::{Args, kind};
use crate::lua::options;

#[rustfmt::skip]
pub const FUNCTIONS: &[(&str, Function)] = &[
    ("new",    new),
    ("zeros",  |lua, function, args| filled(lua, function, args, |shape, target| tch::Tensor::f_zeros(shape, target))),
    ("ones",   |lua, function, args| filled(lua, function, args, |shape, target| tch::Tensor::f_ones(shape, target))),
    ("full",   full),
    ("arange", arange),
    ("rand",   |lua, function, args| drawn(lua, function, args, |shape, target| tch::Tensor::f_rand(shape, target))),
    ("randn",  |lua, function, args| drawn(lua, function, args, |shape, target| tch::Tensor::f_randn(shape, target))),
    ("save",   save),
    ("load",   load),
];

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    dtype: Option<String>,
    device: Option<String>,
    requires_grad: bool,
}

impl Options {
    /// float32 on the CPU without another word. Lua's 1 and 1.0 are too easily one another's place for the dtype to
    /// hang on them.
    fn target(&self) -> Result<(Kind, Device)> {
        Ok((self.kind()?.unwrap_or(Kind::Float), self.device()?))
    }

    fn kind(&self) -> Result<Option<Kind>> {
        self.dtype.as_deref().map(dtype).transpose()
    }

    fn device(&self) -> Result<Device> {
        self.device.as_deref().map_or(Ok(Device::Cpu), device::device)
    }

    fn finish(&self, tensor: tch::Tensor) -> Result<tch::Tensor> {
        match self.requires_grad {
            true => Ok(tensor.f_set_requires_grad(true)?),
            false => Ok(tensor),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DrawOptions {
    seed: i64,
    dtype: Option<String>,
    device: Option<String>,
    #[serde(default)]
    requires_grad: bool,
}

/// The dtypes that a tensor is made in.
pub fn dtype(name: &str) -> Result<Kind> {
    const NAMES: &str = "\"float32\", \"bfloat16\", \"float16\", \"float64\", \"int64\" or \"bool\"";
    match name {
        "int64" => Ok(Kind::Int64),
        "bool" => Ok(Kind::Bool),
        _ => device::dtype(name).map_err(|_| Error::option("dtype", NAMES, format!("\"{name}\""))),
    }
}

fn new(lua: &Lua, function: &str, mut args: Args) -> mlua::Result<Value> {
    let value = args.value("value")?;
    let options: Options = options::read(function, args.optional_table("options")?)?;
    args.finish()?;
    new_value(lua, function, || {
        options.finish(values::from_lua(&value, options.kind()?)?.f_to_device(options.device()?)?)
    })
}

/// A function of tch that makes a tensor of a shape.
type Fill = fn(&[i64], (Kind, Device)) -> Result<tch::Tensor, TchError>;

fn filled(lua: &Lua, function: &str, mut args: Args, fill: Fill) -> mlua::Result<Value> {
    let shape = shape::sizes(function, &args.table("shape")?, 0)?;
    let options: Options = options::read(function, args.optional_table("options")?)?;
    args.finish()?;
    new_value(lua, function, || options.finish(fill(&shape, options.target()?)?))
}

fn full(lua: &Lua, function: &str, mut args: Args) -> mlua::Result<Value> {
    let shape = shape::sizes(function, &args.table("shape")?, 0)?;
    let value = args.value("value")?;
    let options: Options = options::read(function, args.optional_table("options")?)?;
    args.finish()?;
    if matches!(value, Value::Table(_)) {
        return Err(options::reject(function, Error::option("value", "number or boolean", kind(&value))));
    }
    new_value(lua, function, || {
        let value = values::from_lua(&value, options.kind()?)?.f_to_device(options.device()?)?;
        options.finish(value.f_expand(shape, false)?.f_contiguous()?)
    })
}

/// `(stop)`, `(start, stop)` or `(start, stop, step)`, then options: `start` (0), and on while below `stop`.
fn arange(lua: &Lua, function: &str, mut args: Args) -> mlua::Result<Value> {
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
    let table = match rest {
        None => None,
        Some(Value::Table(table)) => Some(table),
        Some(other) => {
            let error = Error::option("options", "table, behind at most three numbers", kind(&other));
            return Err(options::reject(function, error));
        }
    };
    let options: Options = options::read(function, table)?;
    new_value(lua, function, || options.finish(tch::Tensor::f_arange_start_step(start, stop, step, options.target()?)?))
}

/// Draws from libtorch's generator, seeded with `seed`: the numbers of PyTorch on a CPU after `torch.manual_seed(seed)`,
/// on every device.
fn drawn(lua: &Lua, function: &str, mut args: Args, draw: Fill) -> mlua::Result<Value> {
    let shape = shape::sizes(function, &args.table("shape")?, 0)?;
    let options =
        options::read(function, Some(args.optional_table("options")?.map_or_else(|| lua.create_table(), Ok)?))?;
    args.finish()?;
    let DrawOptions { seed, dtype, device, requires_grad } = options;
    let options = Options { dtype, device, requires_grad };
    new_value(lua, function, || {
        let (kind, device) = options.target()?;
        tch::manual_seed(seed);
        options.finish(draw(&shape, (kind, Device::Cpu))?.f_to_device(device)?)
    })
}

/// `(path, tensors)`: writes tensors by name as a safetensors file.
fn save(_: &Lua, function: &str, mut args: Args) -> mlua::Result<Value> {
    let (path, table) = (args.string("path")?, args.table("tensors")?);
    args.finish()?;
    let mut tensors = Vec::new();
    for pair in table.pairs::<Value, Value>() {
        let (key, value) = pair?;
        let Some(name) = key.as_string().and_then(|name| Some(name.to_str().ok()?.to_string())) else {
            return Err(options::reject(function, Error::option("tensors", "names as keys", kind(&key))));
        };
        let tensor = tensor_of(&value, &format!("tensors.{name}")).map_err(|error| options::reject(function, error))?;
        tensors.push((name, tensor));
    }
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    attempt(|| safetensors::write(&path, &tensors)).map_err(|error| options::reject(function, error))?;
    Ok(Value::Nil)
}

/// `(path)`: the tensors of a safetensors file by name, on the CPU.
fn load(lua: &Lua, function: &str, mut args: Args) -> mlua::Result<Value> {
    let path = args.string("path")?;
    args.finish()?;
    let tensors = attempt(|| safetensors::read(&path)).map_err(|error| options::reject(function, error))?;
    let table: Table = lua.create_table()?;
    for (name, tensor) in tensors {
        table.raw_set(name, Tensor::new(lua, tensor)?)?;
    }
    Ok(Value::Table(table))
}
