//! What differs between the texts of ALFWorld's versions.

use serde::{Deserialize, Serialize};

/// The two published dialects, by the word for putting something down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wording {
    /// Up to 0.3.x, which is what AgentGym plays: `put … in/on …`, arrivals name a location, no `help`.
    Put,
    /// From 0.4.0 on: `move … to …`, arrivals name the receptacle, `help`.
    Move,
}

/// A dialect, feature by feature: a game file may mix them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dialect {
    /// The command that puts something down.
    pub command: Wording,
    /// What is said when something was put down.
    pub report: Wording,
    /// `You arrive at loc 12.` ([`Wording::Put`]) or `You arrive at desk 1.`
    pub arrival: Wording,
    pub has_help: bool,
}

impl Dialect {
    pub fn of(wording: Wording) -> Self {
        Dialect { command: wording, report: wording, arrival: wording, has_help: wording == Wording::Move }
    }
}
