//! Files of a public repository at one commit, or texts inside them, checked against recorded hashes.

use std::path::{Path, PathBuf};

use crate::engine::env::python::{Value, literal};
use crate::engine::{Error, Result, download, file};

/// A file of the repository and what is kept of it.
#[derive(Debug, Clone)]
pub struct Source {
    /// Below the address.
    pub path: String,
    /// Of the file.
    pub sha256: String,
    pub keep: Keep,
    /// The file to write.
    pub target: String,
}

#[derive(Debug, Clone)]
pub enum Keep {
    Whole,
    /// A text inside a Python source.
    Text {
        /// What stands before the string literal that holds the text.
        marker: &'static str,
        /// Put before the text, where the original appends it to a task's own.
        before: &'static str,
        /// Of the text, `before` included.
        sha256: String,
    },
}

/// Downloads sources from below an address into a folder; returns the files written. Nothing is written unless
/// everything came and has its hash.
pub fn fetch(address: &str, sources: &[Source], folder: &Path) -> Result<Vec<PathBuf>> {
    let contents = sources.iter().map(|source| content(address, source)).collect::<Result<Vec<_>>>()?;
    file::create_folder(folder)?;
    let write = |(source, content): (&Source, Vec<u8>)| {
        let path = folder.join(&source.target);
        file::write_atomic(&path, &content)?;
        Ok(path)
    };
    sources.iter().zip(contents).map(write).collect()
}

fn content(address: &str, source: &Source) -> Result<Vec<u8>> {
    let address = format!("{address}/{}", source.path);
    let file = download::get(&address)?;
    expect_hash(&address, "its", &file, &source.sha256)?;
    let Keep::Text { marker, before, sha256 } = &source.keep else {
        return Ok(file);
    };
    let unreadable = |problem: String| Error::message(format!("{address}: {problem}"));
    let file = String::from_utf8(file).map_err(|_| unreadable("it is not UTF-8".to_string()))?;
    let after = file.split_once(marker).map(|(_, after)| after);
    let after = after.ok_or_else(|| unreadable(format!("`{}` is not in it", marker.trim())))?;
    match literal::parse_prefix(after) {
        Ok(Value::Text(text)) => {
            let text = format!("{before}{text}").into_bytes();
            expect_hash(&address, "the text's", &text, sha256)?;
            Ok(text)
        }
        Ok(other) => Err(unreadable(format!("expected a string after `{}`, got {}", marker.trim(), other.kind()))),
        Err(problem) => Err(unreadable(format!("expected a string after `{}`: {problem}", marker.trim()))),
    }
}

fn expect_hash(address: &str, whose: &str, content: &[u8], recorded: &str) -> Result<()> {
    let found = file::sha256(content);
    if found == recorded {
        return Ok(());
    }
    let message = format!("{address}: {whose} SHA-256 is {found}, but {recorded} was recorded; nothing is written");
    Err(Error::hinted(message, "a proxy may have changed it: a commit's file never changes by itself"))
}
