//! Tables from a script into Rust structs, with every mistake named: the function, the key's path, what was expected,
//! what came, the nearest right name.
//!
//! The struct denies unknown fields and gives its own defaults (`#[serde(default, deny_unknown_fields)]`). Callbacks and
//! handles among the options are [taken](Options::take) out of the table first. Ranges are the engine's to check; its
//! answer goes through [`reject`] so that it reads the same.

use std::borrow::Cow;

use mlua::{Function, Lua, Table, Value};
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;

use super::kind::{integral, kind};
use super::{convert, report};
use crate::engine::{Error, error::Context};

/// Tables nested deeper than this are taken for a mistake.
const MAX_DEPTH: usize = 64;

/// An options table on its way into Rust.
pub struct Options {
    function: Cow<'static, str>,
    lua: Lua,
    /// A copy of the script's table, less what was taken.
    rest: Table,
    /// The names of what was taken: right names too, when a wrong one needs a suggestion.
    taken: Vec<&'static str>,
}

impl Options {
    /// `function` is the name in messages; no table is an empty one.
    pub fn new(lua: &Lua, function: impl Into<Cow<'static, str>>, table: Option<Table>) -> mlua::Result<Self> {
        let rest = lua.create_table()?;
        if let Some(table) = table {
            for pair in table.pairs::<Value, Value>() {
                let (key, value) = pair?;
                rest.raw_set(key, value)?;
            }
        }
        Ok(Options { function: function.into(), lua: lua.clone(), rest, taken: Vec::new() })
    }

    /// Takes a value out: nil where there is none.
    pub fn take(&mut self, name: &'static str) -> mlua::Result<Value> {
        let value = self.rest.raw_get(name)?;
        self.rest.raw_set(name, Value::Nil)?;
        self.taken.push(name);
        Ok(value)
    }

    /// Takes a callback out.
    pub fn take_function(&mut self, name: &'static str) -> mlua::Result<Option<Function>> {
        match self.take(name)? {
            Value::Nil => Ok(None),
            Value::Function(function) => Ok(Some(function)),
            other => Err(self.reject(Error::option(name, "function", got(&other)))),
        }
    }

    /// Takes the values of `names` out, as a struct of their own.
    pub fn take_struct<T: DeserializeOwned>(&mut self, names: &[&'static str]) -> mlua::Result<T> {
        let part = self.lua.create_table()?;
        for &name in names {
            part.raw_set(name, self.take(name)?)?;
        }
        read(&self.function, Some(part))
    }

    /// Lays values under those of the script.
    pub fn with_defaults(&mut self, defaults: Table) -> mlua::Result<()> {
        for pair in defaults.pairs::<Value, Value>() {
            let (key, value) = pair?;
            if self.rest.raw_get::<Value>(&key)?.is_nil() {
                self.rest.raw_set(key, value)?;
            }
        }
        Ok(())
    }

    /// What is left, as a `T`.
    pub fn read<T: DeserializeOwned>(self) -> mlua::Result<T> {
        read_knowing(&self.function, Some(self.rest), &self.taken)
    }

    /// What is left must be nothing.
    pub fn finish(self) -> mlua::Result<()> {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Nothing {}
        self.read::<Nothing>().map(|_| ())
    }

    /// The engine's complaint about an option that was taken.
    pub fn reject(&self, error: Error) -> mlua::Error {
        reject(&self.function, error)
    }
}

/// Reads `table` as a `T`; no table is an empty one. A float without a fraction serves as an integer.
pub fn read<T: DeserializeOwned>(function: &str, table: Option<Table>) -> mlua::Result<T> {
    read_knowing(function, table, &[])
}

fn read_knowing<T: DeserializeOwned>(function: &str, table: Option<Table>, known: &[&str]) -> mlua::Result<T> {
    let result = match &table {
        Some(table) => {
            let lua = table.weak_lua().upgrade();
            let copy = plain(&lua, table, &mut Vec::new(), "").map_err(|error| reject(function, error))?;
            serde_path_to_error::deserialize(mlua::serde::Deserializer::new(Value::Table(copy)))
                .map_err(|error| (segments(error.path()), plain_text(error.into_inner())))
        }
        None => {
            let empty = serde_json::Value::Object(Default::default());
            serde_path_to_error::deserialize(empty)
                .map_err(|error| (segments(error.path()), error.into_inner().to_string()))
        }
    };
    result.map_err(|(path, problem)| {
        let came = |path: &[Step]| table.as_ref().and_then(|table| lookup(table, path));
        reject(function, explain("", path, &problem, known, came))
    })
}

/// Reads the argument `name`, a list or a table with names, as a `T`. A float without a fraction serves as an integer.
pub fn read_value<T: DeserializeOwned>(function: &str, name: &str, value: &Value) -> mlua::Result<T> {
    let Value::Table(table) = value else {
        return Err(reject(function, Error::option(name, "table", got(value))));
    };
    let lua = table.weak_lua().upgrade();
    let json = convert::to_json_at(&lua, value, name).map_err(|error| reject(function, error))?;
    // Lua cannot tell an empty list from an empty table.
    let json = match json {
        serde_json::Value::Object(fields) if fields.is_empty() => serde_json::Value::Array(Vec::new()),
        other => other,
    };
    serde_path_to_error::deserialize(&json).or_else(|_| serde_path_to_error::deserialize(folded(json))).map_err(
        |error: serde_path_to_error::Error<serde_json::Error>| {
            let (path, problem) = (segments(error.path()), error.into_inner().to_string());
            reject(function, explain(name, path, &problem, &[], |path| lookup(table, path)))
        },
    )
}

/// Floats without a fraction as integers.
fn folded(json: serde_json::Value) -> serde_json::Value {
    match json {
        serde_json::Value::Number(number) => match number.as_f64().and_then(integral) {
            Some(n) if number.is_f64() => n.into(),
            _ => serde_json::Value::Number(number),
        },
        serde_json::Value::Array(items) => items.into_iter().map(folded).collect(),
        serde_json::Value::Object(fields) => fields.into_iter().map(|(key, value)| (key, folded(value))).collect(),
        other => other,
    }
}

/// The engine's complaint about an option, with the function's name in front.
pub fn reject(function: &str, error: Error) -> mlua::Error {
    match Err::<(), _>(error).context(function) {
        Err(error) => report::raise(error),
        Ok(()) => unreachable!("an Err stays one"),
    }
}

/// The candidate nearest to `name`, when one is near.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    ranked(name, candidates).into_iter().next().filter(|(score, _)| *score > 0.8).map(|(_, candidate)| candidate)
}

