//! The token of an account, where the Hub's own tools look for it and in `.env`. Its value leaves this process only in
//! the header of a request.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use reqwest::header::HeaderValue;

use super::settings::{home, path_variable, variable};
use crate::engine::{Error, Result, file};

/// The file of settings in the working folder.
const DOT_ENV: &str = ".env";

#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    value: String,
    /// Where it was found, for messages.
    pub origin: String,
}

/// Without the value, so that no log and no panic shows it.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token from {}", self.origin)
    }
}

impl Token {
    /// Refused where no header can carry it; the message does not show it either.
    pub fn new(value: &str, origin: impl Into<String>) -> Result<Token> {
        let (value, origin) = (value.trim().to_string(), origin.into());
        if value.is_empty() || !value.chars().all(|c| c.is_ascii_graphic()) {
            let hint = "copy it again: a token is one word of letters, digits and _";
            return Err(Error::hinted(format!("the token of the Hub ({origin}) is no token"), hint));
        }
        Ok(Token { value, origin })
    }

    /// For [`hf_hub`] and for the check that no file holds it.
    pub fn reveal(&self) -> &str {
        &self.value
    }

    pub fn header(&self) -> HeaderValue {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", self.value)).expect("visible ASCII alone");
        value.set_sensitive(true);
        value
    }

    /// The first of: `HF_TOKEN`, `HUGGING_FACE_HUB_TOKEN`, `HF_TOKEN` in `.env`, the file that `HF_TOKEN_PATH` names, the
    /// file that `hf auth login` writes.
    pub fn find() -> Result<Option<Token>> {
        for name in ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"] {
            if let Some(value) = variable(name) {
                return Token::new(&value, name).map(Some);
            }
        }
        if let Some(value) = dot_env(Path::new(DOT_ENV), "HF_TOKEN")? {
            return Token::new(&value, format!("HF_TOKEN in {DOT_ENV}")).map(Some);
        }
        let Some(path) = file() else { return Ok(None) };
        match fs::read_to_string(&path) {
            Ok(text) if !text.trim().is_empty() => Token::new(&text, path.display().to_string()).map(Some),
            _ => Ok(None),
        }
    }
}

/// The file of a token.
fn file() -> Option<PathBuf> {
    path_variable("HF_TOKEN_PATH").or_else(|| Some(home()?.join("token")))
}

/// The value of a variable in a file as shells and `python-dotenv` read it, the last where there are several; nothing
/// where there is no such file or no such line.
fn dot_env(path: &Path, name: &str) -> Result<Option<String>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(file::unreadable(path, &error)),
    };
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.trim_start_matches('\u{feff}').lines();
    Ok(lines.filter_map(|line| assigned(line, name)).next_back().filter(|value| !value.is_empty()))
}

/// What a line (`export NAME = 'value' # why`) gives the variable.
fn assigned(line: &str, name: &str) -> Option<String> {
    let line = line.trim();
    let line = line.strip_prefix("export").filter(|rest| rest.starts_with([' ', '\t'])).map_or(line, str::trim_start);
    let (key, value) = line.split_once('=')?;
    if key.trim_end() != name {
        return None;
    }
    let value = value.trim();
    match value.chars().next() {
        Some(quote @ ('"' | '\'')) => value[1..].split(quote).next().map(str::to_string),
        // A comment has white space before it.
        _ => Some(value.split([' ', '\t']).next().unwrap_or_default().to_string())
            .filter(|value| !value.starts_with('#'))
            .or(Some(String::new())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_dot_env_is_read_as_a_shell_reads_it() {
        for (text, wanted) in [
            ("HF_TOKEN=hf_abc", Some("hf_abc")),
            ("HF_TOKEN=hf_abc\r\nOTHER=1\r\n", Some("hf_abc")),
            ("export HF_TOKEN='hf_abc'", Some("hf_abc")),
            ("export\tHF_TOKEN=\"hf_abc\" # mine", Some("hf_abc")),
            ("  HF_TOKEN = hf_abc   # mine", Some("hf_abc")),
            ("# HF_TOKEN=hf_no\nHF_TOKEN=hf_abc", Some("hf_abc")),
            ("HF_TOKEN=hf_first\nHF_TOKEN=hf_abc", Some("hf_abc")),
            ("\u{feff}HF_TOKEN=hf_abc", Some("hf_abc")),
            ("HF_TOKEN=hf_a#c", Some("hf_a#c")),
            ("MY_HF_TOKEN=hf_no\nHF_TOKEN_PATH=/x\nexported HF_TOKEN=hf_no", None),
            ("HF_TOKEN=", None),
            ("HF_TOKEN= # none yet", None),
            ("HF_TOKEN=''", None),
            ("", None),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(".env");
            fs::write(&path, text).unwrap();
            assert_eq!(dot_env(&path, "HF_TOKEN").unwrap().as_deref(), wanted, "{text:?}");
        }
        assert_eq!(dot_env(Path::new("/nowhere/.env"), "HF_TOKEN").unwrap(), None);
    }

    #[test]
    fn a_token_is_not_shown() {
        let token = Token::new(" hf_secret\n", "HF_TOKEN").unwrap();
        assert_eq!(token.reveal(), "hf_secret");
        assert_eq!(format!("{token:?} {:?}", token.header()), "Token from HF_TOKEN Sensitive");
        let refused = Token::new("hf_sec ret", "HF_TOKEN").unwrap_err().to_string();
        assert_eq!(refused, "the token of the Hub (HF_TOKEN) is no token");
    }
}
