//! `affine.model`: load, make, sample, adapt, save.

mod info;
mod make;

use std::cell::{Ref, RefCell, RefMut};
use std::rc::Rc;

use mlua::{AnyUserData, Lua, MultiValue, Table, UserData, UserDataMethods};
use serde::Deserialize;

use crate::engine::generate::{GenerateOptions, Generation, generate};
use crate::engine::model::{LoraOptions, Model, SaveOptions, lora};
use crate::engine::text::Conversation;
use crate::engine::{Error, Result, plan};
use crate::lua::bind::tokenizer::{TokenizerHandle, kwargs, messages};
use crate::lua::call::Call;
use crate::lua::heap::Held;
use crate::lua::strict::handle;
use crate::lua::{convert, report};
pub use make::{check_create, check_load};

pub fn module(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.set("load", lua.create_function(make::load)?)?;
    table.set("create", lua.create_function(make::create)?)?;
    Ok(table)
}

/// A model in Lua's hands, shared with the trainers that work on it; empty once it is closed.
#[derive(Clone)]
pub struct ModelHandle {
    model: Rc<RefCell<Option<Model>>>,
    /// Its weights, counted.
    held: Rc<RefCell<Option<Held>>>,
}

impl ModelHandle {
    fn in_lua(lua: &Lua, model: Model) -> mlua::Result<AnyUserData> {
        let model = ModelHandle { model: Rc::new(RefCell::new(Some(model))), held: Rc::default() };
        model.count(lua)?;
        handle(lua, "a model", model)
    }

    /// Counts the weights, anew after they became others.
    fn count(&self, lua: &Lua) -> mlua::Result<()> {
        let model = self.borrow()?;
        let adapter = lora::parameters(&model.net);
        let weights = model.net.weights();
        let tensors = weights.iter().map(|(_, tensor)| *tensor).chain(adapter.iter().map(|(_, tensor)| tensor));
        let held = Held::new(lua, tensors)?;
        self.held.replace(Some(held));
        Ok(())
    }

    pub fn borrow(&self) -> mlua::Result<Ref<'_, Model>> {
        let slot = self.model.try_borrow().map_err(|_| in_use())?;
        Ref::filter_map(slot, Option::as_ref).map_err(|_| closed())
    }

    pub fn borrow_mut(&self) -> mlua::Result<RefMut<'_, Model>> {
        let slot = self.model.try_borrow_mut().map_err(|_| in_use())?;
        RefMut::filter_map(slot, Option::as_mut).map_err(|_| closed())
    }

    fn close(&self) -> mlua::Result<()> {
        self.model.try_borrow_mut().map_err(|_| in_use())?.take();
        self.held.take();
        Ok(())
    }
}

fn in_use() -> mlua::Error {
    report::raise(Error::message("this model is in use by the call that led here"))
}

fn closed() -> mlua::Error {
    report::raise(Error::message("this model was closed"))
}

