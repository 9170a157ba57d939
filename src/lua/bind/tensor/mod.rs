//! `affine.tensor`: libtorch's tensors for a Lua loop, with gradients.
//!
//! This file is the handle and the way of a call; the methods and the functions of the module are in the files below,
//! by topic, each with a table of its own. Positions (dimensions, indices) count from 1, -1 is the last; values inside
//! tensors count from 0, as libtorch's do.

mod create;
mod grad;
mod index;
mod join;
mod math;
mod nn;
mod operators;
mod optim;
mod order;
mod random;
mod reduce;
mod shape;
mod show;
mod values;

use std::cell::RefCell;

use mlua::{AnyUserData, Lua, MetaMethod, MultiValue, Table, UserData, UserDataMethods, Value};
use tch::{Scalar, TchError};

use crate::engine::tensor::explain;
use crate::engine::tensor::shape::{dims, offset};
use crate::engine::{Error, Result, device};
use crate::lua::args::{Args, kind};
use crate::lua::heap::Held;
use crate::lua::{options, report};

pub fn module(lua: &Lua) -> mlua::Result<Table> {
    device::open_cuda();
    let table = lua.create_table()?;
    let topics =
        [create::FUNCTIONS, random::FUNCTIONS, join::FUNCTIONS, math::FUNCTIONS, nn::FUNCTIONS, optim::FUNCTIONS, grad::FUNCTIONS];
    for &(name, function) in topics.into_iter().flatten() {
        let path = format!("tensor.{name}");
        let call = move |lua: &Lua, values| function(lua, &path, Args::new(path.clone(), values));
        table.set(name, lua.create_function(call)?)?;
    }
    table.set("no_grad", lua.create_function(grad::no_grad)?)?;
    table.set("enable_grad", lua.create_function(grad::enable_grad)?)?;
    Ok(table)
}

/// A function of the module: the state, its name in messages, its arguments.
type Function = fn(&Lua, &str, Args) -> mlua::Result<Value>;

/// A method: the call, the arguments behind the tensor.
type Method = fn(&Call, Args) -> mlua::Result<Value>;

/// A method with several results, as values and where they were found.
type SeveralMethod = fn(&Call, Args) -> mlua::Result<MultiValue>;

/// A tensor as a script holds it; nothing once it was closed.
struct Tensor(RefCell<Option<(tch::Tensor, Held)>>);

impl Tensor {
    fn new(lua: &Lua, tensor: tch::Tensor) -> mlua::Result<Self> {
        let size = tensor.f_kind().map_err(|error| report::raise(error.into()))?.elt_size_in_bytes();
        let held = Held::new(lua, tensor.numel().saturating_mul(size))?;
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
            methods.add_function(name, move |lua, values: MultiValue| {
                let (call, args) = Call::of_method(lua, name, values)?;
                method(&call, args)
            });
        }
        for &(name, method) in order::METHODS {
            methods.add_function(name, move |lua, values: MultiValue| {
                let (call, args) = Call::of_method(lua, name, values)?;
                method(&call, args)
            });
        }
        methods.add_function("close", |_, mut values: MultiValue| close("tensor:close", values.pop_front()));
        methods.add_meta_function(MetaMethod::Close, |_, (this, _): (Value, Value)| close("tensor", Some(this)));
        methods.add_meta_function(MetaMethod::Index, index::read);
        methods.add_meta_function(MetaMethod::NewIndex, index::write);
        methods.add_meta_function(MetaMethod::ToString, show::text);
        methods.add_meta_function(MetaMethod::Len, |lua, (this, _): (Value, Value)| {
            let call = Call::new(lua, "#tensor", Some(this))?;
            let none = || call.error(Error::message("a single number has no length"));
            call.this.size().first().copied().ok_or_else(none)
        });
        operators::add(methods);
    }
}

fn all_methods() -> impl Iterator<Item = &'static (&'static str, Method)> {
    let topics = [
        math::METHODS,
        reduce::METHODS,
        shape::METHODS,
        join::METHODS,
        index::METHODS,
        random::METHODS,
        grad::METHODS,
        values::METHODS,
    ];
    topics.into_iter().flatten()
}

