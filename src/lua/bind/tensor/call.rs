//! One call of a tensor's method or operator: the tensor, its arguments, and errors with the call's name.

use mlua::{AnyUserData, Lua, MultiValue, Table, Value};
use tch::{Scalar, TchError};

use super::{Tensor, new_value, values};
use crate::engine::tensor::explain;
use crate::engine::tensor::shape::{dims, offset};
use crate::engine::{Error, Result};
use crate::lua::call::Call;
use crate::lua::kind::kind;
use crate::lua::{options, report};

pub fn not_on_a_tensor() -> Error {
    Error::hinted("not called on a tensor", "call a method with a colon: t:method()")
}

/// One call of a method or an operator.
pub struct TensorCall<'a> {
    pub lua: &'a Lua,
    /// The name in messages, `tensor:matmul`.
    pub function: String,
    pub handle: AnyUserData,
    /// The tensor of `handle`.
    pub this: tch::Tensor,
}

impl<'a> TensorCall<'a> {
    pub fn new(lua: &'a Lua, function: impl Into<String>, this: Option<Value>) -> mlua::Result<Self> {
        let function = function.into();
        let Some(handle) = this.as_ref().and_then(Value::as_userdata).filter(|handle| handle.is::<Tensor>()) else {
            return Err(options::reject(&function, not_on_a_tensor()));
        };
        let tensor = handle.borrow::<Tensor>()?.get();
        match tensor {
            Some(this) => Ok(TensorCall { lua, function, handle: handle.clone(), this }),
            None => Err(options::reject(&function, Error::message("the tensor was closed"))),
        }
    }

    /// A method's call and its arguments.
    pub fn of_method(lua: &'a Lua, name: &str, mut values: MultiValue) -> mlua::Result<(Self, Call)> {
        let call = TensorCall::new(lua, format!("tensor:{name}"), values.pop_front())?;
        let args = Call::new(call.function.clone(), values);
        Ok((call, args))
    }

    /// Hands what libtorch makes to Lua.
    pub fn tensor(&self, make: impl Fn() -> Result<tch::Tensor, TchError>) -> mlua::Result<Value> {
        new_value(self.lua, &self.function, || Ok(make()?))
    }

    /// Hands what the engine makes to Lua.
    pub fn make(&self, make: impl Fn() -> Result<tch::Tensor>) -> mlua::Result<Value> {
        new_value(self.lua, &self.function, make)
    }

    /// Runs checks and calls of the engine, whose errors get the method's name.
    pub fn check<R>(&self, check: impl FnOnce() -> Result<R>) -> mlua::Result<R> {
        attempt(check).map_err(|error| self.error(error))
    }

    pub fn error(&self, error: Error) -> mlua::Error {
        options::reject(&self.function, error)
    }

    /// A dimension, which the script counts from 1.
    pub fn dim(&self, args: &mut Call, name: &str) -> mlua::Result<i64> {
        self.dim_of(args.integer(name)?, name)
    }

    pub fn optional_dim(&self, args: &mut Call, name: &str) -> mlua::Result<Option<i64>> {
        args.optional_integer(name)?.map(|position| self.dim_of(position, name)).transpose()
    }

    pub fn dim_of(&self, position: i64, name: &str) -> mlua::Result<i64> {
        offset(name, position, self.this.dim() as i64).map_err(|error| self.error(error))
    }

    /// One dimension, or a list of them; all where it is not given.
    pub fn optional_dims(&self, args: &mut Call, position: usize) -> mlua::Result<Option<Vec<i64>>> {
        match args.optional_value("dim")? {
            None => Ok(None),
            Some(Value::Table(list)) => {
                let positions = values::integers(&list, "dim").and_then(|list| dims("dim", &list, self.this.dim()));
                positions.map(Some).map_err(|error| self.error(error))
            }
            Some(value) => match values::as_integer(&value) {
                Some(dim) => Ok(Some(vec![self.dim_of(dim, "dim")?])),
                None => {
                    let place = format!("argument {position} (dim)");
                    Err(self.error(Error::option(place, "integer", values::shown(&value))))
                }
            },
        }
    }
}

/// Runs calls of libtorch. Even tch's fallible ones panic where a number among their arguments is dropped after a
/// refusal; here that is an error like any other.
pub fn attempt<T>(calls: impl FnOnce() -> Result<T>) -> Result<T> {
    report::attempt(calls).map_err(explain)
}

/// The next argument as a tensor.
pub fn tensor(args: &mut Call, function: &str, name: &str) -> mlua::Result<tch::Tensor> {
    tensor_of(&args.value(name)?, name).map_err(|error| options::reject(function, error))
}

/// The tensor of a handle; `name` is its place, for the error.
pub fn tensor_of(value: &Value, name: &str) -> Result<tch::Tensor> {
    match value.as_userdata().and_then(|handle| handle.borrow::<Tensor>().ok()) {
        Some(handle) => handle.get().ok_or_else(|| Error::option(name, "tensor", "one that was closed")),
        None => Err(Error::option(name, "tensor", kind(value))),
    }
}

/// The next argument as a tensor, where there is one.
pub fn optional_tensor(args: &mut Call, function: &str, name: &str) -> mlua::Result<Option<tch::Tensor>> {
    let value = args.optional_value(name)?;
    value.map(|value| tensor_of(&value, name)).transpose().map_err(|error| options::reject(function, error))
}

/// A list of tensors; `name` is its place, for the error.
pub fn tensors_of(list: &Table, name: &str) -> Result<Vec<tch::Tensor>> {
    let item = |position: usize| {
        let value: Value = list.raw_get(position).map_err(|error| report::lower(&error))?;
        tensor_of(&value, &format!("{name}[{position}]"))
    };
    (1..=list.raw_len()).map(item).collect()
}

/// A number of a script, which libtorch takes as an integer or a float.
#[derive(Debug, Clone, Copy)]
pub enum Number {
    Int(i64),
    Float(f64),
}

impl Number {
    pub fn new(value: &Value) -> Option<Self> {
        match value {
            Value::Integer(n) => Some(Number::Int(*n)),
            Value::Number(x) => Some(Number::Float(*x)),
            _ => None,
        }
    }
}

impl From<Number> for Scalar {
    fn from(number: Number) -> Self {
        match number {
            Number::Int(n) => Scalar::int(n),
            Number::Float(x) => Scalar::float(x),
        }
    }
}

/// What an operator takes beside a tensor.
pub enum Operand {
    Tensor(tch::Tensor),
    Number(Number),
}

impl Operand {
    pub fn argument(args: &mut Call, function: &str, name: &str) -> mlua::Result<Self> {
        Self::new(&args.value(name)?, name).map_err(|error| options::reject(function, error))
    }

    pub fn new(value: &Value, name: &str) -> Result<Self> {
        match (Number::new(value), value) {
            (Some(number), _) => Ok(Operand::Number(number)),
            (None, Value::UserData(_)) => tensor_of(value, name).map(Operand::Tensor),
            (None, other) => Err(Error::option(name, "tensor or number", kind(other))),
        }
    }
}
