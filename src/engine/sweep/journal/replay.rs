//! What the lines of a journal come to, one after the other. Who reads the same lines knows the same studies and trials, down to their ids,
//! which are nowhere written: the n-th line that makes a trial makes the trial n.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::operation::*;
use crate::engine::sweep::distribution::Distribution;
use crate::engine::sweep::python_json::as_number;
use crate::engine::sweep::record::{Direction, Parameter, State, StudyRecord, TrialRecord};

/// Why a line is none of the journal's.
#[derive(Debug, PartialEq, Eq)]
pub enum Problem {
    /// An operation that this version does not know.
    Newer(u64),
    /// A field that is missing or of another kind.
    Field(&'static str),
}

type Result<T> = std::result::Result<T, Problem>;

#[derive(Debug, Default)]
pub struct Replay {
    /// Those that were not deleted.
    studies: Vec<StudyRecord>,
    next_study: usize,
    /// Of all studies. A snapshot of them costs nothing until one changes.
    trials: Vec<Arc<TrialRecord>>,
    /// The study of each of them.
    owners: Vec<u64>,
}

impl Replay {
    pub fn study(&self, name: &str) -> Option<&StudyRecord> {
        self.studies.iter().find(|study| study.name == name)
    }

    pub fn trial(&self, id: usize) -> &Arc<TrialRecord> {
        &self.trials[id]
    }

    /// The trials of a study, by number.
    pub fn trials(&self, study: &StudyRecord) -> impl Iterator<Item = &Arc<TrialRecord>> {
        study.trials.iter().map(|id| &self.trials[*id])
    }

    /// The study that a trial is of, unless it was deleted.
    fn study_of(&self, trial: usize) -> Option<&StudyRecord> {
        let owner = self.owners.get(trial)?;
        self.studies.iter().find(|study| study.id as u64 == *owner)
    }

    /// What the trials of a trial's study were first given for a parameter: what all of them must be able to share.
    pub fn first_of_name(&self, trial: usize, name: &str) -> Option<&Parameter> {
        self.trials(self.study_of(trial)?).find_map(|trial| trial.parameter(name))
    }

    /// As many as there are in all studies.
    pub fn trial_count(&self) -> usize {
        self.trials.len()
    }

    /// Applies a line. As Optuna does, leaves out what comes too late: about a study that was deleted, a trial that is over.
    pub fn apply(&mut self, line: &Map<String, Value>) -> Result<()> {
        match natural(line, "op_code")? {
            CREATE_STUDY => self.create_study(line),
            DELETE_STUDY => {
                let id = natural(line, "study_id")?;
                self.studies.retain(|study| study.id as u64 != id);
                Ok(())
            }
            SET_STUDY_USER_ATTR => self.of_study(line, |study| extend(&mut study.user_attrs, line, "user_attr")),
            SET_STUDY_SYSTEM_ATTR => self.of_study(line, |study| extend(&mut study.system_attrs, line, "system_attr")),
            CREATE_TRIAL => self.create_trial(line),
            SET_TRIAL_PARAM => self.set_parameter(line),
            SET_TRIAL_STATE_VALUES => self.set_state(line),
            SET_TRIAL_INTERMEDIATE_VALUE => self.of_trial(line, |trial| {
                let step = field(line, "step")?.as_i64().ok_or(Problem::Field("step"))?;
                trial.reports.insert(step, number(line, "intermediate_value")?);
                Ok(())
            }),
            SET_TRIAL_USER_ATTR => self.of_trial(line, |trial| extend(&mut trial.user_attrs, line, "user_attr")),
            SET_TRIAL_SYSTEM_ATTR => self.of_trial(line, |trial| extend(&mut trial.system_attrs, line, "system_attr")),
            DISCARD_TRIALS => Ok(()),
            newer => Err(Problem::Newer(newer)),
        }
    }

    fn create_study(&mut self, line: &Map<String, Value>) -> Result<()> {
        let name = text(line, "study_name")?;
        let direction = |value: &Value| Direction::of_number(value.as_u64()?);
        let directions = field(line, "directions")?.as_array().ok_or(Problem::Field("directions"))?;
        let directions: Option<Vec<Direction>> = directions.iter().map(direction).collect();
        let directions = directions.filter(|all| !all.is_empty()).ok_or(Problem::Field("directions"))?;
        if self.study(name).is_none() {
            let (id, name) = (self.next_study, name.to_string());
            let (user_attrs, system_attrs) = (Map::new(), Map::new());
            self.studies.push(StudyRecord { id, name, directions, user_attrs, system_attrs, trials: Vec::new() });
            self.next_study += 1;
        }
        Ok(())
    }

    fn create_trial(&mut self, line: &Map<String, Value>) -> Result<()> {
        let (study, id) = (natural(line, "study_id")?, self.trials.len());
        let Some(study) = self.studies.iter_mut().find(|known| known.id as u64 == study) else { return Ok(()) };
        let number = study.trials.len() as u64;
        let trial = trial(line, id, number)?;
        check_values(trial.state, &trial.values, Some(study.directions.len()))?;
        self.trials.push(Arc::new(trial));
        self.owners.push(study.id as u64);
        study.trials.push(id);
        Ok(())
    }

