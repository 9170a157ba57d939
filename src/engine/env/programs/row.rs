//! One row of the data set: a program with an example, and a description with tests.

use crate::engine::env::python::Value;
use crate::engine::env::python::{json, literal};

/// The fields as `satpalsr/rl-python` names them. ABD reads the first three, DED the others; what a row lacks is `None`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Row {
    pub program: Option<Value>,
    pub inputs: Option<Value>,
    pub output: Option<Value>,
    pub prompt: Option<Value>,
    pub verification_info: Option<Value>,
    pub test_cases: Option<Value>,
}

impl Row {
    /// The row in an object; fields of other names are left out.
    pub fn from_object(object: &Value) -> Result<Self, String> {
        let Value::Dict(_) = object else {
            return Err(format!("expected an object, got {}", object.kind()));
        };
        let field = |name: &str| object.get(name).cloned();
        let row = Row {
            program: field("program"),
            inputs: field("inputs"),
            output: field("output"),
            prompt: field("prompt"),
            verification_info: field("verification_info"),
            test_cases: field("test_cases"),
        };
        if row == Row::default() {
            return Err("none of the fields program, inputs, output, prompt, verification_info, test_cases".to_string());
        }
        Ok(row)
    }

    /// Why ABD cannot be played with this row.
    pub fn abd_problem(&self) -> Option<String> {
        let optional = |name, field: &Option<Value>| match field {
            None | Some(Value::None) => None,
            field => wrong_text(name, field),
        };
        let nothing = || {
            let null =
                self.inputs == Some(Value::None) && self.output.as_ref().is_none_or(|value| *value == Value::None);
            null.then(|| "it has neither inputs nor an output".to_string())
        };
        wrong_text("program", &self.program)
            .or_else(|| optional("inputs", &self.inputs))
            .or_else(|| optional("output", &self.output))
            .or_else(nothing)
    }

    /// Why DED cannot be played with this row.
    pub fn ded_problem(&self) -> Option<String> {
        let problem = |tests: Tests| match tests {
            Tests::Unread(problem) => Some(format!("its tests cannot be read: {problem}")),
            Tests::Raises(problem) => Some(problem),
            Tests::None => Some("its list of tests is empty".to_string()),
            Tests::Cases(_) => None,
        };
        wrong_text("prompt", &self.prompt).or_else(|| problem(self.tests()))
    }

    /// The tests: `verification_info`, or `test_cases` where that is empty; a text in it is JSON or a Python literal.
    pub fn tests(&self) -> Tests {
        let source = self.verification_info.as_ref().filter(|value| value.is_true()).or(self.test_cases.as_ref());
        let read = match source {
            None | Some(Value::None) => {
                return Tests::Raises("it has no tests (verification_info, test_cases)".to_string());
            }
            Some(Value::Text(text)) => match json::parse(text).or_else(|json| literal::parse(text).map_err(|_| json)) {
                Ok(value) => value,
                Err(problem) => return Tests::Unread(problem),
            },
            Some(value) => value.clone(),
        };
        let Value::Dict(_) = read else {
            return Tests::Raises(format!("its tests are {} in place of an object with test_cases", read.kind()));
        };
        match read.get("test_cases") {
            Some(Value::List(cases) | Value::Tuple(cases)) if !cases.is_empty() => Tests::Cases(cases.clone()),
            Some(cases) if cases.is_true() => Tests::Raises(format!("its test_cases are {}, not a list", cases.kind())),
            _ => Tests::None,
        }
    }
}

/// What a row's tests turn out to be.
#[derive(Debug, Clone, PartialEq)]
pub enum Tests {
    Cases(Vec<Value>),
    /// There are none: upstream scores 0.
    None,
    /// Neither JSON nor a literal: upstream scores 0.
    Unread(String),
    /// Of a shape at which upstream's code raises, so that there is no score.
    Raises(String),
}

fn wrong_text(name: &str, field: &Option<Value>) -> Option<String> {
    match field {
        Some(Value::Text(_)) => None,
        None => Some(format!("it has no {name}")),
        Some(other) => Some(format!("its {name} is {}, not a text", other.kind())),
    }
}
