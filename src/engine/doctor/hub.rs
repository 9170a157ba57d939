//! The Hugging Face Hub: whether there is a token, and whether the Hub may be asked at all. The token's value stays where
//! it is.

use std::path::PathBuf;

use super::finding::Finding;
use crate::engine::hub;
use crate::engine::proxy::without_credentials;

const SUBJECT: &str = "Hub";

pub fn hub() -> Vec<Finding> {
    let mut findings = vec![token()];
    if let Some(variable) = hub::offline() {
        findings.push(Finding::ok(SUBJECT, format!("not asked ({variable}): models come from the cache alone")));
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
    let file = set("HF_TOKEN_PATH").map(PathBuf::from).or_else(|| Some(hub::home()?.join("token")));
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

fn set(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}
