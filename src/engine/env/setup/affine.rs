//! `affine env setup affine`: upstream's instruction texts, for runs that show a model exactly what validators show it.
//!
//! The texts are not part of this program. What is written are files that the option `instructions` takes.

use std::path::{Path, PathBuf};

use super::sources::{self, Keep, Source};
use crate::engine::Result;
use crate::engine::env::programs::template::Kind;

/// Where upstream's sources lie, at the commit whose verdicts are reproduced.
const UPSTREAM: &str = "https://raw.githubusercontent.com/AffineFoundation/affinetes/345b7bcfe43c1324483f733eadabac938425014a/environments/affine";

/// Downloads upstream's texts into a folder, and returns the folder.
pub fn setup(folder: &Path) -> Result<PathBuf> {
    sources::fetch(UPSTREAM, &texts(), folder)?;
    Ok(folder.to_path_buf())
}

/// Upstream's two texts.
pub fn texts() -> [Source; 2] {
    let source = |name: &str, sha256: &str, marker, before, kind: Kind| Source {
        path: format!("{name}.py"),
        sha256: sha256.to_string(),
        keep: Keep::Text { marker, before, sha256: kind.upstream().to_string() },
        target: format!("{name}.txt"),
    };
    let (abd, ded) = (
        "b1026286a5a339752ae0e3c77d150d7a792e292ce11bab096553bb36a5e7fa29",
        "6701548e035624e196ed2dc4a10bd890abf513b9b73eb8e5bd780e4d4f3b5b1e",
    );
    [
        source("abd", abd, "\nPROMPT_TEMPLATE = ", "", Kind::Abd),
        source("ded", ded, "        extra_hint = ", "{prompt}", Kind::Ded),
    ]
}
