//! Game files of ALFWorld (`game.tw-pddl`): JSON with a domain, a grammar and a problem.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::household::Household;
use super::name::NAME;
use super::problem::Problem;
use super::{domain, grammar};
use crate::engine::{Error, Result};

/// The name that every game file has, each in a folder of its own.
pub const FILE_NAME: &str = "game.tw-pddl";

/// What upstream's grammar has in place of the task.
const TASK_PLACEHOLDER: &str = "UNKNOWN GOAL";

#[derive(Serialize, Deserialize)]
struct GameFile {
    pddl_domain: String,
    grammar: String,
    pddl_problem: String,
    #[serde(default)]
    solvable: Option<bool>,
}

/// Reads a game and makes sure that it is one that we play exactly.
pub fn load(path: &Path) -> Result<Household> {
    let bytes = std::fs::read(path).map_err(|e| Error::file(path, format!("cannot be read: {e}")))?;
    let game: GameFile = serde_json::from_slice(&bytes)
        .map_err(|e| Error::file(path, format!("is no whole game file of ALFWorld: {e}")))?;
    if game.solvable == Some(false) {
        return Err(Error::file(path, "the goal cannot be reached: the file calls itself unsolvable"));
    }
    game.household().map_err(|problem| Error::file(path, problem))
}

impl GameFile {
    fn household(&self) -> Result<Household, String> {
        let domain = domain::read(&self.pddl_domain).map_err(|problem| format!("pddl_domain: {problem}"))?;
        let mut grammar = grammar::read(&self.grammar).map_err(|problem| format!("grammar: {problem}"))?;
        if domain.has_help && !grammar.dialect.has_help {
            return Err("grammar: the action help has no command".to_string());
        }
        grammar.dialect.has_help = domain.has_help;
        let problem = Problem::read(&self.pddl_problem).and_then(|problem| {
            // What cannot be played is named here, beside what cannot be read.
            Household::new(&problem, grammar.dialect, grammar.sentence)
        });
        problem.map_err(|problem| format!("pddl_problem: {problem}"))
    }
}

/// A game file for TextWorld's own engine, from a problem of ours and upstream's domain and grammar
/// (`alfred.pddl` and `alfred.twl2` in the Python package `alfworld`).
pub fn compose(problem: &str, task: &str, domain: &str, grammar: &str) -> Result<String> {
    let game = GameFile {
        pddl_domain: domain.to_string(),
        grammar: grammar.replace(TASK_PLACEHOLDER, task),
        pddl_problem: problem.to_string(),
        solvable: Some(true),
    };
    serde_json::to_string(&game).map_err(|e| Error::environment(NAME, e))
}
