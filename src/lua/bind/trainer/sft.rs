//! `trainer.sft`.

use std::path::PathBuf;

use mlua::{AnyUserData, Lua, MultiValue, UserData, UserDataMethods, Value};

use super::{TrainerHandle, callback, to_table};
use crate::engine::data::{self, Record};
use crate::engine::model::Model;
use crate::engine::train::sft::{Sft, SftOptions, SftStep};
use crate::engine::{Error, Result};
use crate::lua::bind::model::ModelHandle;
use crate::lua::call::Call;
use crate::lua::kind::kind;
use crate::lua::{options, report};

pub fn create(lua: &Lua, values: MultiValue) -> mlua::Result<AnyUserData> {
    let mut call = Call::new("trainer.sft", values);
    let model = call.userdata::<ModelHandle>("model")?.clone();
    let mut table = call.required_options(lua)?;
    call.finish()?;
    let (data, on_step) = (table.take("data")?, table.take_function("on_step")?);
    let eval_data = table.take("eval_data")?;
    let options: SftOptions = table.read()?;
    if data.is_nil() {
        let error = Error::option("data", "a file of records or a list of them", "nothing");
        return Err(call.reject(error));
    }
    let records = records(&call, "data", &data)?;
    if options.eval_steps > 0 && eval_data.is_nil() {
        let error = Error::option("eval_data", "a file of records or a list of them, because of eval_steps", "nothing");
        return Err(call.reject(error));
    }
    let eval_records = match eval_data.is_nil() {
        true => Vec::new(),
        false => self::records(&call, "eval_data", &eval_data)?,
    };
    let sft = {
        let model = model.borrow()?;
        call.run(|| Sft::new(&model, &records, &eval_records, options))?
    };
    TrainerHandle::in_lua(lua, model, sft, on_step)
}

/// Records from a file's path or from a list.
fn records(call: &Call, name: &str, data: &Value) -> mlua::Result<Vec<Record>> {
    match data {
        Value::String(path) => data::read(PathBuf::from(path.to_string_lossy())).map_err(report::raise),
        Value::Table(_) => options::read_value(&call.function_name(), name, data),
        other => {
            let error = Error::option(name, "a file's path or a list of records", kind(other));
            Err(call.reject(error))
        }
    }
}

impl UserData for TrainerHandle<Sft> {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        Self::add_shared_methods("sft", methods);
        methods.add_function("run", |lua, values: MultiValue| {
            let mut call = Call::new("sft:run", values);
            let (this, handle) = Self::of(&mut call)?;
            call.finish()?;
            let model = this.model.borrow()?;
            let shown = |step: &SftStep| Some(format!("loss {:.4}", step.loss));
            let result = report::guard(|| {
                this.drive(lua, &handle, &model, shown, || this.change()?.step(&model))?;
                this.change()?.finish(&model)
            })?;
            to_table(lua, &result)
        });
        methods.add_function("steps", |lua, values: MultiValue| {
            let mut call = Call::new("sft:steps", values);
            let (this, handle) = Self::of(&mut call)?;
            call.finish()?;
            let next = this.clone();
            this.iterator(lua, callback(lua, &handle)?, move || {
                let model = next.model.borrow()?;
                report::guard(|| next_step(&mut *next.change()?, &model))
            })
        });
        methods.add_method("evaluate", |_, this, values: MultiValue| {
            let mut call = Call::new("sft:evaluate", values);
            let data = call.value("records")?;
            call.finish()?;
            let records = records(&call, "records", &data)?;
            let model = this.model.borrow()?;
            let evaluation = report::guard(|| this.read()?.evaluate(&model, &records))?;
            Ok((evaluation.eval_loss, evaluation.eval_accuracy))
        });
        methods.add_method("preflight", |lua, this, values: MultiValue| {
            Call::new("sft:preflight", values).finish()?;
            let model = this.model.borrow()?;
            to_table(lua, &report::guard(|| this.change()?.preflight(&model))?)
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
