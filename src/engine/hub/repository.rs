//! What the Hub holds: repositories of models and of data sets, named `owner/name`.

use std::fmt;

use crate::engine::{Error, Result};

/// What a repository holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    #[default]
    Model,
    DataSet,
}

impl Kind {
    /// In the paths of the API, and in the names of folders of the cache.
    pub fn plural(self) -> &'static str {
        match self {
            Kind::Model => "models",
            Kind::DataSet => "datasets",
        }
    }

    /// Before the id in the address of a page or a file.
    pub fn prefix(self) -> &'static str {
        match self {
            Kind::Model => "",
            Kind::DataSet => "datasets/",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Model => "model",
            Kind::DataSet => "data set",
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    pub kind: Kind,
    /// `owner/name`.
    pub id: String,
}

impl Repository {
    /// As a user names it: `owner/name` of the characters that the Hub allows.
    pub fn named(kind: Kind, id: impl Into<String>) -> Result<Self> {
        let id = id.into();
        match problem_of_id(&id) {
            None => Ok(Repository { kind, id }),
            Some(problem) => {
                let expected = "OWNER/NAME of letters, digits, -, _ and .";
                Err(Error::option("repo", expected, format!("\"{id}\" ({problem})")))
            }
        }
    }

    pub fn model(id: impl Into<String>) -> Self {
        Repository { kind: Kind::Model, id: id.into() }
    }

    pub fn data_set(id: impl Into<String>) -> Self {
        Repository { kind: Kind::DataSet, id: id.into() }
    }

    pub fn owner(&self) -> &str {
        self.id.split_once('/').map_or("", |(owner, _)| owner)
    }

    pub fn name(&self) -> &str {
        self.id.split_once('/').map_or(&self.id, |(_, name)| name)
    }

    /// The page of a repository, `datasets/acme/rows`, without the endpoint.
    pub fn page(&self) -> String {
        format!("{}{}", self.kind.prefix(), self.id)
    }

    /// Its folder in the cache.
    pub fn folder_name(&self) -> String {
        format!("{}--{}", self.kind.plural(), self.id.replace('/', "--"))
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)
    }
}

/// The longest name that the Hub takes.
const LONGEST: usize = 96;

/// `owner/name` of the characters that the Hub allows, and no path.
pub fn is_id(text: &str) -> bool {
    text.split_once('/').is_some_and(|(owner, name)| problem_of(owner).is_none() && problem_of(name).is_none())
}

/// Why `text` cannot be the id of a repository; nothing where it can.
pub fn problem_of_id(text: &str) -> Option<String> {
    let Some((owner, name)) = text.split_once('/') else {
        return Some("it names no owner: OWNER/NAME".to_string());
    };
    problem_of(owner)
        .map(|problem| format!("its owner {problem}"))
        .or_else(|| problem_of(name).map(|problem| format!("its name {problem}")))
}

/// As the Hub judges the parts of an id.
fn problem_of(part: &str) -> Option<String> {
    if part.is_empty() {
        return Some("is empty".to_string());
    }
    if part.len() > LONGEST {
        return Some(format!("is longer than {LONGEST} characters"));
    }
    if let Some(c) = part.chars().find(|c| !(c.is_ascii_alphanumeric() || "-_.".contains(*c))) {
        return Some(format!("holds {c:?}; letters, digits, - _ and . may stand there"));
    }
    if part.starts_with(['-', '.']) || part.ends_with(['-', '.']) {
        return Some("begins or ends with - or .".to_string());
    }
    if part.contains("--") || part.contains("..") {
        return Some("holds -- or ..".to_string());
    }
    part.ends_with(".git").then(|| "ends in .git".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_an_owner_and_a_name() {
        assert!(is_id("Qwen/Qwen3-4B"));
        for path in ["models", "./models", "../a/b", "a/b/c", "/models/a", "a/", "models/sft final", "a/b.git", "a/-b"]
        {
            assert!(!is_id(path), "{path}");
        }
    }

    #[test]
    fn what_is_wrong_with_an_id_is_told() {
        for (id, wanted) in [
            ("model", "it names no owner: OWNER/NAME"),
            ("/model", "its owner is empty"),
            ("acme/", "its name is empty"),
            ("acme/a b", "its name holds ' '; letters, digits, - _ and . may stand there"),
            ("acme/a/b", "its name holds '/'; letters, digits, - _ and . may stand there"),
            ("acme/.a", "its name begins or ends with - or ."),
            ("acme/a--b", "its name holds -- or .."),
            ("ac--me/a", "its owner holds -- or .."),
        ] {
            assert_eq!(problem_of_id(id).as_deref(), Some(wanted), "{id}");
        }
        assert_eq!(problem_of_id(&format!("acme/{}", "a".repeat(96))), None);
        assert!(problem_of_id(&format!("acme/{}", "a".repeat(97))).is_some());
    }
}
