//! `affine.trainer`: trainers, run whole, step by step, or by a loop of the script's own.

mod ppo;
mod sft;

use std::cell::{Cell, Ref, RefCell, RefMut};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use mlua::{AnyUserData, Function, Lua, MultiValue, Table, UserData, UserDataMethods, Value};
use serde::Serialize;

use super::model::ModelHandle;
use crate::engine::model::Model;
use crate::engine::rl::ppo::Ppo;
use crate::engine::track::progress::Progress;
use crate::engine::train::bundle::{self, Replay};
use crate::engine::train::run::{Run, Trainer};
use crate::engine::train::sft::Sft;
use crate::engine::{Error, Result, cancel};
use crate::lua::call::Call;
use crate::lua::interrupt::Loop;
use crate::lua::strict::handle;
use crate::lua::unsaved::{Saving, remember};
use crate::lua::{attach, convert, report};

/// A trainer: its name, what makes one, and what takes one of its steps that was kept once more.
struct Row {
    name: &'static str,
    create: fn(&Lua, MultiValue) -> mlua::Result<AnyUserData>,
    replay: fn(&Model, &Path) -> Result<Replay>,
}

const TRAINERS: &[Row] = &[
    Row { name: "sft", create: sft::create, replay: Sft::replay },
    Row { name: "ppo", create: ppo::create, replay: Ppo::replay },
];

pub fn module(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    for trainer in TRAINERS {
        table.set(trainer.name, lua.create_function(trainer.create)?)?;
    }
    table.set("replay", lua.create_function(replay)?)?;
    Ok(table)
}

/// Takes a step that was kept because its numbers were not finite, once more.
fn replay(lua: &Lua, values: MultiValue) -> mlua::Result<Value> {
    let mut call = Call::new("trainer.replay", values);
    let model = call.userdata::<ModelHandle>("model")?.clone();
    let folder = PathBuf::from(call.string("folder")?);
    call.finish()?;
    let model = model.borrow()?;
    let replay = report::guard(|| {
        let name = bundle::trainer(&folder)?;
        match TRAINERS.iter().find(|trainer| trainer.name == name) {
            Some(trainer) => (trainer.replay)(&model, &folder),
            None => Err(Error::file(&folder, format!("holds a step of trainer.{name}, which there is not"))),
        }
    })?;
    to_table(lua, &replay)
}

/// The user values of a trainer's handle: its callback, and the script's own table. They hang there as Lua's values, so that
/// a callback which uses the trainer does not keep both of them alive for ever.
const CALLBACK: usize = 1;
const STATE: usize = 2;

/// A trainer in Lua's hands, with the model that it trains.
///
/// Trainers call back into what their user wrote (callbacks, environments), which may call the trainer again: so it is
/// borrowed only while nothing of the user's runs, or for reading.
struct TrainerHandle<T> {
    model: ModelHandle,
    trainer: Rc<RefCell<T>>,
    save: Saving,
    /// Whether a loop of the script's own goes on, which saves between two bodies.
    in_loop: Rc<Cell<bool>>,
}

impl<T> Clone for TrainerHandle<T> {
    fn clone(&self) -> Self {
        TrainerHandle {
            model: self.model.clone(),
            trainer: self.trainer.clone(),
            save: self.save.clone(),
            in_loop: self.in_loop.clone(),
        }
    }
}

