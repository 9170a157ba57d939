//! Arithmetic, comparisons, functions of every element, reductions, products.

use mlua::{MetaMethod, UserDataMethods, Value};
use tch::{Scalar, TchError};

use super::{Call, Method, Operand, Tensor, new_value};
use crate::engine::Error;
use crate::engine::tensor::shape::{broadcast, multiply};
use crate::lua::args::{Args, kind};

type T = tch::Tensor;
type Outcome = Result<T, TchError>;

#[rustfmt::skip]
pub const METHODS: &[(&str, Method)] = &[
    ("exp",         |call, args| unary(call, args, T::f_exp)),
    ("log",         |call, args| unary(call, args, T::f_log)),
    ("sqrt",        |call, args| unary(call, args, T::f_sqrt)),
    ("abs",         |call, args| unary(call, args, T::f_abs)),
    ("tanh",        |call, args| unary(call, args, T::f_tanh)),
    ("sigmoid",     |call, args| unary(call, args, T::f_sigmoid)),
    ("relu",        |call, args| unary(call, args, T::f_relu)),
    ("pow",         |call, args| binary(call, args, T::f_pow, T::f_pow_tensor_scalar)),
    ("eq",          |call, args| binary(call, args, T::f_eq_tensor, T::f_eq)),
    ("ne",          |call, args| binary(call, args, T::f_ne_tensor, T::f_ne)),
    ("lt",          |call, args| binary(call, args, T::f_lt_tensor, T::f_lt)),
    ("le",          |call, args| binary(call, args, T::f_le_tensor, T::f_le)),
    ("gt",          |call, args| binary(call, args, T::f_gt_tensor, T::f_gt)),
    ("ge",          |call, args| binary(call, args, T::f_ge_tensor, T::f_ge)),
    ("sum",         |call, args| reduce(call, args, |t| t.f_sum(None), |t, dim, keep| t.f_sum_dim_intlist(dim, keep, None))),
    ("mean",        |call, args| reduce(call, args, |t| t.f_mean(None), |t, dim, keep| t.f_mean_dim(dim, keep, None))),
    ("std",         |call, args| reduce(call, args, |t| t.f_std(true), |t, dim, keep| t.f_std_dim(dim, true, keep))),
    ("max",         |call, args| reduce(call, args, T::f_max, |t, dim, keep| Ok(t.f_max_dim(dim, keep)?.0))),
    ("min",         |call, args| reduce(call, args, T::f_min, |t, dim, keep| Ok(t.f_min_dim(dim, keep)?.0))),
    ("argmax",      |call, args| reduce(call, args, |t| t.f_argmax(None, false), |t, dim, keep| t.f_argmax(dim, keep))),
    ("softmax",     |call, args| along(call, args, |t, dim| t.f_softmax(dim, None))),
    ("log_softmax", |call, args| along(call, args, |t, dim| t.f_log_softmax(dim, None))),
    ("clamp",       clamp),
    ("matmul",      matmul),
];

fn unary(call: &Call, args: Args, apply: fn(&T) -> Outcome) -> mlua::Result<Value> {
    args.finish()?;
    call.tensor(|| apply(&call.this))
}

fn binary(
    call: &Call,
    mut args: Args,
    tensors: fn(&T, &T) -> Outcome,
    number: fn(&T, Scalar) -> Outcome,
) -> mlua::Result<Value> {
    let other = Operand::argument(&mut args, &call.function, "other")?;
    args.finish()?;
    match other {
        Operand::Number(other) => call.tensor(|| number(&call.this, other)),
        Operand::Tensor(other) => {
            broadcast(&call.this.size(), &other.size()).map_err(|error| call.error(error))?;
            call.tensor(|| tensors(&call.this, &other))
        }
    }
}

/// `(dim, keepdim)`, both optional: over everything, or along one dimension, which then goes or stays with the size 1.
fn reduce(
    call: &Call,
    mut args: Args,
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

fn along(call: &Call, mut args: Args, apply: fn(&T, i64) -> Outcome) -> mlua::Result<Value> {
    let dim = call.dim(&mut args, "dim")?;
    args.finish()?;
    call.tensor(|| apply(&call.this, dim))
}

fn clamp(call: &Call, mut args: Args) -> mlua::Result<Value> {
    let (min, max) = (args.optional_number("min")?, args.optional_number("max")?);
    args.finish()?;
    match (min, max) {
        (Some(min), Some(max)) => call.tensor(|| call.this.f_clamp(min, max)),
        (Some(min), None) => call.tensor(|| call.this.f_clamp_min(min)),
        (None, Some(max)) => call.tensor(|| call.this.f_clamp_max(max)),
        (None, None) => Err(call.error(Error::message("expected a min, a max or both"))),
    }
}

fn matmul(call: &Call, mut args: Args) -> mlua::Result<Value> {
    let other = super::tensor(&mut args, &call.function, "other")?;
    args.finish()?;
    multiply(&call.this.size(), &other.size()).map_err(|error| call.error(error))?;
    call.tensor(|| call.this.f_matmul(&other))
}

/// An operator's three cases: two tensors, a number on the right, a number on the left.
type Operator = (MetaMethod, &'static str, fn(&T, &T) -> Outcome, fn(&T, Scalar) -> Outcome, fn(Scalar, &T) -> Outcome);

#[rustfmt::skip]
const OPERATORS: [Operator; 5] = [
    (MetaMethod::Add, "+", T::f_add, T::f_add_scalar,        |a, b| b.f_add_scalar(a)),
    (MetaMethod::Sub, "-", T::f_sub, T::f_sub_scalar,        |a, b| b.f_rsub_scalar(a)),
    (MetaMethod::Mul, "*", T::f_mul, T::f_mul_scalar,        |a, b| b.f_mul_scalar(a)),
    (MetaMethod::Div, "/", T::f_div, T::f_div_scalar,        divided_by),
    (MetaMethod::Pow, "^", T::f_pow, T::f_pow_tensor_scalar, |a, b| T::f_pow_scalar(a, b)),
];

/// PyTorch multiplies by the reciprocal here, which rounds twice.
fn divided_by(number: Scalar, tensor: &T) -> Outcome {
    let kind = if tensor.f_is_floating_point()? { tensor.f_kind()? } else { tch::Kind::Float };
    T::f_scalar_tensor(number, (kind, tensor.device()))?.f_div(tensor)
}

pub fn add_operators<M: UserDataMethods<Tensor>>(methods: &mut M) {
    for (meta, sign, tensors, right, left) in OPERATORS {
        methods.add_meta_function(meta, move |lua, (a, b): (Value, Value)| {
            let name = format!("{} {sign} {}", kind(&a), kind(&b));
            new_value(lua, &name, || match (Operand::new(&a, "left")?, Operand::new(&b, "right")?) {
                (Operand::Tensor(a), Operand::Tensor(b)) => {
                    broadcast(&a.size(), &b.size())?;
                    Ok(tensors(&a, &b)?)
                }
                (Operand::Tensor(a), Operand::Number(b)) => Ok(right(&a, b)?),
                (Operand::Number(a), Operand::Tensor(b)) => Ok(left(a, &b)?),
                (Operand::Number(_), Operand::Number(_)) => unreachable!("Lua adds numbers itself"),
            })
        });
    }
    methods.add_meta_function(MetaMethod::Unm, |lua, (this, _): (Value, Value)| {
        let call = Call::new(lua, "-tensor", Some(this))?;
        call.tensor(|| call.this.f_neg())
    });
}
