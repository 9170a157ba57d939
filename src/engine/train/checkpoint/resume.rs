//! Which checkpoint a run continues from: a whole one. A damaged one is named, or set aside where another can stand in.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{STATE, all, checksums, remove};
use crate::engine::{Error, Result, plan};

/// Whether to continue a run: `true` from the newest checkpoint of the output folder, or a checkpoint's path.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged, expecting = "expected true, false or the path of a checkpoint")]
pub enum ResumeFrom {
    Newest(bool),
    Path(PathBuf),
}

impl Default for ResumeFrom {
    fn default() -> Self {
        ResumeFrom::Newest(false)
    }
}

/// Whether to continue a run, and whether although something has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "expected true, false or \"force\"")]
pub enum Resume {
    Unchanged(bool),
    Although(Force),
}

/// The word for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Force {
    Force,
}

impl Default for Resume {
    fn default() -> Self {
        Resume::Unchanged(false)
    }
}

impl Resume {
    pub fn forced(self) -> bool {
        self == Resume::Although(Force::Force)
    }

    /// The checkpoint to continue from, if any: the one that `from` names, else with `true` or `"force"` the newest.
    pub fn find(self, from: &ResumeFrom, output_dir: &Path) -> Result<Option<PathBuf>> {
        match (self, from) {
            (Resume::Unchanged(true) | Resume::Although(_), ResumeFrom::Newest(_)) => {
                ResumeFrom::Newest(true).find(output_dir)
            }
            _ => from.find(output_dir),
        }
    }
}

impl ResumeFrom {
    /// A checkpoint that is named must be there; a plan cannot go on from it, because it holds a real model's state.
    pub fn start_afresh_in_plan(&mut self, output_dir: &Path) -> Result<()> {
        if let ResumeFrom::Path(path) = &*self {
            self.find(output_dir)?;
            plan::note(format!("goes on from {}", path.display()));
        }
        *self = ResumeFrom::default();
        Ok(())
    }

    /// The checkpoint to continue from, if any; it is whole.
    pub fn find(&self, output_dir: &Path) -> Result<Option<PathBuf>> {
        match self {
            ResumeFrom::Newest(false) => Ok(None),
            ResumeFrom::Newest(true) => newest_whole(output_dir),
            ResumeFrom::Path(path) if path.join(STATE).exists() => {
                checksums::verify(path)?;
                Ok(Some(path.clone()))
            }
            ResumeFrom::Path(path) => Err(Error::option(
                "resume_from_checkpoint",
                format!("a checkpoint folder with {STATE}"),
                path.display(),
            )),
        }
    }
}

/// The newest checkpoint whose files are what was saved. Damaged ones that are newer get another name, so that what goes on
/// is not mixed up with them; where none is whole, nothing is renamed and nothing begins afresh.
fn newest_whole(output_dir: &Path) -> Result<Option<PathBuf>> {
    let mut damaged = Vec::new();
    for (_, path) in all(output_dir)?.into_iter().rev() {
        match checksums::verify(&path) {
            Err(error) => damaged.push((path, error)),
            Ok(()) => {
                damaged.into_iter().try_for_each(|(damaged, error)| set_aside(&damaged, &error, &path))?;
                return Ok(Some(path));
            }
        }
    }
    match damaged.into_iter().next() {
        Some((_, error)) => {
            let hint = "no other checkpoint is whole; without resume the run begins afresh";
            Err(Error::hinted(error.to_string(), hint))
        }
        None => Ok(None),
    }
}

fn set_aside(damaged: &Path, error: &Error, instead: &Path) -> Result<()> {
    let name = damaged.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let aside = damaged.with_file_name(format!("damaged-{name}"));
    remove(&aside)?;
    std::fs::rename(damaged, &aside).map_err(|e| Error::file(damaged, e))?;
    tracing::warn!("{error}: the checkpoint is {} now, the run goes on from {}", aside.display(), instead.display());
    Ok(())
}
