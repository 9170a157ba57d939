//! What a script may choose of WebShop.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::goals::GoalKind;
use super::nouns::NounRule;
use super::page::ObservationMode;
use crate::engine::{Error, Result};

/// A catalogue of our own has at most this many products.
const MOST_OWN_PRODUCTS: usize = 1_000_000;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebShopOptions {
    /// A folder with the original's files: `items_shuffle.json` and `items_ins_v2.json` (or those ending in `_1000`),
    /// and `items_human_ins.json` for people's goals. Without it, a catalogue of our own. A `goals.json` in the folder
    /// gives the goals and prices of a running original.
    pub data: Option<PathBuf>,
    /// Products: the first so many in the file (all of them by default), or the size of our own catalogue (2000).
    pub num_products: Option<usize>,
    /// What our own catalogue is drawn from (0).
    pub seed: Option<u64>,
    /// Which goals are played.
    pub goals: GoalKind,
    /// What counts as a noun when names are compared.
    pub noun_rule: NounRule,
    /// How pages become text.
    pub observation_mode: ObservationMode,
    /// Shows a button to a product's attributes.
    pub show_attrs: bool,
    /// Where the products and the index made from `data` are kept for the next start; by default in `data` itself.
    pub cache_dir: Option<PathBuf>,
    /// Whether they are kept at all.
    pub cache: bool,
    /// Turns after which an episode is over, at least 1.
    pub max_turns: usize,
    /// The first turn of the conversation, instead of our own text: the text, or the path of a text file.
    pub instructions: Option<String>,
}

impl Default for WebShopOptions {
    fn default() -> Self {
        WebShopOptions {
            data: None,
            num_products: None,
            seed: None,
            goals: GoalKind::Synthetic,
            noun_rule: NounRule::Approximate,
            observation_mode: ObservationMode::Text,
            show_attrs: false,
            cache_dir: None,
            cache: true,
            max_turns: 10,
            instructions: None,
        }
    }
}

impl WebShopOptions {
    pub fn validate(&self) -> Result<()> {
        if self.num_products == Some(0) {
            return Err(Error::option("num_products", "at least 1 product", 0));
        }
        if self.data.is_none() {
            if let Some(many) = self.num_products.filter(|&n| n > MOST_OWN_PRODUCTS) {
                let expected = format!("from 1 to {MOST_OWN_PRODUCTS} products without data");
                return Err(Error::option("num_products", expected, many));
            }
            if let Some(folder) = &self.cache_dir {
                return Err(Error::option("cache_dir", "nothing without data", folder.display()));
            }
            if self.goals != GoalKind::Synthetic {
                return Err(Error::option(
                    "goals",
                    "synthetic without data: people's goals are in its files",
                    "another",
                ));
            }
        } else if let Some(seed) = self.seed {
            return Err(Error::option("seed", "nothing with data: it draws a catalogue of our own", seed));
        }
        if self.max_turns < 1 {
            return Err(Error::option("max_turns", "at least 1 turn", self.max_turns));
        }
        Ok(())
    }
}
