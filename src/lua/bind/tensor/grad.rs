//! Gradients, and the changes in place that a hand-written optimizer makes with them.

use mlua::{Lua, MultiValue, Value};
use serde::Deserialize;
use tch::{Scalar, TchError};

use super::index::single_beside;
use super::{
    Function, Method, Operand, Tensor, TensorCall, attempt, list_of, optional_tensor, tensor, tensor_of, tensors_of,
};
use crate::engine::tensor::{dtype, shape};
use crate::engine::{Error, Result};
use crate::lua::call::Call;
use crate::lua::options;

type T = tch::Tensor;

#[rustfmt::skip]
pub const METHODS: &[(&str, Method)] = &[
    ("requires_grad", requires_grad),
    ("is_leaf",       |call, args| { args.finish()?; call.check(|| Ok(call.this.f_is_leaf()?)).map(Value::Boolean) }),
    ("backward",      backward),
    ("grad",          grad),
    ("zero_grad",     zero_grad),
    ("detach",        |call, args| { args.finish()?; call.tensor(|| call.this.f_detach()) }),
    ("add_",          |call, args| change(call, args, T::f_add_, T::f_add_scalar_)),
    ("sub_",          |call, args| change(call, args, T::f_sub_, T::f_sub_scalar_)),
    ("mul_",          |call, args| change(call, args, T::f_mul_, T::f_mul_scalar_)),
    ("div_",          |call, args| change(call, args, T::f_div_, T::f_div_scalar_)),
    ("copy_",         copy),
    ("fill_",         fill),
    ("zero_",         zero),
];

pub const FUNCTIONS: &[(&str, Function)] = &[("grad", gradients)];

/// `tensor.no_grad(function)`: nothing inside is recorded for `backward`; what the function returns, or raises, passes.
pub fn no_grad(_: &Lua, values: MultiValue) -> mlua::Result<MultiValue> {
    let mut args = Call::new("tensor.no_grad", values);
    let function = args.function("function")?;
    args.finish()?;
    let _guard = tch::no_grad_guard();
    function.call(())
}

/// `tensor.enable_grad(function)`: what happens inside is recorded, in the middle of a `no_grad` too.
pub fn enable_grad(_: &Lua, values: MultiValue) -> mlua::Result<MultiValue> {
    let mut args = Call::new("tensor.enable_grad", values);
    let function = args.function("function")?;
    args.finish()?;
    tch::with_grad(|| function.call(()))
}

/// Without a flag: whether the tensor requires grad. With one: sets it, and returns the tensor.
fn requires_grad(call: &TensorCall, mut args: Call) -> mlua::Result<Value> {
    let flag = args.optional_boolean("flag")?;
    args.finish()?;
    match flag {
        None => Ok(Value::Boolean(call.this.requires_grad())),
        Some(flag) => changed(call, || call.this.f_set_requires_grad(flag)),
    }
}

