//! One call of a native function or method: what it takes, one after the other, what it does, what it refuses. The function
//! is named once, where the call begins.
//!
//! mlua would turn `"5"` into 5, any value into a boolean, and ignore extra arguments. Here a wrong argument is an
//! error that names the function, the argument's position as the script counts it, what was expected and what came:
//! `model.load: argument 1 (path): expected string, got number`.

use std::borrow::Cow;

use mlua::{AnyUserData, Function, Lua, LuaString, MultiValue, Result, Table, UserDataRef, Value};
use serde::de::DeserializeOwned;

use super::kind::{integral, kind, short_name};
use super::options::{self, Options};
use super::{heap, report};
use crate::engine::{self, Error};

/// One call. Its readers take the next argument each; [`Call::finish`] refuses what is left.
pub struct Call {
    function: Cow<'static, str>,
    values: std::vec::IntoIter<Value>,
    position: usize,
}

impl Call {
    /// `function` is the name in messages, as a script writes it: `model.load`, `tensor:reshape`.
    pub fn new(function: impl Into<Cow<'static, str>>, values: MultiValue) -> Self {
        let values: Vec<Value> = values.into_iter().collect();
        Call { function: function.into(), values: values.into_iter(), position: 0 }
    }

    /// The function's name, as it stands in messages.
    pub fn function_name(&self) -> Cow<'static, str> {
        self.function.clone()
    }

    /// UTF-8 text.
    pub fn string(&mut self, name: &str) -> Result<String> {
        let value = self.bytes(name)?;
        match value.to_str() {
            Ok(text) => Ok(text.to_string()),
            Err(_) => Err(self.error(name, "UTF-8 text", "a string of other bytes")),
        }
    }

    pub fn optional_string(&mut self, name: &str) -> Result<Option<String>> {
        self.optional(name, Self::string)
    }

    /// A string of any bytes.
    pub fn bytes(&mut self, name: &str) -> Result<LuaString> {
        match self.next() {
            Some(Value::String(text)) => Ok(text),
            other => Err(self.mismatch(name, "string", other)),
        }
    }

    pub fn optional_bytes(&mut self, name: &str) -> Result<Option<LuaString>> {
        self.optional(name, Self::bytes)
    }

    /// An integer, or a float without a fraction (`1e6`, `n / 2` of an even `n`).
    pub fn integer(&mut self, name: &str) -> Result<i64> {
        match self.next() {
            Some(Value::Integer(n)) => Ok(n),
            Some(Value::Number(x)) => match integral(x) {
                Some(n) => Ok(n),
                None => Err(self.error(name, "integer", format!("number {x}"))),
            },
            other => Err(self.mismatch(name, "integer", other)),
        }
    }

    pub fn optional_integer(&mut self, name: &str) -> Result<Option<i64>> {
        self.optional(name, Self::integer)
    }

    pub fn number(&mut self, name: &str) -> Result<f64> {
        match self.next() {
            Some(Value::Integer(n)) => Ok(n as f64),
            Some(Value::Number(x)) => Ok(x),
            other => Err(self.mismatch(name, "number", other)),
        }
    }

    pub fn optional_number(&mut self, name: &str) -> Result<Option<f64>> {
        self.optional(name, Self::number)
    }

    pub fn boolean(&mut self, name: &str) -> Result<bool> {
        match self.next() {
            Some(Value::Boolean(flag)) => Ok(flag),
            other => Err(self.mismatch(name, "boolean", other)),
        }
    }

    pub fn optional_boolean(&mut self, name: &str) -> Result<Option<bool>> {
        self.optional(name, Self::boolean)
    }

    pub fn table(&mut self, name: &str) -> Result<Table> {
        match self.next() {
            Some(Value::Table(table)) => Ok(table),
            other => Err(self.mismatch(name, "table", other)),
        }
    }

    pub fn optional_table(&mut self, name: &str) -> Result<Option<Table>> {
        self.optional(name, Self::table)
    }

    pub fn function(&mut self, name: &str) -> Result<Function> {
        match self.next() {
            Some(Value::Function(function)) => Ok(function),
            other => Err(self.mismatch(name, "function", other)),
        }
    }

    pub fn optional_function(&mut self, name: &str) -> Result<Option<Function>> {
        self.optional(name, Self::function)
    }

    /// Any value but nil.
    pub fn value(&mut self, name: &str) -> Result<Value> {
        match self.next() {
            None | Some(Value::Nil) => Err(self.mismatch(name, "a value", None)),
            Some(value) => Ok(value),
        }
    }

    pub fn optional_value(&mut self, name: &str) -> Result<Option<Value>> {
        self.optional(name, Self::value)
    }

    /// A handle of type `T`, borrowed for as long as the result lives: release it before calling into Lua.
    pub fn userdata<T: 'static>(&mut self, name: &str) -> Result<UserDataRef<T>> {
        let handle = self.any_userdata(name)?;
        handle.borrow::<T>().map_err(|error| match error {
            mlua::Error::UserDataTypeMismatch => self.mismatch(name, &short_name::<T>(), Some(Value::UserData(handle))),
            mlua::Error::UserDataDestructed => self.error(name, short_name::<T>(), "one that was closed"),
            _ => self.error(name, short_name::<T>(), "one that is in use by the call that led here"),
        })
    }

    pub fn optional_userdata<T: 'static>(&mut self, name: &str) -> Result<Option<UserDataRef<T>>> {
        self.optional(name, Self::userdata::<T>)
    }

    /// A handle of any type.
    pub fn any_userdata(&mut self, name: &str) -> Result<AnyUserData> {
        match self.next() {
            Some(Value::UserData(handle)) => Ok(handle),
            other => Err(self.mismatch(name, name, other)),
        }
    }

    pub fn optional_any_userdata(&mut self, name: &str) -> Result<Option<AnyUserData>> {
        self.optional(name, Self::any_userdata)
    }

    /// The handle that a method was called on. It does not count as an argument, as the script wrote it before the colon.
    pub fn this<T: 'static>(&mut self) -> Result<AnyUserData> {
        match self.values.next() {
            Some(Value::UserData(handle)) if handle.is::<T>() => Ok(handle),
            _ => {
                let message = format!("{}: not called on a handle of its type", self.function);
                Err(report::raise(Error::hinted(message, "call a method with a colon: handle:method()")))
            }
        }
    }

    /// The next argument, a table of options or nothing, as a `T`.
    pub fn options<T: DeserializeOwned>(&mut self) -> Result<T> {
        let table = self.optional_table("options")?;
        options::read(&self.function, table)
    }

    /// The next argument, a table of options, of which some are taken out first.
    pub fn required_options(&mut self, lua: &Lua) -> Result<Options> {
        let table = self.table("options")?;
        Options::new(lua, self.function.clone(), Some(table))
    }

    /// As [`Call::required_options`]; nothing is an empty table.
    pub fn optional_options(&mut self, lua: &Lua) -> Result<Options> {
        let table = self.optional_table("options")?;
        Options::new(lua, self.function.clone(), table)
    }

    /// The next argument, a list or a table with names, as a `T`.
    pub fn list<T: DeserializeOwned>(&mut self, name: &str) -> Result<T> {
        let table = self.table(name)?;
        options::read_value(&self.function, name, &Value::Table(table))
    }

    pub fn optional_list<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>> {
        self.optional(name, Self::list::<T>)
    }

    /// Refuses extra arguments. Trailing nils are not counted, as `f(x, nil)` says nothing more than `f(x)`.
    pub fn finish(&self) -> Result<()> {
        let extra = self.values.as_slice().iter().rposition(|value| !value.is_nil()).map_or(0, |last| last + 1);
        if extra == 0 {
            return Ok(());
        }
        let (taken, given) = (self.position, self.position + extra);
        let plural = if taken == 1 { "" } else { "s" };
        let message = format!("{}: expected at most {taken} argument{plural}, got {given}", self.function);
        Err(report::raise(Error::message(message)))
    }

    /// Runs engine code; an option that the engine refuses is told with the function's name in front.
    pub fn run<T>(&self, work: impl FnOnce() -> engine::Result<T>) -> Result<T> {
        report::guard_in(&self.function, work)
    }

    /// [`Call::run`] for what allocates: tried once more after a collection.
    pub fn held<T>(&self, lua: &Lua, allocate: impl FnMut() -> engine::Result<T>) -> Result<T> {
        heap::guard(lua, &self.function, allocate)
    }

    /// An error of the engine's, told with the function's name in front.
    pub fn reject(&self, error: Error) -> mlua::Error {
        options::reject(&self.function, error)
    }

    fn next(&mut self) -> Option<Value> {
        self.position += 1;
        self.values.next()
    }

    fn optional<T>(&mut self, name: &str, take: impl FnOnce(&mut Self, &str) -> Result<T>) -> Result<Option<T>> {
        match self.values.as_slice().first() {
            None | Some(Value::Nil) => {
                self.next();
                Ok(None)
            }
            Some(_) => take(self, name).map(Some),
        }
    }

    fn mismatch(&self, name: &str, expected: &str, got: Option<Value>) -> mlua::Error {
        let got = got.map_or_else(|| "no value".to_string(), |value| kind(&value));
        self.error(name, expected, got)
    }

    fn error(&self, name: &str, expected: impl std::fmt::Display, got: impl std::fmt::Display) -> mlua::Error {
        let (function, position) = (&self.function, self.position);
        let message = format!("{function}: argument {position} ({name}): expected {expected}, got {got}");
        report::raise(Error::message(message))
    }
}