fn ranked<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<(f64, &'a str)> {
    let name = name.to_lowercase();
    let mut ranked: Vec<_> =
        candidates.into_iter().map(|candidate| (strsim::jaro_winkler(&name, candidate), candidate)).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    ranked
}

/// A copy of plain data, integral floats folded; anything else is named with its path. `seen` holds the tables that
/// lead here, so that a cycle ends.
fn plain(lua: &Lua, table: &Table, seen: &mut Vec<*const std::ffi::c_void>, path: &str) -> Result<Table, Error> {
    let here = || if path.is_empty() { "options".to_string() } else { path.to_string() };
    if seen.contains(&table.to_pointer()) {
        return Err(Error::message(format!("{}: the table contains itself", here())));
    }
    if seen.len() >= MAX_DEPTH {
        return Err(Error::message(format!("{}: tables nested deeper than {MAX_DEPTH}", here())));
    }
    seen.push(table.to_pointer());
    let copy = lua.create_table().map_err(|error| report::lower(&error))?;
    let length = table.raw_len() as i64;
    for pair in table.pairs::<Value, Value>() {
        let (key, value) = pair.map_err(|error| report::lower(&error))?;
        let child = match &key {
            Value::String(_) if length > 0 => {
                return Err(Error::message(format!("{}: expected names or list items as keys, got both", here())));
            }
            Value::String(name) if path.is_empty() => name.to_string_lossy(),
            Value::String(name) => format!("{path}.{}", name.to_string_lossy()),
            Value::Integer(index) if (1..=length).contains(index) => format!("{path}[{index}]"),
            key => return Err(Error::message(format!("{}: expected a name as key, got {}", here(), got(key)))),
        };
        let value = match value {
            Value::Table(inner) => Value::Table(plain(lua, &inner, seen, &child)?),
            Value::Number(x) if !x.is_finite() => return Err(Error::option(child, "a finite number", x)),
            Value::Number(x) => integral(x).map_or(value, Value::Integer),
            Value::String(ref text) if text.to_str().is_err() => {
                return Err(Error::option(child, "UTF-8 text", "a string of other bytes"));
            }
            Value::Boolean(_) | Value::Integer(_) | Value::String(_) => value,
            Value::LightUserData(pointer) if pointer.0.is_null() => value,
            other => return Err(Error::option(child, "plain data", kind(&other))),
        };
        copy.raw_set(key, value).map_err(|error| report::lower(&error))?;
    }
    seen.pop();
    Ok(copy)
}

