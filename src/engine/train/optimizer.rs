//! An optimizer over tensors that a script owns: [`Sgd`] or [`AdamW`] with one rate, which is part of its state.

use tch::Tensor;

use super::adamw::{AdamW, AdamWOptions, Group};
use super::sgd::{Sgd, SgdOptions};
use crate::engine::{Error, Result};

/// Under this name the rate is in the state. Names of parameters' tensors cannot be confused with it: theirs end in
/// `.step` and the like.
const RATE: &str = "learning_rate";

#[derive(Debug)]
pub struct Optimizer {
    rule: Rule,
    learning_rate: f64,
}

#[derive(Debug)]
enum Rule {
    Sgd(Sgd),
    AdamW(AdamW),
}

impl Optimizer {
    pub fn sgd(params: Vec<(String, Tensor)>, options: SgdOptions, learning_rate: f64) -> Result<Self> {
        at_least_zero(RATE, learning_rate)?;
        at_least_zero("momentum", options.momentum)?;
        at_least_zero("weight_decay", options.weight_decay)?;
        if options.nesterov && options.momentum == 0.0 {
            return Err(Error::message("nesterov: only with a momentum"));
        }
        Ok(Optimizer { rule: Rule::Sgd(Sgd::new(options, params)), learning_rate })
    }

    pub fn adamw(
        params: Vec<(String, Tensor)>,
        options: AdamWOptions,
        weight_decay: f64,
        learning_rate: f64,
    ) -> Result<Self> {
        at_least_zero(RATE, learning_rate)?;
        at_least_zero("eps", options.epsilon)?;
        at_least_zero("weight_decay", weight_decay)?;
        for (name, beta) in [("betas[1]", options.beta1), ("betas[2]", options.beta2)] {
            if !(0.0..1.0).contains(&beta) {
                return Err(Error::option(name, "0 to below 1", beta));
            }
        }
        // The rate comes with every step.
        let group = Group { params, learning_rate: 1.0, weight_decay };
        Ok(Optimizer { rule: Rule::AdamW(AdamW::new(options, vec![group])), learning_rate })
    }

    pub fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    pub fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()> {
        at_least_zero(RATE, learning_rate)?;
        self.learning_rate = learning_rate;
        Ok(())
    }

    /// One update of every parameter that has a gradient.
    pub fn step(&mut self) {
        match &mut self.rule {
            Rule::Sgd(sgd) => sgd.step(self.learning_rate),
            Rule::AdamW(adamw) => adamw.step(self.learning_rate),
        }
    }

    pub fn zero_grad(&mut self) {
        match &mut self.rule {
            Rule::Sgd(sgd) => sgd.zero_grad(),
            Rule::AdamW(adamw) => adamw.zero_grad(),
        }
    }

    /// Copies of everything that decides the next step beside the parameters.
    pub fn state(&self) -> Result<Vec<(String, Tensor)>> {
        let live = match &self.rule {
            Rule::Sgd(sgd) => sgd.state(),
            Rule::AdamW(adamw) => adamw.state(),
        };
        let copy = |(name, tensor): (String, Tensor)| Ok((name, tensor.f_alias_copy()?));
        let rate = (RATE.to_string(), Tensor::from(self.learning_rate));
        live.into_iter().map(copy).chain([Ok(rate)]).collect()
    }

    /// Goes on from what [`state`](Self::state) gave; nothing changes where it belongs to other parameters.
    pub fn load_state(&mut self, mut saved: Vec<(String, Tensor)>) -> Result<()> {
        let at = saved.iter().position(|(name, tensor)| name == RATE && tensor.numel() == 1);
        let at = at.ok_or_else(|| Error::message(format!("the state lacks {RATE}, expected a tensor of one value")))?;
        let learning_rate = saved.remove(at).1.f_double_value(&[])?;
        at_least_zero(RATE, learning_rate)?;
        match &mut self.rule {
            Rule::Sgd(sgd) => sgd.load_state(&saved)?,
            Rule::AdamW(adamw) => adamw.load_state(&saved)?,
        }
        self.learning_rate = learning_rate;
        Ok(())
    }
}

/// Refuses what is no parameter: a tensor that requires no grad or is not a leaf, the same tensor twice, none at all.
/// `place` is where the script has the parameter of a name, for the error.
pub fn check_parameters(params: &[(String, Tensor)], place: impl Fn(&str) -> String) -> Result<()> {
    if params.is_empty() {
        return Err(Error::option("params", "at least one tensor", "none"));
    }
    for (at, (name, param)) in params.iter().enumerate() {
        if !param.requires_grad() {
            let hint = "t:requires_grad(true), or { requires_grad = true } as it is made";
            return Err(Error::hinted(format!("{}: does not require grad", place(name)), hint));
        }
        if !param.f_is_leaf()? {
            let message = format!("{}: computed from other tensors, so no gradient stays with it", place(name));
            return Err(Error::hinted(message, "t:detach():requires_grad(true) makes a parameter of its values"));
        }
        let same = |(_, other): &&(String, Tensor)| param.numel() > 0 && other.data_ptr() == param.data_ptr();
        if let Some((first, _)) = params[..at].iter().find(same) {
            return Err(Error::message(format!("{}: the same tensor as {}", place(name), place(first))));
        }
    }
    Ok(())
}

fn at_least_zero(name: &str, number: f64) -> Result<()> {
    match number.is_finite() && number >= 0.0 {
        true => Ok(()),
        false => Err(Error::option(name, "a finite number of at least 0", number)),
    }
}
