//! `affine.tensor`: libtorch's tensors for a Lua loop, with gradients.
//!
//! This file is the handle and the way of a call; the methods are in [`math`], [`shape`], [`grad`] and [`values`], each
//! with a table of its own, the functions of the module in [`create`], [`shape`] and [`grad`]. Positions (dimensions,
//! indices) count from 1, -1 is the last; values inside tensors count from 0, as libtorch's do.

mod create;
mod grad;
mod math;
mod shape;
mod values;

use std::cell::RefCell;

use mlua::{AnyUserData, Lua, MetaMethod, MultiValue, Table, UserData, UserDataMethods, Value};
use tch::{Scalar, TchError};

use crate::engine::tensor::shape::offset;
use crate::engine::{Error, Result, device};
use crate::lua::args::{Args, kind};
use crate::lua::heap::{self, Held};
use crate::lua::{options, report, require};

pub fn module(lua: &Lua) -> mlua::Result<Table> {
    device::open_cuda();
    let table = lua.create_table()?;
    for &(name, function) in create::FUNCTIONS.iter().chain(shape::FUNCTIONS) {
        let path = format!("tensor.{name}");
        let call = move |lua: &Lua, values| function(lua, &path, Args::new(path.clone(), values));
        table.set(name, lua.create_function(call)?)?;
    }
    table.set("no_grad", lua.create_function(grad::no_grad)?)?;
    Ok(table)
}

/// A function of the module: the state, its name in messages, its arguments.
type Function = fn(&Lua, &str, Args) -> mlua::Result<Value>;

/// A method: the call, the arguments behind the tensor.
type Method = fn(&Call, Args) -> mlua::Result<Value>;

/// A tensor as a script holds it; nothing once it was closed.
struct Tensor(RefCell<Option<(tch::Tensor, Held)>>);

impl Tensor {
    fn new(lua: &Lua, tensor: tch::Tensor) -> mlua::Result<Self> {
        let held = Held::new(lua, [&tensor])?;
        Ok(Tensor(RefCell::new(Some((tensor, held)))))
    }

    /// The tensor itself, not a copy. Nothing stays borrowed.
    fn get(&self) -> Option<tch::Tensor> {
        self.0.borrow().as_ref().map(|(tensor, _)| tensor.shallow_clone())
    }
}

impl UserData for Tensor {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        for &(name, method) in all_methods() {
            methods.add_function(name, move |lua, mut values: MultiValue| {
                let call = Call::new(lua, format!("tensor:{name}"), values.pop_front())?;
                let args = Args::new(call.function.clone(), values);
                method(&call, args)
            });
        }
        methods.add_function("close", |_, mut values: MultiValue| close("tensor:close", values.pop_front()));
        methods.add_meta_function(MetaMethod::Close, |_, (this, _): (Value, Value)| close("tensor", Some(this)));
        methods.add_meta_function(MetaMethod::Index, index);
        methods.add_meta_function(MetaMethod::NewIndex, |_, _: MultiValue| -> mlua::Result<()> {
            let message = "tensor: a value is not set with [ ]";
            Err(report::raise(Error::hinted(message, "t[i]:copy_(x) writes the tensor x there")))
        });
        methods.add_meta_function(MetaMethod::ToString, |lua, this: Value| values::text(lua, this));
        methods.add_meta_function(MetaMethod::Len, |lua, (this, _): (Value, Value)| {
            let call = Call::new(lua, "#tensor", Some(this))?;
            let none = || call.error(Error::message("a single number has no length"));
            call.this.size().first().copied().ok_or_else(none)
        });
        math::add_operators(methods);
    }
}

fn all_methods() -> impl Iterator<Item = &'static (&'static str, Method)> {
    math::METHODS.iter().chain(shape::METHODS).chain(grad::METHODS).chain(values::METHODS)
}

/// The names of a tensor's methods. Its metatable does not tell: `__index` there is a function, for the sake of `t[i]`.
pub fn methods() -> impl Iterator<Item = &'static str> {
    all_methods().map(|(name, _)| *name).chain(["close"])
}

/// Frees the tensor now. Its memory goes with the last handle or graph that uses it.
fn close(function: &str, this: Option<Value>) -> mlua::Result<()> {
    let handle = this.as_ref().and_then(Value::as_userdata).and_then(|handle| handle.borrow::<Tensor>().ok());
    match handle {
        Some(tensor) => {
            tensor.0.take();
            Ok(())
        }
        None => Err(options::reject(function, not_on_a_tensor())),
    }
}

