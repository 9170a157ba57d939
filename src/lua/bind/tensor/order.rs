//! What orders values: extremes, sorting, the largest few, the different ones. Values come with where they were found,
//! counted from 0.

use mlua::{MultiValue, Value};
use tch::TchError;

use super::{SeveralMethod, Tensor, TensorCall};
use crate::engine::{Error, Result};
use crate::lua::call::Call;

type T = tch::Tensor;
type Pair = Result<(T, T), TchError>;

#[rustfmt::skip]
pub const METHODS: &[(&str, SeveralMethod)] = &[
    ("max",     |call, args| extreme(call, args, T::f_max, T::f_max_dim)),
    ("min",     |call, args| extreme(call, args, T::f_min, T::f_min_dim)),
    ("median",  |call, args| extreme(call, args, T::f_median, T::f_median_dim)),
    ("sort",    sort),
    ("argsort", argsort),
    ("topk",    topk),
    ("unique",  unique),
];

/// `(dim, keepdim)`: the one value of all, or the values along a dimension and where they are.
fn extreme(
    call: &TensorCall,
    mut args: Call,
    whole: fn(&T) -> Result<T, TchError>,
    along: fn(&T, i64, bool) -> Pair,
) -> mlua::Result<MultiValue> {
    let dim = call.optional_dim(&mut args, "dim")?;
    let keepdim = args.optional_boolean("keepdim")?;
    args.finish()?;
    match (dim, keepdim) {
        (Some(dim), keepdim) => pair(call, || along(&call.this, dim, keepdim.unwrap_or(false))),
        (None, None) => Ok(MultiValue::from_vec(vec![call.tensor(|| whole(&call.this))?])),
        (None, Some(_)) => Err(call.error(Error::message("keepdim: only with a dim"))),
    }
}

/// `(dim, descending)`: values that are equal keep their order.
fn sort(call: &TensorCall, args: Call) -> mlua::Result<MultiValue> {
    let (dim, descending) = dim_and_descending(call, args)?;
    pair(call, || call.this.f_sort_stable(true, dim, descending))
}

fn argsort(call: &TensorCall, args: Call) -> mlua::Result<MultiValue> {
    let (dim, descending) = dim_and_descending(call, args)?;
    let places = call.tensor(|| Ok(call.this.f_sort_stable(true, dim, descending)?.1))?;
    Ok(MultiValue::from_vec(vec![places]))
}

fn dim_and_descending(call: &TensorCall, mut args: Call) -> mlua::Result<(i64, bool)> {
    let dim = last_or(call, &mut args)?;
    let descending = args.optional_boolean("descending")?.unwrap_or(false);
    args.finish()?;
    Ok((dim, descending))
}

/// A dimension, the last one where it is not given.
fn last_or(call: &TensorCall, args: &mut Call) -> mlua::Result<i64> {
    call.optional_dim(args, "dim")?.map_or_else(|| call.dim_of(-1, "dim"), Ok)
}

/// `(k, dim, largest)`: the k largest (or smallest) values, best first.
fn topk(call: &TensorCall, mut args: Call) -> mlua::Result<MultiValue> {
    let k = args.integer("k")?;
    let dim = last_or(call, &mut args)?;
    let largest = args.optional_boolean("largest")?.unwrap_or(true);
    args.finish()?;
    let length = call.this.size()[dim as usize];
    if !(0..=length).contains(&k) {
        return Err(call.error(Error::option("k", format!("0 to {length}, the size of the dimension"), k)));
    }
    pair(call, || call.this.f_topk(k, dim, largest, true))
}

/// The different values in order, for each value of the tensor the place of its own among them, and how often each
/// occurs.
fn unique(call: &TensorCall, args: Call) -> mlua::Result<MultiValue> {
    args.finish()?;
    let (values, places, counts) = call.check(|| Ok(call.this.f_internal_unique2(true, true, true)?))?;
    handles(call, [values, places, counts])
}

fn pair(call: &TensorCall, make: impl FnOnce() -> Pair) -> mlua::Result<MultiValue> {
    let (values, places) = call.check(|| Ok(make()?))?;
    handles(call, [values, places])
}

fn handles<const N: usize>(call: &TensorCall, tensors: [T; N]) -> mlua::Result<MultiValue> {
    let handle = |tensor| Tensor::handle(call.lua, tensor).map(Value::UserData);
    tensors.into_iter().map(handle).collect()
}
