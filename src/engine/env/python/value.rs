//! A Python value as test cases hold it, and the texts that Python makes of it.

/// A value that `json.loads` or `ast.literal_eval` gives. Complex numbers and `...` are left out: no test case has them.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    None,
    Bool(bool),
    /// An integer of any size, as its decimal digits with an optional minus.
    Int(String),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Value>),
    Tuple(Vec<Value>),
    Set(Vec<Value>),
    /// In the order of insertion.
    Dict(Vec<(Value, Value)>),
}

impl Value {
    pub fn text(text: impl Into<String>) -> Self {
        Value::Text(text.into())
    }

    /// A dictionary's entry, or `None` where the value is no dictionary or lacks it.
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Value::Dict(entries) => {
                entries.iter().find(|(k, _)| matches!(k, Value::Text(k) if k == key)).map(|(_, v)| v)
            }
            _ => None,
        }
    }

    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// What Python calls the value's type.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::None => "None",
            Value::Bool(_) => "a bool",
            Value::Int(_) => "an int",
            Value::Float(_) => "a float",
            Value::Text(_) => "a str",
            Value::Bytes(_) => "bytes",
            Value::List(_) => "a list",
            Value::Tuple(_) => "a tuple",
            Value::Set(_) => "a set",
            Value::Dict(_) => "a dict",
        }
    }

    /// `bool(value)`.
    pub fn is_true(&self) -> bool {
        match self {
            Value::None => false,
            Value::Bool(truth) => *truth,
            Value::Int(digits) => digits != "0",
            Value::Float(number) => *number != 0.0,
            Value::Text(text) => !text.is_empty(),
            Value::Bytes(bytes) => !bytes.is_empty(),
            Value::List(items) | Value::Tuple(items) | Value::Set(items) => !items.is_empty(),
            Value::Dict(entries) => !entries.is_empty(),
        }
    }

    /// Python source that evaluates to the value, as `repr` writes it: an infinity or a NaN becomes the bare name `inf`
    /// or `nan`, which a program does not know.
    pub fn repr(&self) -> String {
        let join = |items: &[Value]| items.iter().map(Value::repr).collect::<Vec<_>>().join(", ");
        match self {
            Value::None => "None".to_string(),
            Value::Bool(true) => "True".to_string(),
            Value::Bool(false) => "False".to_string(),
            Value::Int(digits) => digits.clone(),
            Value::Float(number) => float_text(*number),
            Value::Text(text) => quoted(text),
            Value::Bytes(bytes) => format!("b'{}'", bytes.iter().map(|b| format!("\\x{b:02x}")).collect::<String>()),
            Value::List(items) => format!("[{}]", join(items)),
            Value::Tuple(items) if items.len() == 1 => format!("({},)", join(items)),
            Value::Tuple(items) => format!("({})", join(items)),
            Value::Set(items) if items.is_empty() => "set()".to_string(),
            Value::Set(items) => format!("{{{}}}", join(items)),
            Value::Dict(entries) => {
                let entries: Vec<String> = entries.iter().map(|(k, v)| format!("{}: {}", k.repr(), v.repr())).collect();
                format!("{{{}}}", entries.join(", "))
            }
        }
    }

    /// `str(value)`: a text is itself, all else as [`repr`](Self::repr).
    pub fn str(&self) -> String {
        match self {
            Value::Text(text) => text.clone(),
            other => other.repr(),
        }
    }

    /// `json.dumps(value, ensure_ascii=False)`; the type that JSON cannot hold where there is one.
    pub fn json(&self) -> Result<String, &'static str> {
        let list = |items: &[Value]| -> Result<String, &'static str> {
            Ok(format!("[{}]", items.iter().map(Value::json).collect::<Result<Vec<_>, _>>()?.join(", ")))
        };
        match self {
            Value::None => Ok("null".to_string()),
            Value::Bool(truth) => Ok(truth.to_string()),
            Value::Int(digits) => Ok(digits.clone()),
            Value::Float(number) if number.is_nan() => Ok("NaN".to_string()),
            Value::Float(number) if number.is_infinite() => {
                Ok(if *number > 0.0 { "Infinity" } else { "-Infinity" }.to_string())
            }
            Value::Float(number) => Ok(float_text(*number)),
            Value::Text(text) => Ok(json_text(text)),
            Value::List(items) | Value::Tuple(items) => list(items),
            Value::Dict(entries) => {
                let entry = |(key, value): &(Value, Value)| -> Result<String, &'static str> {
                    let key = match key {
                        Value::Text(text) => json_text(text),
                        Value::None | Value::Bool(_) | Value::Int(_) | Value::Float(_) => json_text(&key.json()?),
                        other => return Err(other.kind()),
                    };
                    Ok(format!("{key}: {}", value.json()?))
                };
                Ok(format!("{{{}}}", entries.iter().map(entry).collect::<Result<Vec<_>, _>>()?.join(", ")))
            }
            Value::Bytes(_) | Value::Set(_) => Err(self.kind()),
        }
    }

    /// A test's input or output as one text: a text as it is, a list's items (lists in it too) one per line, all else as
    /// JSON.
    pub fn lines(&self) -> Result<String, &'static str> {
        match self {
            Value::Text(text) => Ok(text.clone()),
            Value::Bytes(bytes) => String::from_utf8(bytes.clone()).map_err(|_| "bytes that are no UTF-8"),
            Value::List(items) => Ok(items.iter().map(Value::lines).collect::<Result<Vec<_>, _>>()?.join("\n")),
            other => other.json(),
        }
    }
}

