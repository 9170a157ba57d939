//! `affine.trainer`: SFT and PPO, run whole or step by step.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use mlua::{Function, Lua, MultiValue, Table, UserData, UserDataMethods, Value};

use super::env::environments;
use super::model::ModelHandle;
use super::rollout::RolloutHandle;
use super::{read_json, without};
use crate::engine::data::{Record, read_jsonl};
use crate::engine::model::Model;
use crate::engine::rl::options::PpoOptions;
use crate::engine::rl::ppo::Ppo;
use crate::engine::train::sft::{Sft, SftOptions, SftStep};
use crate::engine::{Error, Result, cancel, plan};
use crate::lua::args::{Args, kind};
use crate::lua::{convert, options, report};

pub fn module(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.set("sft", lua.create_function(sft)?)?;
    table.set("ppo", lua.create_function(ppo)?)?;
    Ok(table)
}

#[derive(Clone)]
struct SftHandle {
    model: ModelHandle,
    sft: Rc<RefCell<Sft>>,
}

#[derive(Clone)]
struct PpoHandle {
    model: ModelHandle,
    ppo: Rc<RefCell<Ppo>>,
}

fn sft(lua: &Lua, values: MultiValue) -> mlua::Result<SftHandle> {
    let mut args = Args::new("trainer.sft", values);
    let model = args.userdata::<ModelHandle>("model")?.clone();
    let table = args.table("options")?;
    args.finish()?;
    let mut options: SftOptions = options::read("trainer.sft", Some(without(lua, &table, &["data"])?))?;
    options.validate().map_err(|error| options::reject("trainer.sft", error))?;
    let mut records = match table.get("data")? {
        Value::Nil => {
            let error = Error::option("data", "a JSON-lines file or a list of records", "nothing");
            return Err(options::reject("trainer.sft", error));
        }
        data => records("trainer.sft: data", &data)?,
    };
    plan::cut::sft(&mut options, &mut records).map_err(|error| options::reject("trainer.sft", error))?;
    let sft = {
        let model = model.borrow()?;
        report::guard(|| Sft::new(&model, &records, options))?
    };
    Ok(SftHandle { model, sft: Rc::new(RefCell::new(sft)) })
}

/// Records from a file's path or from a list.
fn records(what: &str, data: &Value) -> mlua::Result<Vec<Record>> {
    match data {
        Value::String(path) => read_jsonl(Path::new(&*path.to_str()?)).map_err(report::raise),
        Value::Table(_) => read_json(what, data),
        other => {
            let got = kind(other);
            Err(report::raise(Error::message(format!(
                "{what}: expected a file's path or a list of records, got {got}"
            ))))
        }
    }
}

fn ppo(_: &Lua, values: MultiValue) -> mlua::Result<PpoHandle> {
    let mut args = Args::new("trainer.ppo", values);
    let model = args.userdata::<ModelHandle>("model")?.clone();
    let mut options: PpoOptions = options::read("trainer.ppo", args.optional_table("options")?)?;
    args.finish()?;
    options.validate().map_err(|error| options::reject("trainer.ppo", error))?;
    plan::cut::ppo(&mut options).map_err(|error| options::reject("trainer.ppo", error))?;
    let ppo = {
        let model = model.borrow()?;
        report::guard(|| Ppo::new(&model, options))?
    };
    Ok(PpoHandle { model, ppo: Rc::new(RefCell::new(ppo)) })
}

/// A struct or map of numbers as a Lua table.
fn to_table<T: serde::Serialize>(lua: &Lua, report: &T) -> mlua::Result<Value> {
    convert::to_lua(lua, &serde_json::to_value(report).map_err(mlua::Error::external)?)
}

fn busy<T>(_: T) -> mlua::Error {
    report::raise(Error::message("this trainer is at work in the call that led here"))
}

/// What a generic `for` takes: the next step's report, and a closing value. Ctrl-C in the loop's body ends the loop
/// between two steps; the closing value then saves what was reached, which a step that is interrupted does by itself.
fn iterator<T: serde::Serialize>(
    lua: &Lua,
    next: impl Fn() -> mlua::Result<Option<T>> + 'static,
    save: impl Fn() -> mlua::Result<PathBuf> + 'static,
) -> mlua::Result<(Function, Value, Value, Table)> {
    let in_body = Rc::new(Cell::new(false));
    let entering = in_body.clone();
    let next = lua.create_function(move |lua, _: MultiValue| {
        entering.set(false);
        match next()? {
            Some(step) => {
                entering.set(true);
                to_table(lua, &step)
            }
            None => Ok(Value::Nil),
        }
    })?;
    let close = lua.create_function(move |_, _: MultiValue| {
        if in_body.get() && cancel::requested() {
            tracing::info!("interrupted; what was reached is saved in {}", save()?.display());
        }
        Ok(())
    })?;
    let (closing, metatable) = (lua.create_table()?, lua.create_table()?);
    metatable.set("__close", close)?;
    closing.set_metatable(Some(metatable))?;
    Ok((next, Value::Nil, Value::Nil, closing))
}

