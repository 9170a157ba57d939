//! What a request says, checked as FastAPI and pydantic check it, with their words for what is wrong.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::http::Request;
use crate::engine::env::python::strip;

/// A named argument of an endpoint.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    pub name: &'static str,
    pub form: Form,
    /// It may be missing or null.
    pub optional: bool,
}

#[derive(Debug, Clone, Copy)]
pub enum Form {
    Integer,
    Text,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Argument {
    Integer(i128),
    Text(String),
    Null,
}

/// The arguments by name; those left out are absent.
#[derive(Debug, Default)]
pub struct Arguments(HashMap<&'static str, Argument>);

impl Arguments {
    pub fn get(&self, name: &str) -> Option<&Argument> {
        self.0.get(name)
    }

    pub fn integer(&self, name: &str) -> Option<i128> {
        match self.0.get(name) {
            Some(Argument::Integer(value)) => Some(*value),
            _ => None,
        }
    }

    pub fn text(&self, name: &str) -> &str {
        match self.0.get(name) {
            Some(Argument::Text(text)) => text,
            _ => "",
        }
    }
}

/// Arguments in the query of a GET. What is wrong is the list under `detail` of a 422.
pub fn in_query(request: &Request, fields: &[Field]) -> Result<Arguments, Vec<Value>> {
    let given = pairs(&request.query);
    let find =
        |name: &str| given.iter().rev().find(|(key, _)| key == name).map(|(_, value)| Value::from(value.as_str()));
    collect(fields, "query", &Value::Null, find)
}

/// Arguments in the JSON object that a POST carries.
pub fn in_body(request: &Request, fields: &[Field]) -> Result<Arguments, Vec<Value>> {
    if request.body.is_empty() {
        return Err(vec![problem("missing", json!(["body"]), "Field required", Value::Null)]);
    }
    let body = if is_json(request.content_type.as_deref()) {
        serde_json::from_slice(&request.body).map_err(|error| vec![not_json(&request.body, &error)])?
    } else {
        Value::from(String::from_utf8_lossy(&request.body))
    };
    let Value::Object(object) = &body else {
        let message = "Input should be a valid dictionary or object to extract fields from";
        return Err(vec![problem("model_attributes_type", json!(["body"]), message, body)]);
    };
    collect(fields, "body", &body, |name| object.get(name).cloned())
}

/// A body without a declared type is taken for JSON.
fn is_json(content_type: Option<&str>) -> bool {
    let Some(content_type) = content_type else { return true };
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

fn not_json(body: &[u8], error: &serde_json::Error) -> Value {
    let before: usize = body.split_inclusive(|&byte| byte == b'\n').take(error.line() - 1).map(<[u8]>::len).sum();
    let position = before + error.column().saturating_sub(1);
    let mut problem = problem("json_invalid", json!(["body", position]), "JSON decode error", json!({}));
    problem["ctx"] = json!({ "error": error.to_string() });
    problem
}

fn collect(
    fields: &[Field],
    place: &str,
    whole: &Value,
    find: impl Fn(&str) -> Option<Value>,
) -> Result<Arguments, Vec<Value>> {
    let (mut arguments, mut problems) = (Arguments::default(), Vec::new());
    for field in fields {
        let read = match find(field.name) {
            None if field.optional => continue,
            None => Err(("missing", "Field required", whole.clone())),
            Some(Value::Null) if field.optional => Ok(Argument::Null),
            Some(value) => field.form.read(&value).map_err(|(kind, message)| (kind, message, value)),
        };
        match read {
            Ok(argument) => drop(arguments.0.insert(field.name, argument)),
            Err((kind, message, input)) => problems.push(problem(kind, json!([place, field.name]), message, input)),
        }
    }
    if problems.is_empty() { Ok(arguments) } else { Err(problems) }
}

fn problem(kind: &str, place: Value, message: &str, input: Value) -> Value {
    let mut problem = Map::new();
    problem.insert("type".to_string(), kind.into());
    problem.insert("loc".to_string(), place);
    problem.insert("msg".to_string(), message.into());
    problem.insert("input".to_string(), input);
    Value::Object(problem)
}

impl Form {
    /// pydantic's reading: an integer may also come as a whole float, as a boolean, or as a string of digits.
    fn read(self, value: &Value) -> Result<Argument, (&'static str, &'static str)> {
        const FRACTION: &str = "Input should be a valid integer, got a number with a fractional part";
        const UNPARSABLE: &str = "Input should be a valid integer, unable to parse string as an integer";
        const TOO_LARGE: &str = "Unable to parse input string as an integer, exceeded maximum size";
        match (self, value) {
            (Form::Text, Value::String(text)) => Ok(Argument::Text(text.clone())),
            (Form::Text, _) => Err(("string_type", "Input should be a valid string")),
            (Form::Integer, Value::Bool(value)) => Ok(Argument::Integer(i128::from(*value))),
            (Form::Integer, Value::String(text)) => match integer(text) {
                Some(value) => Ok(Argument::Integer(value)),
                None => Err(("int_parsing", UNPARSABLE)),
            },
            (Form::Integer, Value::Number(number)) => match (number.as_i128(), number.as_f64()) {
                (Some(value), _) => Ok(Argument::Integer(value)),
                (None, Some(value)) if value.fract() != 0.0 => Err(("int_from_float", FRACTION)),
                (None, Some(value)) if value.abs() < i64::MAX as f64 => Ok(Argument::Integer(value as i128)),
                _ => Err(("int_parsing_size", TOO_LARGE)),
            },
            (Form::Integer, _) => Err(("int_type", "Input should be a valid integer")),
        }
    }
}

/// `12`, ` +1_000 `, `3.0`.
fn integer(text: &str) -> Option<i128> {
    let text = strip(text);
    let whole = text.split_once('.').map_or(Some(text), |(whole, rest)| {
        let zeros = !rest.is_empty() && rest.bytes().all(|byte| byte == b'0');
        zeros.then_some(whole)
    })?;
    let digits = whole.strip_prefix(['+', '-']).unwrap_or(whole);
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits.split('_').all(plain) {
        return None;
    }
    whole.replace('_', "").parse().ok()
}

/// The pairs of a query, decoded.
fn pairs(query: &str) -> Vec<(String, String)> {
    let parts = query.split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            (decoded(key), decoded(value))
        })
        .collect()
}

/// Percent-encoding and `+` taken out.
pub fn decoded(text: &str) -> String {
    let (bytes, mut plain, mut index) = (text.as_bytes(), Vec::with_capacity(text.len()), 0);
    while let Some(&byte) = bytes.get(index) {
        let code = bytes.get(index + 1..index + 3).and_then(|hex| std::str::from_utf8(hex).ok());
        match (byte, code.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(code)) => {
                plain.push(code);
                index += 2;
            }
            (b'+', _) => plain.push(b' '),
            _ => plain.push(byte),
        }
        index += 1;
    }
    String::from_utf8_lossy(&plain).into_owned()
}
