//! `affine.model`: load, make, sample, adapt, save.

use std::cell::{Ref, RefCell, RefMut};
use std::rc::Rc;

use mlua::{AnyUserData, Lua, MultiValue, Table, UserData, UserDataMethods, Value};
use serde::Deserialize;
use serde_json::json;
use tch::Kind;

use super::tokenizer::{TokenizerHandle, kwargs, messages};
use crate::engine::generate::{GenerateOptions, Generation, generate};
use crate::engine::model::{
    CudaGraph, LoraOptions, Model, ModelConfig, ModelShape, Quantization, SaveOptions, Scheme, lora,
};
use crate::engine::native::kernels::{self, Kernels};
use crate::engine::text::Conversation;
use crate::engine::{Error, Result, device, hub, plan};
use crate::lua::args::Args;
use crate::lua::heap::{self, Held};
use crate::lua::options::Options;
use crate::lua::{convert, handle, options, report};

pub fn module(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.set("load", lua.create_function(load)?)?;
    table.set("create", lua.create_function(create)?)?;
    table.set("kernels", lua.create_function(use_kernels)?)?;
    Ok(table)
}

/// `model.kernels([name])`: chooses where a name is given, and says what is used.
fn use_kernels(_: &Lua, values: MultiValue) -> mlua::Result<&'static str> {
    let mut args = Args::new("model.kernels", values);
    let name = args.optional_string("name")?;
    args.finish()?;
    report::guard_in("model.kernels", || {
        if let Some(name) = &name {
            kernels::choose(Kernels::named(name)?);
        }
        Ok(kernels::resolved().name())
    })
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

    fn borrow_mut(&self) -> mlua::Result<RefMut<'_, Model>> {
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LoadOptions {
    /// As transformers 5 names it.
    dtype: Option<String>,
    /// As transformers 4 names it.
    torch_dtype: Option<String>,
    device: String,
    quantize: Option<Scheme>,
    double_quantize: bool,
    use_flash_attention: AutoOr,
    use_cuda_graph: AutoOr,
}

impl Default for LoadOptions {
    fn default() -> Self {
        LoadOptions {
            dtype: None,
            torch_dtype: None,
            device: "auto".to_string(),
            quantize: None,
            double_quantize: false,
            use_flash_attention: AutoOr::Auto(Auto::Auto),
            use_cuda_graph: AutoOr::Auto(Auto::Auto),
        }
    }
}

/// Whether something faster must, may or must not be used.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged, expecting = "expected \"auto\", true or false")]
enum AutoOr {
    Auto(Auto),
    Asked(bool),
}

/// The word for it.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Auto {
    Auto,
}

impl AutoOr {
    fn asked(self) -> Option<bool> {
        match self {
            AutoOr::Asked(asked) => Some(asked),
            AutoOr::Auto(Auto::Auto) => None,
        }
    }
}

impl LoadOptions {
    fn kind(&self) -> Result<Option<Kind>> {
        match (&self.dtype, &self.torch_dtype) {
            (Some(_), Some(other)) => {
                Err(Error::option("torch_dtype", "nothing beside dtype, which means the same", format!("\"{other}\"")))
            }
            (Some(name), None) => device::dtype("dtype", name).map(Some),
            (None, Some(name)) => device::dtype("torch_dtype", name).map(Some),
            (None, None) => Ok(None),
        }
    }

    fn quantization(&self) -> Result<Option<Quantization>> {
        match (self.quantize, self.double_quantize) {
            (Some(scheme), double) => Quantization::new(scheme, double).map(Some),
            (None, true) => Err(Error::option("double_quantize", "true only with quantize = \"nf4\"", "true")),
            (None, false) => Ok(None),
        }
    }
}

fn load(lua: &Lua, values: MultiValue) -> mlua::Result<AnyUserData> {
    let mut args = Args::new("model.load", values);
    let path = args.string("path")?;
    let options: LoadOptions = options::read("model.load", args.optional_table("options")?)?;
    args.finish()?;
    let loaded = heap::guard(lua, "model.load", || {
        let kind = options.kind()?;
        let device = device::device(&options.device)?;
        let quantization = options.quantization()?;
        let mut model = match plan::active() {
            true => {
                let mut model = plan::model::load(&path, kind, device)?;
                quantization.into_iter().for_each(|quantization| model.quantize(quantization));
                model
            }
            false => Model::load_finding(hub::folder(&path)?, kind, device, quantization, &|base| {
                hub::base(&base.name, base.revision.as_deref())
            })?,
        };
        model.net.use_flash_attention(options.use_flash_attention.asked())?;
        model.cuda_graph = CudaGraph::choose(options.use_cuda_graph.asked(), model.net.device())?;
        Ok(model)
    })?;
    ModelHandle::in_lua(lua, loaded)
}

