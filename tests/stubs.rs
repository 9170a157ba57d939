//! `lua-stdlib/affine/_meta/<module>.lua` documents what a module has: no more, no less.

use std::collections::BTreeSet;
use std::path::Path;

use affine::lua::{bind, require, state};
use mlua::{AnyUserData, Function, Lua, Table, Value};

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
