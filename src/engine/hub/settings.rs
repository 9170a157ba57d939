//! How the Hub is reached, from the variables that its own tools read.

use std::path::PathBuf;
use std::time::Duration;

use super::token::Token;
use crate::engine::proxy::without_credentials;
use crate::engine::{Error, Result};

/// Where the Hub is unless `HF_ENDPOINT` says otherwise.
const ENDPOINT: &str = "https://huggingface.co";

/// Everything that decides what a request does.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `https://…`, without a slash at its end.
    pub endpoint: String,
    pub token: Option<Token>,
    /// The folder of downloads, which Python's `huggingface_hub` shares.
    pub cache: PathBuf,
    /// For a connection, and for the answer to a question.
    pub answering: Duration,
    /// For each part of a file.
    pub reading: Duration,
    /// How often a request is sent before its failure counts.
    pub attempts: u32,
    /// The wait before the second attempt; it doubles from then on.
    pub pause: Duration,
}

impl Settings {
    /// Reads `HF_ENDPOINT`, `HF_HUB_CACHE`, `HF_HOME`, the token's places, `HF_HUB_ETAG_TIMEOUT` and
    /// `HF_HUB_DOWNLOAD_TIMEOUT` (seconds).
    pub fn read() -> Result<Settings> {
        let cache = cache_folder().ok_or_else(|| {
            Error::hinted("there is no home folder to keep the Hub's files in", "set HF_HOME to a folder of yours")
        })?;
        Ok(Settings {
            endpoint: endpoint()?,
            token: Token::find()?,
            cache,
            answering: seconds("HF_HUB_ETAG_TIMEOUT", 30)?,
            reading: seconds("HF_HUB_DOWNLOAD_TIMEOUT", 60)?,
            attempts: 5,
            pause: Duration::from_millis(500),
        })
    }

    /// For a look at whether the Hub answers at all.
    pub fn hurried(&self) -> Settings {
        const MOST: Duration = Duration::from_secs(5);
        Settings { attempts: 1, answering: self.answering.min(MOST), ..self.clone() }
    }
}

fn endpoint() -> Result<String> {
    let endpoint = variable("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.to_string());
    match url::Url::parse(&endpoint) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none() => {
            Ok(endpoint.trim_end_matches('/').to_string())
        }
        _ => {
            let got = format!("\"{}\"", without_credentials(&endpoint));
            Err(Error::option("HF_ENDPOINT", "an address such as https://hub.example, without ?", got))
        }
    }
}

fn seconds(name: &str, default: u64) -> Result<Duration> {
    let Some(text) = variable(name) else { return Ok(Duration::from_secs(default)) };
    match text.trim().parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds < 1e9 => Ok(Duration::from_secs_f64(seconds)),
        _ => Err(Error::option(name, "a number of seconds", format!("\"{text}\""))),
    }
}

/// Where downloads are kept.
pub fn cache_folder() -> Option<PathBuf> {
    path_variable("HF_HUB_CACHE")
        .or_else(|| path_variable("HUGGINGFACE_HUB_CACHE"))
        .or_else(|| Some(home()?.join("hub")))
}

/// Where the token is kept, too.
pub fn home() -> Option<PathBuf> {
    path_variable("HF_HOME").or_else(|| {
        let cache = path_variable("XDG_CACHE_HOME").or_else(|| Some(path_variable("HOME")?.join(".cache")))?;
        Some(cache.join("huggingface"))
    })
}

/// The variable that forbids to ask the Hub, if one does.
pub fn offline() -> Option<&'static str> {
    let set = |name: &&str| std::env::var(name).is_ok_and(|value| !value.is_empty());
    let says = |name: &&str| std::env::var(name).is_ok_and(|value| is_true(&value));
    // As in huggingface_hub, the second counts where the first says nothing.
    ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"].into_iter().find(set).filter(says)
}

/// As `huggingface_hub` reads variables of yes and no.
fn is_true(value: &str) -> bool {
    ["1", "ON", "YES", "TRUE"].contains(&value.to_ascii_uppercase().as_str())
}

/// A variable that says something.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// A path in the environment, its `~` the home folder: a file of settings is read by no shell.
pub fn path_variable(name: &str) -> Option<PathBuf> {
    let value = std::env::var_os(name).filter(|value| !value.is_empty())?;
    let path = PathBuf::from(value);
    match path.strip_prefix("~") {
        Ok(rest) => Some(PathBuf::from(std::env::var_os("HOME")?).join(rest)),
        Err(_) => Some(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yes_is_spelled_as_huggingface_hub_takes_it() {
        for (value, wanted) in [
            ("1", true),
            ("on", true),
            ("Yes", true),
            ("TRUE", true),
            ("0", false),
            ("off", false),
            ("2", false),
            ("", false),
        ] {
            assert_eq!(is_true(value), wanted, "{value}");
        }
    }
}