impl<T: Trainer + 'static> TrainerHandle<T>
where
    Self: UserData,
{
    fn in_lua(lua: &Lua, model: ModelHandle, trainer: T, callback: Option<Function>) -> mlua::Result<AnyUserData> {
        let trainer = Rc::new(RefCell::new(trainer));
        let (of, saved) = (model.clone(), trainer.clone());
        let own = model.borrow()?.active_adapter().map(str::to_string);
        let save = move || with_adapter(&of, own.as_deref(), |model| borrow(&saved)?.save_unsaved(model));
        let save = remember(lua, Rc::new(save));
        let handle = handle(lua, "a trainer", TrainerHandle { model, trainer, save, in_loop: Rc::default() })?;
        handle.set_nth_user_value(CALLBACK, callback)?;
        Ok(handle)
    }

    /// The trainer and its handle in a method call.
    fn of(call: &mut Call) -> mlua::Result<(Self, AnyUserData)> {
        let handle = call.this::<Self>()?;
        let this = handle.borrow::<Self>()?.clone();
        Ok((this, handle))
    }

    fn read(&self) -> Result<Ref<'_, T>> {
        borrow(&self.trainer)
    }

    /// For changing; an error while the call that led here reads it.
    fn change(&self) -> Result<RefMut<'_, T>> {
        self.trainer.try_borrow_mut().map_err(|_| busy())
    }

    fn with_run<R>(&self, change: impl FnOnce(&mut Run) -> R) -> Result<R> {
        Ok(change(self.change()?.run_mut()))
    }

    /// The methods that every trainer has.
    fn add_shared_methods<M: UserDataMethods<Self>>(trainer: &'static str, methods: &mut M) {
        methods.add_function("save", move |_, values: MultiValue| {
            let mut call = Call::new(format!("{trainer}:save"), values);
            let (this, _) = Self::of(&mut call)?;
            call.finish()?;
            let model = this.model.borrow()?;
            let path = report::guard(|| this.read()?.save(&model))?;
            Ok(path.to_string_lossy().into_owned())
        });
        methods.add_function("scale_learning_rate", move |_, values: MultiValue| {
            let mut call = Call::new(format!("{trainer}:scale_learning_rate"), values);
            let (this, _) = Self::of(&mut call)?;
            let factor = call.number("factor")?;
            call.finish()?;
            call.run(|| this.with_run(|run| run.scale_learning_rate(factor))?)
        });
        methods.add_function("state", move |lua, values: MultiValue| {
            let mut call = Call::new(format!("{trainer}:state"), values);
            let (this, handle) = Self::of(&mut call)?;
            call.finish()?;
            this.state(lua, trainer, &handle)
        });
    }

    /// The script's own table, which every checkpoint holds.
    fn state(&self, lua: &Lua, trainer: &'static str, handle: &AnyUserData) -> mlua::Result<Table> {
        if let Some(table) = handle.nth_user_value::<Option<Table>>(STATE)? {
            return Ok(table);
        }
        let kept = report::guard(|| Ok(self.read()?.run().script().cloned()))?;
        let table = match kept.map(|kept| convert::to_lua(lua, &kept)).transpose()? {
            Some(Value::Table(table)) => table,
            _ => lua.create_table()?,
        };
        let (state, script) = (lua.weak(), table.clone());
        let read = move || match state.try_upgrade() {
            Some(lua) => convert::to_json_at(&lua, &Value::Table(script.clone()), &format!("{trainer}:state()")),
            None => Err(Error::message("the script has ended")),
        };
        report::guard(|| self.with_run(|run| run.keep_script(read)))?;
        handle.set_nth_user_value(STATE, &table)?;
        Ok(table)
    }

    /// Takes all remaining steps, of which the handle's callback hears; the last one's report. `shown` is said beside the
    /// progress.
    fn drive(
        &self,
        lua: &Lua,
        handle: &AnyUserData,
        model: &Model,
        shown: impl Fn(&T::Report) -> Option<String>,
        mut next: impl FnMut() -> Result<Option<T::Report>>,
    ) -> Result<Option<T::Report>> {
        let _loop = Loop::begin();
        let mut hear = callback(lua, handle).map_err(|error| report::lower(&error))?;
        let (naming, left) = {
            let trainer = self.read()?;
            let run = trainer.run();
            (run.naming(), run.total().saturating_sub(run.done()))
        };
        let mut progress = Progress::new(naming.trainer, left);
        let mut last = None;
        while let Some(report) = next()? {
            shown(&report).into_iter().for_each(|text| progress.message(text));
            progress.tick(1);
            self.with_run(Run::begin_body)??;
            hear(&report).or_else(|error| self.read()?.leave(model, error))?;
            self.with_run(Run::end_body)?;
            attach::serve(lua).or_else(|error| self.read()?.leave(model, error))?;
            last = Some(report);
        }
        progress.finish();
        Ok(last)
    }

    /// A loop was left with `break`: its last step is heard of, and saved where the loop's next turn would have saved it.
    fn settle(&self) -> mlua::Result<()> {
        let model = self.model.borrow()?;
        report::guard(|| {
            self.with_run(Run::note_heard)??;
            self.with_run(Run::end_body)?;
            if self.in_loop.get() { self.read()?.save_if_due(&model, false) } else { Ok(()) }
        })
    }

    /// What a generic `for` takes: the next step's report, which `hear` hears first, and a closing value.
    /// Ctrl-C in the callback or the loop's body ends the loop between two steps; the closing value then saves what was
    /// reached, which a step that is interrupted does by itself. Who leaves the loop with `break` has heard of its step.
    fn iterator<V: Serialize + 'static>(
        &self,
        lua: &Lua,
        hear: impl FnMut(&V) -> Result<()> + 'static,
        next: impl Fn() -> mlua::Result<Option<V>> + 'static,
    ) -> mlua::Result<(Function, Value, Value, Table)> {
        let going_on = Rc::new(RefCell::new(None));
        let (this, begun, hear) = (self.clone(), going_on.clone(), RefCell::new(hear));
        let next = lua.create_function(move |lua, _: MultiValue| {
            begun.borrow_mut().get_or_insert_with(Loop::begin);
            report::guard(|| this.with_run(Run::end_body))?;
            report::guard(|| attach::serve(lua))?;
            let outcome = next();
            let Ok(Some(step)) = outcome else {
                begun.take();
                return outcome.map(|_| Value::Nil);
            };
            report::guard(|| this.with_run(Run::begin_body)?)?;
            let mut hear = hear.try_borrow_mut().map_err(|_| report::raise(busy()))?;
            hear(&step).map_err(report::raise)?;
            to_table(lua, &step)
        })?;
        let this = self.clone();
        let close = lua.create_function(move |_, (_, error): (Value, Value)| {
            let is_over = going_on.borrow().is_none();
            let closed = match cancel::requested() {
                true => (this.save)(),
                false if is_over || !error.is_nil() => Ok(()),
                false => this.settle(),
            };
            going_on.take();
            this.in_loop.set(false);
            // A body that was cut off will be run again: whoever saves from here on saves what was there before it.
            if !cancel::requested() {
                report::guard(|| this.with_run(Run::end_body))?;
            }
            closed
        })?;
        let (closing, metatable) = (lua.create_table()?, lua.create_table()?);
        metatable.set("__close", close)?;
        closing.set_metatable(Some(metatable))?;
        Ok((next, Value::Nil, Value::Nil, closing))
    }
}

