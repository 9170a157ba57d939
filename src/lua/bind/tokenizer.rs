//! `affine.tokenizer`: text to token ids and back, and the chat template.

use std::rc::Rc;

use mlua::{AnyUserData, Lua, MultiValue, Table, UserData, UserDataMethods, Value};
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use crate::engine::Error;
use crate::engine::text::template::check_kwargs;
use crate::engine::text::{Conversation, Message, ROLES, Tokenizer, check_roles};
use crate::lua::call::Call;
use crate::lua::strict::handle;
use crate::lua::{options, report};

pub fn module(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.set("train", lua.create_function(train)?)?;
    table.set("load", lua.create_function(load)?)?;
    Ok(table)
}

/// A tokenizer in Lua's hands.
pub struct TokenizerHandle(pub Rc<Tokenizer>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TrainOptions {
    vocab_size: usize,
}

impl Default for TrainOptions {
    fn default() -> Self {
        TrainOptions { vocab_size: 512 }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ChatOptions {
    add_generation_prompt: bool,
    chat_template_kwargs: Map<String, Json>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PreviewOptions {
    chat_template_kwargs: Map<String, Json>,
}

fn train(lua: &Lua, values: MultiValue) -> mlua::Result<AnyUserData> {
    let mut call = Call::new("tokenizer.train", values);
    let texts: Vec<String> = call.list("texts")?;
    let options: TrainOptions = call.options()?;
    call.finish()?;
    let trained = call.run(|| Tokenizer::train(&texts, options.vocab_size))?;
    handle(lua, "a tokenizer", TokenizerHandle(Rc::new(trained)))
}

fn load(lua: &Lua, values: MultiValue) -> mlua::Result<AnyUserData> {
    let mut call = Call::new("tokenizer.load", values);
    let folder = call.string("folder")?;
    call.finish()?;
    let tokenizer = Tokenizer::load(folder).map_err(report::raise)?;
    handle(lua, "a tokenizer", TokenizerHandle(Rc::new(tokenizer)))
}

impl UserData for TokenizerHandle {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method("encode", |_, this, values: MultiValue| {
            let mut call = Call::new("tokenizer:encode", values);
            let text = call.string("text")?;
            call.finish()?;
            this.0.encode(&text).map_err(report::raise)
        });
        methods.add_method("decode", |_, this, values: MultiValue| {
            let mut call = Call::new("tokenizer:decode", values);
            let ids: Vec<i64> = call.list("ids")?;
            call.finish()?;
            // A padded embedding has more rows than there are tokens; what a model says there has no text.
            if let Some(place) = ids.iter().position(|&id| u32::try_from(id).is_err()) {
                let error = Error::option(format!("ids[{}]", place + 1), "a token id of at least 0", ids[place]);
                return Err(call.reject(error));
            }
            this.0.decode(&ids, false).map_err(report::raise)
        });
        methods.add_method("chat", |_, this, values: MultiValue| {
            let mut call = Call::new("tokenizer:chat", values);
            let messages = messages(&call.function_name(), &call.table("messages")?)?;
            let options: ChatOptions = call.options()?;
            call.finish()?;
            let kwargs = kwargs(&call.function_name(), options.chat_template_kwargs)?;
            let rendered = this
                .0
                .template()
                .and_then(|template| template.render(&messages, options.add_generation_prompt, &kwargs));
            rendered.map_err(report::raise)
        });
        methods.add_method("preview", |_, this, values: MultiValue| {
            let mut call = Call::new("tokenizer:preview", values);
            let messages = messages(&call.function_name(), &call.table("messages")?)?;
            let options: PreviewOptions = call.options()?;
            call.finish()?;
            let kwargs = kwargs(&call.function_name(), options.chat_template_kwargs)?;
            let encoded = Conversation::encode_record_with(&this.0, &messages, &kwargs);
            let shown = encoded.and_then(|record| record.show(&this.0));
            shown.map_err(report::raise)
        });
        methods.add_method("save", |_, this, values: MultiValue| {
            let mut call = Call::new("tokenizer:save", values);
            let folder = call.string("folder")?;
            call.finish()?;
            this.0.save(folder).map_err(report::raise)
        });
        methods.add_method("size", |_, this, values: MultiValue| {
            Call::new("tokenizer:size", values).finish()?;
            Ok(this.0.vocab_size())
        });
    }
}

/// Variables for the chat template.
pub fn kwargs(function: &str, given: Map<String, Json>) -> mlua::Result<Map<String, Json>> {
    match check_kwargs(&given) {
        Ok(()) => Ok(given),
        Err(problem) => Err(options::reject(function, Error::message(format!("chat_template_kwargs: {problem}")))),
    }
}

/// A list of `{ role =, content = }`.
pub fn messages(function: &str, table: &Table) -> mlua::Result<Vec<Message>> {
    let messages: Vec<Message> = options::read_value(function, "messages", &Value::Table(table.clone()))?;
    if messages.is_empty() {
        return Err(options::reject(function, Error::option("messages", "at least one message", "an empty list")));
    }
    check_roles(&messages, &ROLES).map_err(|problem| options::reject(function, Error::message(problem)))?;
    Ok(messages)
}
