//! Is the PDDL domain in a game file the one that our state machine plays?
//!
//! ALFWorld has had one domain since 0.2.0; 0.4.0 added the action `help` and nothing else. The state machine of
//! [`state`](super::state) is that domain by hand, so a file is held to it: every action is compared by a hash over its
//! words, and what differs is named. The domain's text itself is upstream's and is not kept here.

use super::lisp::{self, Expression};
use crate::engine::file::sha256;

/// What a game file's domain says that matters here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Domain {
    pub has_help: bool,
}

const REQUIREMENTS: [&str; 4] = [":adl", ":action-costs", ":typing", ":strips"];

/// The first 16 hex digits of SHA-256 over the section, written with single spaces and in lower case.
const SECTIONS: [(&str, &str); 3] =
    [(":types", "475498af513a7f28"), (":predicates", "0ba6015ef8e9ab46"), (":functions", "95756e140eef923b")];

const ACTIONS: [(&str, &str); 15] = [
    ("look", "af35305d0073105f"),
    ("inventory", "707bf5a9f559863f"),
    ("examinereceptacle", "b3bf49299bab5205"),
    ("examineobject", "30dc940e6061553d"),
    ("gotolocation", "1a17e26de38fab24"),
    ("openobject", "21956169b15d8546"),
    ("closeobject", "11ebd46815bc0c79"),
    ("pickupobject", "67566d33029bd651"),
    ("putobject", "6ebc84b6bfd5a339"),
    ("cleanobject", "60439a4fefecb24d"),
    ("heatobject", "913128a2295ae62c"),
    ("coolobject", "e5584ea482950e09"),
    ("toggleobject", "add36a6e826ee01c"),
    ("sliceobject", "d10bfbed9ccc451d"),
    (HELP, "805c8dba41981b5e"),
];

const HELP: &str = "help";

/// PDDL that an action could hold and that no action of ALFWorld's does.
const FOREIGN: [&str; 9] =
    ["forall", "imply", "assign", "scale-up", "scale-down", "decrease", "at", "over", "preference"];

pub fn read(text: &str) -> Result<Domain, String> {
    let domain = lisp::read(text)?;
    let Some(("define", sections)) = domain.headed() else {
        return Err("expected (define (domain …) …)".to_string());
    };
    let mut actions = Vec::new();
    let mut seen = Vec::new();
    for section in sections {
        match section.headed() {
            Some(("domain", _)) => {}
            Some((":requirements", flags)) => check_requirements(flags)?,
            Some((":action", parts)) => actions.push(check_action(section, parts)?),
            Some((name, _)) => seen.push(check_section(section, name)?),
            None => return Err(format!("expected a section like (:action …), got {section}")),
        }
    }
    let absent = SECTIONS.iter().map(|(name, _)| *name).find(|name| !seen.contains(name));
    let idle = ACTIONS.iter().map(|(name, _)| *name).find(|name| *name != HELP && !actions.contains(name));
    match (absent, idle) {
        (Some(section), _) => Err(format!("the section ({section} …) is missing")),
        (None, Some(action)) => Err(format!("the action {action} is missing")),
        (None, None) => Ok(Domain { has_help: actions.contains(&HELP) }),
    }
}

fn check_requirements(flags: &[Expression]) -> Result<(), String> {
    match flags.iter().find(|flag| !flag.word().is_some_and(|word| REQUIREMENTS.contains(&word))) {
        Some(flag) => Err(format!("the requirement {flag} is not known here; known are {}", REQUIREMENTS.join(", "))),
        None => Ok(()),
    }
}

fn check_section(section: &Expression, name: &str) -> Result<&'static str, String> {
    let (name, expected) = SECTIONS
        .iter()
        .find(|(known, _)| *known == name)
        .ok_or_else(|| format!("the section ({name} …) is a PDDL construct not known here"))?;
    if fingerprint(&section.to_string()) != *expected {
        return Err(format!("the section ({name} …) is not that of ALFWorld 0.2 to 0.4"));
    }
    Ok(name)
}

fn check_action(action: &Expression, parts: &[Expression]) -> Result<&'static str, String> {
    let name = parts.first().and_then(Expression::word).ok_or("an (:action …) without a name")?;
    let (name, expected) = ACTIONS
        .iter()
        .find(|(known, _)| *known == name)
        .ok_or_else(|| format!("the action {name} is none of ALFWorld 0.2 to 0.4"))?;
    if fingerprint(&action.to_string()) == *expected {
        return Ok(name);
    }
    Err(match parts.iter().skip(1).find_map(foreign_head) {
        Some(head) => format!("the action {name} uses ({head} …), a PDDL construct not known here"),
        None => format!("the action {name} is not defined as in ALFWorld 0.2 to 0.4"),
    })
}

/// The first construct in `part` that would explain why it is not upstream's.
fn foreign_head(part: &Expression) -> Option<&str> {
    match part.headed() {
        Some((head, _)) if FOREIGN.contains(&head) => Some(head),
        _ => part.list()?.iter().find_map(foreign_head),
    }
}

/// Enough of SHA-256 to tell texts apart that nobody forged.
pub fn fingerprint(text: &str) -> String {
    sha256(text.as_bytes()).chars().take(16).collect()
}