/// Whether a model could be loaded with these options.
pub(super) fn check_load(function: &str, table: Table) -> mlua::Result<()> {
    let options: LoadOptions = options::read(function, Some(table))?;
    report::guard(|| {
        options.kind()?;
        options.quantization()?;
        let device = device::device(&options.device)?;
        CudaGraph::choose(options.use_cuda_graph.asked(), device).map(drop)
    })
}

/// Whether a model could be made with these options, but for its tokenizer.
pub(super) fn check_create(lua: &Lua, function: &str, table: Table) -> mlua::Result<()> {
    let mut table = Options::new(lua, function.to_string(), Some(table))?;
    let options: CreateOptions = table.take_struct(&["preset", "seed", "device"])?;
    table.with_defaults(preset(lua, &options.preset)?)?;
    let shape: ModelShape = table.read()?;
    ModelConfig::from_document(ModelConfig::new_document(&shape, 512)).map(drop).map_err(report::raise)
}

/// How a new model is made; the shape's own keys are [`ModelShape`]'s.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CreateOptions {
    preset: String,
    seed: u64,
    device: String,
}

impl Default for CreateOptions {
    fn default() -> Self {
        CreateOptions { preset: "tiny".to_string(), seed: 0, device: "auto".to_string() }
    }
}

fn create(lua: &Lua, values: MultiValue) -> mlua::Result<AnyUserData> {
    let mut args = Args::new("model.create", values);
    let table = args.table("options")?;
    args.finish()?;
    let mut table = Options::new(lua, "model.create", Some(table))?;
    let tokenizer = match table.take("tokenizer")? {
        Value::UserData(handle) if handle.is::<TokenizerHandle>() => handle.borrow::<TokenizerHandle>()?.0.clone(),
        other => {
            let expected = "what tokenizer.train or tokenizer.load returns";
            return Err(table.reject(Error::option("tokenizer", expected, crate::lua::args::kind(&other))));
        }
    };
    let options: CreateOptions = table.take_struct(&["preset", "seed", "device"])?;
    table.with_defaults(preset(lua, &options.preset)?)?;
    let shape = plan::model::shape(table.read()?, tokenizer.vocab_size());
    let device = device::device(&options.device).map_err(|error| options::reject("model.create", error))?;
    let made = heap::guard(lua, "model.create", || Model::create(&shape, tokenizer.clone(), options.seed, device))?;
    ModelHandle::in_lua(lua, made)
}

