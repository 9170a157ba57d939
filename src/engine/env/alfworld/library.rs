//! ALFWorld's published games, as `alfworld-download` unpacks them: `json_2.1.1/<split>/<task>/<trial>/game.tw-pddl`.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::game_file::FILE_NAME;
use super::name::NAME;
use super::options::Split;
use crate::engine::{Error, Result};

const GAMES: &str = "json_2.1.1";

/// AgentGym's lists, of `agentenv-alfworld/configs`: 2,420 and 200 rows, numbered through.
const MAPPINGS: [&str; 2] = ["mappings_train.json", "mappings_test.json"];

/// Where a game of AgentGym's lists may be. Its test list names a folder `valid_train`, which the download lacks.
const MAPPED_SPLITS: [&str; 4] = ["train", "valid_train", "valid_seen", "valid_unseen"];

/// The games of a split in the order of their paths, or AgentGym's in the order of its ids.
#[derive(Debug)]
pub struct Library {
    games: Vec<Game>,
}

#[derive(Debug)]
enum Game {
    At(PathBuf),
    /// `<task>/<trial>` below one of [`MAPPED_SPLITS`].
    Mapped {
        games: PathBuf,
        task: String,
        trial: String,
    },
}

#[derive(Deserialize)]
struct Mapping {
    item_id: usize,
    task_type: String,
    task_id: String,
}

impl Library {
    pub fn open(data: &Path, split: Split) -> Result<Self> {
        let folder = data.join(GAMES);
        if !folder.is_dir() {
            let problem = format!("has no folder {GAMES}; ALFWorld's alfworld-download makes it");
            return Err(Error::file(data, problem));
        }
        let games = match split {
            Split::Train => found(&folder.join("train"))?,
            Split::ValidSeen => found(&folder.join("valid_seen"))?,
            Split::ValidUnseen => found(&folder.join("valid_unseen"))?,
            Split::Agentgym => mapped(data, &folder)?,
            Split::Generated => Vec::new(),
        };
        Ok(Library { games })
    }

    pub fn len(&self) -> usize {
        self.games.len()
    }

    pub fn path(&self, task_id: u64) -> Result<PathBuf> {
        let game = usize::try_from(task_id).ok().and_then(|index| self.games.get(index));
        match game {
            Some(Game::At(path)) => Ok(path.clone()),
            Some(Game::Mapped { games, task, trial }) => {
                let below = |split: &&str| games.join(split).join(task).join(trial).join(FILE_NAME);
                let path = MAPPED_SPLITS.iter().map(below).find(|path| path.is_file());
                path.ok_or_else(|| {
                    let problem = format!("task {task_id}: no split has the game {task}/{trial}");
                    Error::file(games, problem)
                })
            }
            None => Err(Error::environment(NAME, format!("task {task_id}: there are {} tasks", self.games.len()))),
        }
    }
}

/// The games below a folder that the original plays: solvable, without movable receptacles, without slicing.
fn found(folder: &Path) -> Result<Vec<Game>> {
    let mut paths = Vec::new();
    collect(folder, &mut paths)?;
    paths.sort();
    if paths.is_empty() {
        return Err(Error::file(folder, format!("no {FILE_NAME} below it")));
    }
    Ok(paths.into_iter().map(Game::At).collect())
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    let unreadable = |e| Error::file(folder, format!("cannot be read: {e}"));
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !name.contains("movable") && !name.contains("Sliced") {
            collect(&path, paths)?;
        } else if name == FILE_NAME && !calls_itself_unsolvable(&path)? {
            paths.push(path);
        }
    }
    Ok(())
}

/// Without parsing, because a split has thousands of files.
fn calls_itself_unsolvable(path: &Path) -> Result<bool> {
    let bytes = std::fs::read(path).map_err(|e| Error::file(path, format!("cannot be read: {e}")))?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.contains("\"solvable\": false") || text.contains("\"solvable\":false"))
}

fn mapped(data: &Path, games: &Path) -> Result<Vec<Game>> {
    let mut all = Vec::new();
    for name in MAPPINGS {
        let path = data.join(name);
        let text = std::fs::read_to_string(&path).map_err(|e| {
            Error::file(&path, format!("cannot be read ({e}); it is in agentenv-alfworld/configs of AgentGym"))
        })?;
        let rows: Vec<Mapping> = serde_json::from_str(&text)
            .map_err(|e| Error::file(&path, format!("expected a list of item_id, task_type and task_id: {e}")))?;
        for Mapping { item_id, task_type: task, task_id: trial } in rows {
            if item_id != all.len() {
                return Err(Error::file(&path, format!("expected item_id {}, got {item_id}", all.len())));
            }
            all.push(Game::Mapped { games: games.to_path_buf(), task, trial });
        }
    }
    Ok(all)
}
