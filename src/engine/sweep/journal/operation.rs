//! The lines of the journal: one operation each, as Optuna 5 writes them.

use chrono::{SecondsFormat, Utc};
use serde_json::{Map, Value, json};

use crate::engine::sweep::distribution::Distribution;
use crate::engine::sweep::python_json::number;
use crate::engine::sweep::record::{Direction, Parameter, State, TrialRecord};

pub const CREATE_STUDY: u64 = 0;
pub const DELETE_STUDY: u64 = 1;
pub const SET_STUDY_USER_ATTR: u64 = 2;
pub const SET_STUDY_SYSTEM_ATTR: u64 = 3;
pub const CREATE_TRIAL: u64 = 4;
pub const SET_TRIAL_PARAM: u64 = 5;
pub const SET_TRIAL_STATE_VALUES: u64 = 6;
pub const SET_TRIAL_INTERMEDIATE_VALUE: u64 = 7;
pub const SET_TRIAL_USER_ATTR: u64 = 8;
pub const SET_TRIAL_SYSTEM_ATTR: u64 = 9;
/// Of Optuna's port to Rust; changes nothing here.
pub const DISCARD_TRIALS: u64 = 10;

/// A line without the writer's id, which the journal adds.
pub type Operation = Map<String, Value>;

fn operation(code: u64, fields: Value) -> Operation {
    let mut operation = Operation::from_iter([("op_code".to_string(), code.into())]);
    if let Value::Object(fields) = fields {
        operation.extend(fields);
    }
    operation
}

fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Micros, false)
}

fn one(name: &str, value: Value) -> Value {
    Value::Object(Map::from_iter([(name.to_string(), value)]))
}

pub fn create_study(name: &str, directions: &[Direction]) -> Operation {
    let directions: Vec<u64> = directions.iter().map(|direction| *direction as u64).collect();
    operation(CREATE_STUDY, json!({ "study_name": name, "directions": directions }))
}

pub fn study_attr(study: usize, name: &str, value: Value) -> Operation {
    operation(SET_STUDY_SYSTEM_ATTR, json!({ "study_id": study, "system_attr": one(name, value) }))
}

/// A trial that its maker runs from now on.
pub fn create_trial(study: usize) -> Operation {
    operation(CREATE_TRIAL, json!({ "study_id": study, "datetime_start": now() }))
}

/// A trial that waits for somebody to run it, with attributes alone.
pub fn enqueue(study: usize, system_attrs: Map<String, Value>) -> Operation {
    let fields = json!({
        "study_id": study,
        "datetime_start": null,
        "state": State::Waiting as u64,
        "value": null,
        "values": null,
        "distributions": {},
        "params": {},
        "user_attrs": {},
        "system_attrs": system_attrs,
        "intermediate_values": {},
    });
    operation(CREATE_TRIAL, fields)
}

/// A trial that waits for somebody to run it, with all that `record` has been given already.
pub fn create_waiting_trial(study: usize, record: &TrialRecord) -> Operation {
    let by_name = |of: fn(&Distribution, f64) -> Value| {
        let field = |parameter: &Parameter| (parameter.name.clone(), of(&parameter.distribution, parameter.value));
        Value::Object(record.parameters.iter().map(field).collect())
    };
    let reports: Map<String, Value> =
        record.reports.iter().map(|(step, value)| (step.to_string(), number(*value))).collect();
    let fields = json!({
        "study_id": study,
        "datetime_start": null,
        "state": State::Waiting as u64,
        "value": null,
        "values": null,
        "distributions": by_name(|distribution, _| distribution.to_json().into()),
        "params": by_name(|_, value| number(value)),
        "user_attrs": record.user_attrs,
        "system_attrs": record.system_attrs,
        "intermediate_values": reports,
    });
    operation(CREATE_TRIAL, fields)
}

pub fn parameter(trial: usize, name: &str, value: f64, distribution: &Distribution) -> Operation {
    let value = match distribution {
        Distribution::Choice { .. } => (value as i64).into(),
        _ => number(value),
    };
    let fields = json!({
        "trial_id": trial,
        "param_name": name,
        "param_value_internal": value,
        "distribution": distribution.to_json(),
    });
    operation(SET_TRIAL_PARAM, fields)
}

/// `values`: of a complete trial.
pub fn state(trial: usize, state: State, values: Option<&[f64]>) -> Operation {
    let values: Option<Vec<Value>> = values.map(|values| values.iter().map(|value| number(*value)).collect());
    let mut operation =
        operation(SET_TRIAL_STATE_VALUES, json!({ "trial_id": trial, "state": state as u64, "values": values }));
    match state {
        State::Running => operation.insert("datetime_start".to_string(), now().into()),
        State::Waiting => None,
        _ => operation.insert("datetime_complete".to_string(), now().into()),
    };
    operation
}

pub fn report(trial: usize, step: i64, value: f64) -> Operation {
    let fields = json!({ "trial_id": trial, "step": step, "intermediate_value": number(value) });
    operation(SET_TRIAL_INTERMEDIATE_VALUE, fields)
}

pub fn user_attr(trial: usize, name: &str, value: Value) -> Operation {
    operation(SET_TRIAL_USER_ATTR, json!({ "trial_id": trial, "user_attr": one(name, value) }))
}

pub fn system_attr(trial: usize, name: &str, value: Value) -> Operation {
    operation(SET_TRIAL_SYSTEM_ATTR, json!({ "trial_id": trial, "system_attr": one(name, value) }))
}
