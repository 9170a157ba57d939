//! A study in a script's hands, and the loop over its trials.

use std::path::{Path, PathBuf};
use std::time::Instant;

use mlua::{AnyUserData, Function, Lua, MetaMethod, MultiValue, Table, UserData, UserDataMethods, Value};
use serde::Deserialize;

use super::population::population;
use super::trial::{TrialHandle, numbers};
use super::{options, shown};
use crate::engine::sweep::budget::Budget;
use crate::engine::sweep::config_text::config_text;
use crate::engine::sweep::figure::figure;
use crate::engine::sweep::importance::{METHOD, importance};
use crate::engine::sweep::table::table;
use crate::engine::sweep::trial::external;
use crate::engine::sweep::{Direction, Done, Keep, Next, State, Study, StudyOptions, Successor, Trial};
use crate::engine::{Error, cancel, file};
use crate::lua::call::Call;
use crate::lua::convert;
use crate::lua::report::{self, Report};
use crate::lua::strict::handle;

const BUDGET: [&str; 4] = ["timeout_seconds", "max_trials", "max_tokens", "max_bytes"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OpenOptions {
    name: String,
    storage: PathBuf,
    direction: Option<Direction>,
    directions: Option<Vec<Direction>>,
    seed: Option<u64>,
    #[serde(default = "yes")]
    load_if_exists: bool,
    #[serde(default)]
    on_error: OnError,
    #[serde(default)]
    keep: Keep,
}

fn yes() -> bool {
    true
}

/// What becomes of the run when a trial's function raises an error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OnError {
    #[default]
    Continue,
    Stop,
}

#[derive(Clone)]
pub struct StudyHandle {
    pub study: Study,
    on_error: OnError,
}

pub fn open(lua: &Lua, values: MultiValue) -> mlua::Result<AnyUserData> {
    const NAME: &str = "sweep.open";
    let mut call = Call::new(NAME, values);
    let mut table = call.required_options(lua)?;
    let sampler = options::sampler(lua, NAME, table.take("sampler")?)?;
    let pruner = options::pruner(lua, NAME, table.take("pruner")?)?;
    let budget: Budget = table.take_struct(&BUDGET)?;
    let OpenOptions { name, storage, direction, directions, seed, load_if_exists, on_error, keep } = table.read()?;
    call.finish()?;
    let directions = match (direction, directions) {
        (Some(one), None) => vec![one],
        (None, Some(several)) => several,
        (None, None) => return Err(call.reject(Error::message("direction: required, but missing"))),
        _ => return Err(call.reject(Error::option("directions", "direction or directions", "both"))),
    };
    let options = StudyOptions { name, directions, storage, sampler, pruner, seed, load_if_exists, budget, keep };
    let study = call.run(|| Study::open(options))?;
    handle(lua, "a study", StudyHandle { study, on_error })
}

