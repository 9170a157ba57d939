//! The nouns of a product's name, of which the reward wants to know how many two names share.
//!
//! The original asks spaCy's English model. There is none here, so the rules are approximations; a run that compares
//! rewards with published ones must say which rule it used.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

/// What counts as a noun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NounRule {
    /// Every word of letters but those of closed classes (prepositions, articles, pronouns, …) and the adjectives,
    /// verbs and adverbs that are common in product names.
    Approximate,
    /// Every word of letters. The recorded episodes of the original were made under this rule.
    AllWords,
}

impl NounRule {
    /// The nouns of a name in small letters, with repetitions.
    pub fn nouns(self, name: &str) -> Vec<String> {
        let words = name.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty()).map(str::to_lowercase);
        match self {
            NounRule::AllWords => words.collect(),
            NounRule::Approximate => words.filter(|word| NOT_NOUNS.binary_search(&word.as_str()).is_err()).collect(),
        }
    }

    /// How much of the goal's name another name shares: the common nouns over the goal's nouns; 0.2 where the goal's
    /// name has none.
    pub fn title_score(self, bought: &str, goal: &str) -> f64 {
        let goal = self.nouns(goal);
        if goal.is_empty() {
            return 0.2;
        }
        let bought: HashSet<String> = self.nouns(bought).into_iter().collect();
        let common = goal.iter().collect::<HashSet<_>>().into_iter().filter(|noun| bought.contains(*noun)).count();
        common as f64 / goal.len() as f64
    }
}

const NOT_NOUNS: [&str; 1] = ["with"];
