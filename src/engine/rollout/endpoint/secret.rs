//! The key that an endpoint asks for. It leaves this process in the header of a request and in no other way.

use std::fmt;

use reqwest::header::HeaderValue;

use crate::engine::{Error, Result};

/// No service gives out shorter keys.
const SHORTEST: usize = 16;

#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// The value of an environment variable; nothing where it is not set, or empty.
    pub fn of_variable(name: &str) -> Result<Option<Self>> {
        let Some(value) = std::env::var_os(name) else { return Ok(None) };
        let value = value.to_string_lossy().trim().to_string();
        match value.chars().all(|c| c.is_ascii_graphic()) {
            true => Ok((!value.is_empty()).then_some(Secret(value))),
            false => Err(Error::option(name, "a key: one word of ASCII", "another text, which is not shown")),
        }
    }

    pub fn header(&self) -> HeaderValue {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", self.0)).expect("visible ASCII alone");
        value.set_sensitive(true);
        value
    }

    /// Whether it is no word that one says by chance.
    pub fn is_real(&self) -> bool {
        self.0.len() >= SHORTEST
    }

    /// A text without the key: servers quote what they refuse.
    pub fn out_of(&self, text: &str) -> String {
        text.replace(&self.0, "…")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_not_shown() {
        let key = Secret("sk-very-secret".to_string());
        assert_eq!(format!("{key:?} {:?}", key.header()), "Secret(…) Sensitive");
        assert_eq!(key.out_of("no such key: sk-very-secret."), "no such key: ….");
        assert!(!Secret("EMPTY".to_string()).is_real());
        assert!(Secret("sk-0123456789abcdef".to_string()).is_real());
    }
}