impl UserData for SftHandle {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method("run", |lua, this, values: MultiValue| {
            Args::new("sft:run", values).finish()?;
            let model = this.model.borrow()?;
            let mut sft = this.sft.try_borrow_mut().map_err(busy)?;
            to_table(lua, &report::guard(|| sft.run(&model))?)
        });
        methods.add_method("steps", |lua, this, values: MultiValue| {
            Args::new("sft:steps", values).finish()?;
            let (stepping, saving) = (this.clone(), this.clone());
            let next = move || {
                let model = stepping.model.borrow()?;
                let mut sft = stepping.sft.try_borrow_mut().map_err(busy)?;
                report::guard(|| next_step(&mut sft, &model))
            };
            let save = move || {
                let model = saving.model.borrow()?;
                let sft = saving.sft.try_borrow().map_err(busy)?;
                report::guard(|| sft.save(&model))
            };
            iterator(lua, next, save)
        });
        methods.add_method("evaluate", |_, this, values: MultiValue| {
            let mut args = Args::new("sft:evaluate", values);
            let data = args.value("records")?;
            args.finish()?;
            let mut records = records("sft:evaluate: records", &data)?;
            plan::cut::records(&mut records);
            let model = this.model.borrow()?;
            let sft = this.sft.try_borrow().map_err(busy)?;
            report::guard(|| sft.evaluate(&model, &records))
        });
    }
}

/// The next step; after the last one the result is written.
fn next_step(sft: &mut Sft, model: &Model) -> Result<Option<SftStep>> {
    let step = sft.step(model)?;
    if step.is_none() {
        sft.finish(model)?;
    }
    Ok(step)
}

impl UserData for PpoHandle {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method("run", |lua, this, values: MultiValue| {
            let mut args = Args::new("ppo:run", values);
            let table = args.table("options")?;
            args.finish()?;
            let _: Nothing = options::read("ppo:run", Some(without(lua, &table, &["envs"])?))?;
            let environments = environments("ppo:run", table.get("envs")?)?;
            let model = this.model.borrow()?;
            let mut ppo = this.ppo.try_borrow_mut().map_err(busy)?;
            match report::guard(|| ppo.run(&model, &environments))? {
                Some(stats) => to_table(lua, &stats),
                None => Ok(Value::Nil),
            }
        });
        methods.add_method("iterations", |lua, this, values: MultiValue| {
            let mut args = Args::new("ppo:iterations", values);
            let environments = environments("ppo:iterations", args.value("envs")?)?;
            args.finish()?;
            let (stepping, saving) = (this.clone(), this.clone());
            let next = move || {
                let model = stepping.model.borrow()?;
                let mut ppo = stepping.ppo.try_borrow_mut().map_err(busy)?;
                report::guard(|| {
                    let stats = ppo.iterate(&model, &environments)?;
                    if stats.is_none() {
                        ppo.finish(&model)?;
                    }
                    Ok(stats)
                })
            };
            let save = move || {
                let model = saving.model.borrow()?;
                let ppo = saving.ppo.try_borrow().map_err(busy)?;
                report::guard(|| ppo.save(&model))
            };
            iterator(lua, next, save)
        });
        methods.add_method("rollout", |_, this, values: MultiValue| {
            let mut args = Args::new("ppo:rollout", values);
            let environments = environments("ppo:rollout", args.value("envs")?)?;
            let episodes = args.optional_integer("n")?;
            args.finish()?;
            let episodes = match episodes {
                Some(n) if n < 1 => {
                    return Err(options::reject("ppo:rollout", Error::option("n", "an integer of at least 1", n)));
                }
                other => plan::cut::episodes(other.map(|n| n as usize)),
            };
            let model = this.model.borrow()?;
            let ppo = this.ppo.try_borrow().map_err(busy)?;
            report::guard(|| ppo.rollout(&model, &environments, episodes)).map(RolloutHandle::new)
        });
        methods.add_method("advantages", |_, this, values: MultiValue| {
            let mut args = Args::new("ppo:advantages", values);
            let batch = args.userdata::<RolloutHandle>("batch")?;
            args.finish()?;
            let ppo = this.ppo.try_borrow().map_err(busy)?;
            report::guard(|| ppo.advantages(&mut batch.borrow_mut()))
        });
        methods.add_method("update", |lua, this, values: MultiValue| {
            let mut args = Args::new("ppo:update", values);
            let batch = args.userdata::<RolloutHandle>("batch")?;
            args.finish()?;
            let model = this.model.borrow()?;
            let mut ppo = this.ppo.try_borrow_mut().map_err(busy)?;
            to_table(lua, &report::guard(|| ppo.update(&model, &batch.borrow()))?)
        });
        methods.add_method("save", |_, this, values: MultiValue| {
            Args::new("ppo:save", values).finish()?;
            let model = this.model.borrow()?;
            let ppo = this.ppo.try_borrow().map_err(busy)?;
            report::guard(|| ppo.save(&model)).map(|path| path.to_string_lossy().to_string())
        });
    }
}

/// Options of which there are none.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}