/// One step into the options: a name, or a position counted from 1.
enum Step {
    Name(String),
    Item(usize),
}

fn segments(path: &serde_path_to_error::Path) -> Vec<Step> {
    let step = |segment: &Segment| match segment {
        Segment::Map { key } => Some(Step::Name(key.clone())),
        Segment::Seq { index } => Some(Step::Item(index + 1)),
        Segment::Enum { .. } | Segment::Unknown => None,
    };
    path.iter().filter_map(step).collect()
}

fn join(base: &str, path: &[Step]) -> String {
    path.iter().fold(base.to_string(), |joined, step| match step {
        Step::Name(name) if joined.is_empty() => name.clone(),
        Step::Name(name) => format!("{joined}.{name}"),
        Step::Item(position) => format!("{joined}[{position}]"),
    })
}

fn plain_text(error: mlua::Error) -> String {
    match error {
        mlua::Error::DeserializeError(text) | mlua::Error::SerializeError(text) => text,
        other => report::Report::new(&other).message,
    }
}

/// serde's sentence in our words. `base` names the value that the path begins in, `known` are right names beside those
/// that serde knows, `came` finds the value at a path.
fn explain(
    base: &str,
    mut path: Vec<Step>,
    problem: &str,
    known: &[&str],
    came: impl Fn(&[Step]) -> Option<Value>,
) -> Error {
    let quoted: Vec<&str> = problem.split('`').skip(1).step_by(2).collect();
    if problem.starts_with("unknown field") {
        let (name, fields) = quoted.split_first().map_or(("", &[][..]), |(name, fields)| (*name, fields));
        let top = path.len() <= 1;
        // serde_path_to_error names the unknown key as the last step, except under an enum.
        if !matches!(path.last(), Some(Step::Name(last)) if last == name) {
            path.push(Step::Name(name.to_string()));
        }
        let names = [fields, if top { known } else { &[] }].concat();
        return unknown(join(base, &path), "option", name, &names);
    }
    if problem.starts_with("missing field") {
        path.push(Step::Name(quoted.first().unwrap_or(&"").to_string()));
        return Error::message(format!("{}: required, but missing", join(base, &path)));
    }
    if problem.starts_with("unknown variant") {
        let (name, known) = quoted.split_first().map_or(("", &[][..]), |(name, known)| (*name, known));
        return unknown(join(base, &path), &format!("value \"{name}\""), name, known);
    }
    let came = came(&path).as_ref().map_or("nothing".to_string(), got);
    let at = if path.is_empty() && base.is_empty() { "options".to_string() } else { join(base, &path) };
    match problem.rsplit_once(", expected ") {
        Some((_, expected)) => Error::option(at, wanted(expected), came),
        None if problem == "bad enum value" => Error::option(at, "string", came),
        None => match problem.strip_prefix("expected ") {
            Some(expected) if !expected.contains(", got ") => Error::option(at, expected, came),
            _ => Error::message(format!("{at}: {problem}")),
        },
    }
}

fn unknown(path: String, what: &str, name: &str, known: &[&str]) -> Error {
    Error::Unknown { path, what: what.to_string(), hint: suggestion(name, known) }
}

fn suggestion(name: &str, known: &[&str]) -> String {
    match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "there is nothing to choose here".to_string(),
        None => {
            let names: Vec<String> =
                ranked(name, known.iter().copied()).iter().take(5).map(|(_, near)| format!("`{near}`")).collect();
            let more = if known.len() > 5 { ", …" } else { "" };
            format!("known here: {}{more}", names.join(", "))
        }
    }
}

/// The value that a path leads to.
fn lookup(table: &Table, path: &[Step]) -> Option<Value> {
    path.iter().try_fold(Value::Table(table.clone()), |value, step| match (value, step) {
        (Value::Table(inner), Step::Name(name)) => inner.raw_get(name.as_str()).ok(),
        (Value::Table(inner), Step::Item(position)) => inner.raw_get(*position).ok(),
        _ => None,
    })
}

