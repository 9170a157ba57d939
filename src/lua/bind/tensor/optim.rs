//! Optimizers over a script's own tensors, and the norm of gradients kept within bounds.

use std::cell::RefCell;

use mlua::{Lua, MultiValue, Table, UserData, UserDataMethods, Value};
use serde::Deserialize;

use super::create::{by_name, named};
use super::{Function, attempt};
use crate::engine::train::adamw::{AdamW, AdamWOptions, Group, clip_grad_norm};
use crate::engine::train::sgd::{Sgd, SgdOptions};
use crate::engine::{Error, Result};
use crate::lua::args::Args;
use crate::lua::options;

type T = tch::Tensor;

pub const FUNCTIONS: &[(&str, Function)] = &[("sgd", sgd), ("adamw", adamw), ("clip_grad_norm", clip)];

/// Under this name the rate is in an optimizer's state. Names of parameters cannot be confused with it: theirs end in
/// `.step` and the like.
const RATE: &str = "learning_rate";

/// An optimizer as a script holds it.
struct Optimizer {
    rule: RefCell<Rule>,
    learning_rate: RefCell<f64>,
}

enum Rule {
    Sgd(Sgd),
    AdamW(AdamW),
}

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
fn sgd(lua: &Lua, function: &str, mut args: Args) -> mlua::Result<Value> {
    let (params, table) = (args.table("params")?, args.table("options")?);
    args.finish()?;
    let SgdTable { learning_rate, momentum, weight_decay, nesterov } = options::read(function, Some(table))?;
    handle(lua, function, learning_rate, || {
        at_least_zero("momentum", momentum)?;
        at_least_zero("weight_decay", weight_decay)?;
        if nesterov && momentum == 0.0 {
            return Err(Error::message("nesterov: only with a momentum"));
        }
        Ok(Rule::Sgd(Sgd::new(SgdOptions { momentum, weight_decay, nesterov }, parameters(&params)?)))
    })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AdamWTable {
    #[serde(default = "default_rate")]
    learning_rate: f64,
    #[serde(default = "default_betas")]
    betas: Vec<f64>,
    #[serde(default = "default_eps")]
    eps: f64,
    #[serde(default = "default_decay")]
    weight_decay: f64,
}

// PyTorch's defaults.
fn default_rate() -> f64 {
    1e-3
}

fn default_betas() -> Vec<f64> {
    vec![0.9, 0.999]
}

fn default_eps() -> f64 {
    1e-8
}

fn default_decay() -> f64 {
    0.01
}

/// `(params, options)`
fn adamw(lua: &Lua, function: &str, mut args: Args) -> mlua::Result<Value> {
    let (params, table) = (args.table("params")?, args.optional_table("options")?);
    args.finish()?;
    let AdamWTable { learning_rate, betas, eps, weight_decay } = options::read(function, table)?;
    handle(lua, function, learning_rate, || {
        let &[beta1, beta2] = betas.as_slice() else {
            return Err(Error::option("betas", "two numbers", betas.len()));
        };
        for (at, beta) in betas.iter().enumerate().filter(|(_, beta)| !(0.0..1.0).contains(*beta)) {
            return Err(Error::option(format!("betas[{}]", at + 1), "0 to below 1", beta));
        }
        at_least_zero("eps", eps)?;
        at_least_zero("weight_decay", weight_decay)?;
        // The rate comes with every step.
        let group = Group { params: parameters(&params)?, learning_rate: 1.0, weight_decay };
        Ok(Rule::AdamW(AdamW::new(AdamWOptions { beta1, beta2, epsilon: eps }, vec![group])))
    })
}

fn handle(lua: &Lua, function: &str, rate: f64, make: impl FnOnce() -> Result<Rule>) -> mlua::Result<Value> {
    let made = attempt(|| {
        at_least_zero(RATE, rate)?;
        make()
    });
    let rule = made.map_err(|error| options::reject(function, error))?;
    let optimizer = Optimizer { rule: RefCell::new(rule), learning_rate: RefCell::new(rate) };
    lua.create_userdata(optimizer).map(Value::UserData)
}

fn at_least_zero(name: &str, number: f64) -> Result<()> {
    match number.is_finite() && number >= 0.0 {
        true => Ok(()),
        false => Err(Error::option(name, "a finite number of at least 0", number)),
    }
}

/// The parameters of a list, named by their positions, or of a table, by its keys.
fn listed(params: &Table) -> Result<Vec<(String, T)>> {
    if params.raw_len() == 0 {
        return named(params, "params");
    }
    let tensors = super::tensors_of(params, "params")?;
    match params.pairs::<Value, Value>().count() == tensors.len() {
        true => Ok((1..).map(|position: usize| position.to_string()).zip(tensors).collect()),
        false => Err(Error::option("params", "a list or a table of names", "both in one")),
    }
}

/// Leaves that require grad, none of them twice.
fn parameters(params: &Table) -> Result<Vec<(String, T)>> {
    let all = listed(params)?;
    if all.is_empty() {
        return Err(Error::option("params", "at least one tensor", "none"));
    }
    let place = |name: &str| match params.raw_len() {
        0 => format!("params.{name}"),
        _ => format!("params[{name}]"),
    };
    for (at, (name, param)) in all.iter().enumerate() {
        if !param.requires_grad() {
            let hint = "t:requires_grad(true), or { requires_grad = true } as it is made";
            return Err(Error::hinted(format!("{}: does not require grad", place(name)), hint));
        }
        if !param.f_is_leaf()? {
            let message = format!("{}: computed from other tensors, so no gradient stays with it", place(name));
            return Err(Error::hinted(message, "t:detach():requires_grad(true) makes a parameter of its values"));
        }
        let same = |(_, other): &&(String, T)| param.numel() > 0 && other.data_ptr() == param.data_ptr();
        if let Some((first, _)) = all[..at].iter().find(same) {
            return Err(Error::message(format!("{}: the same tensor as {}", place(name), place(first))));
        }
    }
    Ok(all)
}

/// `(params, max_norm)`: the norm of all gradients together, which are scaled down where it is larger than that.
fn clip(_: &Lua, function: &str, mut args: Args) -> mlua::Result<Value> {
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
            Args::new("optimizer:step", values).finish()?;
            this.run("optimizer:step", |rule, rate| {
                rule.step(rate);
                Ok(())
            })
        });
        methods.add_method("zero_grad", |_, this, values: MultiValue| {
            Args::new("optimizer:zero_grad", values).finish()?;
            this.run("optimizer:zero_grad", |rule, _| {
                rule.zero_grad();
                Ok(())
            })
        });
        methods.add_method("learning_rate", |_, this, values: MultiValue| this.rate(values));
        methods.add_method("state", |lua, this, values: MultiValue| this.state(lua, values));
        methods.add_method("load_state", |_, this, values: MultiValue| this.load_state(values));
    }
}

