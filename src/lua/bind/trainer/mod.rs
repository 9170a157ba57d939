//! `affine.trainer`: SFT and PPO, run whole or step by step.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::{Rc, Weak};

use mlua::{AnyUserData, Function, Lua, MultiValue, Table, UserData, UserDataMethods, Value};

use super::env::environments;
use super::model::ModelHandle;
use super::rollout::RolloutHandle;
use crate::engine::data::{self, Record};
use crate::engine::model::Model;
use crate::engine::rl::options::PpoOptions;
use crate::engine::rl::ppo::Ppo;
use crate::engine::train::sft::{Sft, SftOptions, SftStep};
use crate::engine::train::{bundle, changing, reading};
use crate::engine::{Error, Result, cancel, plan};
use crate::lua::args::{Args, kind};
use crate::lua::interrupt::Loop;
use crate::lua::options::Options;
use crate::lua::report::Report;
use crate::lua::{convert, handle, options, report};

pub fn module(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.set("sft", lua.create_function(sft)?)?;
    table.set("ppo", lua.create_function(ppo)?)?;
    table.set("replay", lua.create_function(replay)?)?;
    Ok(table)
}

#[derive(Clone)]
struct SftHandle {
    model: ModelHandle,
    sft: Rc<RefCell<Sft>>,
    save: Saving,
}

#[derive(Clone)]
struct PpoHandle {
    model: ModelHandle,
    ppo: Rc<RefCell<Ppo>>,
    save: Saving,
}

/// Saves what a trainer has reached and not saved; an error while the trainer or the model is in use.
type Saving = Rc<dyn Fn() -> mlua::Result<()>>;

/// The trainers of a state, for as long as a script holds them.
#[derive(Default)]
struct Trainers(Vec<Weak<dyn Fn() -> mlua::Result<()>>>);

/// Saves what the trainers of a state have reached: an interruption may come where none of them is at work. One that is
/// saves by itself.
pub fn save_all(lua: &Lua) {
    let Some(trainers) = lua.app_data_ref::<Trainers>() else { return };
    let trainers: Vec<Saving> = trainers.0.iter().filter_map(Weak::upgrade).collect();
    for save in trainers {
        if let Err(error) = save() {
            tracing::debug!("not saved: {}", Report::new(&error).message);
        }
    }
}

fn remember(lua: &Lua, save: Saving) -> Saving {
    if lua.app_data_ref::<Trainers>().is_none() {
        lua.set_app_data(Trainers::default());
    }
    if let Some(mut trainers) = lua.app_data_mut::<Trainers>() {
        trainers.0.retain(|trainer| trainer.strong_count() > 0);
        trainers.0.push(Rc::downgrade(&save));
    }
    save
}

fn sft(lua: &Lua, values: MultiValue) -> mlua::Result<AnyUserData> {
    let mut args = Args::new("trainer.sft", values);
    let model = args.userdata::<ModelHandle>("model")?.clone();
    let mut table = Options::new(lua, "trainer.sft", Some(args.table("options")?))?;
    args.finish()?;
    let (data, on_step) = (table.take("data")?, table.take_function("on_step")?);
    let eval_data = table.take("eval_data")?;
    let mut options: SftOptions = table.read()?;
    options.validate().map_err(|error| options::reject("trainer.sft", error))?;
    if data.is_nil() {
        let error = Error::option("data", "a file of records or a list of them", "nothing");
        return Err(options::reject("trainer.sft", error));
    }
    let mut records = records("trainer.sft", "data", &data)?;
    if options.eval_steps > 0 && eval_data.is_nil() {
        let error = Error::option("eval_data", "a file of records or a list of them, because of eval_steps", "nothing");
        return Err(options::reject("trainer.sft", error));
    }
    let mut eval_records = match eval_data.is_nil() {
        true => Vec::new(),
        false => self::records("trainer.sft", "eval_data", &eval_data)?,
    };
    if !eval_records.is_empty() {
        plan::cut::records(&mut eval_records);
    }
    plan::cut::sft(&mut options, &mut records).map_err(|error| options::reject("trainer.sft", error))?;
    let sft = {
        let model = model.borrow()?;
        report::guard_in("trainer.sft", || Sft::evaluating(&model, &records, &eval_records, options))?
    };
    let sft = Rc::new(RefCell::new(sft));
    let (of, saved) = (model.clone(), sft.clone());
    let save = move || {
        let model = of.borrow()?;
        report::guard(|| reading(&saved)?.save_unsaved(&model))
    };
    let save = remember(lua, Rc::new(save));
    with_callback(lua, SftHandle { model, sft, save }, on_step)
}

/// A handle with its callback. That hangs on the handle as Lua's value, so that a callback which uses the trainer does
/// not keep both of them alive for ever.
fn with_callback<T: UserData + 'static>(
    lua: &Lua,
    trainer: T,
    callback: Option<Function>,
) -> mlua::Result<AnyUserData> {
    let handle = handle(lua, "a trainer", trainer)?;
    handle.set_user_value(callback)?;
    Ok(handle)
}

