//! What a parameter can be: a number in a range or one of a few choices, as Optuna's journal writes it.
//!
//! Within the study a parameter's value is always one float (Optuna's "internal representation"): the number itself, or the position of a
//! choice counted from 0.

use std::fmt;

use serde_json::{Value, json};

use super::python_json;
use crate::engine::{Error, Result};

#[derive(Debug, Clone)]
pub enum Distribution {
    Choice { choices: Vec<Value> },
    Float { low: f64, high: f64, log: bool, step: Option<f64> },
    Int { low: i64, high: i64, log: bool, step: i64 },
}

/// Farther than this from a multiple of its step, in steps, a number is not on it.
const ON_STEP: f64 = 1e-8;

impl Distribution {
    /// One of a list. `name` is the parameter's, for messages.
    pub fn choice(name: &str, choices: Vec<Value>) -> Result<Self> {
        if choices.is_empty() {
            return Err(Error::option(name, "at least one choice", "none"));
        }
        if let Some(place) = choices.iter().position(|choice| choice.is_array() || choice.is_object()) {
            let got = &choices[place];
            return Err(Error::option(format!("{name}[{}]", place + 1), "a number, a string or a boolean", got));
        }
        for (place, choice) in choices.iter().enumerate() {
            if choices[..place].iter().any(|before| is_same(before, choice)) {
                return Err(Error::option(
                    format!("{name}[{}]", place + 1),
                    "choices that differ",
                    format!("{choice} twice"),
                ));
            }
        }
        Ok(Distribution::Choice { choices })
    }

    /// A number from `low` to `high`, both included; with `step`, `low` and whole steps above it.
    pub fn float(name: &str, low: f64, high: f64, log: bool, step: Option<f64>) -> Result<Self> {
        check_range(name, low, high)?;
        if log && low <= 0.0 {
            return Err(Error::option(
                name,
                "a range above 0, as its scale is logarithmic",
                format!("{low} to {high}"),
            ));
        }
        let high = match step {
            Some(_) if log => return Err(Error::option(name, "a step or a logarithmic scale", "both")),
            Some(step) if !(step > 0.0 && step.is_finite()) => {
                return Err(Error::option(format!("{name}.step"), "a positive number", step));
            }
            Some(step) => last_step(low, high, step),
            None => high,
        };
        Ok(Distribution::Float { low, high, log, step })
    }

    pub fn int(name: &str, low: i64, high: i64, log: bool, step: i64) -> Result<Self> {
        check_range(name, low as f64, high as f64)?;
        if log && low < 1 {
            return Err(Error::option(
                name,
                "a range from 1 on, as its scale is logarithmic",
                format!("{low} to {high}"),
            ));
        }
        if step < 1 {
            return Err(Error::option(format!("{name}.step"), "a positive integer", step));
        }
        if log && step != 1 {
            return Err(Error::option(name, "a step or a logarithmic scale", "both"));
        }
        // The width of a range may be no number of 64 bits.
        let width = (i128::from(high) - i128::from(low)) / i128::from(step) * i128::from(step);
        Ok(Distribution::Int { low, high: (i128::from(low) + width) as i64, log, step })
    }

    /// Whether there is nothing to choose.
    pub fn is_single(&self) -> bool {
        match self {
            Distribution::Choice { choices } => choices.len() == 1,
            Distribution::Float { low, high, .. } => low == high,
            Distribution::Int { low, high, .. } => low == high,
        }
    }

    /// The lowest number or the first choice.
    pub fn first(&self) -> f64 {
        match self {
            Distribution::Choice { .. } => 0.0,
            Distribution::Float { low, .. } => *low,
            Distribution::Int { low, .. } => *low as f64,
        }
    }

    pub fn contains(&self, value: f64) -> bool {
        match self {
            Distribution::Choice { choices } => value.fract() == 0.0 && (0.0..choices.len() as f64).contains(&value),
            Distribution::Float { low, high, step: Some(step), .. } => {
                // 3 times 0.1 is more than 0.3.
                let (steps, last) = ((value - low) / step, (high - low) / step);
                (steps - steps.round()).abs() < ON_STEP && (-ON_STEP..=last + ON_STEP).contains(&steps)
            }
            Distribution::Float { low, high, .. } => (*low..=*high).contains(&value),
            Distribution::Int { low, high, step, .. } => {
                (*low as f64..=*high as f64).contains(&value) && (value - *low as f64) % *step as f64 == 0.0
            }
        }
    }

