//! Optional data of the environments: what is here, and how to get what is not.

use std::path::{Path, PathBuf};

use super::finding::Finding;
use crate::engine::env::sciworld::find;

pub fn data() -> Vec<Finding> {
    vec![alfworld(), sciworld()]
}

/// Where `alfworld-download` puts the games when it is told nothing, below the home folder.
const ALFWORLD_AT_HOME: &str = ".cache/alfworld";
const ALFWORLD_GAMES: &str = "json_2.1.1";

fn alfworld() -> Finding {
    const SUBJECT: &str = "alfworld";
    const OBTAIN: &str =
        "pip install alfworld && alfworld-download, and set ALFWORLD_DATA to the folder that holds json_2.1.1";
    let is_whole = |path: &Path| path.join(ALFWORLD_GAMES).exists();
    if let Some(path) = std::env::var_os("ALFWORLD_DATA").filter(|value| !value.is_empty()).map(PathBuf::from) {
        if is_whole(&path) {
            return Finding::ok(SUBJECT, path.display().to_string());
        }
        let message = format!("ALFWORLD_DATA names {}, but there is no {ALFWORLD_GAMES} in it", path.display());
        return Finding::warn(SUBJECT, message, OBTAIN);
    }
    match std::env::var_os("HOME").map(|home| Path::new(&home).join(ALFWORLD_AT_HOME)).filter(|path| is_whole(path)) {
        Some(path) => {
            let message = format!("the original games are in {}, but affine's own rooms are played", path.display());
            Finding::warn(SUBJECT, message, "set ALFWORLD_DATA to that folder, or name it in the option `data`")
        }
        None => Finding::warn(SUBJECT, "the original games are not here; affine's own rooms are played", OBTAIN),
    }
}

/// ScienceWorld itself knows best where its jar may be.
fn sciworld() -> Finding {
    const SUBJECT: &str = "sciworld";
    const OBTAIN: &str = "affine env setup sciworld";
    let jar = match find::jar(None) {
        Ok(jar) => jar,
        Err(error) => {
            let message = format!("{error}; ScienceWorld itself cannot be played, sciworld-mini can");
            return Finding::warn(SUBJECT, message, error.hint().unwrap_or(OBTAIN));
        }
    };
    match find::is_known_version(&jar) {
        Ok(true) => Finding::ok(SUBJECT, format!("{} ({})", jar.display(), find::VERSION)),
        Ok(false) => {
            let message = format!("{} is not the jar of ScienceWorld {}", jar.display(), find::VERSION);
            Finding::warn(SUBJECT, message, OBTAIN)
        }
        Err(error) => Finding::warn(SUBJECT, error.to_string(), OBTAIN),
    }
}
