//! What gives access to something, in what others will read: known by the name of a setting, by its place in an address, or by
//! its form.

use std::sync::LazyLock;

use regex::bytes::Regex;
use serde_json::{Map, Value, json};

use super::proxy;

/// What a name of a setting ends with whose value is nobody's business.
const NAMES: [&str; 6] = ["token", "api_key", "apikey", "password", "secret", "authorization"];

/// A configuration as others may see it.
pub fn without_secrets(config: Value) -> Value {
    without_secret("", config)
}

pub fn table_without_secrets(config: Map<String, Value>) -> Map<String, Value> {
    let shown = |(name, value): (String, Value)| (in_public(name.clone()), without_secret(&name, value));
    config.into_iter().map(shown).collect()
}

fn without_secret(name: &str, value: Value) -> Value {
    match value {
        Value::Object(inner) => Value::Object(table_without_secrets(inner)),
        Value::Array(items) => items.into_iter().map(|item| without_secret(name, item)).collect(),
        Value::String(text) if !text.is_empty() && (is_secret(name) || is_key(&text)) => json!("…"),
        Value::String(text) => json!(in_public(text)),
        other => other,
    }
}

/// An address without its credentials; another text as it is.
fn in_public(text: String) -> String {
    if text.contains("://") { proxy::without_credentials(&text) } else { text }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('-', "_");
    NAMES.iter().any(|ending| name.ends_with(ending))
}

/// Whether a text is what a server is shown, or holds a key.
fn is_key(text: &str) -> bool {
    let scheme = text.split_once(' ').map_or("", |(scheme, _)| scheme);
    ["bearer", "basic"].contains(&scheme.to_ascii_lowercase().as_str()) || form(text.as_bytes()).is_some()
}

/// What a key looks like, and whose it is. Forms that are told from chance by themselves; where only a name beside it
/// tells, the name is part of the pattern.
static FORMS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let forms = [
        (r"\bhf_[A-Za-z0-9]{30,}\b", "a token of the Hub"),
        (r"\bapi_org_[A-Za-z0-9]{30,}\b", "a token of the Hub"),
        (
            r"(?i)\bwandb[a-z_ ]{0,16}(?:api)?[_ ]?key['\x22]?\s*[:=]\s*['\x22]?[0-9a-f]{40}\b",
            "a key of Weights & Biases",
        ),
        (r"\bwandb_v[0-9]+_[A-Za-z0-9_]{20,}", "a key of Weights & Biases"),
        (r"\blocal-[0-9a-f]{40}\b", "a key of Weights & Biases"),
        (r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b", "an access key of AWS"),
        (r"(?i)\baws_?secret_?(?:access_?)?key['\x22]?\s*[:=]\s*['\x22]?[A-Za-z0-9/+]{40}\b", "a secret key of AWS"),
        (r"\bAIza[0-9A-Za-z_-]{35}\b", "a key of Google"),
        (r"\bya29\.[0-9A-Za-z_-]{30,}", "a token of Google"),
        (r"(?i)\bAccountKey=[A-Za-z0-9/+]{80,}=", "a key of Azure"),
        (r"\b(?:ghp|gho|ghu|ghs|ghr)_[A-Za-z0-9]{36}\b", "a token of GitHub"),
        (r"\bgithub_pat_[A-Za-z0-9_]{60,}", "a token of GitHub"),
        (r"\bglpat-[A-Za-z0-9_-]{20,}", "a token of GitLab"),
        (r"\bsk-(?:proj-|ant-|or-)?[A-Za-z0-9_-]{40,}", "a key of a model's provider"),
        (r"\bxox[abposr]-[A-Za-z0-9-]{20,}", "a token of Slack"),
        (r"\bpypi-AgE[A-Za-z0-9_-]{50,}", "a token of PyPI"),
        (r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----", "a private key"),
    ];
    forms.map(|(form, whose)| (Regex::new(form).expect("the form is a pattern"), whose)).into()
});

/// Whose key a text holds, in words, where its form tells.
pub fn form(text: &[u8]) -> Option<&'static str> {
    FORMS.iter().find(|(form, _)| form.is_match(text)).map(|(_, whose)| *whose)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_gives_access_is_for_nobody_else() {
        let token = format!("hf_{}", "aB3".repeat(11));
        let config = json!({
            "seed": 1,
            "judge": { "api_key": "abc", "endpoint": "https://me:pw@judge.example/v1", "max_new_tokens": 5 },
            "data": { "environments": [{ "name": "sat", "token": "xyz" }, "http://u:p@env.example:8000"] },
            "headers": { "Authorization": "abc", "X-Api-Key": "abc", "other": "Bearer abc", "plain": "bearer" },
            "note": format!("it is {token}"), "http://u:p@host": "x",
            "hf_token": "",
        });
        let wanted = json!({
            "seed": 1,
            "judge": { "api_key": "…", "endpoint": "https://judge.example/v1", "max_new_tokens": 5 },
            "data": { "environments": [{ "name": "sat", "token": "…" }, "http://env.example:8000"] },
            "headers": { "Authorization": "…", "X-Api-Key": "…", "other": "…", "plain": "bearer" },
            "note": "…", "http://host": "x",
            "hf_token": "",
        });
        assert_eq!(without_secrets(config), wanted);
    }
}