/// What `model:chat` takes beside [`GenerateOptions`].
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ChatOptions {
    chat_template_kwargs: serde_json::Map<String, serde_json::Value>,
    /// The prompt has earlier replies as they were said, which is what training shows a model.
    as_trained: bool,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct AdapterOptions {
    adapter_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LogprobOptions {
    temperature: f64,
}

impl Default for LogprobOptions {
    fn default() -> Self {
        LogprobOptions { temperature: 1.0 }
    }
}

impl UserData for ModelHandle {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method("add_lora", |lua, this, values: MultiValue| {
            let mut call = Call::new("model:add_lora", values);
            let options: LoraOptions = call.options()?;
            call.finish()?;
            {
                let mut model = this.borrow_mut()?;
                call.run(|| model.add_lora(&options))?;
            }
            this.count(lua)
        });
        for (name, act) in [
            ("merge_lora", (|model| model.merge_lora()) as fn(&mut Model) -> Result<()>),
            ("disable_adapter", |model| {
                model.disable_adapter();
                Ok(())
            }),
            ("dequantize", |model| {
                model.dequantize();
                Ok(())
            }),
        ] {
            methods.add_method(name, move |lua, this, values: MultiValue| {
                Call::new(format!("model:{name}"), values).finish()?;
                report::guard(|| act(&mut *this.borrow_mut().map_err(|error| report::lower(&error))?))?;
                this.count(lua)
            });
        }
        methods.add_method("save", |_, this, values: MultiValue| {
            let mut call = Call::new("model:save", values);
            let folder = call.string("folder")?;
            let options: SaveOptions = call.options()?;
            call.finish()?;
            let mut model = this.borrow_mut()?;
            call.run(|| save(&mut model, folder, &options))
        });
        for (name, argument, act) in [
            (
                "save_adapter",
                "folder",
                (|model, folder| model.save_adapter(folder)) as fn(&mut Model, String) -> Result<()>,
            ),
            ("set_adapter", "adapter_name", |model, name| model.set_adapter(&name)),
            ("delete_adapter", "adapter_name", |model, name| model.delete_adapter(&name)),
        ] {
            methods.add_method(name, move |lua, this, values: MultiValue| {
                let mut call = Call::new(format!("model:{name}"), values);
                let argument = call.string(argument)?;
                call.finish()?;
                {
                    let mut model = this.borrow_mut()?;
                    call.run(|| act(&mut model, argument))?;
                }
                this.count(lua)
            });
        }
        methods.add_method("load_adapter", |lua, this, values: MultiValue| {
            let mut call = Call::new("model:load_adapter", values);
            let folder = call.string("folder")?;
            let options: AdapterOptions = call.options()?;
            call.finish()?;
            {
                let mut model = this.borrow_mut()?;
                let name = options.adapter_name.as_deref();
                call.run(|| plan::model::load_adapter(&mut model, name, folder.as_ref()))?;
            }
            this.count(lua)
        });
        methods.add_method("logprobs", |lua, this, values: MultiValue| {
            let mut call = Call::new("model:logprobs", values);
            let ids: Vec<i64> = call.list("ids")?;
            let options: LogprobOptions = call.options()?;
            call.finish()?;
            let model = this.borrow()?;
            call.held(lua, || model.logprobs(&ids, options.temperature))
        });
        methods.add_method("generate", |lua, this, values: MultiValue| {
            let mut call = Call::new("model:generate", values);
            let prompts: Vec<Prompt> = call.list("prompts")?;
            let options: GenerateOptions = call.options()?;
            call.finish()?;
            let model = this.borrow()?;
            let generations = call.held(lua, || {
                let prompts = prompts.iter().map(|prompt| prompt.ids(&model)).collect::<Result<Vec<_>>>()?;
                generate(&model, &prompts, &options)
            })?;
            generations.iter().map(|generation| generation_table(lua, generation)).collect::<mlua::Result<Vec<_>>>()
        });
        methods.add_method("chat", |lua, this, values: MultiValue| {
            let mut call = Call::new("model:chat", values);
            let messages = messages(&call.function_name(), &call.table("messages")?)?;
            let mut table = call.optional_options(lua)?;
            call.finish()?;
            let how: ChatOptions = table.take_struct(&["chat_template_kwargs", "as_trained"])?;
            let kwargs = kwargs(&call.function_name(), how.chat_template_kwargs)?;
            let options: GenerateOptions = table.read()?;
            let model = this.borrow()?;
            call.held(lua, || {
                let tokenizer = model.tokenizer()?;
                let prompt = match how.as_trained {
                    true => Conversation::go_on(tokenizer, &messages, &kwargs)?,
                    false => Conversation::open_with(tokenizer, &messages, &kwargs)?,
                };
                let reply = generate(&model, &[prompt.ids().to_vec()], &options)?.remove(0);
                Ok(tokenizer.whole_reply(reply.text, &kwargs))
            })
        });
        methods.add_method("tokenizer", |lua, this, values: MultiValue| {
            Call::new("model:tokenizer", values).finish()?;
            let model = this.borrow()?;
            model.tokenizer().map_err(report::raise)?;
            model.tokenizer.clone().map(|tokenizer| handle(lua, "a tokenizer", TokenizerHandle(tokenizer))).transpose()
        });
        methods.add_method("info", |lua, this, values: MultiValue| {
            Call::new("model:info", values).finish()?;
            convert::to_lua(lua, &info::info(&*this.borrow()?))
        });
        methods.add_method("close", |_, this, values: MultiValue| {
            Call::new("model:close", values).finish()?;
            this.close()
        });
        methods.add_meta_method("__close", |_, this, _: MultiValue| this.close());
    }
}

/// Saves the model and remembers where, as the base of adapters to come.
fn save(model: &mut Model, folder: String, options: &SaveOptions) -> Result<()> {
    model.save_with(&folder, options)?;
    model.set_source(folder);
    Ok(())
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a string or a list of token ids")]
enum Prompt {
    Text(String),
    Ids(Vec<i64>),
}

impl Prompt {
    fn ids(&self, model: &Model) -> Result<Vec<i64>> {
        match self {
            Prompt::Text(text) => model.tokenizer()?.encode(text),
            Prompt::Ids(ids) => Ok(ids.clone()),
        }
    }
}

fn generation_table(lua: &Lua, generation: &Generation) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.set("text", generation.text.as_str())?;
    table.set("tokens", generation.tokens.as_slice())?;
    table.set("logprobs", generation.logprobs.as_slice())?;
    table.set("finish", generation.finish.name())?;
    Ok(table)
}
