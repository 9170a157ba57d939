//! Which sampler and which pruner a script asks for: a name, `{ name, option = … }`, or a function of its own.

use std::rc::Rc;

use mlua::{Function, Lua, Table, Value};
use serde::de::DeserializeOwned;

use super::{shown, space};
use crate::engine::sweep::pruner::{self, Pruner};
use crate::engine::sweep::sampler::{GridOptions, SamplerOptions};
use crate::engine::{Error, Result};
use crate::lua::bind::random::Random;
use crate::lua::kind::kind;
use crate::lua::strict::handle;
use crate::lua::{convert, options, report};

const SAMPLERS: [&str; 4] = ["tpe", "random", "quasi", "grid"];
const PRUNERS: [&str; 7] = ["none", "median", "percentile", "asha", "hyperband", "wilcoxon", "pbt"];

/// A name and the options beside it.
struct Named {
    function: &'static str,
    /// Which option names it: `sampler`, `pruner`.
    key: &'static str,
    name: String,
    rest: Table,
}

impl Named {
    fn read(lua: &Lua, function: &'static str, key: &'static str, value: &Value) -> mlua::Result<Self> {
        let rest = lua.create_table()?;
        let name = match value {
            Value::String(name) => name.to_string_lossy(),
            Value::Table(table) => {
                for pair in table.pairs::<Value, Value>() {
                    let (field, value) = pair?;
                    rest.raw_set(field, value)?;
                }
                let name = rest.raw_get::<Value>(1)?;
                rest.raw_set(1, Value::Nil)?;
                match name {
                    Value::String(name) => name.to_string_lossy(),
                    other => {
                        let expected = format!("{{ name, option = … }} such as {{ \"{}\" }}", example(key));
                        return Err(options::reject(
                            function,
                            Error::option(format!("{key}[1]"), expected, kind(&other)),
                        ));
                    }
                }
            }
            other => {
                let expected = "a name, { name, option = … } or a function";
                return Err(options::reject(function, Error::option(key, expected, kind(other))));
            }
        };
        Ok(Named { function, key, name, rest })
    }

    fn options<T: DeserializeOwned>(&self) -> mlua::Result<T> {
        match self.rest.is_empty() {
            true => options::read(self.function, None),
            false => options::read_value(self.function, self.key, &Value::Table(self.rest.clone())),
        }
    }

    /// Takes a number out of the options that must be there.
    fn number(&self, option: &str) -> mlua::Result<f64> {
        let value = self.rest.raw_get::<Value>(option)?;
        self.rest.raw_set(option, Value::Nil)?;
        let path = format!("{}.{option}", self.key);
        self.built(match &value {
            Value::Nil => Err(Error::message(format!("{path}: required, but missing"))),
            Value::Integer(n) => Ok(*n as f64),
            Value::Number(x) => Ok(*x),
            other => Err(Error::option(path, "a number", kind(other))),
        })
    }

    /// Without options.
    fn plain(&self) -> mlua::Result<()> {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Nothing {}
        self.options::<Nothing>().map(|_| ())
    }

    fn unknown(&self, names: &[&str]) -> mlua::Error {
        let hint = match options::nearest(&self.name, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known here: {}", names.join(", ")),
        };
        let (path, what) = (self.key.to_string(), format!("value \"{}\"", self.name));
        options::reject(self.function, Error::Unknown { path, what, hint })
    }

    fn built<T>(&self, built: Result<T>) -> mlua::Result<T> {
        built.map_err(|error| options::reject(self.function, error))
    }
}

fn example(key: &str) -> &'static str {
    if key == "sampler" { SAMPLERS[0] } else { PRUNERS[3] }
}

pub fn sampler(lua: &Lua, function: &'static str, value: Value) -> mlua::Result<SamplerOptions> {
    let named = match value {
        Value::Nil => return Ok(SamplerOptions::Tpe(Default::default())),
        Value::Function(choose) => return Ok(custom_sampler(lua, choose)),
        other => Named::read(lua, function, "sampler", &other)?,
    };
    Ok(match named.name.as_str() {
        "tpe" => SamplerOptions::Tpe(named.options()?),
        "random" => named.plain().map(|()| SamplerOptions::Random)?,
        "quasi" => SamplerOptions::Quasi(named.options()?),
        "grid" => {
            let space = named.rest.raw_get::<Option<Table>>("space")?;
            named.rest.raw_set("space", Value::Nil)?;
            named.plain()?;
            let missing = || Error::message("sampler.space: required, but missing");
            let space = named.built(space.ok_or_else(missing).and_then(|space| grid(lua, &space)))?;
            SamplerOptions::Grid(GridOptions { space })
        }
        _ => return Err(named.unknown(&SAMPLERS)),
    })
}