/// serde's name of a type as a script's author says it.
fn wanted(expected: &str) -> &str {
    match expected {
        "f32" | "f64" => "number",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a non-negative integer",
        "i8" | "i16" | "i32" | "i64" | "isize" => "integer",
        "a boolean" => "boolean",
        "a string" => "string",
        "a map" | "a sequence" => "table",
        other if other.starts_with("struct ") => "table",
        other => other,
    }
}

/// A value with its type: `string "fast"`, `number -8`.
fn got(value: &Value) -> String {
    match value {
        Value::String(text) => format!("string \"{}\"", text.to_string_lossy()),
        Value::Integer(n) => format!("number {n}"),
        Value::Number(x) => format!("number {x}"),
        Value::Boolean(flag) => format!("boolean {flag}"),
        Value::Nil => "nothing".to_string(),
        other => kind(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default, deny_unknown_fields)]
    struct Lora {
        learning_rate: f64,
        target_modules: Vec<String>,
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default, deny_unknown_fields)]
    struct Options {
        max_steps: u32,
        lora: Lora,
        kind: Kind,
        items: Vec<Item>,
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        #[default]
        Cosine,
        Linear,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Item {
        role: String,
    }

    fn parse(code: &str) -> Result<Options, String> {
        let lua = Lua::new();
        let table: Option<Table> = lua.load(code).eval().unwrap();
        read("f", table).map_err(|error| report::Report::new(&error).text())
    }

    fn complaint(code: &str) -> String {
        parse(code).unwrap_err()
    }

    #[test]
    fn a_missing_table_and_an_empty_one_give_the_defaults() {
        assert_eq!(parse("nil"), Ok(Options::default()));
        assert_eq!(parse("{}"), Ok(Options::default()));
    }

    #[test]
    fn integral_floats_are_integers_and_integers_are_numbers() {
        let options = parse("{ max_steps = 1e3, lora = { learning_rate = 1, target_modules = {} } }").unwrap();
        assert_eq!((options.max_steps, options.lora.learning_rate), (1000, 1.0));
    }

    #[test]
    fn an_unknown_key_names_its_path_and_the_nearest_right_name() {
        let text = complaint("{ lora = { learning_rat = 1 } }");
        assert_eq!(text, "f: lora.learning_rat: unknown option\nhint: did you mean `learning_rate`?");
        let text = complaint("{ zzz = 1 }");
        assert_eq!(text, "f: zzz: unknown option\nhint: known here: `max_steps`, `lora`, `kind`, `items`");
    }

    #[test]
    fn a_wrong_type_says_what_was_expected_and_what_came() {
        assert_eq!(
            complaint("{ lora = { learning_rate = 'fast' } }"),
            "f: lora.learning_rate: expected number, got string \"fast\""
        );
        assert_eq!(complaint("{ max_steps = -8 }"), "f: max_steps: expected a non-negative integer, got number -8");
        assert_eq!(complaint("{ max_steps = 1.5 }"), "f: max_steps: expected a non-negative integer, got number 1.5");
        assert_eq!(complaint("{ lora = 3 }"), "f: lora: expected table, got number 3");
        assert_eq!(complaint("{ kind = 3 }"), "f: kind: expected string, got number 3");
        assert_eq!(
            complaint("{ lora = { target_modules = 'all' } }"),
            "f: lora.target_modules: expected table, got string \"all\""
        );
    }

    #[test]
    fn list_items_count_from_one_and_a_missing_key_names_its_parent() {
        assert_eq!(
            complaint("{ items = {{ role = 'a' }, { role = 5 }} }"),
            "f: items[2].role: expected string, got number 5"
        );
        assert_eq!(complaint("{ items = {{}} }"), "f: items[1].role: required, but missing");
    }

    #[test]
    fn an_unknown_name_among_fixed_ones_is_answered_with_the_nearest() {
        assert_eq!(complaint("{ kind = 'cosin' }"), "f: kind: unknown value \"cosin\"\nhint: did you mean `cosine`?");
    }

    #[test]
    fn what_is_not_plain_data_is_refused_with_its_path() {
        assert_eq!(
            complaint("{ lora = { learning_rate = 0/0 } }"),
            "f: lora.learning_rate: expected a finite number, got NaN"
        );
        assert_eq!(complaint("{ kind = print }"), "f: kind: expected plain data, got function");
        assert_eq!(complaint("{ lora = { 1, a = 2 } }"), "f: lora: expected names or list items as keys, got both");
        assert_eq!(
            complaint("(function() local t = {}; t.lora = t; return t end)()"),
            "f: lora: the table contains itself"
        );
    }
}
