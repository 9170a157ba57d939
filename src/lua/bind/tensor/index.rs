//! `t[...]` on either side of `=`: parts of a tensor by position, range, mask and index tensor.

use mlua::{Lua, Table, Value};
use tch::{Kind, Scalar};

use super::grad::in_place;
use super::{Number, Operand, TensorCall, tensor_of, values};
use crate::engine::tensor::dtype;
use crate::engine::tensor::index::{Part, Selection};
use crate::engine::{Error, Result};
use crate::lua::kind::kind;
use crate::lua::report;
use crate::lua::strict::unknown;

type T = tch::Tensor;

/// `t[...]`. A name that is no method's ends here too.
pub fn read(lua: &Lua, (this, key): (Value, Value)) -> mlua::Result<Value> {
    if let Value::String(name) = &key {
        let names: Vec<String> = super::methods().map(str::to_string).collect();
        return Err(report::raise(unknown("a tensor has no", "method", &name.to_string_lossy(), &names)));
    }
    let (call, parts) = parts_of(lua, this, &key)?;
    call.make(|| Selection::new(&call.this, &parts)?.read())
}

/// `t[...] = value`, in place.
pub fn write(lua: &Lua, (this, key, value): (Value, Value, Value)) -> mlua::Result<()> {
    if let Value::String(name) = &key {
        let message = format!("tensor: there is no field `{}` to set", name.to_string_lossy());
        return Err(report::raise(Error::hinted(message, "t[i] = x sets a part")));
    }
    let (mut call, parts) = parts_of(lua, this, &key)?;
    call.function = format!("assignment to {}", call.function);
    let value = call.check(|| beside(&call.this, &value))?;
    in_place(&call, || Selection::new(&call.this, &parts)?.write(&value)).map(drop)
}

/// A value of the assigned-to tensor's dtype and device.
pub fn beside(this: &T, value: &Value) -> Result<T> {
    let number = match value {
        Value::Boolean(flag) => Number::Int((*flag).into()),
        _ => match Operand::new(value, "value")? {
            Operand::Tensor(tensor) => return Ok(tensor),
            Operand::Number(number) => number,
        },
    };
    let target = this.f_kind()?;
    let fits = match (target, value, number) {
        (Kind::Bool, Value::Boolean(_), _) => true,
        (Kind::Bool, ..) | (_, Value::Boolean(_), _) => false,
        (kind, ..) => match dtype::range(kind) {
            Some(range) => values::as_integer(value).is_some_and(|n| range.contains(&n)),
            None => true,
        },
    };
    match fits {
        true => Ok(T::f_scalar_tensor(Scalar::from(number), (target, this.device()))?),
        false => Err(Error::option("value", format!("one of {}", dtype::name(target)), values::shown(value))),
    }
}

/// As [`beside`], but one value.
pub fn single_beside(this: &T, value: &Value) -> Result<T> {
    let value = beside(this, value)?;
    match value.dim() {
        0 => dtype::same(this, &value).map(|()| value),
        _ => Err(Error::option("value", "one value", format!("a tensor of the shape {:?}", value.size()))),
    }
}

/// The call and what its key asks for.
fn parts_of<'a>(lua: &'a Lua, this: Value, key: &Value) -> mlua::Result<(TensorCall<'a>, Vec<Part>)> {
    if let Some(position) = values::as_integer(key) {
        let call = TensorCall::new(lua, format!("tensor[{position}]"), Some(this))?;
        if call.this.dim() == 0 {
            return Err(call.error(Error::message("a single number has no parts")));
        }
        return Ok((call, vec![Part::At(position)]));
    }
    let mut call = TensorCall::new(lua, "tensor[...]", Some(this))?;
    call.function = format!("tensor[...] of the shape {:?}", call.this.size());
    let parts = match key {
        Value::Table(list) => call.check(|| entries(list))?,
        Value::UserData(_) => vec![Part::Tensor(call.check(|| tensor_of(key, "index"))?)],
        _ => {
            let expected = "expected an integer, a table, a tensor or a method's name";
            return Err(report::raise(Error::message(format!("tensor[i]: {expected}, got {}", values::shown(key)))));
        }
    };
    Ok((call, parts))
}

/// One entry for each dimension, from the first on.
fn entries(list: &Table) -> Result<Vec<Part>> {
    let item = |position: usize| {
        let value: Value = list.raw_get(position).map_err(|error| report::lower(&error))?;
        entry(&value, &format!("index[{position}]"))
    };
    let parts = (1..=list.raw_len()).map(item).collect::<Result<Vec<_>>>()?;
    match list.pairs::<Value, Value>().count() == parts.len() {
        true => Ok(parts),
        false => Err(Error::option("index", "a list with one entry for each dimension", "a table with other keys too")),
    }
}

fn entry(value: &Value, place: &str) -> Result<Part> {
    match (values::as_integer(value), value) {
        (Some(position), _) => Ok(Part::At(position)),
        (None, Value::UserData(_)) => tensor_of(value, place).map(Part::Tensor),
        (None, Value::Table(range)) => match values::integers(range, place)?.as_slice() {
            [] => Ok(Part::All),
            &[from, to] => Ok(Part::Range { from, to, step: 1 }),
            &[from, to, step] => Ok(Part::Range { from, to, step }),
            [_] | [_, _, _, _, ..] => {
                let expected = "{ from, to }, { from, to, step } or {} for all";
                Err(Error::option(place, expected, format!("a list of {}", range.raw_len())))
            }
        },
        (None, other) => Err(Error::option(place, "integer, { from, to }, {} or a tensor", kind(other))),
    }
}