/// Sets a dictionary's entry: a key that is there keeps its place and gets the new value.
pub fn insert(entries: &mut Vec<(Value, Value)>, key: Value, value: Value) {
    match entries.iter_mut().find(|(k, _)| *k == key) {
        Some(entry) => entry.1 = value,
        None => entries.push((key, value)),
    }
}

/// `repr(float)`: the shortest digits that read back as the same number, with an exponent below 1e-4 and from 1e16 on.
pub fn float_text(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_string();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_string();
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let fixed = format!("{number}");
        return if fixed.contains('.') { fixed } else { format!("{fixed}.0") };
    }
    format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

/// A string literal, in single quotes unless double ones save the escapes.
pub fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut literal = String::from(quote);
    for c in text.chars() {
        match c {
            '\\' => literal.push_str("\\\\"),
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            '\t' => literal.push_str("\\t"),
            c if c == quote => literal.extend(['\\', c]),
            ' '..='~' => literal.push(c),
            // Python leaves the printable ones as they are; the value is the same.
            c if (c as u32) < 0x100 => literal.push_str(&format!("\\x{:02x}", c as u32)),
            c if (c as u32) < 0x1_0000 => literal.push_str(&format!("\\u{:04x}", c as u32)),
            c => literal.push_str(&format!("\\U{:08x}", c as u32)),
        }
    }
    literal.push(quote);
    literal
}

fn json_text(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\x08' => quoted.push_str("\\b"),
            '\x0c' => quoted.push_str("\\f"),
            c if c < ' ' => quoted.push_str(&format!("\\u{:04x}", c as u32)),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_python_writes_them() {
        // [repr(x) for x in (1e-6, 0.0001, 1e16, 1e15, 2.5, 0.1+0.2, -0.0, 1.5e300)]
        let texts = [1e-6, 0.0001, 1e16, 1e15, 2.5, 0.1 + 0.2, -0.0, 1.5e300].map(float_text);
        let python =
            ["1e-06", "0.0001", "1e+16", "1000000000000000.0", "2.5", "0.30000000000000004", "-0.0", "1.5e+300"];
        assert_eq!(texts, python);
    }

    #[test]
    fn values_become_json_and_lines_as_upstream_makes_them() {
        let dict = Value::Dict(vec![
            (Value::Int("1".into()), Value::Float(1e-6)),
            (Value::text("k"), Value::text("é\u{7f}\x01")),
        ]);
        // json.dumps({1: 1e-6, "k": "é\x7f\x01"}, ensure_ascii=False)
        assert_eq!(dict.json().unwrap(), "{\"1\": 1e-06, \"k\": \"é\u{7f}\\u0001\"}");
        let nested = Value::List(vec![Value::text("a"), Value::List(vec![Value::Int("5".into()), Value::Bool(true)])]);
        assert_eq!(nested.lines().unwrap(), "a\n5\ntrue");
        assert_eq!(Value::Tuple(vec![Value::Int("5".into())]).lines().unwrap(), "[5]");
        assert_eq!(Value::Set(vec![]).lines(), Err("a set"));
    }
}
