//! `lua-stdlib/affine/_meta/<module>.lua` documents what a module has: no more, no less.

use std::collections::BTreeSet;
use std::path::Path;

use affine::engine::env::Environment;
use affine::engine::env::agentgym::client::AgentGymOptions;
use affine::engine::env::alfworld::{AlfWorld, AlfWorldOptions};
use affine::engine::env::babyai::{BabyAi, BabyAiOptions};
use affine::engine::env::ded::Ded;
use affine::engine::env::programs::generator::GeneratorOptions;
use affine::engine::env::programs::options::ProgramOptions;
use affine::engine::env::sat::{Sat, SatOptions};
use affine::engine::env::sciworld::SciWorldOptions;
use affine::engine::env::sciworld_mini::{SciWorldMini, SciWorldMiniOptions};
use affine::engine::env::textcraft::{TextCraft, TextCraftOptions};
use affine::engine::env::webshop::{WebShop, WebShopOptions};
use affine::engine::eval::RankOptions;
use affine::engine::eval::compare::CompareOptions;
use affine::engine::eval::metrics::MetricOptions;
use affine::engine::eval::profiles::epsilon_pareto::EpsilonParetoOptions;
use affine::engine::eval::run::{EvalOptions, Keeping};
use affine::engine::generate::GenerateOptions;
use affine::engine::model::LoraOptions;
use affine::engine::rl::options::PpoOptions;
use affine::engine::rl::report::Iteration;
use affine::engine::train::sft::{SftOptions, SftStep};
use affine::lua::{bind, require, state};
use mlua::{AnyUserData, Function, Lua, Table, Value};
use serde::Deserializer;
use serde::de::{DeserializeOwned, Visitor};
use serde_json::json;

/// How to come by a handle of each class with methods, and the name of the class in its module's stub.
#[rustfmt::skip]
const HANDLES: &[(&str, &str, &str)] = &[
    ("random",    "Random",      "return require('affine.random').new(1)"),
    ("test",      "Expectation", "return require('affine.test').expect(1)"),
    ("tensor",    "Optimizer",   "local t = require('affine.tensor')\nreturn t.adamw { t.zeros({ 1 }, { requires_grad = true }) }"),
    ("tokenizer", "Tokenizer",   "return dofile('tests/lua/tiny.lua').tokenizer"),
    ("model",     "Model",       "return dofile('tests/lua/tiny.lua').model()"),
    ("env",       "Environment", "return require('affine.env').make('sat')"),
    ("trainer",   "Sft",         "return dofile('tests/lua/tiny.lua').sft()"),
    ("trainer",   "Ppo",         "return dofile('tests/lua/tiny.lua').ppo()"),
    ("worker",    "Pool",        "return require('affine.worker').pool('return print', { threads = 1 })"),
    ("sweep",     "Study",       "return require('affine.sweep').open { name = 's', direction = 'minimize', storage = 'stub.log' }"),
    ("track",     "Run",         "return require('affine.track').run('stub', {})"),
    ("worker",    "Job",         "return require('affine.worker').pool('return type', { threads = 1 }):submit(1)"),
    ("trainer",   "Batch",       "local t = dofile('tests/lua/tiny.lua')\nreturn t.ppo():rollout({ t.environment() }, 1)"),
];

