//! `affine env setup affine`: upstream's instruction texts, for runs that show a model exactly what validators show it.
//!
//! The texts are not part of this program. They are downloaded from the public repository at the named commit, checked
//! against recorded hashes, and written as files that the option `instructions` takes.

use std::path::{Path, PathBuf};

use super::download;
use crate::engine::env::python::{Value, literal};
use crate::engine::{Error, Result, file};

/// Where upstream's sources lie, at the commit whose verdicts are reproduced.
pub const UPSTREAM: &str =
    "https://raw.githubusercontent.com/AffineFoundation/affinetes/345b7bcfe43c1324483f733eadabac938425014a/environments/affine";

/// A text inside a Python source.
#[derive(Debug, Clone)]
pub struct Text {
    /// The source's name under the address.
    pub source: &'static str,
    /// SHA-256 of the source.
    pub sha256: String,
    /// What stands before the string literal that holds the text.
    pub marker: &'static str,
    /// Put before the text, where upstream appends it to a task's own.
    pub before: &'static str,
    /// The file to write.
    pub target: &'static str,
}

/// Upstream's two texts.
pub fn upstream_texts() -> [Text; 2] {
    [
        Text {
            source: "abd.py",
            sha256: "b1026286a5a339752ae0e3c77d150d7a792e292ce11bab096553bb36a5e7fa29".to_string(),
            marker: "\nPROMPT_TEMPLATE = ",
            before: "",
            target: "abd.txt",
        },
        Text {
            source: "ded.py",
            sha256: "6701548e035624e196ed2dc4a10bd890abf513b9b73eb8e5bd780e4d4f3b5b1e".to_string(),
            marker: "        extra_hint = ",
            before: "{prompt}",
            target: "ded.txt",
        },
    ]
}

/// Downloads upstream's texts into a folder; returns the files written, for the option `instructions`.
pub fn setup(folder: &Path) -> Result<Vec<PathBuf>> {
    setup_from(UPSTREAM, &upstream_texts(), folder)
}

/// As [`setup`], from another address.
pub fn setup_from(address: &str, texts: &[Text], folder: &Path) -> Result<Vec<PathBuf>> {
    file::create_folder(folder)?;
    texts.iter().map(|text| fetch(address, text, folder)).collect()
}

fn fetch(address: &str, text: &Text, folder: &Path) -> Result<PathBuf> {
    let address = format!("{address}/{}", text.source);
    let source = download::get(&address)?;
    let found = file::sha256(&source);
    if found != text.sha256 {
        let message = format!("{address}: its SHA-256 is {found}, but {} was recorded; nothing is written", text.sha256);
        return Err(Error::hinted(message, "a proxy may have changed it; the recorded commit's file never changes"));
    }
    let unreadable = |problem: String| Error::message(format!("{address}: {problem}"));
    let source = String::from_utf8(source).map_err(|_| unreadable("it is not UTF-8".to_string()))?;
    let after = source.split_once(text.marker).map(|(_, after)| after);
    let after = after.ok_or_else(|| unreadable(format!("\"{}\" is not in it", text.marker.trim())))?;
    match literal::parse_prefix(after) {
        Ok(Value::Text(instructions)) => {
            let path = folder.join(text.target);
            file::write_atomic(&path, format!("{}{instructions}", text.before).as_bytes())?;
            Ok(path)
        }
        other => Err(unreadable(format!("expected a string after \"{}\", got {other:?}", text.marker.trim()))),
    }
}
