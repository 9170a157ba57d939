//! Methods that take parts along a dimension, gather by index tensors and masks, and scatter.

use mlua::Value;
use tch::Kind;

use super::index::{beside, single_beside};
use super::{Method, TensorCall, tensor};
use crate::engine::tensor::shape::{check_index, gather_fits, misfit, offset, same_but, stretches_to};
use crate::engine::tensor::{dtype, memory};
use crate::engine::{Error, Result};
use crate::lua::call::Call;

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

fn select(call: &TensorCall, mut args: Call) -> mlua::Result<Value> {
    let dim = call.dim(&mut args, "dim")?;
    let at = position(call, &mut args, "index", dim)?;
    args.finish()?;
    call.tensor(|| call.this.f_select(dim, at))
}

fn narrow(call: &TensorCall, mut args: Call) -> mlua::Result<Value> {
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
fn position(call: &TensorCall, args: &mut Call, name: &str, dim: i64) -> mlua::Result<i64> {
    offset(name, args.integer(name)?, call.this.size()[dim as usize]).map_err(|error| call.error(error))
}

fn gather(call: &TensorCall, mut args: Call) -> mlua::Result<Value> {
    let (dim, index) = dim_and_index(call, &mut args)?;
    args.finish()?;
    call.make(|| {
        gather_fits(&call.this.size(), &index.size(), dim)?;
        Ok(call.this.f_gather(dim, &index, false)?)
    })
}

fn index_select(call: &TensorCall, mut args: Call) -> mlua::Result<Value> {
    let (dim, index) = dim_and_index(call, &mut args)?;
    args.finish()?;
    call.make(|| {
        one_dimensional(&index)?;
        Ok(call.this.f_index_select(dim, &index)?)
    })
}

/// `(dim, index, source)`: the parts of `source` added to the parts that a one-dimensional index tells.
fn index_add(call: &TensorCall, mut args: Call) -> mlua::Result<Value> {
    let (dim, index) = dim_and_index(call, &mut args)?;
    let source = tensor(&mut args, &call.function, "source")?;
    args.finish()?;
    call.make(|| {
        one_dimensional(&index)?;
        same_but(&call.this.size(), &source.size(), dim)?;
        let (parts, indices) = (source.size()[dim as usize], index.numel());
        if parts != indices as i64 {
            let message =
                format!("{} for {indices} indices along dimension {}", misfit(&source.size(), &index.size()), dim + 1);
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
fn scatter(call: &TensorCall, mut args: Call) -> mlua::Result<Value> {
    let (dim, index) = dim_and_index(call, &mut args)?;
    let source = args.value("source")?;
    args.finish()?;
    call.make(|| {
        gather_fits(&call.this.size(), &index.size(), dim)?;
        let values = match beside(&call.this, &source)? {
            number if number.dim() == 0 => number.f_expand(index.size(), false)?,
            tensor => tensor,
        };
        covers(call, &index, &values)?;
        Ok(call.this.f_scatter(dim, &index, &values)?)
    })
}

fn scatter_add(call: &TensorCall, mut args: Call) -> mlua::Result<Value> {
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
fn covers(call: &TensorCall, index: &T, source: &T) -> Result<()> {
    let (wanted, size) = (index.size(), source.size());
    match wanted.len() == size.len() && wanted.iter().zip(&size).all(|(wanted, size)| wanted <= size) {
        true => dtype::same(&call.this, source),
        false => Err(misfit(&wanted, &size)),
    }
}

fn dim_and_index(call: &TensorCall, args: &mut Call) -> mlua::Result<(i64, T)> {
    let dim = call.dim(args, "dim")?;
    let index = tensor(args, &call.function, "index")?;
    call.check(|| {
        dtype::same_device(&call.this, &index)?;
        check_index("index", &index, call.this.size()[dim as usize])
    })?;
    Ok((dim, index))
}

/// `(mask, value)`: a copy with one value where the mask is true.
fn masked_fill(call: &TensorCall, mut args: Call) -> mlua::Result<Value> {
    let mask = tensor(&mut args, &call.function, "mask")?;
    let value = args.value("value")?;
    args.finish()?;
    call.make(|| {
        fits_mask(call, &mask)?;
        let value = single_beside(&call.this, &value)?;
        Ok(call.this.f_masked_fill_tensor(&mask, &value)?)
    })
}

/// `(mask)`: the values where the mask is true, one behind the other.
fn masked_select(call: &TensorCall, mut args: Call) -> mlua::Result<Value> {
    let mask = tensor(&mut args, &call.function, "mask")?;
    args.finish()?;
    call.make(|| {
        fits_mask(call, &mask)?;
        Ok(call.this.f_masked_select(&mask)?)
    })
}

fn fits_mask(call: &TensorCall, mask: &T) -> Result<()> {
    dtype::require("mask", mask, Kind::Bool)?;
    stretches_to(&mask.size(), &call.this.size())?;
    dtype::same_device(&call.this, mask)
}

/// `(classes)`: for each value, counted from 0, a row with a 1 in its place.
fn one_hot(call: &TensorCall, mut args: Call) -> mlua::Result<Value> {
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
