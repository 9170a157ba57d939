//! Functions of every element.

use mlua::Value;
use tch::{Scalar, TchError};

use super::{Method, Number, TensorCall, values};
use crate::engine::Error;
use crate::lua::call::Call;

type T = tch::Tensor;
type Outcome = Result<T, TchError>;

#[rustfmt::skip]
pub const METHODS: &[(&str, Method)] = &[
    ("abs",         |call, args| unary(call, args, T::f_abs)),
    ("sign",        |call, args| unary(call, args, T::f_sign)),
    ("square",      |call, args| unary(call, args, T::f_square)),
    ("sqrt",        |call, args| unary(call, args, T::f_sqrt)),
    ("rsqrt",       |call, args| unary(call, args, T::f_rsqrt)),
    ("reciprocal",  |call, args| unary(call, args, T::f_reciprocal)),
    ("exp",         |call, args| unary(call, args, T::f_exp)),
    ("expm1",       |call, args| unary(call, args, T::f_expm1)),
    ("log",         |call, args| unary(call, args, T::f_log)),
    ("log1p",       |call, args| unary(call, args, T::f_log1p)),
    ("log2",        |call, args| unary(call, args, T::f_log2)),
    ("log10",       |call, args| unary(call, args, T::f_log10)),
    ("floor",       |call, args| unary(call, args, T::f_floor)),
    ("ceil",        |call, args| unary(call, args, T::f_ceil)),
    ("round",       |call, args| unary(call, args, T::f_round)),
    ("trunc",       |call, args| unary(call, args, T::f_trunc)),
    ("sin",         |call, args| unary(call, args, T::f_sin)),
    ("cos",         |call, args| unary(call, args, T::f_cos)),
    ("tan",         |call, args| unary(call, args, T::f_tan)),
    ("asin",        |call, args| unary(call, args, T::f_asin)),
    ("acos",        |call, args| unary(call, args, T::f_acos)),
    ("atan",        |call, args| unary(call, args, T::f_atan)),
    ("sinh",        |call, args| unary(call, args, T::f_sinh)),
    ("cosh",        |call, args| unary(call, args, T::f_cosh)),
    ("tanh",        |call, args| unary(call, args, T::f_tanh)),
    ("erf",         |call, args| unary(call, args, T::f_erf)),
    ("sigmoid",     |call, args| unary(call, args, T::f_sigmoid)),
    ("log_sigmoid", |call, args| unary(call, args, T::f_log_sigmoid)),
    ("relu",        |call, args| unary(call, args, T::f_relu)),
    ("silu",        |call, args| unary(call, args, T::f_silu)),
    ("softplus",    |call, args| unary(call, args, T::f_softplus)),
    ("elu",         |call, args| unary(call, args, T::f_elu)),
    ("gelu",        gelu),
    ("leaky_relu",  leaky_relu),
    ("clamp",       clamp),
    ("isnan",       |call, args| unary(call, args, T::f_isnan)),
    ("isinf",       |call, args| unary(call, args, T::f_isinf)),
    ("isfinite",    |call, args| unary(call, args, T::f_isfinite)),
    ("logical_not", |call, args| unary(call, args, T::f_logical_not)),
];

fn unary(call: &TensorCall, args: Call, apply: fn(&T) -> Outcome) -> mlua::Result<Value> {
    args.finish()?;
    call.tensor(|| apply(&call.this))
}

/// `("none")`, or `("tanh")` for the approximation by tanh.
fn gelu(call: &TensorCall, mut args: Call) -> mlua::Result<Value> {
    let approximate = args.optional_string("approximate")?.unwrap_or_else(|| "none".to_string());
    args.finish()?;
    match approximate.as_str() {
        "none" | "tanh" => call.tensor(|| call.this.f_gelu(&approximate)),
        other => Err(call.error(Error::option("approximate", "\"none\" or \"tanh\"", format!("\"{other}\"")))),
    }
}

/// `(negative_slope)`, 0.01 by default. tch's own has no slope.
fn leaky_relu(call: &TensorCall, mut args: Call) -> mlua::Result<Value> {
    let slope = args.optional_number("negative_slope")?.unwrap_or(0.01);
    args.finish()?;
    call.tensor(|| call.this.f_where_self(&call.this.f_gt(0)?, &call.this.f_mul_scalar(slope)?))
}

fn clamp(call: &TensorCall, mut args: Call) -> mlua::Result<Value> {
    let (min, max) = (bound(call, &mut args, "min")?, bound(call, &mut args, "max")?);
    args.finish()?;
    match (min, max) {
        (Some(min), Some(max)) => call.tensor(|| call.this.f_clamp(Scalar::from(min), Scalar::from(max))),
        (Some(min), None) => call.tensor(|| call.this.f_clamp_min(Scalar::from(min))),
        (None, Some(max)) => call.tensor(|| call.this.f_clamp_max(Scalar::from(max))),
        (None, None) => Err(call.error(Error::message("expected a min, a max or both"))),
    }
}

/// A number that may be infinite; with NaN every value would be NaN. Integers stay integers, so that a tensor of them
/// does too.
fn bound(call: &TensorCall, args: &mut Call, name: &str) -> mlua::Result<Option<Number>> {
    match args.optional_value(name)? {
        None => Ok(None),
        Some(value) => match Number::new(&value) {
            Some(Number::Float(x)) if x.is_nan() => Err(call.error(Error::option(name, "a number", "NaN"))),
            Some(number) => Ok(Some(number)),
            None => Err(call.error(Error::option(name, "number", values::shown(&value)))),
        },
    }
}
