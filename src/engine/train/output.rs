//! The folder that a trainer writes to.
//!
//! An `output_dir` that is not given is the empty path. It stands for a new folder of this run: no fixed name is safe,
//! because whatever lies there may be another run's.

use std::path::{Path, PathBuf};

use super::checkpoint::{Resume, ResumeFrom};
use crate::engine::track::run;
use crate::engine::{Error, Result, file};

/// Below it lie the folders of runs.
const RUNS: &str = "runs";

/// `output_dir`, created where it is missing; without one `runs/<time>-<trainer>`, which is said.
pub fn folder(output_dir: &Path, trainer: &str) -> Result<PathBuf> {
    if is_given(output_dir) {
        file::create_folder(output_dir)?;
        return Ok(output_dir.to_path_buf());
    }
    let path = run::folder(Path::new(RUNS), trainer)?;
    tracing::info!("trainer.{trainer} has no output_dir: what it saves goes to {}", path.display());
    Ok(path)
}

/// Refuses to look for the newest checkpoint in a folder that is not there yet.
pub fn check_resume(output_dir: &Path, resume: Resume, from: &ResumeFrom) -> Result<()> {
    let newest = match (resume, from) {
        (_, ResumeFrom::Path(_)) => false,
        (resume, ResumeFrom::Newest(asked)) => *asked || resume != Resume::Unchanged(false),
    };
    if !newest || is_given(output_dir) {
        return Ok(());
    }
    let expected = "the folder whose newest checkpoint is to be resumed (without one a trainer writes to a new folder)";
    Err(Error::option("output_dir", expected, "nothing"))
}

/// As people read it before the folder is made.
pub fn shown(output_dir: &Path, trainer: &str) -> String {
    match is_given(output_dir) {
        true => output_dir.display().to_string(),
        false => format!("{RUNS}/<time>-{trainer}"),
    }
}

fn is_given(output_dir: &Path) -> bool {
    !output_dir.as_os_str().is_empty()
}
