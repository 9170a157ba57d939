//! Other shapes of the same values.

use mlua::{Table, Value};

use super::{Method, TensorCall, values};
use crate::engine::Error;
use crate::engine::tensor::memory;
use crate::engine::tensor::shape::{self, offset};
use crate::lua::call::Call;
use crate::lua::options;

#[rustfmt::skip]
pub const METHODS: &[(&str, Method)] = &[
    ("reshape",    |call, args| { let shape = new_shape(call, args)?; call.tensor(|| call.this.f_reshape(&shape)) }),
    ("view",       |call, args| { let shape = new_shape(call, args)?; call.tensor(|| call.this.f_view_(&shape)) }),
    ("flatten",    flatten),
    ("expand",     expand),
    ("contiguous", contiguous),
    ("transpose",  transpose),
    ("permute",    permute),
    ("t",          transpose_matrix),
    ("unsqueeze",  unsqueeze),
    ("squeeze",    squeeze),
    ("flip",       flip),
    ("roll",       roll),
    ("diagonal",   diagonal),
    ("tril",       |call, args| { let k = diagonal_of(call, args)?; call.tensor(|| call.this.f_tril(k)) }),
    ("triu",       |call, args| { let k = diagonal_of(call, args)?; call.tensor(|| call.this.f_triu(k)) }),
];

/// A list of sizes, each at least `least`. Shapes are tables, as `t:shape()` gives them.
pub fn sizes(function: &str, table: &Table, least: i64) -> mlua::Result<Vec<i64>> {
    let item = |position: usize| -> mlua::Result<i64> {
        let value: Value = table.raw_get(position)?;
        let expected = if least < 0 { "a size or -1" } else { "a non-negative integer" };
        values::as_integer(&value).filter(|&size| size >= least).ok_or_else(|| {
            options::reject(function, Error::option(format!("shape[{position}]"), expected, values::shown(&value)))
        })
    };
    let sizes = (1..=table.raw_len()).map(item).collect::<mlua::Result<Vec<i64>>>()?;
    match table.pairs::<Value, Value>().count() == sizes.len() {
        true => Ok(sizes),
        false => {
            Err(options::reject(function, Error::option("shape", "a list of sizes", "a table with other keys too")))
        }
    }
}

fn new_shape(call: &TensorCall, mut args: Call) -> mlua::Result<Vec<i64>> {
    let shape = sizes(&call.function, &args.table("shape")?, -1)?;
    args.finish()?;
    call.check(|| shape::holds_the_same(&call.this.size(), &shape))?;
    Ok(shape)
}

/// `(first, last)`: the dimensions from one to another as one; all where they are not given.
fn flatten(call: &TensorCall, mut args: Call) -> mlua::Result<Value> {
    let (first, last) = (call.optional_dim(&mut args, "first")?, call.optional_dim(&mut args, "last")?);
    args.finish()?;
    let first = first.unwrap_or(0);
    let last = last.unwrap_or((call.this.dim() as i64 - 1).max(0));
    if first > last {
        let expected = format!("a dimension from {} on", first + 1);
        return Err(call.error(Error::option("last", expected, last + 1)));
    }
    call.tensor(|| call.this.f_flatten(first, last))
}

/// A view in which dimensions of size 1 are repeated; -1 keeps a size.
fn expand(call: &TensorCall, mut args: Call) -> mlua::Result<Value> {
    let mut shape = sizes(&call.function, &args.table("shape")?, -1)?;
    args.finish()?;
    let own = call.this.size();
    let shift = shape.len().checked_sub(own.len()).ok_or_else(|| call.error(shape::misfit(&own, &shape)))?;
    for (dim, size) in shape.iter_mut().enumerate().filter(|(_, size)| **size == -1) {
        let kept = dim.checked_sub(shift).map(|dim| own[dim]);
        let expected = "a size, as this dimension is new";
        *size = kept.ok_or_else(|| call.error(Error::option(format!("shape[{}]", dim + 1), expected, -1)))?;
    }
    call.make(|| {
        shape::stretches_to(&own, &shape)?;
        Ok(call.this.f_expand(&shape, false)?)
    })
}