/// `(gradient)`: the gradient of what follows with respect to this tensor, 1 where it has only one value.
fn backward(call: &TensorCall, mut args: Call) -> mlua::Result<Value> {
    let gradient = optional_tensor(&mut args, &call.function, "gradient")?;
    args.finish()?;
    call.check(|| going_back(&call.this, gradient.as_ref(), |start| Ok(start.f_backward()?)))?;
    Ok(Value::Nil)
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct GradOptions {
    create_graph: bool,
    retain_graph: Option<bool>,
}

/// `(output, inputs, options)`: the gradients of one value with respect to a tensor or a list of them, which need not
/// be leaves; nothing is added to what `t:grad()` gives.
fn gradients(lua: &Lua, function: &str, mut args: Call) -> mlua::Result<Value> {
    let output = tensor(&mut args, function, "output")?;
    let (wanted, options) = (args.value("inputs")?, args.optional_table("options")?);
    args.finish()?;
    let GradOptions { create_graph, retain_graph } = options::read(function, options)?;
    let result = attempt(|| {
        let inputs = match &wanted {
            Value::Table(list) => tensors_of(list, "inputs")?,
            value => vec![tensor_of(value, "inputs")?],
        };
        let name =
            |at: usize| if matches!(wanted, Value::Table(_)) { format!("inputs[{}]", at + 1) } else { "inputs".into() };
        if inputs.is_empty() {
            return Err(Error::option("inputs", "at least one tensor", "an empty list"));
        }
        if let Some(at) = inputs.iter().position(|input| !input.requires_grad()) {
            return Err(Error::message(format!("{}: does not require grad", name(at))));
        }
        let keep = retain_graph.unwrap_or(create_graph);
        let found = going_back(&output, None, |start| Ok(T::f_run_backward(&[start], &inputs, keep, create_graph)?))?;
        match found.iter().position(|gradient| !gradient.defined()) {
            Some(at) => Err(Error::message(format!("{}: the output was not computed from it", name(at)))),
            None => Ok(found),
        }
    });
    let mut found = result.map_err(|error| options::reject(function, error))?;
    match (&wanted, found.pop()) {
        (Value::Table(_), Some(last)) => list_of(lua, found.into_iter().chain([last]).collect()),
        (_, Some(gradient)) => Tensor::handle(lua, gradient).map(Value::UserData),
        (_, None) => Ok(Value::Nil),
    }
}

/// Checks that there is a way back from a tensor, and goes it from one value: the tensor, or its sum weighed by a
/// gradient, which leads to the same gradients.
fn going_back<R>(from: &T, gradient: Option<&T>, go: impl FnOnce(&T) -> Result<R>) -> Result<R> {
    if !from.requires_grad() {
        let hint = "t:requires_grad(true), before the tensor is used, or { requires_grad = true } as it is made";
        return Err(Error::hinted("nothing that this tensor was computed from requires grad", hint));
    }
    let gone = match gradient {
        Some(gradient) => {
            shape::same(&from.size(), &gradient.size())?;
            dtype::same(from, gradient)?;
            let weighed = tch::with_grad(|| from.f_mul(&gradient.f_detach()?)?.f_sum(None))?;
            go(&weighed)
        }
        None if from.numel() != 1 => {
            let message = format!("expected a tensor of one value, got one of the shape {:?}", from.size());
            Err(Error::hinted(message, "reduce it first, as by t:sum() or t:mean()"))
        }
        None => go(from),
    };
    match gone {
        Err(error) if error.to_string().contains("a second time") => Err(Error::hinted(
            "an earlier backward went through here and freed what it needed",
            "compute the tensor again before each backward",
        )),
        gone => gone,
    }
}

/// What `backward` left here, or nil. It is the gradient itself, which the next `backward` adds to.
fn grad(call: &TensorCall, args: Call) -> mlua::Result<Value> {
    args.finish()?;
    match gradient(&call.this).map_err(|error| call.error(error))? {
        Some(grad) => Tensor::handle(call.lua, grad).map(Value::UserData),
        None => Ok(Value::Nil),
    }
}

fn zero_grad(call: &TensorCall, args: Call) -> mlua::Result<Value> {
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
    call: &TensorCall,
    mut args: Call,
    by_tensor: fn(&mut T, &T) -> Result<T, TchError>,
    by_number: fn(&mut T, Scalar) -> Result<T, TchError>,
) -> mlua::Result<Value> {
    let other = Operand::argument(&mut args, &call.function, "other")?;
    args.finish()?;
    let mut this = call.this.shallow_clone();
    match other {
        Operand::Number(other) => changed(call, || by_number(&mut this, other.into())),
        Operand::Tensor(other) => {
            call.check(|| shape::stretches_to(&other.size(), &call.this.size()).map_err(|_| turned(call, &other)))?;
            call.check(|| if other.dim() == 0 { Ok(()) } else { dtype::same_device(&call.this, &other) })?;
            changed(call, || by_tensor(&mut this, &other))
        }
    }
}

/// The values of another tensor, in this one's dtype and on its device.
fn copy(call: &TensorCall, mut args: Call) -> mlua::Result<Value> {
    let source = tensor(&mut args, &call.function, "source")?;
    args.finish()?;
    call.check(|| shape::stretches_to(&source.size(), &call.this.size()).map_err(|_| turned(call, &source)))?;
    let mut this = call.this.shallow_clone();
    changed(call, || this.f_copy_(&source))
}

/// What is changed in place keeps its shape, and is named first.
fn turned(call: &TensorCall, other: &T) -> Error {
    shape::misfit(&call.this.size(), &other.size())
}

fn fill(call: &TensorCall, mut args: Call) -> mlua::Result<Value> {
    let value = args.value("value")?;
    args.finish()?;
    let value = call.check(|| single_beside(&call.this, &value))?;
    let mut this = call.this.shallow_clone();
    changed(call, || this.f_fill_tensor_(&value))
}

fn zero(call: &TensorCall, args: Call) -> mlua::Result<Value> {
    args.finish()?;
    let mut this = call.this.shallow_clone();
    changed(call, || this.f_zero_())
}

/// Runs a change and gives back the tensor that was changed, for the next call in a chain.
fn changed<R>(call: &TensorCall, change: impl FnOnce() -> Result<R, TchError>) -> mlua::Result<Value> {
    in_place(call, || Ok(change()?)).map(|_| Value::UserData(call.handle.clone()))
}

/// Runs a change in place. libtorch's refusal to change a parameter that is being trained becomes advice.
pub fn in_place<R>(call: &TensorCall, change: impl FnOnce() -> Result<R>) -> mlua::Result<R> {
    attempt(change).map_err(|error| match error.to_string().contains("leaf Variable that requires grad") {
        true => call.error(Error::hinted(
            "a tensor that requires grad is not changed in place while gradients are recorded",
            "wrap it: tensor.no_grad(function() ... end)",
        )),
        false => call.error(error),
    })
}