impl Optimizer {
    /// What libtorch refuses in a step is an error of the method.
    fn run<R>(&self, function: &str, act: impl FnOnce(&mut Rule, f64) -> Result<R>) -> mlua::Result<R> {
        let rate = *self.learning_rate.borrow();
        attempt(|| act(&mut self.rule.borrow_mut(), rate)).map_err(|error| options::reject(function, error))
    }

    /// Without a number: the rate of the next step. With one: sets it.
    fn rate(&self, values: MultiValue) -> mlua::Result<f64> {
        let mut args = Args::new("optimizer:learning_rate", values);
        let rate = args.optional_number(RATE)?;
        args.finish()?;
        if let Some(rate) = rate {
            at_least_zero(RATE, rate).map_err(|error| options::reject("optimizer:learning_rate", error))?;
            *self.learning_rate.borrow_mut() = rate;
        }
        Ok(*self.learning_rate.borrow())
    }

    /// Copies of everything that decides the next step.
    fn state(&self, lua: &Lua, values: MultiValue) -> mlua::Result<Table> {
        Args::new("optimizer:state", values).finish()?;
        let tensors = self.run("optimizer:state", |rule, rate| {
            let copy = |(name, tensor): (String, T)| Ok((name, tensor.f_alias_copy()?));
            let mut tensors = rule.state().into_iter().map(copy).collect::<Result<Vec<_>>>()?;
            tensors.push((RATE.to_string(), T::from(rate)));
            Ok(tensors)
        })?;
        by_name(lua, tensors)
    }

    /// Goes on from what `state` gave; nothing changes where it does not belong to these parameters.
    fn load_state(&self, values: MultiValue) -> mlua::Result<()> {
        let function = "optimizer:load_state";
        let mut args = Args::new(function, values);
        let table = args.table("state")?;
        args.finish()?;
        let rate = self.run(function, |rule, _| {
            let mut tensors = named(&table, "state")?;
            let at = tensors.iter().position(|(name, tensor)| name == RATE && tensor.numel() == 1);
            let missing = || Error::message(format!("the state lacks {RATE}, expected a tensor of one value"));
            let (_, rate) = tensors.remove(at.ok_or_else(missing)?);
            let rate = rate.f_double_value(&[])?;
            at_least_zero(RATE, rate)?;
            rule.load_state(&tensors)?;
            Ok(rate)
        })?;
        *self.learning_rate.borrow_mut() = rate;
        Ok(())
    }
}

impl Rule {
    fn step(&mut self, learning_rate: f64) {
        match self {
            Rule::Sgd(sgd) => sgd.step(learning_rate),
            Rule::AdamW(adamw) => adamw.step(learning_rate),
        }
    }

    fn zero_grad(&mut self) {
        match self {
            Rule::Sgd(sgd) => sgd.zero_grad(),
            Rule::AdamW(adamw) => adamw.zero_grad(),
        }
    }

    fn state(&self) -> Vec<(String, T)> {
        match self {
            Rule::Sgd(sgd) => sgd.state(),
            Rule::AdamW(adamw) => adamw.state(),
        }
    }

    fn load_state(&mut self, saved: &[(String, T)]) -> Result<()> {
        match self {
            Rule::Sgd(sgd) => sgd.load_state(saved),
            Rule::AdamW(adamw) => adamw.load_state(saved),
        }
    }
}