/// The preset's shape as a table.
fn preset(lua: &Lua, name: &str) -> mlua::Result<Table> {
    let shape = ModelShape::preset(name).map_err(|error| options::reject("model.create", error))?;
    let shape = serde_json::to_value(shape).map_err(mlua::Error::external)?;
    match convert::to_lua(lua, &shape)? {
        Value::Table(table) => Ok(table),
        _ => unreachable!("a struct becomes a table"),
    }
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
            let mut args = Args::new("model:add_lora", values);
            let options: LoraOptions = options::read("model:add_lora", args.optional_table("options")?)?;
            args.finish()?;
            {
                let mut model = this.borrow_mut()?;
                report::guard_in("model:add_lora", || model.add_lora(&options))?;
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
                Args::new(format!("model:{name}"), values).finish()?;
                report::guard(|| act(&mut *this.borrow_mut().map_err(|error| report::lower(&error))?))?;
                this.count(lua)
            });
        }
        methods.add_method("save", |_, this, values: MultiValue| {
            let mut args = Args::new("model:save", values);
            let folder = args.string("folder")?;
            let options: SaveOptions = options::read("model:save", args.optional_table("options")?)?;
            args.finish()?;
            let mut model = this.borrow_mut()?;
            report::guard_in("model:save", || save(&mut model, folder, &options))
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
                let mut args = Args::new(format!("model:{name}"), values);
                let argument = args.string(argument)?;
                args.finish()?;
                {
                    let mut model = this.borrow_mut()?;
                    report::guard_in(&format!("model:{name}"), || act(&mut model, argument))?;
                }
                this.count(lua)
            });
        }
        methods.add_method("load_adapter", |lua, this, values: MultiValue| {
            let mut args = Args::new("model:load_adapter", values);
            let folder = args.string("folder")?;
            let options: AdapterOptions = options::read("model:load_adapter", args.optional_table("options")?)?;
            args.finish()?;
            {
                let mut model = this.borrow_mut()?;
                let name = options.adapter_name.as_deref();
                report::guard_in("model:load_adapter", || {
                    plan::model::load_adapter(&mut model, name, folder.as_ref())
                })?;
            }
            this.count(lua)
        });
        methods.add_method("logprobs", |lua, this, values: MultiValue| {
            let mut args = Args::new("model:logprobs", values);
            let ids = args.table("ids")?;
            let options: LogprobOptions = options::read("model:logprobs", args.optional_table("options")?)?;
            args.finish()?;
            let ids: Vec<i64> = options::read_value("model:logprobs", "ids", &Value::Table(ids))?;
            let model = this.borrow()?;
            heap::guard(lua, "model:logprobs", || model.logprobs(&ids, options.temperature))
        });
        methods.add_method("generate", |lua, this, values: MultiValue| {
            let mut args = Args::new("model:generate", values);
            let prompts = args.table("prompts")?;
            let mut options: GenerateOptions = options::read("model:generate", args.optional_table("options")?)?;
            args.finish()?;
            let prompts: Vec<Prompt> = options::read_value("model:generate", "prompts", &Value::Table(prompts))?;
            plan::cut::generate(&mut options, prompts.len());
            let model = this.borrow()?;
            let generations = heap::guard(lua, "model:generate", || {
                let prompts = prompts.iter().map(|prompt| prompt.ids(&model)).collect::<Result<Vec<_>>>()?;
                generate(&model, &prompts, &options)
            })?;
            generations.iter().map(|generation| generation_table(lua, generation)).collect::<mlua::Result<Vec<_>>>()
        });
        methods.add_method("chat", |lua, this, values: MultiValue| {
            let mut args = Args::new("model:chat", values);
            let messages = messages("model:chat", &args.table("messages")?)?;
            let mut table = Options::new(lua, "model:chat", args.optional_table("options")?)?;
            args.finish()?;
            let how: ChatOptions = table.take_struct(&["chat_template_kwargs", "as_trained"])?;
            let kwargs = kwargs("model:chat", how.chat_template_kwargs)?;
            let mut options: GenerateOptions = table.read()?;
            plan::cut::generate(&mut options, 1);
            let model = this.borrow()?;
            heap::guard(lua, "model:chat", || {
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
            Args::new("model:tokenizer", values).finish()?;
            let model = this.borrow()?;
            model.tokenizer().map_err(report::raise)?;
            model.tokenizer.clone().map(|tokenizer| handle(lua, "a tokenizer", TokenizerHandle(tokenizer))).transpose()
        });
        methods.add_method("info", |lua, this, values: MultiValue| {
            Args::new("model:info", values).finish()?;
            convert::to_lua(lua, &info(&*this.borrow()?))
        });
        methods.add_method("close", |_, this, values: MultiValue| {
            Args::new("model:close", values).finish()?;
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

fn info(model: &Model) -> serde_json::Value {
    let mut info = json!({
        "parameters": model.parameters(),
        "trainable_parameters": model.trainable_parameters(),
        "source": model.source().name,
        "torch_dtype": device::dtype_name(model.net.kind()),
        "device": device::name(model.net.device()),
        "adapters": model.adapter_names(),
        "attention": model.net.attention_kernel(),
        "config": model.net.config.document,
    });
    // What is not there is nil in Lua.
    if let Some(name) = model.active_adapter() {
        info["active_adapter"] = json!(name);
    }
    if let Some(revision) = &model.source().revision {
        info["revision"] = json!(revision);
    }
    if let Some(quantization) = quantization(model) {
        info["quantization"] = quantization;
    }
    info
}

/// How a quantised base is stored, and how far each projection is from what was read.
fn quantization(model: &Model) -> Option<serde_json::Value> {
    let quantization = model.quantization()?;
    let (mut bytes, mut plain_bytes, mut errors) = (0, 0, serde_json::Map::new());
    for (name, weight) in model.quantized() {
        bytes += weight.bytes();
        plain_bytes += weight.plain_bytes();
        errors.insert(name, json!(weight.error));
    }
    Some(json!({
        "quantize": quantization.name(),
        "double_quantize": quantization.double,
        "bytes": bytes,
        "plain_bytes": plain_bytes,
        "errors": errors,
    }))
}
