//! A trial and a study as the journal tells of them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::distribution::Distribution;

/// The numbers are Optuna's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    Running = 0,
    Complete = 1,
    Pruned = 2,
    Failed = 3,
    /// Made, and taken up by nobody yet.
    Waiting = 4,
}

impl State {
    pub const ALL: [State; 5] = [State::Running, State::Complete, State::Pruned, State::Failed, State::Waiting];

    pub fn of_number(number: u64) -> Option<Self> {
        State::ALL.into_iter().find(|state| *state as u64 == number)
    }

    pub fn is_finished(self) -> bool {
        matches!(self, State::Complete | State::Pruned | State::Failed)
    }

    pub fn name(self) -> &'static str {
        match self {
            State::Running => "running",
            State::Complete => "complete",
            State::Pruned => "pruned",
            State::Failed => "failed",
            State::Waiting => "waiting",
        }
    }
}

/// Whether less or more is better. The numbers are Optuna's; a study of its own may have none yet (0).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    Minimize = 1,
    Maximize = 2,
}

impl Direction {
    pub fn of_number(number: u64) -> Option<Self> {
        match number {
            0 | 1 => Some(Direction::Minimize),
            2 => Some(Direction::Maximize),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Direction::Minimize => "minimize",
            Direction::Maximize => "maximize",
        }
    }

    /// The value, or its negative where more is better: of losses less is always better.
    pub fn loss(self, value: f64) -> f64 {
        match self {
            Direction::Minimize => value,
            Direction::Maximize => -value,
        }
    }
}

/// What a trial was given for a parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    pub name: String,
    /// As [`Distribution`] counts it.
    pub value: f64,
    pub distribution: Distribution,
}

#[derive(Debug, Clone, PartialEq)]
pub struct TrialRecord {
    /// Its place among the trials of all studies in the journal.
    pub id: usize,
    /// Its place among those of its study, from 0.
    pub number: u64,
    pub state: State,
    /// In the order in which they were suggested.
    pub parameters: Vec<Parameter>,
    /// One for each objective, once it is complete.
    pub values: Vec<f64>,
    /// What was reported, by step.
    pub reports: BTreeMap<i64, f64>,
    pub user_attrs: Map<String, Value>,
    pub system_attrs: Map<String, Value>,
    pub started: Option<String>,
    pub finished: Option<String>,
}

impl TrialRecord {
    pub fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|parameter| parameter.name == name)
    }

    pub fn set_parameter(&mut self, parameter: Parameter) {
        match self.parameters.iter_mut().find(|known| known.name == parameter.name) {
            Some(known) => *known = parameter,
            None => self.parameters.push(parameter),
        }
    }

    /// The last step that was reported, and what.
    pub fn last_report(&self) -> Option<(i64, f64)> {
        self.reports.last_key_value().map(|(step, value)| (*step, *value))
    }

    /// As in Optuna, its last report is the value of a trial that is pruned.
    pub fn value_if_pruned(&self) -> Option<f64> {
        self.last_report().map(|(_, value)| value).filter(|value| !value.is_nan())
    }

    /// The first objective's value.
    pub fn value(&self) -> Option<f64> {
        self.values.first().copied()
    }

    /// The number of the trial that this one does again, where Optuna or affine made it for that.
    pub fn retry_of(&self) -> Option<u64> {
        self.system_attrs.get(FAILED_TRIAL)?.as_u64()
    }

    /// The numbers of all trials that this one stands for.
    pub fn retried(&self) -> impl Iterator<Item = u64> {
        self.system_attrs.get(RETRY_HISTORY).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_u64)
    }

    /// The parameters that it has been given or will be.
    pub fn given(&self) -> Map<String, Value> {
        let mut given = self.system_attrs.get(FIXED_PARAMS).and_then(Value::as_object).cloned().unwrap_or_default();
        given.extend(self.parameters.iter().map(|p| (p.name.clone(), p.distribution.external(p.value))));
        given
    }

    /// Values that are given for parameters, whatever a sampler would say.
    pub fn fixed(&self, name: &str) -> Option<&Value> {
        self.system_attrs.get(FIXED_PARAMS)?.get(name)
    }
}

/// Optuna's names of attributes.
pub const FAILED_TRIAL: &str = "failed_trial";
pub const RETRY_HISTORY: &str = "retry_history";
pub const FIXED_PARAMS: &str = "fixed_params";

#[derive(Debug, Clone, PartialEq)]
pub struct StudyRecord {
    pub id: usize,
    pub name: String,
    pub directions: Vec<Direction>,
    pub user_attrs: Map<String, Value>,
    pub system_attrs: Map<String, Value>,
    /// The ids of its trials, by number.
    pub trials: Vec<usize>,
}
