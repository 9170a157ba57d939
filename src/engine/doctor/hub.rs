//! The Hugging Face Hub: whether there is a token, and whether the Hub may be asked at all. The token's value stays where
//! it is.

use std::path::PathBuf;

use super::Finding;

const SUBJECT: &str = "Hub";

pub fn hub() -> Vec<Finding> {
    let mut findings = vec![token()];
    if std::env::var("HF_HUB_OFFLINE").is_ok_and(|value| value == "1" || value == "true") {
        findings.push(Finding::ok(SUBJECT, "not asked (HF_HUB_OFFLINE): models come from the cache alone"));
    }
    if let Some(endpoint) = set("HF_ENDPOINT") {
        findings.push(Finding::ok(SUBJECT, format!("{} (HF_ENDPOINT)", without_credentials(&endpoint))));
    }
    findings
}

fn token() -> Finding {
    for name in ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"] {
        if set(name).is_some() {
            return Finding::ok("Hub token", format!("set through {name}"));
        }
    }
    let file = set("HF_TOKEN_PATH").map(PathBuf::from).or_else(|| Some(home()?.join("token")));
    match file {
        Some(file) if std::fs::read_to_string(&file).is_ok_and(|text| !text.trim().is_empty()) => {
            Finding::ok("Hub token", format!("in {}", file.display()))
        }
        _ => Finding::warn(
            "Hub token",
            "none; public models can be downloaded, private ones and uploads cannot",
            "make one in the settings of your account there and set HF_TOKEN, or run: hf auth login",
        ),
    }
}

/// Where downloaded models are kept, as Python's `huggingface_hub` decides it too.
pub fn cache() -> Option<PathBuf> {
    set("HF_HUB_CACHE").map(PathBuf::from).or_else(|| Some(home()?.join("hub")))
}

fn home() -> Option<PathBuf> {
    if let Some(home) = set("HF_HOME") {
        return Some(home.into());
    }
    let cache =
        set("XDG_CACHE_HOME").map(PathBuf::from).or_else(|| Some(PathBuf::from(set("HOME")?).join(".cache")))?;
    Some(cache.join("huggingface"))
}

fn set(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// `https://user:secret@host/x` without the part before the `@`.
fn without_credentials(address: &str) -> String {
    let (scheme, rest) = address.split_once("://").unwrap_or(("", address));
    let (authority, path) = rest.split_once('/').map_or((rest, None), |(authority, path)| (authority, Some(path)));
    let host = authority.rsplit('@').next().unwrap_or_default();
    let address = if scheme.is_empty() { host.to_string() } else { format!("{scheme}://{host}") };
    path.map_or(address.clone(), |path| format!("{address}/{}", path.split(['?', '#']).next().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_credentials() {
        assert_eq!(without_credentials("https://me:secret@hub.example/api?token=x"), "https://hub.example/api");
        assert_eq!(without_credentials("https://hub.example"), "https://hub.example");
        assert_eq!(without_credentials("me:secret@hub.example"), "hub.example");
    }
}
