//! Optimizers over a script's own tensors, and the norm of gradients kept within bounds.

use std::cell::RefCell;

use mlua::{Lua, MultiValue, Table, UserData, UserDataMethods, Value};
use serde::Deserialize;

use super::files::{by_name, named};
use super::{Function, attempt, tensors_of};
use crate::engine::train::adamw::{AdamWOptions, clip_grad_norm};
use crate::engine::train::optimizer::{self, check_parameters};
use crate::engine::train::sgd::SgdOptions;
use crate::engine::{Error, Result};
use crate::lua::call::Call;
use crate::lua::options;

type T = tch::Tensor;

pub const FUNCTIONS: &[(&str, Function)] = &[("sgd", sgd), ("adamw", adamw), ("clip_grad_norm", clip)];

/// An optimizer as a script holds it.
struct Optimizer(RefCell<optimizer::Optimizer>);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SgdTable {
    learning_rate: f64,
    #[serde(default)]
    momentum: f64,
    #[serde(default)]
    weight_decay: f64,
    #[serde(default)]
    nesterov: bool,
}

/// `(params, options)`
fn sgd(lua: &Lua, function: &str, mut args: Call) -> mlua::Result<Value> {
    let (params, table) = (args.table("params")?, args.table("options")?);
    args.finish()?;
    let SgdTable { learning_rate, momentum, weight_decay, nesterov } = options::read(function, Some(table))?;
    handle(lua, function, || {
        let options = SgdOptions { momentum, weight_decay, nesterov };
        optimizer::Optimizer::sgd(parameters(&params)?, options, learning_rate)
    })
}

/// PyTorch's defaults.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct AdamWTable {
    learning_rate: f64,
    betas: Vec<f64>,
    eps: f64,
    weight_decay: f64,
}

impl Default for AdamWTable {
    fn default() -> Self {
        AdamWTable { learning_rate: 1e-3, betas: vec![0.9, 0.999], eps: 1e-8, weight_decay: 0.01 }
    }
}

/// `(params, options)`
fn adamw(lua: &Lua, function: &str, mut args: Call) -> mlua::Result<Value> {
    let (params, table) = (args.table("params")?, args.optional_table("options")?);
    args.finish()?;
    let AdamWTable { learning_rate, betas, eps, weight_decay } = options::read(function, table)?;
    handle(lua, function, || {
        let &[beta1, beta2] = betas.as_slice() else {
            return Err(Error::option("betas", "two numbers", betas.len()));
        };
        let options = AdamWOptions { beta1, beta2, epsilon: eps, ..AdamWOptions::default() };
        optimizer::Optimizer::adamw(parameters(&params)?, options, weight_decay, learning_rate)
    })
}

fn handle(lua: &Lua, function: &str, make: impl FnOnce() -> Result<optimizer::Optimizer>) -> mlua::Result<Value> {
    let made = attempt(make).map_err(|error| options::reject(function, error))?;
    lua.create_userdata(Optimizer(RefCell::new(made))).map(Value::UserData)
}

/// The tensors of a list, named by their positions, or of a table, by its keys.
fn listed(params: &Table) -> Result<Vec<(String, T)>> {
    if params.raw_len() == 0 {
        return named(params, "params");
    }
    let tensors = tensors_of(params, "params")?;
    match params.pairs::<Value, Value>().count() == tensors.len() {
        true => Ok((1..).map(|position: usize| position.to_string()).zip(tensors).collect()),
        false => Err(Error::option("params", "a list or a table of names", "both in one")),
    }
}

fn parameters(params: &Table) -> Result<Vec<(String, T)>> {
    let all = listed(params)?;
    let is_list = params.raw_len() > 0;
    check_parameters(&all, |name| if is_list { format!("params[{name}]") } else { format!("params.{name}") })?;
    Ok(all)
}

/// `(params, max_norm)`: the norm of all gradients together, which are scaled down where it is larger than that.
fn clip(_: &Lua, function: &str, mut args: Call) -> mlua::Result<Value> {
    let (params, max_norm) = (args.table("params")?, args.number("max_norm")?);
    args.finish()?;
    let norm = attempt(|| {
        if max_norm.is_nan() || max_norm <= 0.0 {
            return Err(Error::option("max_norm", "a number above 0", max_norm));
        }
        let params: Vec<T> = listed(&params)?.into_iter().map(|(_, param)| param).collect();
        // Only leaves keep gradients, and libtorch writes a warning when another tensor is asked.
        let leaves = params.iter().filter(|param| param.is_leaf());
        Ok(clip_grad_norm(leaves, max_norm))
    });
    norm.map(Value::Number).map_err(|error| options::reject(function, error))
}

impl UserData for Optimizer {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method("step", |_, this, values: MultiValue| {
            Call::new("optimizer:step", values).finish()?;
            this.run("optimizer:step", |optimizer| {
                optimizer.step();
                Ok(())
            })
        });
        methods.add_method("zero_grad", |_, this, values: MultiValue| {
            Call::new("optimizer:zero_grad", values).finish()?;
            this.run("optimizer:zero_grad", |optimizer| {
                optimizer.zero_grad();
                Ok(())
            })
        });
        methods.add_method("learning_rate", |_, this, values: MultiValue| {
            let mut args = Call::new("optimizer:learning_rate", values);
            let rate = args.optional_number("learning_rate")?;
            args.finish()?;
            this.run("optimizer:learning_rate", |optimizer| {
                rate.map_or(Ok(()), |rate| optimizer.set_learning_rate(rate))?;
                Ok(optimizer.learning_rate())
            })
        });
        methods.add_method("state", |lua, this, values: MultiValue| {
            Call::new("optimizer:state", values).finish()?;
            by_name(lua, this.run("optimizer:state", |optimizer| optimizer.state())?)
        });
        methods.add_method("load_state", |_, this, values: MultiValue| {
            let mut args = Call::new("optimizer:load_state", values);
            let state = args.table("state")?;
            args.finish()?;
            this.run("optimizer:load_state", |optimizer| optimizer.load_state(named(&state, "state")?))
        });
    }
}

impl Optimizer {
    /// What libtorch refuses is an error of the method.
    fn run<R>(&self, function: &str, act: impl FnOnce(&mut optimizer::Optimizer) -> Result<R>) -> mlua::Result<R> {
        attempt(|| act(&mut self.0.borrow_mut())).map_err(|error| options::reject(function, error))
    }
}