    /// The number of a range that is nearest to `value`.
    pub fn nearest(&self, value: f64) -> f64 {
        let Some((low, high)) = self.range() else { return self.first() };
        let value = value.clamp(low, high);
        self.step().map_or(value, |step| (low + ((value - low) / step).round() * step).clamp(low, high))
    }

    /// What a script sees of a value.
    pub fn external(&self, value: f64) -> Value {
        match self {
            Distribution::Choice { choices } => choices.get(value as usize).cloned().unwrap_or(Value::Null),
            Distribution::Float { .. } => python_json::number(value),
            Distribution::Int { .. } => json!(value as i64),
        }
    }

    /// What stands for `value` within the study; nothing where it is none of the choices, or no number.
    pub fn internal(&self, value: &Value) -> Option<f64> {
        match self {
            Distribution::Choice { choices } => {
                choices.iter().position(|choice| is_same(choice, value)).map(|place| place as f64)
            }
            _ => python_json::as_number(value).filter(|number| !number.is_nan()),
        }
    }

    /// What stands for `value`, where it is in the range or one of the choices. Beyond an end by a rounding, it is the end.
    pub fn taken(&self, value: &Value) -> Option<f64> {
        let inside = self.internal(value).filter(|inside| self.contains(*inside))?;
        Some(self.range().map_or(inside, |(low, high)| inside.clamp(low, high)))
    }

    /// Every value of a range that has steps, or of choices; nothing where there are more than `most`.
    pub fn values(&self, most: u32) -> Option<Vec<Value>> {
        if let Distribution::Choice { choices } = self {
            return Some(choices.clone());
        }
        let ((low, high), step) = (self.range()?, self.step()?);
        let last = ((high - low) / step).round();
        let value = |place: u32| self.external((low + f64::from(place) * step).min(high));
        (last < f64::from(most)).then(|| (0..=last as u32).map(value).collect())
    }

    /// A number on the scale of the range.
    pub fn scaled(&self, x: f64) -> f64 {
        if self.is_log() { x.ln() } else { x }
    }

    pub fn is_log(&self) -> bool {
        matches!(self, Distribution::Float { log: true, .. } | Distribution::Int { log: true, .. })
    }

    pub fn step(&self) -> Option<f64> {
        match self {
            Distribution::Choice { .. } => None,
            Distribution::Float { step, .. } => *step,
            Distribution::Int { step, .. } => Some(*step as f64),
        }
    }

    /// The ends of a range of numbers.
    pub fn range(&self) -> Option<(f64, f64)> {
        match self {
            Distribution::Choice { .. } => None,
            Distribution::Float { low, high, .. } => Some((*low, *high)),
            Distribution::Int { low, high, .. } => Some((*low as f64, *high as f64)),
        }
    }

    /// Whether trials of one study may have both for one parameter: ranges may change, the kind, the scale and the choices may not.
    pub fn is_compatible(&self, other: &Distribution) -> bool {
        match (self, other) {
            (Distribution::Choice { .. }, Distribution::Choice { .. }) => self == other,
            (Distribution::Float { .. }, Distribution::Float { .. })
            | (Distribution::Int { .. }, Distribution::Int { .. }) => self.is_log() == other.is_log(),
            _ => false,
        }
    }

    /// As Optuna's journal holds it: JSON in a text.
    pub fn to_json(&self) -> String {
        let (name, attributes) = match self {
            Distribution::Choice { choices } => ("CategoricalDistribution", json!({ "choices": choices })),
            Distribution::Float { low, high, log, step } => {
                ("FloatDistribution", json!({ "step": step, "low": low, "high": high, "log": log }))
            }
            Distribution::Int { low, high, log, step } => {
                ("IntDistribution", json!({ "log": log, "step": step, "low": low, "high": high }))
            }
        };
        python_json::to_line(&json!({ "name": name, "attributes": attributes }))
    }

