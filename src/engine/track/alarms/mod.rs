//! Alarms: signs in the logged numbers that training goes wrong, each with what it probably means and what to try.
//!
//! [`Alarms`] reads the rows of `metrics.jsonl` as they are logged, so that the log of a run and whoever looks at its folder
//! say the same. What is normal differs from run to run: most limits are multiples of what the run itself had in its first
//! three rows. An alarm speaks once as it begins and once as it ends, and it ends only well within its limit.

mod sign;

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::engine::track::row_step::RowStep;
use sign::{SIGNS, Sign, Trace};

/// A sign that appears or goes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Alarm {
    /// `entropy`, `long_episodes`, …
    pub name: &'static str,
    pub stage: String,
    /// `step` or `iteration`.
    pub unit: &'static str,
    pub step: u64,
    pub value: f64,
    pub limit: f64,
    /// It begins; else it is over.
    pub begins: bool,
    /// One sentence: what is seen, what it probably means, what to try.
    pub sentence: String,
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}: {}", self.stage, self.unit, self.step, self.sentence)
    }
}

/// The alarms of a run.
#[derive(Debug, Clone, Default)]
pub struct Alarms {
    stages: BTreeMap<String, Stage>,
}

/// What was seen of a stage, sign by sign in the order of [`SIGNS`].
#[derive(Debug, Clone)]
struct Stage {
    last: u64,
    seen: Vec<Seen>,
}

#[derive(Debug, Clone, Default)]
struct Seen {
    trace: Trace,
    /// Since this alarm, which has not ended.
    alarm: Option<Alarm>,
}

impl Alarms {
    /// Reads one row; the alarms that begin or end with it. A row about a step before the last one takes back what came from that
    /// step on: a run that goes on takes steps again. Several rows may be about one step.
    pub fn see(&mut self, row: &Map<String, Value>) -> Vec<Alarm> {
        let Some(place) = RowStep::of(row) else { return Vec::new() };
        let stage = self.stages.entry(place.stage.clone()).or_insert_with(Stage::new);
        if place.step < stage.last {
            stage.forget(place.step);
        }
        stage.last = place.step;
        SIGNS.iter().zip(&mut stage.seen).filter_map(|(sign, seen)| seen.see(sign, row, &place)).collect()
    }

    /// Takes back what came from a step of a stage on.
    pub fn forget(&mut self, stage: &str, from: u64) {
        if let Some(stage) = self.stages.get_mut(stage) {
            stage.forget(from);
        }
    }

    /// Those that have begun and not ended, stage by stage.
    pub fn active(&self) -> impl Iterator<Item = &Alarm> {
        self.stages.values().flat_map(|stage| stage.seen.iter().filter_map(|seen| seen.alarm.as_ref()))
    }
}

impl Stage {
    fn new() -> Self {
        Stage { last: 0, seen: vec![Seen::default(); SIGNS.len()] }
    }

    fn forget(&mut self, from: u64) {
        for seen in &mut self.seen {
            seen.trace.forget(from);
            seen.alarm.take_if(|alarm| alarm.step >= from);
        }
    }
}

impl Seen {
    fn see(&mut self, sign: &Sign, row: &Map<String, Value>, place: &RowStep) -> Option<Alarm> {
        let value = (sign.value)(row)?;
        let limit = self.trace.limit(sign.rule);
        let (is_bad, is_well) = limit.map_or((false, true), |limit| (limit.is_passed(value), limit.is_well(value)));
        let alarm = match (&self.alarm, limit) {
            (None, Some(limit)) if is_bad => {
                Some((limit.at(), true, format!("{}: {}", limit.seen(sign.what, value), sign.advice)))
            }
            (Some(alarm), _) if is_well => {
                Some((alarm.limit, false, format!("{} is well again, at {}", sign.what, number(value))))
            }
            _ => None,
        };
        let alarm = alarm.map(|(limit, begins, sentence)| Alarm {
            name: sign.name,
            stage: place.stage.clone(),
            unit: place.unit,
            step: place.step,
            value,
            limit,
            begins,
            sentence,
        });
        if let Some(alarm) = &alarm {
            self.alarm = alarm.begins.then(|| alarm.clone());
        }
        // What is out of bounds is no measure of what is normal.
        if self.alarm.is_none() {
            self.trace.add(place.step, value);
        }
        alarm
    }
}

/// Three digits that say something: `0.0312`, `128`, `3.5e-7`.
pub fn number(value: f64) -> String {
    // Nothing has no sign.
    let (size, value) = (value.abs(), value + 0.0);
    if value == 0.0 || !value.is_finite() || (1e4..1e15).contains(&size) || size >= 1e3 && value.fract() == 0.0 {
        return format!("{value:.0}");
    }
    if !(1e-3..1e15).contains(&size) {
        return format!("{value:.1e}");
    }
    let decimals = (2 - size.log10().floor() as i32).max(0) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_string() } else { text }
}

#[cfg(test)]
mod tests;