/// Does something with a model while the adapter of that name is on: several trainers may take turns on one base.
fn with_adapter(model: &ModelHandle, own: Option<&str>, what: impl FnOnce(&Model) -> Result<()>) -> mlua::Result<()> {
    let before = model.borrow()?.active_adapter().map(str::to_string);
    let is_on = before.as_deref() == own;
    if !is_on {
        switch(&mut *model.borrow_mut()?, own)?;
    }
    let done = model.borrow().and_then(|model| report::guard(|| what(&model)));
    if !is_on {
        switch(&mut *model.borrow_mut()?, before.as_deref())?;
    }
    done
}

/// Turns an adapter on, or all of them off.
fn switch(model: &mut Model, adapter: Option<&str>) -> mlua::Result<()> {
    match adapter {
        Some(name) => report::guard(|| model.set_adapter(name)),
        None => {
            model.disable_adapter();
            Ok(())
        }
    }
}

/// A trainer for reading.
fn borrow<T>(trainer: &RefCell<T>) -> Result<Ref<'_, T>> {
    trainer.try_borrow().map_err(|_| busy())
}

fn busy() -> Error {
    Error::message("this trainer is at work in the call that led here")
}

/// A handle's callback as the engine calls it. Nothing of the trainer is borrowed for changing meanwhile.
fn callback<V: Serialize>(lua: &Lua, handle: &AnyUserData) -> mlua::Result<impl FnMut(&V) -> Result<()> + use<V>> {
    let callback: Option<Function> = handle.nth_user_value(CALLBACK)?;
    let lua = lua.clone();
    Ok(move |report: &V| match &callback {
        Some(callback) => {
            let called = to_table(&lua, report).and_then(|report| callback.call::<()>(report));
            called.map_err(|error| report::lower(&error))
        }
        None => Ok(()),
    })
}

/// A struct of numbers as a Lua table, a number as itself.
fn to_table<V: Serialize>(lua: &Lua, report: &V) -> mlua::Result<Value> {
    convert::to_lua(lua, &serde_json::to_value(report).map_err(mlua::Error::external)?)
}
