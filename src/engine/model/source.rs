//! What a model is called: a model of the Hub by its id and commit, which mean the same on every machine, another by its
//! folder.

use std::path::Path;

/// A name, and a commit where it is one of the Hub's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub name: String,
    pub revision: Option<String>,
}

impl Source {
    pub fn named(name: impl Into<String>) -> Self {
        Source { name: name.into(), revision: None }
    }

    /// Of a folder; one in the cache of the Hub has the name of what is cached there.
    pub fn of(folder: &Path) -> Self {
        let cached = || cached(&folder.canonicalize().ok()?);
        cached().or_else(|| self::cached(folder)).unwrap_or_else(|| Source::named(folder.display().to_string()))
    }
}

/// `…/models--acme--tiny/snapshots/<commit>`, as Python's `huggingface_hub` lays its cache out.
fn cached(folder: &Path) -> Option<Source> {
    let name = |folder: &Path| Some(folder.file_name()?.to_str()?.to_string());
    let snapshots = folder.parent()?;
    let commit = name(folder)?;
    let id = name(snapshots.parent()?)?.strip_prefix("models--")?.replacen("--", "/", 1);
    (name(snapshots)? == "snapshots").then_some(Source { name: id, revision: Some(commit) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_of_the_hub_is_called_by_its_id() {
        let of = |folder: &str| Source::of(Path::new(folder));
        let tiny = Source { name: "acme/tiny".into(), revision: Some("0123".into()) };
        assert_eq!(of("/x/hub/models--acme--tiny/snapshots/0123"), tiny);
        assert_eq!(of("models--acme--tiny/snapshots/0123/"), tiny);
        assert_eq!(of("/hub/models--acme--a--b/snapshots/0123").name, "acme/a--b");
        assert_eq!(of("/hub/models--gpt2/snapshots/0123").name, "gpt2");
        for folder in ["models/sft", "/hub/models--acme--tiny", "/hub/models--acme--tiny/blobs/0123", "snapshots/0123"]
        {
            assert_eq!(of(folder), Source::named(folder));
        }
    }
}
