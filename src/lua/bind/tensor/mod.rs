//! `affine.tensor`: libtorch's tensors for a Lua loop, with gradients.
//!
//! This file is the handle and the way of a call; the methods and the functions of the module are in the files below,
//! by topic, each with a table of its own. Positions (dimensions, indices) count from 1, -1 is the last; values inside
//! tensors count from 0, as libtorch's do.

mod call;
mod create;
mod files;
mod gather;
mod grad;
mod index;
mod join;
mod math;
mod nn;
mod operators;
mod optim;
mod order;
mod pairs;
mod random;
mod reduce;
mod shape;
mod show;
mod values;

use std::cell::RefCell;

use mlua::{AnyUserData, Lua, MetaMethod, MultiValue, Table, UserData, UserDataMethods, Value};

use crate::engine::{Error, Result, device};
use crate::lua::call::Call;
use crate::lua::heap::{self, Held};
use crate::lua::options;
use call::{Number, Operand, TensorCall, attempt, not_on_a_tensor, optional_tensor, tensor, tensor_of, tensors_of};

pub fn module(lua: &Lua) -> mlua::Result<Table> {
    device::open_cuda();
    let table = lua.create_table()?;
    let topics = [
        create::FUNCTIONS,
        random::FUNCTIONS,
        files::FUNCTIONS,
        join::FUNCTIONS,
        pairs::FUNCTIONS,
        nn::FUNCTIONS,
        optim::FUNCTIONS,
        grad::FUNCTIONS,
    ];
    for &(name, function) in topics.into_iter().flatten() {
        let path = format!("tensor.{name}");
        let call = move |lua: &Lua, values| function(lua, &path, Call::new(path.clone(), values));
        table.set(name, lua.create_function(call)?)?;
    }
    table.set("no_grad", lua.create_function(grad::no_grad)?)?;
    table.set("enable_grad", lua.create_function(grad::enable_grad)?)?;
    Ok(table)
}

/// A function of the module: the state, its name in messages, its arguments.
type Function = fn(&Lua, &str, Call) -> mlua::Result<Value>;

/// A method: the call, the arguments behind the tensor.
type Method = fn(&TensorCall, Call) -> mlua::Result<Value>;

/// A method with several results, as values and where they were found.
type SeveralMethod = fn(&TensorCall, Call) -> mlua::Result<MultiValue>;

/// A tensor as a script holds it; nothing once it was closed.
struct Tensor(RefCell<Option<(tch::Tensor, Held)>>);

impl Tensor {
    /// A handle for a script.
    fn handle(lua: &Lua, tensor: tch::Tensor) -> mlua::Result<AnyUserData> {
        let held = Held::new(lua, [&tensor])?;
        let handle = lua.create_userdata(Tensor(RefCell::new(Some((tensor, held)))))?;
        heap::announce(lua, &handle)?;
        Ok(handle)
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
                let (call, args) = TensorCall::of_method(lua, name, values)?;
                method(&call, args)
            });
        }
        for &(name, method) in order::METHODS {
            methods.add_function(name, move |lua, values: MultiValue| {
                let (call, args) = TensorCall::of_method(lua, name, values)?;
                method(&call, args)
            });
        }
        methods.add_function("close", |_, mut values: MultiValue| close("tensor:close", values.pop_front()));
        methods.add_meta_function(MetaMethod::Close, |_, (this, _): (Value, Value)| close("tensor", Some(this)));
        methods.add_meta_function(MetaMethod::Index, index::read);
        methods.add_meta_function(MetaMethod::NewIndex, index::write);
        methods.add_meta_function(MetaMethod::ToString, show::text);
        methods.add_meta_function(MetaMethod::Len, |lua, (this, _): (Value, Value)| {
            let call = TensorCall::new(lua, "#tensor", Some(this))?;
            let none = || call.error(Error::message("a single number has no length"));
            call.this.size().first().copied().ok_or_else(none)
        });
        operators::add(methods);
    }
}

fn all_methods() -> impl Iterator<Item = &'static (&'static str, Method)> {
    let topics = [
        math::METHODS,
        pairs::METHODS,
        reduce::METHODS,
        shape::METHODS,
        join::METHODS,
        gather::METHODS,
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

/// A new handle, or the error with the function's name.
fn new_value(lua: &Lua, function: &str, make: impl Fn() -> Result<tch::Tensor>) -> mlua::Result<Value> {
    let tensor = heap::with_retry(lua, || attempt(&make)).map_err(|error| options::reject(function, error))?;
    Tensor::handle(lua, tensor).map(Value::UserData)
}

/// Tensors as a Lua list of new handles.
fn list_of(lua: &Lua, tensors: Vec<tch::Tensor>) -> mlua::Result<Value> {
    let list = lua.create_table_with_capacity(tensors.len(), 0)?;
    for tensor in tensors {
        list.raw_push(Tensor::handle(lua, tensor)?)?;
    }
    Ok(Value::Table(list))
}