/// A handle's callback as the engine calls it. Nothing of the trainer is borrowed for changing meanwhile.
fn callback<T: serde::Serialize>(lua: &Lua, handle: &AnyUserData) -> mlua::Result<impl FnMut(&T) -> Result<()>> {
    let callback: Option<Function> = handle.user_value()?;
    let lua = lua.clone();
    Ok(move |report: &T| match &callback {
        Some(callback) => {
            let called = to_table(&lua, report).and_then(|report| callback.call::<()>(report));
            called.map_err(|error| report::lower(&error))
        }
        None => Ok(()),
    })
}

/// Records from a file's path or from a list.
fn records(function: &str, name: &str, data: &Value) -> mlua::Result<Vec<Record>> {
    match data {
        Value::String(path) => data::read(PathBuf::from(path.to_string_lossy())).map_err(report::raise),
        Value::Table(_) => options::read_value(function, name, data),
        other => {
            let error = Error::option(name, "a file's path or a list of records", kind(other));
            Err(options::reject(function, error))
        }
    }
}

fn ppo(lua: &Lua, values: MultiValue) -> mlua::Result<AnyUserData> {
    let mut args = Args::new("trainer.ppo", values);
    let model = args.userdata::<ModelHandle>("model")?.clone();
    let mut table = Options::new(lua, "trainer.ppo", args.optional_table("options")?)?;
    args.finish()?;
    let on_iteration = table.take_function("on_iteration")?;
    let mut options: PpoOptions = table.read()?;
    options.validate().map_err(|error| options::reject("trainer.ppo", error))?;
    plan::cut::ppo(&mut options).map_err(|error| options::reject("trainer.ppo", error))?;
    let ppo = {
        let model = model.borrow()?;
        report::guard_in("trainer.ppo", || Ppo::new(&model, options))?
    };
    let ppo = Rc::new(RefCell::new(ppo));
    let (of, saved) = (model.clone(), ppo.clone());
    let save = move || {
        let model = of.borrow()?;
        report::guard(|| reading(&saved)?.save_unsaved(&model))
    };
    let save = remember(lua, Rc::new(save));
    with_callback(lua, PpoHandle { model, ppo, save }, on_iteration)
}

/// Takes a step that was kept because its numbers were not finite, once more.
fn replay(lua: &Lua, values: MultiValue) -> mlua::Result<Value> {
    let mut args = Args::new("trainer.replay", values);
    let model = args.userdata::<ModelHandle>("model")?.clone();
    let folder = PathBuf::from(args.string("folder")?);
    args.finish()?;
    let model = model.borrow()?;
    let replay = report::guard(|| match bundle::trainer(&folder)?.as_str() {
        "ppo" => Ppo::replay(&model, &folder),
        _ => Sft::replay(&model, &folder),
    })?;
    to_table(lua, &replay)
}

/// A struct or map of numbers as a Lua table.
fn to_table<T: serde::Serialize>(lua: &Lua, report: &T) -> mlua::Result<Value> {
    convert::to_lua(lua, &serde_json::to_value(report).map_err(mlua::Error::external)?)
}

/// What a generic `for` takes: the next step's report, which the handle's callback hears first, and a closing value.
/// Ctrl-C in the callback or the loop's body ends the loop between two steps; the closing value then saves what was
/// reached, which a step that is interrupted does by itself. Who leaves the loop with `break` has heard of its step.
fn iterator<T: serde::Serialize + 'static>(
    lua: &Lua,
    handle: &AnyUserData,
    save: Saving,
    heard: impl Fn() -> Result<()> + 'static,
    next: impl Fn() -> mlua::Result<Option<T>> + 'static,
) -> mlua::Result<(Function, Value, Value, Table)> {
    let going_on = Rc::new(RefCell::new(None));
    let (begun, handle) = (going_on.clone(), handle.clone());
    let next = lua.create_function(move |lua, _: MultiValue| {
        begun.borrow_mut().get_or_insert_with(Loop::begin);
        match next() {
            Ok(Some(step)) => {
                callback(lua, &handle)?(&step).map_err(report::raise)?;
                to_table(lua, &step)
            }
            over => {
                begun.take();
                over.map(|_| Value::Nil)
            }
        }
    })?;
    let close = lua.create_function(move |_, (_, error): (Value, Value)| {
        let is_over = going_on.borrow().is_none();
        let closed = match cancel::requested() {
            true => save(),
            false if is_over || !error.is_nil() => Ok(()),
            false => heard().map_err(report::raise),
        };
        going_on.take();
        closed
    })?;
    let (closing, metatable) = (lua.create_table()?, lua.create_table()?);
    metatable.set("__close", close)?;
    closing.set_metatable(Some(metatable))?;
    Ok((next, Value::Nil, Value::Nil, closing))
}

