//! Other shapes of the same values, and parts of a tensor.

use mlua::{Lua, Table, Value};

use super::{Call, Function, Method, attempt, new_value, tensor, tensor_of, values};
use crate::engine::error::Context;
use crate::engine::tensor::shape::{check_index, gather_fits, misfit, offset};
use crate::engine::{Error, Result};
use crate::lua::args::Args;
use crate::lua::options;

#[rustfmt::skip]
pub const METHODS: &[(&str, Method)] = &[
    ("reshape",      |call, args| { let shape = new_shape(call, args)?; call.tensor(|| call.this.f_reshape(shape)) }),
    ("view",         |call, args| { let shape = new_shape(call, args)?; call.tensor(|| call.this.f_view_(shape)) }),
    ("transpose",    transpose),
    ("t",            |call, args| { args.finish()?; call.tensor(|| call.this.f_tr()) }),
    ("unsqueeze",    unsqueeze),
    ("squeeze",      squeeze),
    ("select",       select),
    ("narrow",       narrow),
    ("gather",       gather),
    ("index_select", index_select),
];

pub const FUNCTIONS: &[(&str, Function)] = &[("cat", cat), ("stack", stack)];

/// A list of sizes, each at least `least`. Shapes are tables, as `t:shape()` gives them.
pub fn sizes(function: &str, table: &Table, least: i64) -> mlua::Result<Vec<i64>> {
    let item = |position: usize| -> mlua::Result<i64> {
        let value: Value = table.raw_get(position)?;
        let expected = if least < 0 { "a size or -1" } else { "a non-negative integer" };
        values::as_integer(&value).filter(|&size| size >= least).ok_or_else(|| {
            options::reject(function, Error::option(format!("shape[{position}]"), expected, values::shown(&value)))
        })
    };
    (1..=table.raw_len()).map(item).collect()
}

fn new_shape(call: &Call, mut args: Args) -> mlua::Result<Vec<i64>> {
    let shape = sizes(&call.function, &args.table("shape")?, -1)?;
    args.finish()?;
    Ok(shape)
}

fn transpose(call: &Call, mut args: Args) -> mlua::Result<Value> {
    let (first, second) = (call.dim(&mut args, "dim1")?, call.dim(&mut args, "dim2")?);
    args.finish()?;
    call.tensor(|| call.this.f_transpose(first, second))
}

/// The new dimension stands at the given position of the result.
fn unsqueeze(call: &Call, mut args: Args) -> mlua::Result<Value> {
    let position = args.integer("dim")?;
    args.finish()?;
    let dim = offset("dim", position, call.this.dim() as i64 + 1).map_err(|error| call.error(error))?;
    call.tensor(|| call.this.f_unsqueeze(dim))
}

fn squeeze(call: &Call, mut args: Args) -> mlua::Result<Value> {
    let dim = call.optional_dim(&mut args, "dim")?;
    args.finish()?;
    call.tensor(|| match dim {
        Some(dim) => call.this.f_squeeze_dim(dim),
        None => call.this.f_squeeze(),
    })
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
    gather_fits(&call.this.size(), &index.size(), dim).map_err(|error| call.error(error))?;
    call.tensor(|| call.this.f_gather(dim, &index, false))
}

fn index_select(call: &Call, mut args: Args) -> mlua::Result<Value> {
    let (dim, index) = dim_and_index(call, &mut args)?;
    args.finish()?;
    call.tensor(|| call.this.f_index_select(dim, &index))
}

fn dim_and_index(call: &Call, args: &mut Args) -> mlua::Result<(i64, tch::Tensor)> {
    let dim = call.dim(args, "dim")?;
    let index = tensor(args, &call.function, "index")?;
    attempt(|| check_index(&index, call.this.size()[dim as usize])).map_err(|error| call.error(error))?;
    Ok((dim, index))
}

fn cat(lua: &Lua, function: &str, args: Args) -> mlua::Result<Value> {
    let (tensors, position) = tensors_and_dim(function, args)?;
    new_value(lua, function, || {
        let first = tensors[0].size();
        let dim = offset("dim", position, first.len() as i64)?;
        // Along `dim` every length goes.
        all_fit(&tensors, |mut size| {
            if let (Some(length), Some(free)) = (size.get_mut(dim as usize), first.get(dim as usize)) {
                *length = *free;
            }
            size == first
        })?;
        Ok(tch::Tensor::f_cat(&tensors, dim)?)
    })
}

fn stack(lua: &Lua, function: &str, args: Args) -> mlua::Result<Value> {
    let (tensors, position) = tensors_and_dim(function, args)?;
    new_value(lua, function, || {
        let first = tensors[0].size();
        let dim = offset("dim", position, first.len() as i64 + 1)?;
        all_fit(&tensors, |size| size == first)?;
        Ok(tch::Tensor::f_stack(&tensors, dim)?)
    })
}

/// Names the first tensor whose shape does not fit the first one's.
fn all_fit(tensors: &[tch::Tensor], fits: impl Fn(Vec<i64>) -> bool) -> Result<()> {
    match tensors.iter().position(|tensor| !fits(tensor.size())) {
        Some(at) => Err(misfit(&tensors[0].size(), &tensors[at].size())).context(format!("tensors[{}]", at + 1)),
        None => Ok(()),
    }
}

/// `(tensors, dim)`: at least one tensor, and the dimension, the first one without a word.
fn tensors_and_dim(function: &str, mut args: Args) -> mlua::Result<(Vec<tch::Tensor>, i64)> {
    let list = args.table("tensors")?;
    let dim = args.optional_integer("dim")?.unwrap_or(1);
    args.finish()?;
    let item = |position: usize| -> mlua::Result<tch::Tensor> {
        tensor_of(&list.raw_get(position)?, &format!("tensors[{position}]"))
            .map_err(|error| options::reject(function, error))
    };
    let tensors = (1..=list.raw_len()).map(item).collect::<mlua::Result<Vec<_>>>()?;
    if tensors.is_empty() {
        return Err(options::reject(function, Error::option("tensors", "at least one tensor", "an empty list")));
    }
    Ok((tensors, dim))
}
