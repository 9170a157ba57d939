//! Tensors from Lua values and to them; what a tensor is, in words.

use mlua::{Lua, Table, Value};
use serde::Deserialize;
use tch::{Device, Kind};

use super::{Method, TensorCall};
use crate::engine::tensor::dtype;
use crate::engine::{Error, Result, device};
use crate::lua::call::Call;
use crate::lua::kind::{integral, kind};
use crate::lua::{options, report};

#[rustfmt::skip]
pub const METHODS: &[(&str, Method)] = &[
    ("totable", to_table),
    ("item",    item),
    ("shape",   |call, args| { args.finish()?; call.lua.create_sequence_from(call.this.size()).map(Value::Table) }),
    ("numel",   |call, args| { args.finish()?; Ok(Value::Integer(call.this.numel() as i64)) }),
    ("dim",     |call, args| { args.finish()?; Ok(Value::Integer(call.this.dim() as i64)) }),
    ("dtype",   |call, args| { args.finish()?; word(call, dtype::name(call.check(|| Ok(call.this.f_kind()?))?)) }),
    ("device",  |call, args| { args.finish()?; word(call, &device::name(call.this.device())) }),
    ("to",      to),
    ("clone",   |call, args| { args.finish()?; call.tensor(|| call.this.f_alias_copy()) }),
];

/// Lists of lists nested deeper than this are taken for a mistake.
const MAX_DEPTH: usize = 64;

/// The tensor of a number, a boolean, or lists of them, as deep as it has dimensions. Without a `kind` numbers become
/// float32 and booleans bool.
pub fn from_lua(value: &Value, kind: Option<Kind>) -> Result<tch::Tensor> {
    let (shape, first) = outline(value)?;
    let kind = kind.unwrap_or(if first.is_boolean() { Kind::Bool } else { Kind::Float });
    let flat = match kind {
        Kind::Bool => tch::Tensor::f_from_slice(&read(value, &shape, "boolean", Value::as_boolean)?)?,
        _ => match dtype::range(kind) {
            Some(range) => {
                let wanted = match kind {
                    Kind::Int64 => "integer".to_string(),
                    _ => format!("integer from {} to {}", range.start(), range.end()),
                };
                let held = |value: &Value| as_integer(value).filter(|n| range.contains(n));
                tch::Tensor::f_from_slice(&read(value, &shape, &wanted, held)?)?
            }
            None => tch::Tensor::f_from_slice(&read(value, &shape, "number", as_number)?)?,
        },
    };
    let sizes: Vec<i64> = shape.iter().map(|&size| size as i64).collect();
    Ok(flat.f_reshape(sizes)?.f_to_kind(kind)?)
}

/// The shape that the first items promise, and the first of all values.
fn outline(value: &Value) -> Result<(Vec<usize>, Value)> {
    let (mut shape, mut first) = (Vec::new(), value.clone());
    while let Value::Table(list) = &first {
        if shape.len() == MAX_DEPTH {
            return Err(Error::message(format!("value: lists nested deeper than {MAX_DEPTH}")));
        }
        shape.push(list.raw_len());
        first = list.raw_get(1).map_err(|error| report::lower(&error))?;
    }
    Ok((shape, first))
}

/// The number that a value is, integer or not.
pub fn as_number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(n) => Some(*n as f64),
        Value::Number(x) => Some(*x),
        _ => None,
    }
}

/// The integer that a value is, as `2.0` is one.
pub fn as_integer(value: &Value) -> Option<i64> {
    match value {
        Value::Integer(n) => Some(*n),
        Value::Number(x) => integral(*x),
        _ => None,
    }
}

/// A list of integers; `name` is its place, for the error.
pub fn integers(list: &Table, name: &str) -> Result<Vec<i64>> {
    let item = |position: usize| {
        let value: Value = list.raw_get(position).map_err(|error| report::lower(&error))?;
        as_integer(&value).ok_or_else(|| Error::option(format!("{name}[{position}]"), "integer", shown(&value)))
    };
    let items = (1..=list.raw_len()).map(item).collect::<Result<Vec<_>>>()?;
    match list.pairs::<Value, Value>().count() == items.len() {
        true => Ok(items),
        false => Err(Error::option(name, "a list", "a table with other keys too")),
    }
}

/// All values, row by row.
fn read<T>(value: &Value, shape: &[usize], wanted: &str, leaf: impl Fn(&Value) -> Option<T>) -> Result<Vec<T>> {
    let mut reader = Reader { shape, wanted, leaf: &leaf, path: Vec::new(), values: Vec::new() };
    reader.read(value)?;
    Ok(reader.values)
}

