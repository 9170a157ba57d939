//! `model.load` and `model.create`.

use mlua::{AnyUserData, Lua, MultiValue, Table, Value};
use serde::Deserialize;
use tch::Kind;

use super::ModelHandle;
use crate::engine::model::{Compute, CudaGraph, KernelChoice, Model, ModelConfig, ModelShape, Quantization, Scheme};
use crate::engine::{Error, Result, device, hub, plan};
use crate::lua::bind::tokenizer::TokenizerHandle;
use crate::lua::call::Call;
use crate::lua::kind::kind;
use crate::lua::options::Options;
use crate::lua::{convert, options, report};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LoadOptions {
    /// As transformers 5 names it.
    dtype: Option<String>,
    /// As transformers 4 names it.
    torch_dtype: Option<String>,
    /// A branch, tag or commit of a model on the Hub.
    revision: Option<String>,
    device: String,
    quantize: Option<Scheme>,
    double_quantize: bool,
    kernels: KernelChoice,
    use_flash_attention: AutoOr,
    use_cuda_graph: AutoOr,
}

impl Default for LoadOptions {
    fn default() -> Self {
        LoadOptions {
            dtype: None,
            torch_dtype: None,
            revision: None,
            device: "auto".to_string(),
            quantize: None,
            double_quantize: false,
            kernels: KernelChoice::default(),
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

pub fn load(lua: &Lua, values: MultiValue) -> mlua::Result<AnyUserData> {
    let mut call = Call::new("model.load", values);
    let path = call.string("path")?;
    let options: LoadOptions = call.options()?;
    call.finish()?;
    let loaded = call.held(lua, || {
        let kind = options.kind()?;
        let device = device::device(&options.device)?;
        let quantization = options.quantization()?;
        let model = match plan::active() {
            true => {
                let mut model = plan::model::load(&path, options.revision.as_deref(), kind, device)?;
                quantization.into_iter().for_each(|quantization| model.quantize(quantization));
                model
            }
            false => Model::load_finding(
                hub::folder(&path, options.revision.as_deref())?,
                kind,
                device,
                quantization,
                &|base| hub::base(&base.name, base.revision.as_deref()),
            )?,
        };
        model.net.set_compute(Compute {
            kernels: options.kernels,
            attention: model.net.choose_attention(options.use_flash_attention.asked())?,
            graphs: CudaGraph::choose(options.use_cuda_graph.asked(), device)?,
        });
        Ok(model)
    })?;
    ModelHandle::in_lua(lua, loaded)
}

/// Whether a model could be loaded with these options.
pub fn check_load(function: &str, table: Table) -> mlua::Result<()> {
    let options: LoadOptions = options::read(function, Some(table))?;
    report::guard(|| {
        options.kind()?;
        options.quantization()?;
        let device = device::device(&options.device)?;
        CudaGraph::choose(options.use_cuda_graph.asked(), device).map(drop)
    })
}

/// Whether a model could be made with these options, but for its tokenizer.
pub fn check_create(lua: &Lua, function: &str, table: Table) -> mlua::Result<()> {
    let mut table = Options::new(lua, function.to_string(), Some(table))?;
    let options: CreateOptions = table.take_struct(&CreateOptions::KEYS)?;
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
    kernels: KernelChoice,
}

impl Default for CreateOptions {
    fn default() -> Self {
        let kernels = KernelChoice::default();
        CreateOptions { preset: "tiny".to_string(), seed: 0, device: "auto".to_string(), kernels }
    }
}

impl CreateOptions {
    const KEYS: [&str; 4] = ["preset", "seed", "device", "kernels"];
}

pub fn create(lua: &Lua, values: MultiValue) -> mlua::Result<AnyUserData> {
    let mut call = Call::new("model.create", values);
    let mut table = call.required_options(lua)?;
    call.finish()?;
    let tokenizer = match table.take("tokenizer")? {
        Value::UserData(handle) if handle.is::<TokenizerHandle>() => handle.borrow::<TokenizerHandle>()?.0.clone(),
        other => {
            let expected = "what tokenizer.train or tokenizer.load returns";
            return Err(table.reject(Error::option("tokenizer", expected, kind(&other))));
        }
    };
    let options: CreateOptions = table.take_struct(&CreateOptions::KEYS)?;
    table.with_defaults(preset(lua, &options.preset)?)?;
    let shape = plan::model::shape(table.read()?, tokenizer.vocab_size());
    let device = device::device(&options.device).map_err(|error| call.reject(error))?;
    let made = call.held(lua, || Model::create(&shape, tokenizer.clone(), options.seed, device))?;
    made.net.set_compute(Compute { kernels: options.kernels, ..Compute::default() });
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
