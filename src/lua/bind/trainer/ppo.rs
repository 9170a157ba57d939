//! `trainer.ppo`.

use std::cell::Cell;

use mlua::{AnyUserData, Lua, MultiValue, UserData, UserDataMethods, Value};

use super::{TrainerHandle, callback, to_table};
use crate::engine::env::Environment;
use crate::engine::model::Model;
use crate::engine::rl::options::PpoOptions;
use crate::engine::rl::ppo::Ppo;
use crate::engine::rl::report::Iteration;
use crate::engine::train::run::{Next, Run, Trainer};
use crate::engine::{Error, Result, cancel};
use crate::lua::bind::env::environments;
use crate::lua::bind::model::ModelHandle;
use crate::lua::bind::rollout::RolloutHandle;
use crate::lua::call::Call;
use crate::lua::options::Options;
use crate::lua::report;
use crate::lua::strict::handle;

pub fn create(lua: &Lua, values: MultiValue) -> mlua::Result<AnyUserData> {
    let mut call = Call::new("trainer.ppo", values);
    let model = call.userdata::<ModelHandle>("model")?.clone();
    let mut table = call.optional_options(lua)?;
    call.finish()?;
    let on_iteration = table.take_function("on_iteration")?;
    let options: PpoOptions = table.read()?;
    let ppo = {
        let model = model.borrow()?;
        call.run(|| Ppo::new(&model, options))?
    };
    TrainerHandle::in_lua(lua, model, ppo, on_iteration)
}

impl UserData for TrainerHandle<Ppo> {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        Self::add_shared_methods("ppo", methods);
        methods.add_function("run", |lua, values: MultiValue| {
            let mut call = Call::new("ppo:run", values);
            let (this, handle) = Self::of(&mut call)?;
            let environments = played(lua, &mut call)?;
            call.finish()?;
            let model = this.model.borrow()?;
            let last = report::guard(|| {
                let last = this.drive(lua, &handle, &model, |_| None, || this.iterate(&model, &environments))?;
                this.change()?.finish(&model)?;
                Ok(last)
            })?;
            last.map_or(Ok(Value::Nil), |last| to_table(lua, &last))
        });
        methods.add_function("iterations", |lua, values: MultiValue| {
            let mut call = Call::new("ppo:iterations", values);
            let (this, handle) = Self::of(&mut call)?;
            let environments = played(lua, &mut call)?;
            call.finish()?;
            let next = this.clone();
            this.iterator(lua, callback(lua, &handle)?, move || {
                let model = next.model.borrow()?;
                report::guard(|| {
                    let iteration = next.iterate(&model, &environments)?;
                    if iteration.is_none() {
                        next.change()?.finish(&model)?;
                    }
                    Ok(iteration)
                })
            })
        });
        methods.add_function("loop", |lua, values: MultiValue| {
            let mut call = Call::new("ppo:loop", values);
            let (this, _) = Self::of(&mut call)?;
            call.finish()?;
            let (next, told) = (this.clone(), Cell::new(None));
            let nobody = |_: &u64| Ok(());
            this.iterator(lua, nobody, move || {
                let model = next.model.borrow()?;
                let iteration = call.run(|| next.next_body(&model, told.get()))?;
                told.set(iteration);
                Ok(iteration)
            })
        });
        methods.add_method("iteration", |_, this, values: MultiValue| {
            Call::new("ppo:iteration", values).finish()?;
            report::guard(|| Ok(this.read()?.run().done()))
        });
        methods.add_method("rollout", |lua, this, values: MultiValue| {
            let mut call = Call::new("ppo:rollout", values);
            let environments = played(lua, &mut call)?;
            let episodes = call.optional_integer("n")?;
            call.finish()?;
            let episodes = match episodes {
                Some(n) if n < 1 => {
                    return Err(call.reject(Error::option("n", "an integer of at least 1", n)));
                }
                other => other.map(|n| n as usize),
            };
            let model = this.model.borrow()?;
            let rollout = report::guard(|| this.read()?.rollout(&model, &environments, episodes))?;
            handle(lua, "a batch", RolloutHandle::new(rollout))
        });
        methods.add_method("advantages", |_, this, values: MultiValue| {
            let mut call = Call::new("ppo:advantages", values);
            let batch = call.userdata::<RolloutHandle>("batch")?;
            call.finish()?;
            report::guard(|| this.read()?.advantages(&mut batch.borrow_mut()))
        });
        methods.add_function("update", |lua, values: MultiValue| {
            let mut call = Call::new("ppo:update", values);
            let (this, handle) = Self::of(&mut call)?;
            let batch = call.userdata::<RolloutHandle>("batch")?;
            call.finish()?;
            let model = this.model.borrow()?;
            let iteration = call.run(|| {
                let mut ppo = this.change()?;
                let iteration = ppo.update(&model, &batch.borrow())?;
                if !this.in_loop.get() {
                    ppo.save_if_due(&model, false)?;
                }
                Ok(iteration)
            })?;
            callback(lua, &handle)?(&iteration).map_err(report::raise)?;
            to_table(lua, &iteration)
        });
    }
}

/// The environments to play: the next argument of a call, a list of them or a table that has it as `envs`.
fn played(lua: &Lua, call: &mut Call) -> mlua::Result<Vec<Box<dyn Environment>>> {
    let envs = match call.value("envs")? {
        Value::Table(table) if table.raw_get::<Value>(1)?.is_nil() => {
            let mut options = Options::new(lua, call.function_name(), Some(table))?;
            let envs = options.take("envs")?;
            options.finish()?;
            envs
        }
        list => list,
    };
    environments(&call.function_name(), envs)
}

impl TrainerHandle<Ppo> {
    /// The next iteration. The environments may be scripts that use the trainer, so the rollout only reads it.
    fn iterate(&self, model: &Model, environments: &[Box<dyn Environment>]) -> Result<Option<Iteration>> {
        let next = self.change()?.begin()?;
        match next {
            Next::Over => Ok(None),
            Next::Told(iteration) => Ok(Some(iteration)),
            Next::Take => {
                let mut rollout = self.read()?.rollout(model, environments, None)?;
                self.change()?.learn(model, &mut rollout).map(Some)
            }
        }
    }

    /// Between two bodies of a loop of the script's own: saves where a checkpoint is due, and gives the number of the
    /// iteration that the next body is to do. `told` is the number that the last one had. After the last the result is
    /// written.
    fn next_body(&self, model: &Model, told: Option<u64>) -> Result<Option<u64>> {
        self.in_loop.set(true);
        self.with_run(Run::note_heard)??;
        if told.is_some_and(|told| told > self.read().map_or(0, |ppo| ppo.run().done())) {
            let problem = "the loop's body ended without an update, so the iteration would never end";
            return Err(Error::hinted(problem, "call ppo:update(batch) in it, or leave the loop with break"));
        }
        let ppo = self.read()?;
        if told.is_some() {
            ppo.save_if_due(model, false)?;
        }
        cancel::check().or_else(|error| ppo.leave(model, error))?;
        if !ppo.run().is_over() {
            return Ok(Some(ppo.run().done() + 1));
        }
        drop(ppo);
        self.change()?.finish(model)?;
        Ok(None)
    }
}