/// The same values row by row in memory: a copy where they are not.
fn contiguous(call: &TensorCall, args: Call) -> mlua::Result<Value> {
    args.finish()?;
    call.make(|| {
        memory::afford(&call.this.size(), call.this.f_kind()?, call.this.device())?;
        Ok(call.this.f_contiguous()?)
    })
}

fn transpose(call: &TensorCall, mut args: Call) -> mlua::Result<Value> {
    let (first, second) = (call.dim(&mut args, "dim1")?, call.dim(&mut args, "dim2")?);
    args.finish()?;
    call.tensor(|| call.this.f_transpose(first, second))
}

fn transpose_matrix(call: &TensorCall, args: Call) -> mlua::Result<Value> {
    args.finish()?;
    if call.this.dim() > 2 {
        let message = format!("expected at most two dimensions, got the shape {:?}", call.this.size());
        return Err(call.error(Error::hinted(message, "t:transpose(-1, -2) exchanges the last two")));
    }
    call.tensor(|| call.this.f_tr())
}

/// `({ dim, .. })`: all dimensions in a new order.
fn permute(call: &TensorCall, mut args: Call) -> mlua::Result<Value> {
    let list = args.table("dims")?;
    args.finish()?;
    let rank = call.this.dim();
    call.make(|| {
        let dims = shape::dims("dims", &values::integers(&list, "dims")?, rank)?;
        match dims.len() == rank {
            true => Ok(call.this.f_permute(dims)?),
            false => Err(Error::option("dims", format!("all {rank} dimensions"), dims.len())),
        }
    })
}

/// The new dimension stands at the given position of the result.
fn unsqueeze(call: &TensorCall, mut args: Call) -> mlua::Result<Value> {
    let position = args.integer("dim")?;
    args.finish()?;
    let dim = offset("dim", position, call.this.dim() as i64 + 1).map_err(|error| call.error(error))?;
    call.tensor(|| call.this.f_unsqueeze(dim))
}

fn squeeze(call: &TensorCall, mut args: Call) -> mlua::Result<Value> {
    let dim = call.optional_dim(&mut args, "dim")?;
    args.finish()?;
    call.tensor(|| match dim {
        Some(dim) => call.this.f_squeeze_dim(dim),
        None => call.this.f_squeeze(),
    })
}

/// `(dim)`, or a list of them: the parts along it in reverse.
fn flip(call: &TensorCall, mut args: Call) -> mlua::Result<Value> {
    let dims = call.optional_dims(&mut args, 1)?;
    args.finish()?;
    let dims = dims.ok_or_else(|| call.error(Error::message("argument 1 (dim): expected integer, got no value")))?;
    call.tensor(|| call.this.f_flip(&dims))
}

/// `(shift, dim)`: the parts moved on, those beyond the end back to the beginning.
fn roll(call: &TensorCall, mut args: Call) -> mlua::Result<Value> {
    let (shift, dim) = (args.integer("shift")?, call.dim(&mut args, "dim")?);
    args.finish()?;
    call.tensor(|| call.this.f_roll([shift], [dim]))
}

/// `(k, dim1, dim2)`: a view of the values whose second place is k beyond the first; 0, the first two dimensions.
fn diagonal(call: &TensorCall, mut args: Call) -> mlua::Result<Value> {
    let k = args.optional_integer("k")?.unwrap_or(0);
    let first = call.optional_dim(&mut args, "dim1")?.map_or_else(|| call.dim_of(1, "dim1"), Ok)?;
    let second = call.optional_dim(&mut args, "dim2")?.map_or_else(|| call.dim_of(2, "dim2"), Ok)?;
    args.finish()?;
    if first == second {
        return Err(call.error(Error::option("dim2", "another dimension than dim1", second + 1)));
    }
    call.tensor(|| call.this.f_diagonal(k, first, second))
}

/// Which diagonal bounds a triangle: 0 the main one, above it positive.
fn diagonal_of(call: &TensorCall, mut args: Call) -> mlua::Result<i64> {
    let k = args.optional_integer("k")?.unwrap_or(0);
    args.finish()?;
    match call.this.dim() {
        0 | 1 => Err(call.error(Error::option("t", "at least two dimensions", format!("{:?}", call.this.size())))),
        _ => Ok(k),
    }
}
