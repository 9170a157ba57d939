//! Functions of every element, of pairs of elements, and products.

use mlua::{Lua, Value};
use tch::{Scalar, TchError};

use super::{Call, Function, Method, Number, Operand, new_value, tensor};
use crate::engine::tensor::{dtype, elementwise, memory, shape};
use crate::engine::{Error, Result};
use crate::lua::args::Args;
use crate::lua::options;

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
    ("logical_and", |call, args| paired(call, args, T::f_logical_and)),
    ("logical_or",  |call, args| paired(call, args, T::f_logical_or)),
    ("logical_xor", |call, args| paired(call, args, T::f_logical_xor)),
    ("pow",         |call, args| binary(call, args, T::f_pow, T::f_pow_tensor_scalar)),
    ("eq",          |call, args| binary(call, args, T::f_eq_tensor, T::f_eq)),
    ("ne",          |call, args| binary(call, args, T::f_ne_tensor, T::f_ne)),
    ("lt",          |call, args| binary(call, args, T::f_lt_tensor, T::f_lt)),
    ("le",          |call, args| binary(call, args, T::f_le_tensor, T::f_le)),
    ("gt",          |call, args| binary(call, args, T::f_gt_tensor, T::f_gt)),
    ("ge",          |call, args| binary(call, args, T::f_ge_tensor, T::f_ge)),
    ("matmul",      |call, args| product(call, args, shape::multiply, T::f_matmul)),
    ("bmm",         |call, args| product(call, args, shape::multiply_batches, T::f_bmm)),
    ("dot",         |call, args| product(call, args, shape::dot, T::f_dot)),
    ("outer",       |call, args| product(call, args, shape::outer, T::f_outer)),
];

#[rustfmt::skip]
pub const FUNCTIONS: &[(&str, Function)] = &[
    ("maximum", |lua, function, args| extreme(lua, function, args, T::f_maximum)),
    ("minimum", |lua, function, args| extreme(lua, function, args, T::f_minimum)),
    ("where",   choose),
    ("lerp",    lerp),
    ("einsum",  einsum),
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
    call.make(|| match other {
        Operand::Number(other) => Ok(number(&call.this, other.into())?),
        Operand::Tensor(other) => {
            elementwise(&call.this, &other)?;
            Ok(tensors(&call.this, &other)?)
        }
    })
}

/// Two tensors by element, without a number's case.
fn paired(call: &Call, mut args: Args, apply: fn(&T, &T) -> Outcome) -> mlua::Result<Value> {
    let other = tensor(&mut args, &call.function, "other")?;
    args.finish()?;
    call.make(|| {
        elementwise(&call.this, &other)?;
        Ok(apply(&call.this, &other)?)
    })
}

/// A product of sums, for which shapes, dtypes and devices must fit.
fn product(
    call: &Call,
    mut args: Args,
    shape_of: fn(&[i64], &[i64]) -> Result<Vec<i64>>,
    multiply: fn(&T, &T) -> Outcome,
) -> mlua::Result<Value> {
    let other = tensor(&mut args, &call.function, "other")?;
    args.finish()?;
    call.make(|| {
        let shape = shape_of(&call.this.size(), &other.size())?;
        dtype::same(&call.this, &other)?;
        memory::afford(&shape, call.this.f_kind()?, call.this.device())?;
        Ok(multiply(&call.this, &other)?)
    })
}

/// `("none")`, or `("tanh")` for the approximation by tanh.
fn gelu(call: &Call, mut args: Args) -> mlua::Result<Value> {
    let approximate = args.optional_string("approximate")?.unwrap_or_else(|| "none".to_string());
    args.finish()?;
    match approximate.as_str() {
        "none" | "tanh" => call.tensor(|| call.this.f_gelu(&approximate)),
        other => Err(call.error(Error::option("approximate", "\"none\" or \"tanh\"", format!("\"{other}\"")))),
    }
}

/// `(negative_slope)`, 0.01 by default. tch's own has no slope.
fn leaky_relu(call: &Call, mut args: Args) -> mlua::Result<Value> {
    let slope = args.optional_number("negative_slope")?.unwrap_or(0.01);
    args.finish()?;
    call.tensor(|| call.this.f_where_self(&call.this.f_gt(0)?, &call.this.f_mul_scalar(slope)?))
}