impl UserData for StudyHandle {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_function("run", run);
        methods.add_function("population", population);
        methods.add_method("ask", |lua, this, values: MultiValue| {
            let call = Call::new("study:ask", values);
            call.finish()?;
            let trial = call.run(|| this.study.ask())?;
            handle(lua, "a trial", TrialHandle { trial, ends_itself: false })
        });
        methods.add_method("enqueue", |lua, this, values: MultiValue| {
            let mut call = Call::new("study:enqueue", values);
            let params = call.table("params")?;
            call.finish()?;
            call.run(|| this.study.enqueue(named_values(lua, params)?))
        });
        methods.add_method("clone", |lua, this, values: MultiValue| {
            let mut call = Call::new("study:clone", values);
            let (number, params) = (call.integer("number")?, call.optional_table("params")?);
            call.finish()?;
            call.run(|| {
                let of = u64::try_from(number).map_err(|_| Error::option("number", "a trial's number", number))?;
                let params = params.map(|params| named_values(lua, params)).transpose()?.unwrap_or_default();
                this.study.clone_trial(Successor { of, params })
            })
        });
        methods.add_method("stop", |_, this, values: MultiValue| {
            let mut call = Call::new("study:stop", values);
            let number = call.integer("number")?;
            call.finish()?;
            call.run(|| {
                let number = u64::try_from(number).map_err(|_| Error::option("number", "a trial's number", number))?;
                this.study.stop(number)
            })
        });
        methods.add_method("best", |lua, this, values: MultiValue| {
            let call = Call::new("study:best", values);
            call.finish()?;
            shown::trial(lua, &*call.run(|| this.study.best())?)
        });
        methods.add_method("best_trials", |lua, this, values: MultiValue| {
            let call = Call::new("study:best_trials", values);
            call.finish()?;
            shown::trials(lua, call.run(|| this.study.best_trials())?.iter().map(|record| &**record))
        });
        methods.add_method("trials", |lua, this, values: MultiValue| {
            let call = Call::new("study:trials", values);
            call.finish()?;
            shown::trials(lua, call.run(|| this.study.trials())?.iter().map(|record| &**record))
        });
        methods.add_method("importance", |lua, this, values: MultiValue| {
            let call = Call::new("study:importance", values);
            call.finish()?;
            let shares = call.run(|| Ok(importance(&this.study.history()?)))?;
            let list = lua.create_table()?;
            for (name, share) in shares {
                list.raw_push(lua.create_table_from([
                    ("name", Value::String(lua.create_string(name)?)),
                    ("share", Value::Number(share)),
                ])?)?;
            }
            Ok((list, METHOD))
        });
        methods.add_method("write_config", |_, this, values: MultiValue| {
            let mut call = Call::new("study:write_config", values);
            let path = call.string("path")?;
            call.finish()?;
            call.run(|| this.write_config(Path::new(&path)))
        });
        methods.add_method("figure", |_, this, values: MultiValue| {
            let mut call = Call::new("study:figure", values);
            let path = call.string("path")?;
            call.finish()?;
            call.run(|| file::write_atomic(&path, figure(&this.study.history()?)?.as_bytes()))
        });
        methods.add_method("table", |_, this, values: MultiValue| {
            let mut call = Call::new("study:table", values);
            let rows = call.optional_integer("rows")?.unwrap_or(10);
            call.finish()?;
            let rows = usize::try_from(rows).map_err(|_| call.reject(Error::option("rows", "0 or more", rows)))?;
            call.run(|| Ok(table(&this.study.history()?, rows)))
        });
        methods.add_method("close", |_, _, values: MultiValue| Call::new("study:close", values).finish());
        methods.add_meta_method(MetaMethod::Close, |_, _, _: MultiValue| Ok(()));
        methods.add_method("name", |_, this, values: MultiValue| {
            Call::new("study:name", values).finish()?;
            Ok(this.study.name().to_string())
        });
    }
}

/// Parameters as a script gives them.
fn named_values(lua: &Lua, params: Table) -> crate::engine::Result<serde_json::Map<String, serde_json::Value>> {
    match convert::to_json_at(lua, &Value::Table(params), "params")? {
        serde_json::Value::Object(params) => Ok(params),
        serde_json::Value::Array(none) if none.is_empty() => Ok(serde_json::Map::new()),
        _ => Err(Error::option("params", "values by name", "a list")),
    }
}

impl StudyHandle {
    /// A run must have an end.
    pub fn check_ends(&self, call: &Call, wanted: Option<u64>) -> mlua::Result<()> {
        if wanted.is_none() && !self.study.ends_by_itself() {
            let error = Error::option("n", "a number of trials, as the study has no budget and no grid", "nothing");
            return Err(call.reject(error));
        }
        Ok(())
    }

    fn write_config(&self, path: &Path) -> crate::engine::Result<()> {
        let best = self.study.best()?;
        let settings: Vec<(String, serde_json::Value)> =
            best.parameters.iter().map(|parameter| (parameter.name.clone(), external(parameter))).collect();
        let value = best.value().unwrap_or(f64::NAN);
        let heading = format!("The best of the study {}: trial {}, {value}.", self.study.name(), best.number);
        file::write_atomic(path, config_text(&heading, &settings)?.as_bytes())
    }
}

/// `study:run([n,] f)`: trials until the study has `n` of them, or its budget is used up. Gives the reason for its end.
fn run(lua: &Lua, mut values: MultiValue) -> mlua::Result<String> {
    // `study:run(f)` is short for `study:run(nil, f)`.
    if let Some(Value::Function(_)) = values.get(1) {
        values.insert(1, Value::Nil);
    }
    let mut call = Call::new("study:run", values);
    let study = call.this::<StudyHandle>()?.borrow::<StudyHandle>()?.clone();
    let (wanted, function) = (call.optional_integer("n")?, call.function("function")?);
    call.finish()?;
    let wanted = wanted.map(u64::try_from).transpose();
    let wanted = wanted.map_err(|_| call.reject(Error::option("n", "0 or more trials", "a negative number")))?;
    study.check_ends(&call, wanted)?;
    let begun = Instant::now();
    loop {
        let next = call.run(|| cancel::check().and_then(|()| study.study.next(wanted, begun)))?;
        match next {
            Next::Done(done) => return study.told_end(&call, done),
            Next::Trial(trial) => study.run_trial(lua, &function, *trial)?,
        }
    }
}

