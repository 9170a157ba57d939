//! What a value is: its kind in a script's own words, and the integer that a number stands for.

use mlua::Value;

/// The integer that a float stands for, when it stands for one.
pub fn integral(x: f64) -> Option<i64> {
    // 2^63 itself is a float but not an i64.
    (x.fract() == 0.0 && (-(2f64.powi(63))..2f64.powi(63)).contains(&x)).then_some(x as i64)
}

/// What a value is, for messages: its Lua type, or the name of its handle's type.
pub fn kind(value: &Value) -> String {
    match value {
        Value::Integer(_) | Value::Number(_) => "number".to_string(),
        Value::LightUserData(pointer) if pointer.0.is_null() => "json.null".to_string(),
        Value::UserData(handle) => match handle.type_name() {
            Ok(name) => handle_name(&name.to_string_lossy()),
            Err(_) => "userdata".to_string(),
        },
        other => other.type_name().to_string(),
    }
}

/// `affine::lua::bind::random::Random` → `random`, as [`kind`] says it.
pub fn short_name<T>() -> String {
    handle_name(std::any::type_name::<T>().rsplit("::").next().unwrap_or("userdata"))
}

/// `ModelHandle` → `model`.
fn handle_name(type_name: &str) -> String {
    type_name.trim_end_matches("Handle").to_lowercase()
}