fn clamp(call: &Call, mut args: Args) -> mlua::Result<Value> {
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
fn bound(call: &Call, args: &mut Args, name: &str) -> mlua::Result<Option<Number>> {
    match args.optional_value(name)? {
        None => Ok(None),
        Some(value) => match Number::new(&value) {
            Some(Number::Float(x)) if x.is_nan() => Err(call.error(Error::option(name, "a number", "NaN"))),
            Some(number) => Ok(Some(number)),
            None => Err(call.error(Error::option(name, "number", super::values::shown(&value)))),
        },
    }
}

fn extreme(lua: &Lua, function: &str, mut args: Args, apply: fn(&T, &T) -> Outcome) -> mlua::Result<Value> {
    let (a, b) = (tensor(&mut args, function, "a")?, tensor(&mut args, function, "b")?);
    args.finish()?;
    new_value(lua, function, || {
        elementwise(&a, &b)?;
        Ok(apply(&a, &b)?)
    })
}

/// `(condition, a, b)`: `a` where the condition is true, `b` elsewhere; numbers or tensors.
fn choose(lua: &Lua, function: &str, mut args: Args) -> mlua::Result<Value> {
    let condition = tensor(&mut args, function, "condition")?;
    let a = Operand::argument(&mut args, function, "a")?;
    let b = Operand::argument(&mut args, function, "b")?;
    args.finish()?;
    let (a, b) = match (a, b) {
        (Operand::Number(_), Operand::Number(_)) => {
            let message = "expected a tensor as a or b, to tell the dtype, got two numbers";
            return Err(options::reject(function, Error::message(message)));
        }
        pair => pair,
    };
    new_value(lua, function, || {
        dtype::require("condition", &condition, tch::Kind::Bool)?;
        let (a, b) = match (a, b) {
            (Operand::Tensor(a), Operand::Tensor(b)) => (a, b),
            (Operand::Tensor(a), Operand::Number(b)) => {
                let b = number_beside(b.into(), &a)?;
                (a, b)
            }
            (Operand::Number(a), Operand::Tensor(b)) => (number_beside(a.into(), &b)?, b),
            (Operand::Number(_), Operand::Number(_)) => unreachable!("refused above"),
        };
        elementwise(&a, &b)?;
        elementwise(&condition, &a)?;
        elementwise(&condition, &b)?;
        Ok(a.f_where_self(&condition, &b)?)
    })
}

/// A number as a tensor of no dimensions that leaves the dtype of `tensor` as it is, unless a fraction meets integers.
pub fn number_beside(number: Scalar, tensor: &T) -> Outcome {
    let whole = number.to_float()?.fract() == 0.0;
    let kind = match tensor.f_kind()? {
        kind if dtype::is_whole(kind) && !whole => tch::Kind::Float,
        tch::Kind::Bool => tch::Kind::Int64,
        kind => kind,
    };
    T::f_scalar_tensor(number, (kind, tensor.device()))
}

/// `(a, b, weight)`: a + weight · (b - a), with a number or a tensor as weight.
fn lerp(lua: &Lua, function: &str, mut args: Args) -> mlua::Result<Value> {
    let (a, b) = (tensor(&mut args, function, "a")?, tensor(&mut args, function, "b")?);
    let weight = Operand::argument(&mut args, function, "weight")?;
    args.finish()?;
    new_value(lua, function, || {
        elementwise(&a, &b)?;
        dtype::same(&a, &b)?;
        match weight {
            Operand::Number(weight) => Ok(a.f_lerp(&b, Scalar::from(weight))?),
            Operand::Tensor(weight) => {
                elementwise(&a, &weight)?;
                dtype::same(&a, &weight)?;
                Ok(a.f_lerp_tensor(&b, &weight)?)
            }
        }
    })
}

/// `(equation, tensors)`: `tensor.einsum("ij,jk->ik", { a, b })`.
fn einsum(lua: &Lua, function: &str, mut args: Args) -> mlua::Result<Value> {
    let (equation, list) = (args.string("equation")?, args.table("tensors")?);
    args.finish()?;
    new_value(lua, function, || {
        let tensors = super::tensors_of(&list, "tensors")?;
        shape::einsum_fits(&equation, &tensors.iter().map(T::size).collect::<Vec<_>>())?;
        if let Some((first, others)) = tensors.split_first() {
            others.iter().try_for_each(|other| dtype::same(first, other))?;
        }
        Ok(T::f_einsum(&equation, &tensors, None::<i64>)?)
    })
}