struct Reader<'a, T> {
    shape: &'a [usize],
    wanted: &'a str,
    leaf: &'a dyn Fn(&Value) -> Option<T>,
    /// The positions that lead to the current value.
    path: Vec<usize>,
    values: Vec<T>,
}

impl<T> Reader<'_, T> {
    fn read(&mut self, value: &Value) -> Result<()> {
        let Some(&length) = self.shape.get(self.path.len()) else {
            let leaf = (self.leaf)(value).ok_or_else(|| self.error(self.wanted, value))?;
            self.values.push(leaf);
            return Ok(());
        };
        let Value::Table(list) = value else {
            return Err(self.error(format!("a list of {length}, as the first one"), value));
        };
        if list.raw_len() != length {
            let got = format!("one of {}", list.raw_len());
            return Err(Error::option(self.place(), format!("a list of {length}, as the first one"), got));
        }
        for position in 1..=length {
            let item: Value = list.raw_get(position).map_err(|error| report::lower(&error))?;
            self.path.push(position);
            self.read(&item)?;
            self.path.pop();
        }
        if list.pairs::<Value, Value>().count() != length {
            return Err(Error::option(self.place(), "a list", "a table with other keys too"));
        }
        Ok(())
    }

    fn error(&self, expected: impl Into<String>, got: &Value) -> Error {
        Error::option(self.place(), expected, shown(got))
    }

    /// `value[2][1]`
    fn place(&self) -> String {
        self.path.iter().fold("value".to_string(), |place, position| format!("{place}[{position}]"))
    }
}

/// A value with its type, for messages.
pub fn shown(value: &Value) -> String {
    as_number(value).map_or_else(|| kind(value), |x| format!("number {x}"))
}

/// The values of a tensor, row by row: floats, integers or booleans, as its dtype is.
fn elements(tensor: &tch::Tensor) -> Result<Vec<Value>> {
    let flat = tensor.f_detach()?.f_to_device(Device::Cpu)?.f_reshape([-1])?;
    let (kind, count) = (flat.f_kind()?, flat.numel());
    if flat.f_is_floating_point()? {
        let mut values = vec![0f64; count];
        flat.f_to_kind(Kind::Double)?.f_copy_data(&mut values, count)?;
        return Ok(values.into_iter().map(Value::Number).collect());
    }
    let mut values = vec![0i64; count];
    flat.f_to_kind(Kind::Int64)?.f_copy_data(&mut values, count)?;
    let value = |n| if kind == Kind::Bool { Value::Boolean(n != 0) } else { Value::Integer(n) };
    Ok(values.into_iter().map(value).collect())
}

fn to_table(call: &TensorCall, args: Call) -> mlua::Result<Value> {
    args.finish()?;
    let values = call.check(|| elements(&call.this))?;
    nest(call.lua, &call.this.size(), &mut values.into_iter())
}

fn nest(lua: &Lua, shape: &[i64], values: &mut std::vec::IntoIter<Value>) -> mlua::Result<Value> {
    let Some((&length, inner)) = shape.split_first() else {
        return Ok(values.next().unwrap_or(Value::Nil));
    };
    let list = lua.create_table_with_capacity(length as usize, 0)?;
    for _ in 0..length {
        list.raw_push(nest(lua, inner, values)?)?;
    }
    Ok(Value::Table(list))
}

fn item(call: &TensorCall, args: Call) -> mlua::Result<Value> {
    args.finish()?;
    if call.this.numel() != 1 {
        let message = format!("expected a tensor of one value, got one of the shape {:?}", call.this.size());
        return Err(call.error(Error::message(message)));
    }
    let values = call.check(|| elements(&call.this))?;
    Ok(values.into_iter().next().unwrap_or(Value::Nil))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Target {
    dtype: Option<String>,
    device: Option<String>,
}

/// `{ dtype =, device = }`, either or both. The same tensor where nothing changes.
fn to(call: &TensorCall, mut args: Call) -> mlua::Result<Value> {
    let target: Target = options::read(&call.function, Some(args.table("options")?))?;
    args.finish()?;
    call.make(|| {
        let kind = target.dtype.as_deref().map(dtype::parse).transpose()?.map_or_else(|| call.this.f_kind(), Ok)?;
        let device = target.device.as_deref().map(device::device).transpose()?.unwrap_or(call.this.device());
        Ok(call.this.f_to_device(device)?.f_to_kind(kind)?)
    })
}

fn word(call: &TensorCall, text: &str) -> mlua::Result<Value> {
    call.lua.create_string(text).map(Value::String)
}
