//! Gradients, and the changes in place that a hand-written optimizer makes with them.

use mlua::{Lua, MultiValue, Value};
use tch::{Scalar, TchError};

use super::{Call, Method, Operand, attempt, tensor};
use crate::engine::tensor::shape::{broadcast, misfit};
use crate::engine::{Error, Result};
use crate::lua::args::Args;

type T = tch::Tensor;

#[rustfmt::skip]
pub const METHODS: &[(&str, Method)] = &[
    ("requires_grad", requires_grad),
    ("backward",      backward),
    ("grad",          grad),
    ("zero_grad",     zero_grad),
    ("detach",        |call, args| { args.finish()?; call.tensor(|| call.this.f_detach()) }),
    ("add_",          |call, args| change(call, args, T::f_add_, T::f_add_scalar_)),
    ("sub_",          |call, args| change(call, args, T::f_sub_, T::f_sub_scalar_)),
    ("mul_",          |call, args| change(call, args, T::f_mul_, T::f_mul_scalar_)),
    ("copy_",         copy),
];

/// `tensor.no_grad(function)`: nothing inside is recorded for `backward`; what the function returns, or raises, passes.
pub fn no_grad(_: &Lua, values: MultiValue) -> mlua::Result<MultiValue> {
    let mut args = Args::new("tensor.no_grad", values);
    let function = args.function("function")?;
    args.finish()?;
    let _guard = tch::no_grad_guard();
    function.call(())
}

/// Without a flag: whether the tensor requires grad. With one: sets it, and returns the tensor.
fn requires_grad(call: &Call, mut args: Args) -> mlua::Result<Value> {
    let flag = args.optional_boolean("flag")?;
    args.finish()?;
    match flag {
        None => Ok(Value::Boolean(call.this.requires_grad())),
        Some(flag) => changed(call, || call.this.f_set_requires_grad(flag)),
    }
}

fn backward(call: &Call, args: Args) -> mlua::Result<Value> {
    args.finish()?;
    if call.this.numel() != 1 {
        let message = format!("expected a tensor of one value, got one of the shape {:?}", call.this.size());
        return Err(call.error(Error::hinted(message, "reduce it first, as by t:sum() or t:mean()")));
    }
    if !call.this.requires_grad() {
        let hint = "t:requires_grad(true), before the tensor is used, or { requires_grad = true } as it is made";
        return Err(call.error(Error::hinted("nothing that this tensor was computed from requires grad", hint)));
    }
    match attempt(|| Ok(call.this.f_backward()?)) {
        Err(error) if error.to_string().contains("a second time") => Err(call.error(Error::hinted(
            "an earlier backward went through here and freed what it needed",
            "compute the tensor again before each backward",
        ))),
        result => result.map(|()| Value::Nil).map_err(|error| call.error(error)),
    }
}

/// What `backward` left here, or nil. It is the gradient itself, which the next `backward` adds to.
fn grad(call: &Call, args: Args) -> mlua::Result<Value> {
    args.finish()?;
    match gradient(&call.this).map_err(|error| call.error(error))? {
        Some(grad) => call.tensor(|| Ok(grad)),
        None => Ok(Value::Nil),
    }
}

fn zero_grad(call: &Call, args: Args) -> mlua::Result<Value> {
    args.finish()?;
    let zero = || gradient(&call.this)?.map(|mut grad| Ok(grad.f_detach_()?.f_zero_()?)).transpose();
    zero().map(|_| Value::Nil).map_err(|error| call.error(error))
}

fn gradient(tensor: &T) -> Result<Option<T>> {
    // Only leaves keep gradients, and libtorch writes a warning when another tensor is asked.
    match tensor.f_is_leaf()? {
        true => Ok(Some(tensor.f_grad()?).filter(T::defined)),
        false => Ok(None),
    }
}

fn change(
    call: &Call,
    mut args: Args,
    by_tensor: fn(&mut T, &T) -> Result<T, TchError>,
    by_number: fn(&mut T, Scalar) -> Result<T, TchError>,
) -> mlua::Result<Value> {
    let other = Operand::argument(&mut args, &call.function, "other")?;
    args.finish()?;
    let mut this = call.this.shallow_clone();
    match other {
        Operand::Number(other) => changed(call, || by_number(&mut this, other)),
        Operand::Tensor(other) => {
            fits_into(call, &other)?;
            changed(call, || by_tensor(&mut this, &other))
        }
    }
}

fn copy(call: &Call, mut args: Args) -> mlua::Result<Value> {
    let source = tensor(&mut args, &call.function, "source")?;
    args.finish()?;
    fits_into(call, &source)?;
    let mut this = call.this.shallow_clone();
    changed(call, || this.f_copy_(&source))
}

/// What is changed in place keeps its shape.
fn fits_into(call: &Call, other: &T) -> mlua::Result<()> {
    let (shape, other) = (call.this.size(), other.size());
    match broadcast(&shape, &other) {
        Ok(result) if result == shape => Ok(()),
        _ => Err(call.error(misfit(&shape, &other))),
    }
}

/// Runs a change and gives back the tensor that was changed, for the next call in a chain.
fn changed<R>(call: &Call, change: impl FnOnce() -> Result<R, TchError>) -> mlua::Result<Value> {
    match attempt(|| Ok(change()?)) {
        Ok(_) => Ok(Value::UserData(call.handle.clone())),
        Err(error) if error.to_string().contains("leaf Variable that requires grad") => Err(call.error(Error::hinted(
            "a tensor that requires grad is not changed in place while gradients are recorded",
            "wrap it: tensor.no_grad(function() ... end)",
        ))),
        Err(error) => Err(call.error(error)),
    }
}
