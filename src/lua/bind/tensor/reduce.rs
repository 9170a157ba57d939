//! Sums, means and other reductions to one result, over everything or along dimensions; running sums; softmax.

use mlua::Value;
use tch::{Scalar, TchError};

use super::{Method, TensorCall};
use crate::engine::tensor::dtype;
use crate::engine::{Error, Result};
use crate::lua::call::Call;

type T = tch::Tensor;
type Outcome = Result<T, TchError>;

#[rustfmt::skip]
pub const METHODS: &[(&str, Method)] = &[
    ("sum",         |call, args| over_dims(call, args, |t, dims, k| t.f_sum_dim_intlist(dims, k, None))),
    ("mean",        |call, args| over_dims(call, args, |t, dims, k| t.f_mean_dim(dims, k, None))),
    ("logsumexp",   |call, args| over_dims(call, args, |t, dims, k| t.f_logsumexp(dims, k))),
    ("prod",        |call, args| over_dim(call, args, |t| t.f_prod(None), |t, dim, k| t.f_prod_dim_int(dim, k, None))),
    ("all",         |call, args| over_dim(call, args, T::f_all, T::f_all_dim)),
    ("any",         |call, args| over_dim(call, args, T::f_any, T::f_any_dim)),
    ("argmax",      |call, args| over_dim(call, args, |t| t.f_argmax(None, false), |t, dim, k| t.f_argmax(dim, k))),
    ("argmin",      |call, args| over_dim(call, args, |t| t.f_argmin(None, false), |t, dim, k| t.f_argmin(dim, k))),
    ("std",         |call, args| spread(call, args, |t, dims, less, k| t.f_std_correction(dims, less, k))),
    ("var",         |call, args| spread(call, args, |t, dims, less, k| t.f_var_correction(dims, less, k))),
    ("norm",        norm),
    ("cumsum",      |call, args| along(call, args, |t, dim| t.f_cumsum(dim, None))),
    ("cumprod",     |call, args| along(call, args, |t, dim| t.f_cumprod(dim, None))),
    ("softmax",     |call, args| along(call, args, |t, dim| t.f_softmax(dim, None))),
    ("log_softmax", |call, args| along(call, args, |t, dim| t.f_log_softmax(dim, None))),
];

/// `(dim, keepdim)`, both optional: over everything, or along dimensions, which then go or stay with the size 1.
fn dims_and_keepdim(call: &TensorCall, args: &mut Call, position: usize) -> mlua::Result<(Option<Vec<i64>>, bool)> {
    let dims = call.optional_dims(args, position)?;
    let keepdim = args.optional_boolean("keepdim")?;
    match (&dims, keepdim) {
        (None, Some(_)) => Err(call.error(Error::message("keepdim: only with a dim"))),
        _ => Ok((dims, keepdim.unwrap_or(false))),
    }
}

/// All dimensions where none are given.
fn or_all(call: &TensorCall, dims: &Option<Vec<i64>>) -> Vec<i64> {
    dims.clone().unwrap_or_else(|| (0..call.this.dim() as i64).collect())
}

fn over_dims(call: &TensorCall, mut args: Call, apply: fn(&T, &[i64], bool) -> Outcome) -> mlua::Result<Value> {
    let (dims, keepdim) = dims_and_keepdim(call, &mut args, 1)?;
    args.finish()?;
    match dims.as_deref() {
        // To libtorch no dimensions mean all of them.
        Some([]) => call.tensor(|| call.this.f_alias_copy()),
        _ => call.tensor(|| apply(&call.this, &or_all(call, &dims), keepdim)),
    }
}

/// For what libtorch reduces along one dimension only.
fn over_dim(
    call: &TensorCall,
    mut args: Call,
    whole: fn(&T) -> Outcome,
    along: fn(&T, i64, bool) -> Outcome,
) -> mlua::Result<Value> {
    let dim = call.optional_dim(&mut args, "dim")?;
    let keepdim = args.optional_boolean("keepdim")?;
    args.finish()?;
    match (dim, keepdim) {
        (Some(dim), keepdim) => call.tensor(|| along(&call.this, dim, keepdim.unwrap_or(false))),
        (None, None) => call.tensor(|| whole(&call.this)),
        (None, Some(_)) => Err(call.error(Error::message("keepdim: only with a dim"))),
    }
}

/// `(dim, keepdim, correction)`: divided by n - correction, 1 where it is not given.
fn spread(call: &TensorCall, mut args: Call, apply: fn(&T, &[i64], Scalar, bool) -> Outcome) -> mlua::Result<Value> {
    let (dims, keepdim) = dims_and_keepdim(call, &mut args, 1)?;
    let correction = args.optional_integer("correction")?.unwrap_or(1);
    args.finish()?;
    if correction < 0 {
        return Err(call.error(Error::option("correction", "a non-negative integer", correction)));
    }
    call.make(|| {
        dtype::require_float("t", &call.this)?;
        Ok(apply(&call.this, &or_all(call, &dims), Scalar::int(correction), keepdim)?)
    })
}

/// `(p, dim, keepdim)`: (Σ|x|^p)^(1/p), 2 where p is not given; infinity is the largest |x|.
fn norm(call: &TensorCall, mut args: Call) -> mlua::Result<Value> {
    let p = args.optional_number("p")?.unwrap_or(2.0);
    let (dims, keepdim) = dims_and_keepdim(call, &mut args, 2)?;
    args.finish()?;
    if p.is_nan() || p < 0.0 {
        return Err(call.error(Error::option("p", "a number from 0 to infinity", p)));
    }
    call.make(|| {
        dtype::require_float("t", &call.this)?;
        Ok(call.this.f_norm_scalaropt_dim(p, or_all(call, &dims), keepdim)?)
    })
}

fn along(call: &TensorCall, mut args: Call, apply: fn(&T, i64) -> Outcome) -> mlua::Result<Value> {
    let dim = call.dim(&mut args, "dim")?;
    args.finish()?;
    call.tensor(|| apply(&call.this, dim))
}
