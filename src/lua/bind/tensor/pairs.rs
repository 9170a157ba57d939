//! Functions of pairs of elements, and products.

use mlua::{Lua, Value};
use tch::{Scalar, TchError};

use super::{Function, Method, Operand, TensorCall, new_value, tensor, tensors_of};
use crate::engine::tensor::{dtype, elementwise, memory, shape};
use crate::engine::{Error, Result};
use crate::lua::call::Call;
use crate::lua::options;

type T = tch::Tensor;
type Outcome = Result<T, TchError>;

#[rustfmt::skip]
pub const METHODS: &[(&str, Method)] = &[
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

fn binary(
    call: &TensorCall,
    mut args: Call,
    tensors: fn(&T, &T) -> Outcome,
    number: fn(&T, Scalar) -> Outcome,
) -> mlua::Result<Value> {
    let other = Operand::argument(&mut args, &call.function, "other")?;
    args.finish()?;
    call.make(|| match &other {
        Operand::Number(other) => Ok(number(&call.this, (*other).into())?),
        Operand::Tensor(other) => {
            elementwise(&call.this, other)?;
            Ok(tensors(&call.this, other)?)
        }
    })
}

/// Two tensors by element, without a number's case.
fn paired(call: &TensorCall, mut args: Call, apply: fn(&T, &T) -> Outcome) -> mlua::Result<Value> {
    let other = tensor(&mut args, &call.function, "other")?;
    args.finish()?;
    call.make(|| {
        elementwise(&call.this, &other)?;
        Ok(apply(&call.this, &other)?)
    })
}

/// A product of sums, for which shapes, dtypes and devices must fit.
fn product(
    call: &TensorCall,
    mut args: Call,
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

fn extreme(lua: &Lua, function: &str, mut args: Call, apply: fn(&T, &T) -> Outcome) -> mlua::Result<Value> {
    let (a, b) = (tensor(&mut args, function, "a")?, tensor(&mut args, function, "b")?);
    args.finish()?;
    new_value(lua, function, || {
        elementwise(&a, &b)?;
        Ok(apply(&a, &b)?)
    })
}

/// `(condition, a, b)`: `a` where the condition is true, `b` elsewhere; numbers or tensors.
fn choose(lua: &Lua, function: &str, mut args: Call) -> mlua::Result<Value> {
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
        let (a, b) = match (&a, &b) {
            (Operand::Tensor(a), Operand::Tensor(b)) => (a.shallow_clone(), b.shallow_clone()),
            (Operand::Tensor(a), Operand::Number(b)) => (a.shallow_clone(), number_beside((*b).into(), a)?),
            (Operand::Number(a), Operand::Tensor(b)) => (number_beside((*a).into(), b)?, b.shallow_clone()),
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
fn lerp(lua: &Lua, function: &str, mut args: Call) -> mlua::Result<Value> {
    let (a, b) = (tensor(&mut args, function, "a")?, tensor(&mut args, function, "b")?);
    let weight = Operand::argument(&mut args, function, "weight")?;
    args.finish()?;
    new_value(lua, function, || {
        elementwise(&a, &b)?;
        dtype::same(&a, &b)?;
        match &weight {
            Operand::Number(weight) => Ok(a.f_lerp(&b, Scalar::from(*weight))?),
            Operand::Tensor(weight) => {
                elementwise(&a, weight)?;
                dtype::same(&a, weight)?;
                Ok(a.f_lerp_tensor(&b, weight)?)
            }
        }
    })
}

/// `(equation, tensors)`: `tensor.einsum("ij,jk->ik", { a, b })`.
fn einsum(lua: &Lua, function: &str, mut args: Call) -> mlua::Result<Value> {
    let (equation, list) = (args.string("equation")?, args.table("tensors")?);
    args.finish()?;
    new_value(lua, function, || {
        let tensors = tensors_of(&list, "tensors")?;
        shape::einsum_fits(&equation, &tensors.iter().map(T::size).collect::<Vec<_>>())?;
        if let Some((first, others)) = tensors.split_first() {
            others.iter().try_for_each(|other| dtype::same(first, other))?;
        }
        Ok(T::f_einsum(&equation, &tensors, None::<i64>)?)
    })
}