    /// Reads what [`Distribution::to_json`] and Optuna write, older versions of it too.
    pub fn from_json(text: &str) -> Option<Self> {
        let value = python_json::parse(text).ok()?;
        let (name, fields) = (value.get("name")?.as_str()?, value.get("attributes")?);
        let float = |field: &str| python_json::as_number(fields.get(field)?);
        let int = |field: &str| {
            let number = fields.get(field)?;
            number.as_i64().or_else(|| number.as_f64().map(|number| number as i64))
        };
        let is_log = fields.get("log").and_then(Value::as_bool).unwrap_or(false);
        Some(match name {
            "CategoricalDistribution" => Distribution::Choice { choices: fields.get("choices")?.as_array()?.clone() },
            "FloatDistribution" | "UniformDistribution" | "LogUniformDistribution" | "DiscreteUniformDistribution" => {
                Distribution::Float {
                    low: float("low")?,
                    high: float("high")?,
                    log: is_log || name == "LogUniformDistribution",
                    step: float("step").or_else(|| float("q")),
                }
            }
            "IntDistribution" | "IntUniformDistribution" | "IntLogUniformDistribution" => Distribution::Int {
                low: int("low")?,
                high: int("high")?,
                log: is_log || name == "IntLogUniformDistribution",
                step: int("step").unwrap_or(1),
            },
            _ => return None,
        })
    }
}

/// 1 and 1.0 are one choice, as they are to Python.
impl PartialEq for Distribution {
    fn eq(&self, other: &Self) -> bool {
        use Distribution::{Choice, Float, Int};
        match (self, other) {
            (Choice { choices }, Choice { choices: others }) => {
                choices.len() == others.len() && choices.iter().zip(others).all(|(a, b)| is_same(a, b))
            }
            (Float { low, high, log, step }, Float { low: l, high: h, log: g, step: s }) => {
                (low, high, log, step) == (l, h, g, s)
            }
            (Int { low, high, log, step }, Int { low: l, high: h, log: g, step: s }) => {
                (low, high, log, step) == (l, h, g, s)
            }
            _ => false,
        }
    }
}

fn check_range(name: &str, low: f64, high: f64) -> Result<()> {
    let got = || format!("{low} to {high}");
    if !(low <= high && low.is_finite() && high.is_finite()) {
        return Err(Error::option(name, "a range from a lower to a higher number", got()));
    }
    match (high - low).is_finite() {
        true => Ok(()),
        false => Err(Error::option(name, "a range whose width is a number", got())),
    }
}

/// The last whole step that is not above `high`. Decimal steps miss decimal ends by a rounding, which counts as nothing.
fn last_step(low: f64, high: f64, step: f64) -> f64 {
    let steps = (high - low) / step;
    if (steps - steps.round()).abs() < ON_STEP {
        return high;
    }
    let last = low + steps.floor() * step;
    format!("{last:.14e}").parse().unwrap_or(last)
}

/// Whether two choices are one. Python, which reads the journal too, does not tell 1 from 1.0.
pub fn is_same(a: &Value, b: &Value) -> bool {
    match (python_json::as_number(a), python_json::as_number(b)) {
        (Some(a), Some(b)) => a == b || (a.is_nan() && b.is_nan()),
        _ => a == b,
    }
}

