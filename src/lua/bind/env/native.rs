//! The environments that are written in Rust: one line each.

use mlua::Table;
use serde::de::DeserializeOwned;

use crate::engine::Result;
use crate::engine::env::Environment;
use crate::engine::env::agentgym::client::{AgentGymClient, AgentGymOptions};
use crate::engine::env::alfworld::AlfWorld;
use crate::engine::env::babyai::BabyAi;
use crate::engine::env::ded::Ded;
use crate::engine::env::sat::Sat;
use crate::engine::env::sciworld::SciWorld;
use crate::engine::env::sciworld_mini::SciWorldMini;
use crate::engine::env::textcraft::TextCraft;
use crate::engine::env::webshop::WebShop;
use crate::lua::options;

/// Makes an environment from its options; the first argument is the function's name in messages.
type Make = fn(&str, Option<Table>) -> mlua::Result<Box<dyn Environment>>;

/// Name, where it comes from, how it is made.
#[rustfmt::skip]
pub const ALL: &[(&str, &str, Make)] = &[
    ("sat",           "the Affine subnet's SAT",               |function, table| built(function, table, Sat::new)),
    ("abd",           "the Affine subnet's ABD, on Python",    super::abd::make),
    ("ded",           "the Affine subnet's DED, on Python",    |function, table| built(function, table, Ded::new)),
    ("alfworld",      "AgentGym's ALFWorld",                   |function, table| built(function, table, AlfWorld::new)),
    ("babyai",        "AgentGym's BabyAI",                     |function, table| built(function, table, BabyAi::new)),
    ("sciworld",      "AgentGym's ScienceWorld, on Java",      |function, table| built(function, table, SciWorld::new)),
    ("sciworld-mini", "affine's own, small; not ScienceWorld", |function, table| built(function, table, SciWorldMini::new)),
    ("textcraft",     "AgentGym's TextCraft",                  |function, table| built(function, table, TextCraft::new)),
    ("webshop",       "AgentGym's WebShop",                    |function, table| built(function, table, WebShop::new)),
];

/// `affine:sat`, `agentgym:textcraft` → `sat`, `textcraft`.
pub fn bare(name: &str) -> &str {
    ["affine:", "agentgym:"].iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name)
}

/// The environment of that name, or the one behind an AgentGym server's address; nothing where neither is meant.
pub fn make(name: &str, options: Option<Table>) -> mlua::Result<Option<Box<dyn Environment>>> {
    let function = format!("env.make(\"{name}\")");
    if name.starts_with("http://") || name.starts_with("https://") {
        let connect = |options: &AgentGymOptions| AgentGymClient::new(name, options);
        return built(&function, options, connect).map(Some);
    }
    let known = ALL.iter().find(|(known, ..)| *known == bare(name));
    known.map(|(.., make)| make(&function, options)).transpose()
}

fn built<O: DeserializeOwned, E: Environment + 'static>(
    function: &str,
    table: Option<Table>,
    make: impl FnOnce(&O) -> Result<E>,
) -> mlua::Result<Box<dyn Environment>> {
    let options = options::read(function, table)?;
    let environment = make(&options).map_err(|error| options::reject(function, error))?;
    Ok(Box::new(environment))
}
