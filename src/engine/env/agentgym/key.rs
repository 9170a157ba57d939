//! The key that a server may ask for, and its clients show as `Authorization: Bearer KEY`. It is never printed.

use std::fmt;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::engine::{Error, Result};

/// Holds the key for servers and clients that are given none, so that it need stand in no script and no command line.
pub const VARIABLE: &str = "AFFINE_API_KEY";

#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct ApiKey(String);

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

impl ApiKey {
    pub fn new(key: impl Into<String>) -> Self {
        ApiKey(key.into())
    }

    /// The key that was given, else the variable's, if there is one.
    pub fn given_or_set(given: Option<&ApiKey>) -> Result<Option<Self>> {
        let (name, key) = match given {
            Some(key) => ("api_key", key.clone()),
            None => match std::env::var(VARIABLE) {
                Ok(key) if !key.is_empty() => (VARIABLE, ApiKey(key)),
                _ => return Ok(None),
            },
        };
        // What fits into a header.
        if key.0.is_empty() || !key.0.bytes().all(|byte| byte.is_ascii_graphic()) {
            let expected = "letters, digits and signs of ASCII, without spaces";
            return Err(Error::option(name, expected, "another text, which is not shown"));
        }
        Ok(Some(key))
    }

    /// For the header.
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// Whether a request with this header may come in. Hashes are compared, so that the time it takes tells nothing of how
    /// much of a wrong key is right.
    pub fn opens_to(&self, authorization: Option<&[u8]>) -> bool {
        let Some((scheme, key)) = authorization.and_then(|header| header.split_at_checked(7)) else { return false };
        let hash = |bytes: &[u8]| Sha256::digest(bytes);
        scheme.eq_ignore_ascii_case(b"bearer ") && hash(key) == hash(self.0.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_opens_to_itself_alone_and_is_not_shown() {
        let key = ApiKey::new("se-cret");
        assert!(key.opens_to(Some(b"Bearer se-cret")) && key.opens_to(Some(b"bearer se-cret")));
        for wrong in ["Bearer se-cre", "Bearer se-crett", "Bearer ", "Bearer", "se-cret", "Basic se-cret", ""] {
            assert!(!key.opens_to(Some(wrong.as_bytes())), "{wrong}");
        }
        assert!(!key.opens_to(None));
        assert!(!format!("{key:?}").contains("cret"));
        for bad in ["", "two words", "line\nbreak", "é"] {
            let error = ApiKey::given_or_set(Some(&ApiKey::new(bad))).unwrap_err().to_string();
            assert!(error.starts_with("api_key: expected letters") && error.ends_with("not shown"), "{error}");
        }
    }
}