/// A space of no more values than this may stand in a grid.
const FEW: u32 = 10_000;

/// The values of a grid: lists by name, or spaces that have so many.
fn grid(lua: &Lua, table: &Table) -> Result<Vec<(String, Vec<serde_json::Value>)>> {
    let mut columns = Vec::new();
    for pair in table.pairs::<String, Value>() {
        let (name, value) = pair.map_err(|error| report::lower(&error))?;
        let path = format!("sampler.space.{name}");
        let values = match &value {
            Value::Table(list) => space::values(lua, list, &path)?,
            Value::UserData(handle) => match handle.borrow::<space::SpaceHandle>() {
                Ok(space) => {
                    let values = space.0.values(FEW);
                    values.ok_or_else(|| Error::option(&path, "a space of few values", &space.0))?
                }
                Err(_) => return Err(Error::option(path, "a list or a space", kind(&value))),
            },
            other => return Err(Error::option(path, "a list or a space", kind(other))),
        };
        columns.push((name, values));
    }
    Ok(columns)
}

/// `function(name, space, trials, random)` that gives a value, or nil for a random one.
fn custom_sampler(lua: &Lua, choose: Function) -> SamplerOptions {
    let lua = lua.clone();
    SamplerOptions::Custom(Box::new(move |question| {
        let ask = || -> mlua::Result<Value> {
            let space = lua.create_userdata(space::SpaceHandle(question.distribution.clone()))?;
            let trials = shown::trials(&lua, question.history.trials.iter().map(|trial| &*trial.record))?;
            let random = handle(&lua, "a random stream", Random::of(question.stream.clone()))?;
            choose.call((question.name, space, trials, random))
        };
        match ask().map_err(|error| report::lower(&error))? {
            Value::Nil => Ok(None),
            value => convert::to_json_at(&lua, &value, question.name).map(Some),
        }
    }))
}

pub fn pruner(lua: &Lua, function: &'static str, value: Value) -> mlua::Result<Rc<dyn Pruner>> {
    let named = match value {
        Value::Nil => return Ok(Rc::new(pruner::Never)),
        Value::Function(judge) => return Ok(custom_pruner(lua, judge)),
        other => Named::read(lua, function, "pruner", &other)?,
    };
    Ok(match named.name.as_str() {
        "none" => named.plain().map(|()| Rc::new(pruner::Never))?,
        "median" => Rc::new(named.built(pruner::Percentile::new(pruner::MEDIAN, named.options()?))?),
        "percentile" => {
            let percentile = named.number("percentile")?;
            Rc::new(named.built(pruner::Percentile::new(percentile, named.options()?))?)
        }
        "asha" => Rc::new(named.built(pruner::Halving::new(named.options()?))?),
        "hyperband" => Rc::new(named.built(pruner::Hyperband::new(named.options()?))?),
        "wilcoxon" => Rc::new(named.built(pruner::Wilcoxon::new(named.options()?))?),
        "pbt" => Rc::new(named.built(pruner::Pbt::new(named.options()?))?),
        _ => return Err(named.unknown(&PRUNERS)),
    })
}

/// `function(trial, trials)` that says whether the trial ends.
fn custom_pruner(lua: &Lua, judge: Function) -> Rc<dyn Pruner> {
    let lua = lua.clone();
    Rc::new(pruner::Custom(Box::new(move |history, trial| {
        let ask = || -> mlua::Result<bool> {
            let trials = shown::trials(&lua, history.trials.iter().map(|trial| &*trial.record))?;
            match judge.call((shown::trial(&lua, &trial.record)?, trials))? {
                Value::Nil | Value::Boolean(false) => Ok(false),
                Value::Boolean(true) => Ok(true),
                other => Err(report::raise(Error::option("pruner", "true or false from the function", kind(&other)))),
            }
        };
        ask().map_err(|error| report::lower(&error))
    })))
}