    /// A parameter whose kind is another than in the study's trials before is left out, as its writer was told.
    fn set_parameter(&mut self, line: &Map<String, Value>) -> Result<()> {
        let name = text(line, "param_name")?;
        let distribution =
            Distribution::from_json(text(line, "distribution")?).ok_or(Problem::Field("distribution"))?;
        let value = number(line, "param_value_internal")?;
        let id = natural(line, "trial_id")? as usize;
        if self.first_of_name(id, name).is_some_and(|before| !before.distribution.is_compatible(&distribution)) {
            return Ok(());
        }
        self.of_trial(line, |trial| {
            trial.set_parameter(Parameter { name: name.to_string(), value, distribution });
            Ok(())
        })
    }

    fn set_state(&mut self, line: &Map<String, Value>) -> Result<()> {
        let objectives = self.study_of(natural(line, "trial_id")? as usize).map(|study| study.directions.len());
        self.of_trial(line, |trial| set_state(trial, line, objectives))
    }

    fn of_study(
        &mut self,
        line: &Map<String, Value>,
        change: impl FnOnce(&mut StudyRecord) -> Result<()>,
    ) -> Result<()> {
        let id = natural(line, "study_id")?;
        self.studies.iter_mut().find(|study| study.id as u64 == id).map_or(Ok(()), change)
    }

    fn of_trial(
        &mut self,
        line: &Map<String, Value>,
        change: impl FnOnce(&mut TrialRecord) -> Result<()>,
    ) -> Result<()> {
        let trial = self.trials.get_mut(natural(line, "trial_id")? as usize);
        trial.filter(|trial| !trial.state.is_finished()).map_or(Ok(()), |trial| change(Arc::make_mut(trial)))
    }
}

/// A complete trial has a value for each objective of its study: whoever compares trials counts on it.
fn check_values(state: State, values: &[f64], objectives: Option<usize>) -> Result<()> {
    match state == State::Complete && objectives.is_some_and(|count| count != values.len()) {
        true => Err(Problem::Field("values")),
        false => Ok(()),
    }
}

fn set_state(trial: &mut TrialRecord, line: &Map<String, Value>, objectives: Option<usize>) -> Result<()> {
    let state = State::of_number(natural(line, "state")?).ok_or(Problem::Field("state"))?;
    if state == State::Running && trial.state == State::Running {
        return Ok(());
    }
    if state == State::Running {
        trial.started = Some(text(line, "datetime_start")?.to_string());
    }
    if state.is_finished() {
        trial.finished = Some(text(line, "datetime_complete")?.to_string());
    }
    if let Some(values) = line.get("values").and_then(Value::as_array) {
        trial.values = numbers(values).ok_or(Problem::Field("values"))?;
    }
    check_values(state, &trial.values, objectives)?;
    trial.state = state;
    Ok(())
}

/// The trial that a line makes.
fn trial(line: &Map<String, Value>, id: usize, number: u64) -> Result<TrialRecord> {
    let state = match line.get("state") {
        None => State::Running,
        Some(state) => state.as_u64().and_then(State::of_number).ok_or(Problem::Field("state"))?,
    };
    let values = match (line.get("values"), line.get("value")) {
        (Some(Value::Array(values)), _) => numbers(values).ok_or(Problem::Field("values"))?,
        (_, Some(value)) if !value.is_null() => vec![as_number(value).ok_or(Problem::Field("value"))?],
        _ => Vec::new(),
    };
    let mut parameters = Vec::new();
    for (name, value) in optional_object(line, "params") {
        let distribution = line.get("distributions").and_then(|all| all.get(&name)?.as_str());
        let distribution = distribution.and_then(Distribution::from_json).ok_or(Problem::Field("distributions"))?;
        parameters.push(Parameter { name, value: as_number(&value).ok_or(Problem::Field("params"))?, distribution });
    }
    let report = |(step, value): (String, Value)| Some((step.parse().ok()?, as_number(&value)?));
    let reports = optional_object(line, "intermediate_values").into_iter().map(report).collect::<Option<_>>();
    let time = |name: &str| line.get(name).and_then(Value::as_str).map(str::to_string);
    Ok(TrialRecord {
        id,
        number,
        state,
        parameters,
        values,
        reports: reports.ok_or(Problem::Field("intermediate_values"))?,
        user_attrs: optional_object(line, "user_attrs"),
        system_attrs: optional_object(line, "system_attrs"),
        started: time("datetime_start"),
        finished: time("datetime_complete"),
    })
}

fn numbers(values: &[Value]) -> Option<Vec<f64>> {
    values.iter().map(as_number).collect()
}

fn field<'a>(line: &'a Map<String, Value>, name: &'static str) -> Result<&'a Value> {
    line.get(name).ok_or(Problem::Field(name))
}

fn natural(line: &Map<String, Value>, name: &'static str) -> Result<u64> {
    field(line, name)?.as_u64().ok_or(Problem::Field(name))
}

fn number(line: &Map<String, Value>, name: &'static str) -> Result<f64> {
    as_number(field(line, name)?).ok_or(Problem::Field(name))
}

fn text<'a>(line: &'a Map<String, Value>, name: &'static str) -> Result<&'a str> {
    field(line, name)?.as_str().ok_or(Problem::Field(name))
}

fn extend(attrs: &mut Map<String, Value>, line: &Map<String, Value>, name: &'static str) -> Result<()> {
    attrs.extend(field(line, name)?.as_object().cloned().ok_or(Problem::Field(name))?);
    Ok(())
}

fn optional_object(line: &Map<String, Value>, name: &str) -> Map<String, Value> {
    line.get(name).and_then(Value::as_object).cloned().unwrap_or_default()
}