impl StudyHandle {
    fn run_trial(&self, lua: &Lua, function: &Function, trial: Trial) -> mlua::Result<()> {
        let trial = handle(lua, "a trial", TrialHandle { trial, ends_itself: true })?;
        let outcome = function.call::<MultiValue>(&trial);
        self.settle(&trial, outcome)
    }

    /// Why a run is over, in words; and whose trials it counts although nobody may be at work on them.
    pub fn told_end(&self, call: &Call, done: Done) -> mlua::Result<String> {
        if let Done::Trials(_) = done {
            for doubt in call.run(|| self.study.in_doubt())? {
                tracing::warn!(
                    "not over yet, {doubt}; the same command later does it again if that process is no more"
                );
            }
        }
        Ok(done.to_string())
    }

    /// Ends a trial as its function did.
    pub fn settle(&self, trial: &AnyUserData, outcome: mlua::Result<MultiValue>) -> mlua::Result<()> {
        let trial = &trial.borrow::<TrialHandle>()?.trial;
        let number = trial.number();
        let problem = outcome.as_ref().err().map(Report::new);
        if problem.as_ref().is_some_and(|problem| problem.interrupted) {
            leave(trial);
            return outcome.map(|_| ());
        }
        let ended = end(trial, outcome);
        if let Some(why) = trial.lost() {
            trial.let_go();
            match problem.filter(|problem| !problem.message.contains(&why)) {
                Some(problem) => tracing::warn!("{why}; its function raised: {}", problem.message),
                None => tracing::warn!("{why}"),
            }
            return Ok(());
        }
        let Some(failed) = ended? else {
            tracing::info!("trial {number}: {}", told(trial));
            return Ok(());
        };
        match self.on_error {
            OnError::Stop => Err(failed),
            OnError::Continue => {
                let (reason, state) = (Report::new(&failed).message, trial.record().state);
                match state {
                    State::Failed => tracing::warn!("trial {number} failed: {reason}"),
                    state => tracing::warn!("trial {number} is {}, but its function raised: {reason}", state.name()),
                }
                Ok(())
            }
        }
    }
}

/// A trial that Ctrl-C came into goes on another time, unless it was at its end.
fn leave(trial: &Trial) {
    let left = match (trial.has_ended(), trial.pruned_at()) {
        (true, _) => Ok(()),
        (false, Some(_)) => trial.prune(),
        (false, None) => trial.interrupt(),
    };
    if let Err(problem) = left {
        tracing::warn!("trial {} may not go on: {problem}", trial.number());
    }
}

/// Ends a trial, unless its function did; gives the error that its function raised.
fn end(trial: &Trial, outcome: mlua::Result<MultiValue>) -> mlua::Result<Option<mlua::Error>> {
    let failed = match outcome {
        outcome if trial.has_ended() => return Ok(outcome.err().filter(|error| !report::is_pruned(error))),
        _ if trial.pruned_at().is_some() => return report::guard(|| trial.prune()).map(|()| None),
        Ok(values) => completed(trial, values)?,
        Err(error) => Some(error),
    };
    if let Some(failed) = &failed {
        report::guard(|| trial.fail(&Report::new(failed).message))?;
    }
    Ok(failed)
}

/// Completes a trial with what its function returned; gives the error where that is no result.
fn completed(trial: &Trial, values: MultiValue) -> mlua::Result<Option<mlua::Error>> {
    let values: Vec<Value> = values.into_iter().collect();
    match numbers(&values).and_then(|values| trial.complete(&values)) {
        Ok(()) => Ok(None),
        Err(error @ Error::Option { .. }) => {
            let message = format!("its function returned what is no result: {error}");
            Ok(Some(report::raise(Error::message(message))))
        }
        Err(error) => Err(report::raise(error)),
    }
}

/// What a trial came to, in a few words.
fn told(trial: &Trial) -> String {
    let record = trial.record();
    let values: Vec<String> = record.values.iter().map(f64::to_string).collect();
    match record.state {
        State::Complete => values.join(", "),
        state => [&[state.name().to_string()], values.as_slice()].concat().join(" at "),
    }
}
