//! Tensors joined, and taken apart into several.

use mlua::{Lua, Value};

use super::{Function, Method, TensorCall, list_of, new_value, tensors_of, values};
use crate::engine::error::Context;
use crate::engine::tensor::{dtype, memory, shape};
use crate::engine::{Error, Result};
use crate::lua::call::Call;
use crate::lua::options;

type T = tch::Tensor;

pub const FUNCTIONS: &[(&str, Function)] = &[("cat", cat), ("stack", stack)];

#[rustfmt::skip]
pub const METHODS: &[(&str, Method)] = &[
    ("chunk",             chunk),
    ("split",             split),
    ("unbind",            unbind),
    ("tile",              tile),
    ("repeat_interleave", repeat_interleave),
];

fn cat(lua: &Lua, function: &str, args: Call) -> mlua::Result<Value> {
    let (tensors, position) = tensors_and_dim(function, args)?;
    new_value(lua, function, || {
        let first = tensors[0].size();
        let dim = shape::offset("dim", position, first.len() as i64)?;
        // Along `dim` every length goes.
        all_fit(&tensors, |size| shape::same_but(&first, size, dim))?;
        Ok(T::f_cat(&tensors, dim)?)
    })
}

fn stack(lua: &Lua, function: &str, args: Call) -> mlua::Result<Value> {
    let (tensors, position) = tensors_and_dim(function, args)?;
    new_value(lua, function, || {
        let first = tensors[0].size();
        let dim = shape::offset("dim", position, first.len() as i64 + 1)?;
        all_fit(&tensors, |size| shape::same(&first, size))?;
        Ok(T::f_stack(&tensors, dim)?)
    })
}

/// Names the first tensor that does not fit the first one. Dtypes may differ: the widest wins.
fn all_fit(tensors: &[T], fits: impl Fn(&[i64]) -> Result<()>) -> Result<()> {
    let fits_first = |tensor: &T| fits(&tensor.size()).and_then(|()| dtype::same_device(&tensors[0], tensor));
    let with_place = |(at, tensor)| fits_first(tensor).context(format!("tensors[{}]", at + 1));
    tensors.iter().enumerate().try_for_each(with_place)
}

/// `(tensors, dim)`: at least one tensor, and the dimension, the first one without a word.
fn tensors_and_dim(function: &str, mut args: Call) -> mlua::Result<(Vec<T>, i64)> {
    let list = args.table("tensors")?;
    let dim = args.optional_integer("dim")?.unwrap_or(1);
    args.finish()?;
    let tensors = tensors_of(&list, "tensors").map_err(|error| options::reject(function, error))?;
    if tensors.is_empty() {
        return Err(options::reject(function, Error::option("tensors", "at least one tensor", "an empty list")));
    }
    Ok((tensors, dim))
}

/// A dimension, the first one where it is not given.
fn first_or(call: &TensorCall, args: &mut Call) -> mlua::Result<i64> {
    call.optional_dim(args, "dim")?.map_or_else(|| call.dim_of(1, "dim"), Ok)
}

/// `(chunks, dim)`: at most so many views of one length, the last may be shorter.
fn chunk(call: &TensorCall, mut args: Call) -> mlua::Result<Value> {
    let chunks = args.integer("chunks")?;
    let dim = first_or(call, &mut args)?;
    args.finish()?;
    if chunks < 1 {
        return Err(call.error(Error::option("chunks", "at least 1", chunks)));
    }
    list_of(call.lua, call.check(|| Ok(call.this.f_chunk(chunks, dim)?))?)
}

/// `(size, dim)`: views of this length, the last may be shorter; with a list, views of these lengths.
fn split(call: &TensorCall, mut args: Call) -> mlua::Result<Value> {
    let sizes = args.value("size")?;
    let dim = first_or(call, &mut args)?;
    args.finish()?;
    let length = call.this.size()[dim as usize];
    let parts = match (&sizes, values::as_integer(&sizes)) {
        (_, Some(size)) if size >= 1 => call.check(|| Ok(call.this.f_split(size, dim)?))?,
        (Value::Table(list), _) => {
            let sizes = values::integers(list, "size").map_err(|error| call.error(error))?;
            let total = sizes.iter().try_fold(0i64, |sum, &size| sum.checked_add(size));
            if sizes.iter().any(|&size| size < 0) || total != Some(length) {
                let expected = format!("sizes that add up to {length}, the size of the dimension");
                return Err(call.error(Error::option("size", expected, format!("{sizes:?}"))));
            }
            call.check(|| Ok(call.this.f_split_sizes(sizes, dim)?))?
        }
        _ => {
            let expected = "a positive integer or a list of sizes";
            return Err(call.error(Error::option("size", expected, values::shown(&sizes))));
        }
    };
    list_of(call.lua, parts)
}

/// `(dim)`: a view of each part along a dimension, which goes.
fn unbind(call: &TensorCall, mut args: Call) -> mlua::Result<Value> {
    let dim = first_or(call, &mut args)?;
    args.finish()?;
    list_of(call.lua, call.check(|| Ok(call.this.f_unbind(dim)?))?)
}

/// `({ times, .. })`: copies side by side, along the last dimensions where there are fewer numbers than dimensions.
fn tile(call: &TensorCall, mut args: Call) -> mlua::Result<Value> {
    let list = args.table("times")?;
    args.finish()?;
    call.make(|| {
        let times = values::integers(&list, "times")?;
        for (at, &count) in times.iter().enumerate() {
            not_negative(&format!("times[{}]", at + 1), count)?;
        }
        memory::afford(&shape::tiled(&call.this.size(), &times), call.this.f_kind()?, call.this.device())?;
        Ok(call.this.f_tile(times)?)
    })
}

/// `(times, dim)`: each part along a dimension so many times.
fn repeat_interleave(call: &TensorCall, mut args: Call) -> mlua::Result<Value> {
    let times = args.integer("times")?;
    let dim = first_or(call, &mut args)?;
    args.finish()?;
    call.make(|| {
        not_negative("times", times)?;
        let mut shape = call.this.size();
        shape[dim as usize] = shape[dim as usize].saturating_mul(times);
        memory::afford(&shape, call.this.f_kind()?, call.this.device())?;
        Ok(call.this.f_repeat_interleave_self_int(times, dim, None::<i64>)?)
    })
}

fn not_negative(name: &str, count: i64) -> Result<()> {
    if count >= 0 { Ok(()) } else { Err(Error::option(name, "a non-negative integer", count)) }
}
