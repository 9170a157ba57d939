//! Parts of a tensor by position, range, mask and index tensor: `t[...]` on either side of `=`, and the methods that
//! gather and scatter.

use mlua::{Lua, Table, Value};
use tch::{Kind, Scalar};

use super::grad::in_place;
use super::{Call, Method, Number, Operand, tensor, tensor_of, values};
use crate::engine::tensor::index::{Part, Selection};
use crate::engine::tensor::shape::{check_index, gather_fits, misfit, offset, same_but, stretches_to};
use crate::engine::tensor::{dtype, memory};
use crate::engine::{Error, Result};
use crate::lua::args::{Args, kind};
use crate::lua::{report, require};

type T = tch::Tensor;

#[rustfmt::skip]
pub const METHODS: &[(&str, Method)] = &[
    ("select",        select),
    ("narrow",        narrow),
    ("gather",        gather),
    ("index_select",  index_select),
    ("index_add",     index_add),
    ("scatter",       scatter),
    ("scatter_add",   scatter_add),
    ("masked_fill",   masked_fill),
    ("masked_select", masked_select),
    ("nonzero",       |call, args| { args.finish()?; call.tensor(|| call.this.f_nonzero()) }),
    ("one_hot",       one_hot),
];

/// `t[...]`. A name that is no method's ends here too.
pub fn read(lua: &Lua, (this, key): (Value, Value)) -> mlua::Result<Value> {
    if let Value::String(name) = &key {
        let names: Vec<String> = super::methods().map(str::to_string).collect();
        let unknown = require::unknown("a tensor has no", "method", &name.to_string_lossy(), &names);
        return Err(report::raise(unknown));
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
fn beside(this: &T, value: &Value) -> Result<T> {
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

/// The call and what its key asks for.
fn parts_of<'a>(lua: &'a Lua, this: Value, key: &Value) -> mlua::Result<(Call<'a>, Vec<Part>)> {
    if let Some(position) = values::as_integer(key) {
        let call = Call::new(lua, format!("tensor[{position}]"), Some(this))?;
        if call.this.dim() == 0 {
            return Err(call.error(Error::message("a single number has no parts")));
        }
        return Ok((call, vec![Part::At(position)]));
    }
    let mut call = Call::new(lua, "tensor[...]", Some(this))?;
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

fn select(call: &Call, mut args: Args) -> mlua::Result<Value> {
    let dim = call.dim(&mut args, "dim")?;
    let at = position(call, &mut args, "index", dim)?;
    args.finish()?;
    call.tensor(|| call.this.f_select(dim, at))
}

fn narrow(call: &Call, mut args: Args) -> mlua::Result<Value> {
    let dim = call.dim(&mut args, "dim")?;
    let start = position(call, &mut args, "start", dim)?;
    let (length, left) = (args.integer("length")?, call.this.size()[dim as usize] - start);
    args.finish()?;
    if !(0..=left).contains(&length) {
        return Err(call.error(Error::option("length", format!("0 to {left}, what is left from there"), length)));
    }
    call.tensor(|| call.this.f_narrow(dim, start, length))
}

/// A position along `dim`, as an offset.
fn position(call: &Call, args: &mut Args, name: &str, dim: i64) -> mlua::Result<i64> {
    offset(name, args.integer(name)?, call.this.size()[dim as usize]).map_err(|error| call.error(error))
}

fn gather(call: &Call, mut args: Args) -> mlua::Result<Value> {
    let (dim, index) = dim_and_index(call, &mut args)?;
    args.finish()?;
    call.make(|| {
        gather_fits(&call.this.size(), &index.size(), dim)?;
        Ok(call.this.f_gather(dim, &index, false)?)
    })
}

fn index_select(call: &Call, mut args: Args) -> mlua::Result<Value> {
    let (dim, index) = dim_and_index(call, &mut args)?;
    args.finish()?;
    call.make(|| {
        one_dimensional(&index)?;
        Ok(call.this.f_index_select(dim, &index)?)
    })
}

/// `(dim, index, source)`: the parts of `source` added to the parts that a one-dimensional index tells.
fn index_add(call: &Call, mut args: Args) -> mlua::Result<Value> {
    let (dim, index) = dim_and_index(call, &mut args)?;
    let source = tensor(&mut args, &call.function, "source")?;
    args.finish()?;
    call.make(|| {
        one_dimensional(&index)?;
        same_but(&call.this.size(), &source.size(), dim)?;
        let (parts, indices) = (source.size()[dim as usize], index.numel());
        if parts != indices as i64 {
            let message = format!("{} for {indices} indices along dimension {}", misfit(&source.size(), &index.size()), dim + 1);
            return Err(Error::message(message));
        }
        dtype::same(&call.this, &source)?;
        Ok(call.this.f_index_add(dim, &index, &source)?)
    })
}

fn one_dimensional(index: &T) -> Result<()> {
    match index.dim() {
        0 | 1 => Ok(()),
        _ => Err(Error::option("index", "one dimension", format!("the shape {:?}", index.size()))),
    }
}

/// `(dim, index, source)`: a copy with the values of `source`, or one number, at the places that the index tells.
fn scatter(call: &Call, mut args: Args) -> mlua::Result<Value> {
    let (dim, index) = dim_and_index(call, &mut args)?;
    let source = Operand::argument(&mut args, &call.function, "source")?;
    args.finish()?;
    call.make(|| {
        gather_fits(&call.this.size(), &index.size(), dim)?;
        match source {
            Operand::Number(number) => Ok(call.this.f_scatter_value(dim, &index, Scalar::from(number))?),
            Operand::Tensor(source) => {
                covers(call, &index, &source)?;
                Ok(call.this.f_scatter(dim, &index, &source)?)
            }
        }
    })
}

fn scatter_add(call: &Call, mut args: Args) -> mlua::Result<Value> {
    let (dim, index) = dim_and_index(call, &mut args)?;
    let source = tensor(&mut args, &call.function, "source")?;
    args.finish()?;
    call.make(|| {
        gather_fits(&call.this.size(), &index.size(), dim)?;
        covers(call, &index, &source)?;
        Ok(call.this.f_scatter_add(dim, &index, &source)?)
    })
}

/// The source of a scatter has a value for each index.
fn covers(call: &Call, index: &T, source: &T) -> Result<()> {
    let (wanted, size) = (index.size(), source.size());
    match wanted.len() == size.len() && wanted.iter().zip(&size).all(|(wanted, size)| wanted <= size) {
        true => dtype::same(&call.this, source),
        false => Err(misfit(&wanted, &size)),
    }
}

fn dim_and_index(call: &Call, args: &mut Args) -> mlua::Result<(i64, T)> {
    let dim = call.dim(args, "dim")?;
    let index = tensor(args, &call.function, "index")?;
    call.check(|| {
        dtype::same_device(&call.this, &index)?;
        check_index("index", &index, call.this.size()[dim as usize])
    })?;
    Ok((dim, index))
}

/// `(mask, value)`: a copy with one value where the mask is true.
fn masked_fill(call: &Call, mut args: Args) -> mlua::Result<Value> {
    let mask = tensor(&mut args, &call.function, "mask")?;
    let value = args.value("value")?;
    args.finish()?;
    call.make(|| {
        fits_mask(call, &mask)?;
        let value = beside(&call.this, &value)?;
        match value.dim() {
            0 => Ok(call.this.f_masked_fill_tensor(&mask, &value)?),
            _ => Err(Error::option("value", "one value", format!("a tensor of the shape {:?}", value.size()))),
        }
    })
}

/// `(mask)`: the values where the mask is true, one behind the other.
fn masked_select(call: &Call, mut args: Args) -> mlua::Result<Value> {
    let mask = tensor(&mut args, &call.function, "mask")?;
    args.finish()?;
    call.make(|| {
        fits_mask(call, &mask)?;
        Ok(call.this.f_masked_select(&mask)?)
    })
}

fn fits_mask(call: &Call, mask: &T) -> Result<()> {
    dtype::require("mask", mask, Kind::Bool)?;
    stretches_to(&mask.size(), &call.this.size())?;
    dtype::same_device(&call.this, mask)
}

/// `(classes)`: for each value, counted from 0, a row with a 1 in its place.
fn one_hot(call: &Call, mut args: Args) -> mlua::Result<Value> {
    let classes = args.integer("classes")?;
    args.finish()?;
    if classes < 1 {
        return Err(call.error(Error::option("classes", "at least 1", classes)));
    }
    call.make(|| {
        check_index("t", &call.this, classes)?;
        let shape = [call.this.size(), vec![classes]].concat();
        memory::afford(&shape, Kind::Int64, call.this.device())?;
        Ok(call.this.f_one_hot(classes)?)
    })
}