/// The trainer and its handle in a method call.
fn this<T: Clone + 'static>(args: &mut Args) -> mlua::Result<(T, AnyUserData)> {
    let handle = args.this::<T>()?;
    let trainer = handle.borrow::<T>()?.clone();
    Ok((trainer, handle))
}

impl UserData for SftHandle {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_function("run", |lua, values: MultiValue| {
            let mut args = Args::new("sft:run", values);
            let (this, handle) = this::<SftHandle>(&mut args)?;
            args.finish()?;
            let mut on_step = callback(lua, &handle)?;
            let _loop = Loop::begin();
            let model = this.model.borrow()?;
            to_table(lua, &report::guard(|| Sft::run(&this.sft, &model, &mut on_step))?)
        });
        methods.add_function("steps", |lua, values: MultiValue| {
            let mut args = Args::new("sft:steps", values);
            let (this, handle) = this::<SftHandle>(&mut args)?;
            args.finish()?;
            let sft = this.sft.clone();
            let heard = move || changing(&sft)?.note_heard();
            iterator(lua, &handle, this.save.clone(), heard, move || {
                let model = this.model.borrow()?;
                report::guard(|| next_step(&mut *changing(&this.sft)?, &model))
            })
        });
        methods.add_method("evaluate", |_, this, values: MultiValue| {
            let mut args = Args::new("sft:evaluate", values);
            let data = args.value("records")?;
            args.finish()?;
            let mut records = records("sft:evaluate", "records", &data)?;
            plan::cut::records(&mut records);
            let model = this.model.borrow()?;
            let evaluation = report::guard(|| reading(&this.sft)?.evaluate(&model, &records))?;
            Ok((evaluation.eval_loss, evaluation.eval_accuracy))
        });
        methods.add_method("preflight", |lua, this, values: MultiValue| {
            Args::new("sft:preflight", values).finish()?;
            let model = this.model.borrow()?;
            to_table(lua, &report::guard(|| changing(&this.sft)?.preflight(&model))?)
        });
        methods.add_method("save", |_, this, values: MultiValue| {
            Args::new("sft:save", values).finish()?;
            let model = this.model.borrow()?;
            let path = report::guard(|| reading(&this.sft)?.save(&model))?;
            Ok(path.to_string_lossy().into_owned())
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
        methods.add_function("run", |lua, values: MultiValue| {
            let mut args = Args::new("ppo:run", values);
            let (this, handle) = this::<PpoHandle>(&mut args)?;
            let mut table = Options::new(lua, "ppo:run", Some(args.table("options")?))?;
            args.finish()?;
            let envs = table.take("envs")?;
            table.finish()?;
            let environments = environments("ppo:run", envs)?;
            let mut on_iteration = callback(lua, &handle)?;
            let _loop = Loop::begin();
            let model = this.model.borrow()?;
            match report::guard(|| Ppo::run(&this.ppo, &model, &environments, &mut on_iteration))? {
                Some(stats) => to_table(lua, &stats),
                None => Ok(Value::Nil),
            }
        });
        methods.add_function("iterations", |lua, values: MultiValue| {
            let mut args = Args::new("ppo:iterations", values);
            let (this, handle) = this::<PpoHandle>(&mut args)?;
            let environments = environments("ppo:iterations", args.value("envs")?)?;
            args.finish()?;
            let ppo = this.ppo.clone();
            let heard = move || changing(&ppo)?.note_heard();
            iterator(lua, &handle, this.save.clone(), heard, move || {
                let model = this.model.borrow()?;
                report::guard(|| {
                    let stats = Ppo::iterate(&this.ppo, &model, &environments)?;
                    if stats.is_none() {
                        changing(&this.ppo)?.finish(&model)?;
                    }
                    Ok(stats)
                })
            })
        });
        methods.add_method("rollout", |lua, this, values: MultiValue| {
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
            let rollout = report::guard(|| reading(&this.ppo)?.rollout(&model, &environments, episodes))?;
            handle(lua, "a batch", RolloutHandle::new(rollout))
        });
        methods.add_method("advantages", |_, this, values: MultiValue| {
            let mut args = Args::new("ppo:advantages", values);
            let batch = args.userdata::<RolloutHandle>("batch")?;
            args.finish()?;
            report::guard(|| reading(&this.ppo)?.advantages(&mut batch.borrow_mut()))
        });
        methods.add_method("update", |lua, this, values: MultiValue| {
            let mut args = Args::new("ppo:update", values);
            let batch = args.userdata::<RolloutHandle>("batch")?;
            args.finish()?;
            let model = this.model.borrow()?;
            to_table(lua, &report::guard(|| changing(&this.ppo)?.update(&model, &batch.borrow()))?)
        });
        methods.add_method("save", |_, this, values: MultiValue| {
            Args::new("ppo:save", values).finish()?;
            let model = this.model.borrow()?;
            let path = report::guard(|| reading(&this.ppo)?.save(&model))?;
            Ok(path.to_string_lossy().into_owned())
        });
    }
}
