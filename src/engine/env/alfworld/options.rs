//! The options of `env.make("alfworld", { … })`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::dialect::Wording;
use crate::engine::{Error, Result};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AlfWorldOptions {
    /// One game file (`game.tw-pddl`): every task id is that game.
    pub game: Option<PathBuf>,
    /// The folder of ALFWorld's data, which holds `json_2.1.1`; by default what the variable `ALFWORLD_DATA` names.
    pub data: Option<PathBuf>,
    /// Which tasks; by default `train` where there is data, `generated` where there is none.
    pub split: Option<Split>,
    pub wrapper: Wrapper,
    /// The wording of generated games, by default AgentGym's (`put`). A game file has its own.
    pub dialect: Option<Wording>,
    /// Turns after which an episode is over, at least 1; AgentGym's 30 by default.
    pub max_turns: usize,
    /// The first turn of the conversation, instead of our own text: the text, or the path of a text file.
    pub instructions: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    Train,
    ValidSeen,
    ValidUnseen,
    /// AgentGym's 2,420 training and 200 test tasks by its ids, from its `mappings_train.json` and
    /// `mappings_test.json` in the data folder.
    Agentgym,
    /// Rooms of our own.
    Generated,
}

/// The text around the game.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wrapper {
    /// As AgentGym shows it.
    Agentgym,
    /// As TextWorld shows it.
    Textworld,
}

impl Default for AlfWorldOptions {
    fn default() -> Self {
        AlfWorldOptions {
            game: None,
            data: None,
            split: None,
            wrapper: Wrapper::Agentgym,
            dialect: None,
            max_turns: 30,
            instructions: None,
        }
    }
}

/// Where the games come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Origin {
    File(PathBuf),
    Data(PathBuf, Split),
    Generated(Wording),
}

impl AlfWorldOptions {
    pub fn validate(&self) -> Result<()> {
        if self.max_turns == 0 {
            return Err(Error::option("max_turns", "at least 1", 0));
        }
        if self.game.is_some() {
            let beside = "nothing beside game, which names one file";
            if let Some(data) = &self.data {
                return Err(Error::option("data", beside, data.display()));
            }
            if let Some(split) = self.split {
                return Err(Error::option("split", beside, spelled(&split)));
            }
        }
        Ok(())
    }

    /// `variable` is what ALFWORLD_DATA says; an empty one says nothing.
    pub fn origin(&self, variable: Option<PathBuf>) -> Result<Origin> {
        self.validate()?;
        let data = self.data.clone().or(variable.filter(|path| !path.as_os_str().is_empty()));
        let origin = match (&self.game, self.split, data) {
            (Some(game), _, _) => Origin::File(game.clone()),
            (None, Some(Split::Generated), _) | (None, None, None) => {
                return Ok(Origin::Generated(self.dialect.unwrap_or(Wording::Put)));
            }
            (None, split, Some(data)) => Origin::Data(data, split.unwrap_or(Split::Train)),
            (None, Some(_), None) => {
                let expected = "the folder of ALFWorld's data, here or in the variable ALFWORLD_DATA, for this split";
                return Err(Error::option("data", expected, "none"));
            }
        };
        match self.dialect {
            Some(dialect) => {
                let expected = "none, because a game file has its own (split \"generated\" takes one)";
                Err(Error::option("dialect", expected, spelled(&dialect)))
            }
            None => Ok(origin),
        }
    }
}

/// As the user writes it.
fn spelled(choice: &impl Serialize) -> String {
    let value = serde_json::to_value(choice).unwrap_or_default();
    value.as_str().unwrap_or_default().to_string()
}
