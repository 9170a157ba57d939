//! What can be logged. JSON alone has no NaN, and a loss that became NaN is what a dashboard is watched for.

use std::fmt::Write;

use serde_json::Value;

/// Named values, in the order in which they were given.
pub type Metrics = Vec<(String, Metric)>;

#[derive(Debug, Clone, PartialEq)]
pub enum Metric {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Metric>),
    Nested(Metrics),
}

impl Metric {
    /// As JSON with what Python adds to it: `NaN` and `Infinity`.
    pub fn to_json(&self) -> String {
        let mut json = String::new();
        self.write_json(&mut json);
        json
    }

    fn write_json(&self, json: &mut String) {
        match self {
            Metric::Null => json.push_str("null"),
            Metric::Bool(value) => _ = write!(json, "{value}"),
            Metric::Int(value) => _ = write!(json, "{value}"),
            Metric::Float(value) if value.is_nan() => json.push_str("NaN"),
            Metric::Float(value) if value.is_infinite() => {
                json.push_str(if *value > 0.0 { "Infinity" } else { "-Infinity" });
            }
            Metric::Float(value) => json.push_str(&Value::from(*value).to_string()),
            Metric::Text(text) => json.push_str(&quoted(text)),
            Metric::List(items) => {
                json.push('[');
                for (index, item) in items.iter().enumerate() {
                    json.push_str(if index > 0 { "," } else { "" });
                    item.write_json(json);
                }
                json.push(']');
            }
            Metric::Nested(items) => {
                json.push('{');
                for (index, (key, item)) in items.iter().enumerate() {
                    _ = write!(json, "{}{}:", if index > 0 { "," } else { "" }, quoted(key));
                    item.write_json(json);
                }
                json.push('}');
            }
        }
    }

    /// As JSON: what is not finite is null.
    pub fn to_value(&self) -> Value {
        match self {
            Metric::Null => Value::Null,
            Metric::Bool(value) => Value::from(*value),
            Metric::Int(value) => Value::from(*value),
            Metric::Float(value) => Value::from(*value),
            Metric::Text(text) => Value::from(text.as_str()),
            Metric::List(items) => items.iter().map(Metric::to_value).collect(),
            Metric::Nested(items) => items.iter().map(|(name, value)| (name.clone(), value.to_value())).collect(),
        }
    }

    /// Visits every value that is not nested with the names that lead to it.
    pub fn leaves<'a>(&'a self, path: &mut Vec<&'a str>, visit: &mut impl FnMut(&[&'a str], &'a Metric)) {
        match self {
            Metric::Nested(items) if !items.is_empty() => {
                for (key, item) in items {
                    path.push(key);
                    item.leaves(path, visit);
                    path.pop();
                }
            }
            leaf => visit(path, leaf),
        }
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

impl From<bool> for Metric {
    fn from(value: bool) -> Self {
        Metric::Bool(value)
    }
}

impl From<i64> for Metric {
    fn from(value: i64) -> Self {
        Metric::Int(value)
    }
}

impl From<String> for Metric {
    fn from(text: String) -> Self {
        Metric::Text(text)
    }
}

impl From<&Value> for Metric {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Metric::Null,
            Value::Bool(value) => Metric::Bool(*value),
            Value::Number(number) => match number.as_i64() {
                Some(value) => Metric::Int(value),
                None => Metric::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => Metric::Text(text.clone()),
            Value::Array(items) => Metric::List(items.iter().map(Metric::from).collect()),
            Value::Object(items) => Metric::Nested(items.iter().map(|(k, v)| (k.clone(), v.into())).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_is_as_python_writes_it() {
        // >>> json.dumps({"a": [1, 2.0, float("nan"), -float("inf")], "é\n": {"x": None, "y": True}},
        // ...            separators=(",", ":"), ensure_ascii=False)
        let metric = Metric::Nested(vec![
            (
                "a".to_string(),
                Metric::List(vec![
                    Metric::Int(1),
                    Metric::Float(2.0),
                    Metric::Float(f64::NAN),
                    Metric::Float(f64::NEG_INFINITY),
                ]),
            ),
            (
                "é\n".to_string(),
                Metric::Nested(vec![("x".to_string(), Metric::Null), ("y".to_string(), Metric::Bool(true))]),
            ),
        ]);
        assert_eq!(metric.to_json(), r#"{"a":[1,2.0,NaN,-Infinity],"é\n":{"x":null,"y":true}}"#);
    }

    #[test]
    fn numbers_keep_their_type() {
        let value = json!({ "i": 3, "f": 3.0, "big": u64::MAX, "small": 2.5e-9 });
        assert_eq!(Metric::from(&value).to_json(), r#"{"i":3,"f":3.0,"big":1.8446744073709552e+19,"small":2.5e-9}"#);
    }
}