fn stub(module: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("lua-stdlib/affine/_meta/{module}.lua"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names that a stub gives to `owner`: `function owner.name(`, `function owner:name(`, `owner.name =`.
fn documented(stub: &str, owner: &str) -> BTreeSet<String> {
    let name = |line: &str| -> Option<String> {
        let rest = line.strip_prefix("function ").unwrap_or(line).strip_prefix(owner)?;
        let rest = rest.strip_prefix(['.', ':'])?;
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_')?;
        let (name, rest) = rest.split_at(end);
        (rest.starts_with('(') || rest.starts_with(" =")).then(|| name.to_string())
    };
    stub.lines().filter_map(name).collect()
}

fn names(table: &Table) -> BTreeSet<String> {
    let keys = table.pairs::<String, Value>().map(|pair| pair.unwrap().0);
    keys.filter(|key| !key.starts_with("__")).collect()
}

fn methods(lua: &Lua, code: &str) -> BTreeSet<String> {
    match lua.load(code).eval::<Value>().unwrap() {
        Value::Table(table) => names(&table.metatable().unwrap()),
        Value::UserData(handle) => handle_methods(&handle),
        other => panic!("{code}: expected a handle, got {}", other.type_name()),
    }
}

fn handle_methods(handle: &AnyUserData) -> BTreeSet<String> {
    // A type with fields beside its methods would have a function here, which cannot be listed.
    names(&handle.metatable().unwrap().get::<Table>("__index").unwrap())
}

/// Takes nothing and notes what a struct asks for.
struct Asked<'a>(&'a mut Vec<&'static str>);

impl<'de> Deserializer<'de> for Asked<'_> {
    type Error = serde::de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(serde::de::Error::custom("not a struct"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = fields.to_vec();
        self.deserialize_any(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// The names that a struct of options takes.
fn taken<T: DeserializeOwned>() -> Vec<&'static str> {
    let mut fields = Vec::new();
    assert!(T::deserialize(Asked(&mut fields)).is_err() && !fields.is_empty(), "not a struct");
    fields
}

/// The fields that a stub documents of a class.
fn fields(stub: &str, class: &str) -> BTreeSet<String> {
    let head = format!("---@class {class}");
    let is_head = |line: &&str| line.strip_prefix(&head).is_none_or(|rest| !rest.is_empty() && !rest.starts_with(':'));
    let body = stub.lines().skip_while(is_head).skip(1).take_while(|line| line.starts_with("---"));
    let name = |line: &str| {
        let field = line.strip_prefix("---@field ")?;
        Some(field.split([' ', '?']).next().unwrap_or_default().to_string())
    };
    body.filter_map(name).collect()
}

/// A class of options: its module, its name, what the engine's struct takes, and what the binding takes for itself.
type Class = (&'static str, &'static str, Vec<&'static str>, &'static [&'static str]);

fn options_of_environments() -> Vec<Class> {
    vec![
        ("env", "affine.env.SatOptions", taken::<SatOptions>(), &[]),
        ("env", "affine.env.ProgramOptions", taken::<ProgramOptions>(), &[]),
        ("env", "affine.env.GeneratorOptions", taken::<GeneratorOptions>(), &[]),
        ("env", "affine.env.AlfWorldOptions", taken::<AlfWorldOptions>(), &[]),
        ("env", "affine.env.BabyAiOptions", taken::<BabyAiOptions>(), &[]),
        ("env", "affine.env.SciWorldOptions", taken::<SciWorldOptions>(), &[]),
        ("env", "affine.env.SciWorldMiniOptions", taken::<SciWorldMiniOptions>(), &[]),
        ("env", "affine.env.TextCraftOptions", taken::<TextCraftOptions>(), &[]),
        ("env", "affine.env.WebShopOptions", taken::<WebShopOptions>(), &[]),
        ("env", "affine.env.AgentGymOptions", taken::<AgentGymOptions>(), &[]),
    ]
}

#[test]
fn every_option_and_every_number_of_a_report_is_documented() {
    // What the binding takes for itself is named beside what the engine's struct takes.
    let classes: &[Class] = &[
        ("trainer", "affine.trainer.SftOptions", taken::<SftOptions>(), &["data", "eval_data", "on_step"]),
        ("trainer", "affine.trainer.PpoOptions", taken::<PpoOptions>(), &["on_iteration"]),
        ("eval", "affine.eval.RunOptions", [taken::<EvalOptions>(), taken::<Keeping>()].concat(), &["envs"]),
        ("eval", "affine.eval.RankOptions", [taken::<RankOptions>(), taken::<EpsilonParetoOptions>()].concat(), &[]),
        ("eval", "affine.eval.CompareOptions", taken::<CompareOptions>(), &[]),
        ("eval", "affine.eval.MetricOptions", taken::<MetricOptions>(), &[]),
        ("track", "affine.track.WandbOptions", taken::<affine::engine::track::wandb::Options>(), &[]),
        ("model", "affine.model.LoraOptions", taken::<LoraOptions>(), &[]),
        ("model", "affine.model.GenerateOptions", taken::<GenerateOptions>(), &[]),
    ];
    for (module, class, taken, own) in classes.iter().chain(&options_of_environments()) {
        let expected: BTreeSet<String> = taken.iter().chain(*own).map(|name| name.to_string()).collect();
        assert_eq!(fields(&stub(module), class), expected, "{class}, documented and taken");
    }
    let reports = [
        (
            "affine.trainer.PpoStats",
            json!(Iteration::default()),
            ["explained_variance", "kl", "sampler_gap", "sampler_gap_p999", "update_gap"].as_slice(),
        ),
        ("affine.trainer.SftStep", json!(SftStep::default()), &["eval_loss", "eval_accuracy", "spike", "skipped"]),
    ];
    for (class, report, at_times) in reports {
        let told = report.as_object().unwrap().keys().map(String::as_str).chain(at_times.iter().copied());
        let told: BTreeSet<String> = told.map(str::to_string).collect();
        assert_eq!(fields(&stub("trainer"), class), told, "{class}, documented and told");
    }
}

/// Every option is told by the identity or the description, or is named in `undeciding`.
fn check_identity(environment: &dyn Environment, taken: Vec<&str>, undeciding: &[&str]) {
    let (name, identity) = (environment.describe().name, environment.identity());
    for option in taken {
        let is_told = identity.settings.get(option).is_some()
            || option == "max_turns"
            || (option == "instructions" && identity.instructions.is_some());
        assert_ne!(is_told, undeciding.contains(&option), "{name}: {option}");
    }
}

#[test]
fn what_an_environment_is_made_with_is_compared_by_a_run_that_goes_on() {
    let programs = ProgramOptions { accept_risk: true, ..ProgramOptions::default() };
    check_identity(&Sat::new(&SatOptions::default()).unwrap(), taken::<SatOptions>(), &[]);
    check_identity(&Ded::new(&programs).unwrap(), taken::<ProgramOptions>(), &["python", "accept_risk"]);
    check_identity(&AlfWorld::new(&AlfWorldOptions::default()).unwrap(), taken::<AlfWorldOptions>(), &[]);
    check_identity(&BabyAi::new(&BabyAiOptions::default()).unwrap(), taken::<BabyAiOptions>(), &[]);
    check_identity(&SciWorldMini::new(&SciWorldMiniOptions::default()).unwrap(), taken::<SciWorldMiniOptions>(), &[]);
    check_identity(&TextCraft::new(&TextCraftOptions::default()).unwrap(), taken::<TextCraftOptions>(), &[]);
    let shop = WebShop::new(&WebShopOptions::default()).unwrap();
    check_identity(&shop, taken::<WebShopOptions>(), &["cache", "cache_dir"]);
}

#[test]
fn every_module_has_exactly_the_functions_that_its_stub_documents() {
    let lua = state(Path::new("")).unwrap();
    let load: Function = lua.globals().get("require").unwrap();
    for module in require::modules() {
        let live: Table = load.call(format!("affine.{module}")).unwrap();
        assert_eq!(names(&live), documented(&stub(&module), &module), "affine.{module}, live and stub");
    }
}

#[test]
fn every_handle_has_exactly_the_methods_that_its_stub_documents() {
    let lua = state(Path::new("")).unwrap();
    for (module, class, code) in HANDLES {
        assert_eq!(methods(&lua, code), documented(&stub(module), class), "{class} of affine.{module}, live and stub");
    }
}

#[test]
fn a_tensor_has_exactly_the_methods_that_its_stub_documents() {
    let live: BTreeSet<String> = bind::tensor::methods().map(str::to_string).collect();
    assert_eq!(live, documented(&stub("tensor"), "Tensor"), "Tensor of affine.tensor, live and stub");
}

#[test]
fn the_overview_documents_the_functions_of_the_host_itself() {
    let lua = state(Path::new("")).unwrap();
    let live: Table = lua.load("return require('affine')").eval().unwrap();
    let functions = names(&live).into_iter().filter(|name| name != "version").collect();
    assert_eq!(documented(&stub("affine"), "affine"), functions);
}

#[test]
fn every_native_module_is_public_and_named_in_the_overview() {
    let overview = stub("affine");
    for module in require::modules() {
        assert!(overview.contains(&format!("---@field {module} affine.{module}\n")), "{module} in _meta/affine.lua");
    }
    assert!(bind::ALL.iter().all(|(name, _)| require::modules().iter().any(|module| module == name)));
}
