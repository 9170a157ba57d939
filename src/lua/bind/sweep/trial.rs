//! A trial in a script's hands.

use std::collections::BTreeMap;

use mlua::{Lua, MultiValue, Table, UserData, UserDataMethods, Value};
use serde::Deserialize;

use super::{shown, space};
use crate::engine::sweep::{Distribution, Trial};
use crate::engine::{Error, Result, cancel};
use crate::lua::call::Call;
use crate::lua::kind::{integral, kind};
use crate::lua::{convert, report};

pub struct TrialHandle {
    pub trial: Trial,
    /// Whether somebody waits for the end of a pruned trial: `study:run`.
    pub ends_itself: bool,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ReportOptions {
    /// Whether the trial may end here.
    prune: bool,
}

impl Default for ReportOptions {
    fn default() -> Self {
        ReportOptions { prune: true }
    }
}

impl TrialHandle {
    fn suggest(&self, lua: &Lua, call: &Call, name: &str, distribution: Result<Distribution>) -> mlua::Result<Value> {
        let (value, distribution) = call.run(|| {
            let distribution = distribution?;
            Ok((self.trial.suggest(name, distribution.clone())?, distribution))
        })?;
        shown::value(lua, &distribution, value)
    }

    fn report(&self, call: &mut Call, step: i64, report: impl FnOnce(&Trial) -> Result<()>) -> mlua::Result<()> {
        let ReportOptions { prune } = call.options()?;
        call.finish()?;
        call.run(|| {
            match prune && self.ends_itself {
                true => self.trial.report_or_end(report, step)?,
                false => report(&self.trial)?,
            }
            cancel::check()
        })
    }
}

impl UserData for TrialHandle {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method("uniform", |lua, this, values: MultiValue| {
            let mut call = Call::new("trial:uniform", values);
            let name = call.string("name")?;
            let distribution = space::float(&mut call, &name)?;
            call.finish()?;
            this.suggest(lua, &call, &name, distribution)
        });
        methods.add_method("int", |lua, this, values: MultiValue| {
            let mut call = Call::new("trial:int", values);
            let name = call.string("name")?;
            let distribution = space::int(&mut call, &name)?;
            call.finish()?;
            this.suggest(lua, &call, &name, distribution)
        });
        methods.add_method("choice", |lua, this, values: MultiValue| {
            let mut call = Call::new("trial:choice", values);
            let name = call.string("name")?;
            let distribution = space::choice(lua, &mut call, &name)?;
            call.finish()?;
            this.suggest(lua, &call, &name, distribution)
        });
        methods.add_method("suggest", |lua, this, values: MultiValue| {
            let mut call = Call::new("trial:suggest", values);
            let spaces = call.table("space")?;
            call.finish()?;
            let params = lua.create_table()?;
            for (name, distribution) in call.run(|| space::named(&spaces))? {
                params.raw_set(name.as_str(), this.suggest(lua, &call, &name, Ok(distribution))?)?;
            }
            Ok(params)
        });
        methods.add_method("report", |_, this, values: MultiValue| {
            let mut call = Call::new("trial:report", values);
            let (step, value) = (call.integer("step")?, call.number("value")?);
            this.report(&mut call, step, |trial| trial.report(step, value))
        });
        methods.add_method("report_tasks", |_, this, values: MultiValue| {
            let mut call = Call::new("trial:report_tasks", values);
            let (step, scores) = (call.integer("step")?, call.table("scores")?);
            let scores = scores_of(&scores).map_err(|error| call.reject(error))?;
            this.report(&mut call, step, |trial| trial.report_tasks(step, &scores))
        });
        methods.add_method("should_prune", |_, this, values: MultiValue| {
            let call = Call::new("trial:should_prune", values);
            call.finish()?;
            call.run(|| this.trial.should_prune())
        });
        methods.add_method("set_attr", |lua, this, values: MultiValue| {
            let mut call = Call::new("trial:set_attr", values);
            let (name, value) = (call.string("name")?, call.value("value")?);
            call.finish()?;
            call.run(|| this.trial.set_attr(&name, convert::to_json_at(lua, &value, &name)?))
        });
        methods.add_method("count_tokens", |_, this, values: MultiValue| {
            let mut call = Call::new("trial:count_tokens", values);
            let count = call.integer("count")?;
            call.finish()?;
            let count = u64::try_from(count).map_err(|_| call.reject(Error::option("count", "0 or more", count)))?;
            call.run(|| this.trial.count_tokens(count))
        });
        methods.add_method("checkpoint", |_, this, values: MultiValue| {
            Call::new("trial:checkpoint", values).finish()?;
            Ok(this.trial.checkpoint())
        });
        methods.add_method("set_checkpoint", |_, this, values: MultiValue| {
            let mut call = Call::new("trial:set_checkpoint", values);
            let place = call.string("place")?;
            call.finish()?;
            call.run(|| this.trial.set_checkpoint(&place))
        });
        methods.add_method("folder", |_, this, values: MultiValue| {
            let call = Call::new("trial:folder", values);
            call.finish()?;
            let folder = call.run(|| this.trial.folder())?;
            Ok(folder.to_string_lossy().into_owned())
        });
        methods.add_method("number", |_, this, values: MultiValue| {
            Call::new("trial:number", values).finish()?;
            Ok(this.trial.number())
        });
        methods.add_method("params", |lua, this, values: MultiValue| {
            Call::new("trial:params", values).finish()?;
            shown::params(lua, &this.trial.record())
        });
        methods.add_method("complete", |_, this, values: MultiValue| {
            let values: Vec<Value> = values.into_iter().collect();
            let call = Call::new("trial:complete", MultiValue::new());
            let values = numbers(&values).map_err(|error| call.reject(error))?;
            call.run(|| this.trial.complete(&values))
        });
        methods.add_method("prune", |_, this, values: MultiValue| {
            let call = Call::new("trial:prune", values);
            call.finish()?;
            call.run(|| this.trial.prune())
        });
        methods.add_method("fail", |_, this, values: MultiValue| {
            let mut call = Call::new("trial:fail", values);
            let reason = call.string("reason")?;
            call.finish()?;
            call.run(|| this.trial.fail(&reason))
        });
    }
}

/// The values of the objectives, as a function gave them.
pub fn numbers(values: &[Value]) -> Result<Vec<f64>> {
    let number = |value: &Value| match value {
        Value::Integer(n) => Ok(*n as f64),
        Value::Number(x) => Ok(*x),
        other => Err(Error::option("values", "a number for each objective", kind(other))),
    };
    values.iter().map(number).collect()
}

/// Numbers by task: the task's id is the key.
fn scores_of(table: &Table) -> Result<BTreeMap<i64, f64>> {
    let mut scores = BTreeMap::new();
    for pair in table.pairs::<Value, Value>() {
        let (key, value) = pair.map_err(|error| report::lower(&error))?;
        let task = match &key {
            Value::Integer(task) => Some(*task),
            Value::Number(task) => integral(*task),
            _ => None,
        };
        let task = task.ok_or_else(|| Error::option("scores", "integers as keys, the tasks' ids", kind(&key)))?;
        let score = numbers(std::slice::from_ref(&value))
            .map_err(|_| Error::option(format!("scores[{task}]"), "a number", kind(&value)))?;
        scores.insert(task, score[0]);
    }
    Ok(scores)
}