/// `t[i]`: the i-th part along the first dimension. A name that is no method's ends here too.
fn index(lua: &Lua, (this, key): (Value, Value)) -> mlua::Result<Value> {
    if let Value::String(name) = &key {
        let names: Vec<String> = methods().map(str::to_string).collect();
        let unknown = require::unknown("a tensor has no", "method", &name.to_string_lossy(), &names);
        return Err(report::raise(unknown));
    }
    let Some(position) = values::as_integer(&key) else {
        let message = format!("tensor[i]: expected an integer or a method's name, got {}", values::shown(&key));
        return Err(report::raise(Error::message(message)));
    };
    let call = Call::new(lua, format!("tensor[{position}]"), Some(this))?;
    match call.this.size().first() {
        None => Err(call.error(Error::message("a single number has no parts"))),
        Some(&length) => {
            let at = offset("index", position, length).map_err(|error| call.error(error))?;
            call.tensor(|| call.this.f_select(0, at))
        }
    }
}

fn not_on_a_tensor() -> Error {
    Error::hinted("not called on a tensor", "call a method with a colon: t:method()")
}

/// One call of a method or an operator.
struct Call<'a> {
    lua: &'a Lua,
    /// The name in messages, `tensor:matmul`.
    function: String,
    handle: AnyUserData,
    /// The tensor of `handle`.
    this: tch::Tensor,
}

impl<'a> Call<'a> {
    fn new(lua: &'a Lua, function: impl Into<String>, this: Option<Value>) -> mlua::Result<Self> {
        let function = function.into();
        let Some(handle) = this.as_ref().and_then(Value::as_userdata).filter(|handle| handle.is::<Tensor>()) else {
            return Err(options::reject(&function, not_on_a_tensor()));
        };
        let tensor = handle.borrow::<Tensor>()?.get();
        match tensor {
            Some(this) => Ok(Call { lua, function, handle: handle.clone(), this }),
            None => Err(options::reject(&function, Error::message("the tensor was closed"))),
        }
    }

    /// Hands what libtorch makes to Lua.
    fn tensor(&self, make: impl FnOnce() -> Result<tch::Tensor, TchError>) -> mlua::Result<Value> {
        new_value(self.lua, &self.function, || Ok(make()?))
    }

    fn error(&self, error: Error) -> mlua::Error {
        options::reject(&self.function, error)
    }

    /// A dimension, which the script counts from 1.
    fn dim(&self, args: &mut Args, name: &str) -> mlua::Result<i64> {
        self.dim_of(args.integer(name)?, name)
    }

    fn optional_dim(&self, args: &mut Args, name: &str) -> mlua::Result<Option<i64>> {
        args.optional_integer(name)?.map(|position| self.dim_of(position, name)).transpose()
    }

    fn dim_of(&self, position: i64, name: &str) -> mlua::Result<i64> {
        offset(name, position, self.this.dim() as i64).map_err(|error| self.error(error))
    }
}

/// A new handle, or the error with the function's name.
fn new_value(lua: &Lua, function: &str, make: impl FnOnce() -> Result<tch::Tensor>) -> mlua::Result<Value> {
    let tensor = attempt(make).map_err(|error| options::reject(function, error))?;
    let handle = lua.create_userdata(Tensor::new(lua, tensor)?)?;
    heap::announce(lua, &handle)?;
    Ok(Value::UserData(handle))
}

/// Runs calls of libtorch. Even tch's fallible ones panic where a number among their arguments is dropped after a
/// refusal; here that is an error like any other.
fn attempt<T>(calls: impl FnOnce() -> Result<T>) -> Result<T> {
    report::attempt(calls)
}

/// The next argument as a tensor.
fn tensor(args: &mut Args, function: &str, name: &str) -> mlua::Result<tch::Tensor> {
    tensor_of(&args.value(name)?, name).map_err(|error| options::reject(function, error))
}

/// The tensor of a handle; `name` is its place, for the error.
fn tensor_of(value: &Value, name: &str) -> Result<tch::Tensor> {
    match value.as_userdata().and_then(|handle| handle.borrow::<Tensor>().ok()) {
        Some(handle) => handle.get().ok_or_else(|| Error::option(name, "tensor", "one that was closed")),
        None => Err(Error::option(name, "tensor", kind(value))),
    }
}

/// What an operator takes beside a tensor.
enum Operand {
    Tensor(tch::Tensor),
    Number(Scalar),
}

impl Operand {
    fn argument(args: &mut Args, function: &str, name: &str) -> mlua::Result<Self> {
        Self::new(&args.value(name)?, name).map_err(|error| options::reject(function, error))
    }

    fn new(value: &Value, name: &str) -> Result<Self> {
        match value {
            Value::Integer(n) => Ok(Operand::Number(Scalar::int(*n))),
            Value::Number(x) => Ok(Operand::Number(Scalar::float(*x))),
            Value::UserData(_) => tensor_of(value, name).map(Operand::Tensor),
            other => Err(Error::option(name, "tensor or number", kind(other))),
        }
    }
}