/// As a sentence says it: `a number from 0.00001 to 0.01 on a logarithmic scale`.
impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (noun, low, high) = match self {
            Distribution::Choice { choices } => {
                let choices: Vec<String> = choices.iter().map(python_json::to_line).collect();
                return write!(f, "one of {}", choices.join(", "));
            }
            Distribution::Float { low, high, .. } => ("a number", low.to_string(), high.to_string()),
            Distribution::Int { low, high, .. } => ("an integer", low.to_string(), high.to_string()),
        };
        write!(f, "{noun} from {low} to {high}")?;
        match self.step() {
            _ if self.is_log() => write!(f, " on a logarithmic scale"),
            Some(step) if step != 1.0 || matches!(self, Distribution::Float { .. }) => write!(f, " in steps of {step}"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Python: `optuna.distributions.distribution_to_json(d)` of
    /// FloatDistribution(1e-5, 1e-2, log=True), FloatDistribution(0, 1, step=0.25), IntDistribution(1, 64, log=True),
    /// IntDistribution(0, 10, step=3), CategoricalDistribution(["a", 1, 2.5, True, None]).
    const OPTUNAS: [&str; 5] = [
        r#"{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.01, "log": true}}"#,
        r#"{"name": "FloatDistribution", "attributes": {"step": 0.25, "low": 0.0, "high": 1.0, "log": false}}"#,
        r#"{"name": "IntDistribution", "attributes": {"log": true, "step": 1, "low": 1, "high": 64}}"#,
        r#"{"name": "IntDistribution", "attributes": {"log": false, "step": 3, "low": 0, "high": 9}}"#,
        r#"{"name": "CategoricalDistribution", "attributes": {"choices": ["a", 1, 2.5, true, null]}}"#,
    ];

    #[test]
    fn optunas_distributions_are_read_and_written() {
        let ours = [
            Distribution::float("x", 1e-5, 1e-2, true, None).unwrap(),
            Distribution::float("x", 0.0, 1.0, false, Some(0.25)).unwrap(),
            Distribution::int("x", 1, 64, true, 1).unwrap(),
            Distribution::int("x", 0, 10, false, 3).unwrap(),
            Distribution::choice("x", vec![json!("a"), json!(1), json!(2.5), json!(true), Value::Null]).unwrap(),
        ];
        for (ours, theirs) in ours.iter().zip(OPTUNAS) {
            assert_eq!(Distribution::from_json(theirs).as_ref(), Some(ours));
            let (ours, theirs): (Value, Value) =
                (serde_json::from_str(&ours.to_json()).unwrap(), serde_json::from_str(theirs).unwrap());
            assert_eq!(ours, theirs);
        }
        let old = r#"{"name": "DiscreteUniformDistribution", "attributes": {"low": 0.0, "high": 1.0, "q": 0.5}}"#;
        assert_eq!(Distribution::from_json(old).unwrap().step(), Some(0.5));
    }

    #[test]
    fn a_range_ends_on_its_last_step() {
        let float = |high| Distribution::float("x", 0.0, high, false, Some(0.1)).unwrap().range().unwrap().1;
        assert_eq!((float(0.3), float(0.35), float(1.0)), (0.3, 0.3, 1.0));
    }

    #[test]
    fn the_end_of_a_range_is_hit_with_a_rounding() {
        for (low, high, step) in [(0.0, 0.3, 0.1), (0.1, 0.7, 0.1), (-0.3, 0.3, 0.1), (1e-4, 9e-4, 1e-4)] {
            let range = Distribution::float("x", low, high, false, Some(step)).unwrap();
            for value in range.values(100).unwrap() {
                let taken = range.taken(&value).unwrap();
                assert!((low..=high).contains(&taken) && range.contains(range.nearest(taken)), "{value}");
            }
            assert_eq!(range.values(100).unwrap().last(), Some(&json!(high)));
            assert!((low..=high).contains(&range.nearest(high)));
            assert_eq!(range.taken(&json!(high + step)), None);
            assert_eq!(range.taken(&json!(high + 0.01 * step)), None);
        }
        let range = Distribution::float("x", 0.0, 0.3, false, Some(0.1)).unwrap();
        assert_eq!((range.taken(&json!(0.1 * 3.0)), range.nearest(0.3)), (Some(0.3), 0.3));
    }

    #[test]
    fn ranges_are_as_wide_as_numbers_go() {
        let all = Distribution::int("x", i64::MIN, i64::MAX, false, 2).unwrap();
        assert!(matches!(all, Distribution::Int { low: i64::MIN, high, .. } if high == i64::MAX - 1));
        assert_eq!(Distribution::from_json(&all.to_json()).as_ref(), Some(&all));
        let error = Distribution::float("x", -1e308, 1e308, false, None).unwrap_err().to_string();
        assert!(error.starts_with("x: expected a range whose width is a number, got -1000"), "{error}");
    }

    #[test]
    fn choices_are_one_that_are_equal() {
        let of = |choices: [Value; 2]| Distribution::choice("x", choices.to_vec()).unwrap();
        assert_eq!(of([json!(1), json!("a")]), of([json!(1.0), json!("a")]));
        assert_ne!(of([json!(1), json!("a")]), of([json!("a"), json!(1)]));
    }

    #[test]
    fn what_is_no_range_is_refused_in_words() {
        let error = |distribution: Result<Distribution>| distribution.unwrap_err().to_string();
        assert_eq!(
            error(Distribution::float("lr", 1.0, 0.5, false, None)),
            "lr: expected a range from a lower to a higher number, got 1 to 0.5"
        );
        assert!(error(Distribution::float("lr", 0.0, 1.0, true, None)).contains("above 0"));
        assert_eq!(error(Distribution::choice("r", vec![])), "r: expected at least one choice, got none");
        assert_eq!(
            error(Distribution::choice("r", vec![json!(1), json!(1.0)])),
            "r[2]: expected choices that differ, got 1.0 twice"
        );
    }
}
