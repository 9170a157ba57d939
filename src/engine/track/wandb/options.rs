//! What a W&B run is called and where it belongs.

use std::hash::{BuildHasher, Hasher, RandomState};

use serde::Deserialize;

use crate::engine::{Error, Result};

/// How a run gets to W&B.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// By `wandb sync`, when the user wants.
    #[default]
    Offline,
    /// By `wandb beta sync --live`, while it is written.
    Online,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Where W&B puts the run; it has a project for runs without one ("uncategorized").
    pub project: String,
    /// A user or a team; who uploads, where it is empty.
    pub entity: String,
    pub group: String,
    pub job_type: String,
    /// What the run is shown as; W&B makes a name up where it is empty.
    pub name: String,
    pub notes: String,
    pub tags: Vec<String>,
    /// The run's id: a new one where it is empty, or the one of the run that is in the folder.
    pub id: String,
    pub mode: Mode,
}

impl Options {
    /// What the service would refuse, when nobody is there any more to mend it.
    pub fn check(&self) -> Result<()> {
        let project = &self.project;
        if project.chars().count() > 128 || project.contains(['/', '\\', '#', '?', '%', ':']) {
            return Err(Error::option(
                "wandb.project",
                r"at most 128 characters, none of them / \ # ? % :",
                format!("{project:?}"),
            ));
        }
        if let Some(tag) = self.tags.iter().find(|tag| !(1..=64).contains(&tag.chars().count())) {
            return Err(Error::option("wandb.tags", "tags of 1 to 64 characters", format!("{tag:?}")));
        }
        let in_id = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if self.id.len() > 64 || !self.id.chars().all(in_id) {
            return Err(Error::option(
                "wandb.id",
                "at most 64 letters, digits, - and _, as the run's folder is named by it",
                format!("{:?}", self.id),
            ));
        }
        Ok(())
    }
}

/// Eight letters and digits, as W&B makes them. The standard library's hasher is keyed by the system's randomness.
pub fn new_id() -> String {
    const LETTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut random = RandomState::new().build_hasher().finish();
    let mut letter = || {
        let letter = LETTERS[(random % 36) as usize];
        random /= 36;
        char::from(letter)
    };
    (0..8).map(|_| letter()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_service_would_refuse_is_named() {
        let options = Options { project: "a/b".to_string(), ..Options::default() };
        assert_eq!(
            options.check().unwrap_err().to_string(),
            r#"wandb.project: expected at most 128 characters, none of them / \ # ? % :, got "a/b""#
        );
        let options = Options { tags: vec![String::new()], ..Options::default() };
        assert_eq!(
            options.check().unwrap_err().to_string(),
            r#"wandb.tags: expected tags of 1 to 64 characters, got """#
        );
        assert!(Options { id: "../x".to_string(), ..Options::default() }.check().is_err());
        assert!(Options { id: new_id(), project: "affine-training".to_string(), ..Options::default() }.check().is_ok());
    }

    #[test]
    fn ids_are_w_and_bs_and_differ() {
        let id = new_id();
        assert!(id.len() == 8 && id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()), "{id}");
        assert_ne!(id, new_id());
    }
}