/// The names of a tensor's methods. Its metatable does not tell: `__index` there is a function, for the sake of `t[i]`.
pub fn methods() -> impl Iterator<Item = &'static str> {
    let several = order::METHODS.iter().map(|(name, _)| *name);
    all_methods().map(|(name, _)| *name).chain(several).chain(["close"])
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

    /// A method's call and its arguments.
    fn of_method(lua: &'a Lua, name: &str, mut values: MultiValue) -> mlua::Result<(Self, Args)> {
        let call = Call::new(lua, format!("tensor:{name}"), values.pop_front())?;
        let args = Args::new(call.function.clone(), values);
        Ok((call, args))
    }

    /// Hands what libtorch makes to Lua.
    fn tensor(&self, make: impl FnOnce() -> Result<tch::Tensor, TchError>) -> mlua::Result<Value> {
        new_value(self.lua, &self.function, || Ok(make()?))
    }

    /// Hands what the engine makes to Lua.
    fn make(&self, make: impl FnOnce() -> Result<tch::Tensor>) -> mlua::Result<Value> {
        new_value(self.lua, &self.function, make)
    }

    /// Runs checks and calls of the engine, whose errors get the method's name.
    fn check<R>(&self, check: impl FnOnce() -> Result<R>) -> mlua::Result<R> {
        attempt(check).map_err(|error| self.error(error))
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

    /// One dimension, or a list of them; all where it is not given.
    fn optional_dims(&self, args: &mut Args, position: usize) -> mlua::Result<Option<Vec<i64>>> {
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

/// A new handle, or the error with the function's name.
fn new_value(lua: &Lua, function: &str, make: impl FnOnce() -> Result<tch::Tensor>) -> mlua::Result<Value> {
    let tensor = attempt(make).map_err(|error| options::reject(function, error))?;
    lua.create_userdata(Tensor::new(lua, tensor)?).map(Value::UserData)
}

/// Runs calls of libtorch. Even tch's fallible ones panic where a number among their arguments is dropped after a
/// refusal; here that is an error like any other.
fn attempt<T>(calls: impl FnOnce() -> Result<T>) -> Result<T> {
    report::guard(|| Ok(calls())).unwrap_or_else(|panicked| Err(report::lower(&panicked))).map_err(explain)
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

/// The next argument as a tensor, where there is one.
fn optional_tensor(args: &mut Args, function: &str, name: &str) -> mlua::Result<Option<tch::Tensor>> {
    let value = args.optional_value(name)?;
    value.map(|value| tensor_of(&value, name)).transpose().map_err(|error| options::reject(function, error))
}

/// A list of tensors; `name` is its place, for the error.
fn tensors_of(list: &Table, name: &str) -> Result<Vec<tch::Tensor>> {
    let item = |position: usize| {
        let value: Value = list.raw_get(position).map_err(|error| report::lower(&error))?;
        tensor_of(&value, &format!("{name}[{position}]"))
    };
    (1..=list.raw_len()).map(item).collect()
}

/// Tensors as a Lua list of new handles.
fn list_of(lua: &Lua, tensors: Vec<tch::Tensor>) -> mlua::Result<Value> {
    let list = lua.create_table_with_capacity(tensors.len(), 0)?;
    for tensor in tensors {
        list.raw_push(Tensor::new(lua, tensor)?)?;
    }
    Ok(Value::Table(list))
}

/// A number of a script, which libtorch takes as an integer or a float.
#[derive(Debug, Clone, Copy)]
enum Number {
    Int(i64),
    Float(f64),
}

impl Number {
    fn new(value: &Value) -> Option<Self> {
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
enum Operand {
    Tensor(tch::Tensor),
    Number(Number),
}

impl Operand {
    fn argument(args: &mut Args, function: &str, name: &str) -> mlua::Result<Self> {
        Self::new(&args.value(name)?, name).map_err(|error| options::reject(function, error))
    }

    fn new(value: &Value, name: &str) -> Result<Self> {
        match (Number::new(value), value) {
            (Some(number), _) => Ok(Operand::Number(number)),
            (None, Value::UserData(_)) => tensor_of(value, name).map(Operand::Tensor),
            (None, other) => Err(Error::option(name, "tensor or number", kind(other))),
        }
    }
}
