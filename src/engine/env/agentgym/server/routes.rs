//! The endpoints of each original server: methods, paths, arguments.

use super::arguments::{Field, Form};
use crate::engine::env::agentgym::Kind;

#[derive(Debug, Clone, Copy)]
pub struct Route {
    pub method: &'static str,
    pub path: &'static str,
    pub fields: &'static [Field],
    pub endpoint: Endpoint,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Endpoint {
    Greeting,
    Create,
    Reset,
    Step,
    Observation,
    Detail,
    Close,
    /// WebShop's list of ids.
    List,
    /// Ours: what the environment says of itself.
    Description,
    /// Ours: the opening turns of the episode.
    Messages,
    /// Exists and always fails.
    Broken,
    /// What the environment's state says under these names, as an object.
    Facts(&'static [&'static str]),
    /// What it says under one name, bare; the second is the name upstream.
    Fact(&'static str, &'static str),
}

const fn required(name: &'static str, form: Form) -> Field {
    Field { name, form, optional: false }
}

const fn optional(name: &'static str, form: Form) -> Field {
    Field { name, form, optional: true }
}

const fn get(path: &'static str, fields: &'static [Field], endpoint: Endpoint) -> Route {
    Route { method: "GET", path, fields, endpoint }
}

const fn post(path: &'static str, fields: &'static [Field], endpoint: Endpoint) -> Route {
    Route { method: "POST", path, fields, endpoint }
}

const ID: &[Field] = &[required("id", Form::Integer)];
const STEP: &[Field] = &[required("id", Form::Integer), required("action", Form::Text)];
const RESET: &[Field] = &[required("id", Form::Integer), required("data_idx", Form::Integer)];
const LENIENT_RESET: &[Field] = &[required("id", Form::Integer), optional("data_idx", Form::Integer)];

const TEXTCRAFT: &[Route] = &[
    get("/", &[], Endpoint::Greeting),
    post("/create", &[optional("commands", Form::Text), optional("goal", Form::Text)], Endpoint::Create),
    post("/step", STEP, Endpoint::Step),
    post("/reset", LENIENT_RESET, Endpoint::Reset),
    get("/observation", ID, Endpoint::Observation),
    get("/commands", ID, Endpoint::Broken),
    get("/goal", ID, Endpoint::Broken),
    get("/detail", ID, Endpoint::Detail),
    post("/close", ID, Endpoint::Close),
];

const BABYAI: &[Route] = &[
    get("/", &[], Endpoint::Greeting),
    post("/create", &[], Endpoint::Create),
    post("/step", STEP, Endpoint::Step),
    post("/reset", RESET, Endpoint::Reset),
    get("/observation", ID, Endpoint::Observation),
    post("/close", ID, Endpoint::Close),
];

/// The original has no `/close`, and fills its memory; the fork at angosr/AgentGym has.
const ALFWORLD: &[Route] = &[
    get("/", &[], Endpoint::Greeting),
    post("/create", &[], Endpoint::Create),
    post("/step", STEP, Endpoint::Step),
    post(
        "/reset",
        &[required("id", Form::Integer), required("game", Form::Integer), required("world_type", Form::Text)],
        Endpoint::Reset,
    ),
    get("/available_actions", ID, Endpoint::Fact("admissible", "available_actions")),
    get("/observation", ID, Endpoint::Observation),
    get("/detail", ID, Endpoint::Detail),
    post("/close", ID, Endpoint::Close),
];

const SCIWORLD: &[Route] = &[
    get("/", &[], Endpoint::Greeting),
    post("/create", &[], Endpoint::Create),
    post("/step", STEP, Endpoint::Step),
    post("/reset", RESET, Endpoint::Reset),
    post("/close", ID, Endpoint::Close),
    get("/observation", ID, Endpoint::Observation),
    get("/action_hint", ID, Endpoint::Facts(&["possible_actions", "possible_objects"])),
    get("/goals", ID, Endpoint::Facts(&["goals"])),
    get("/detail", ID, Endpoint::Detail),
    get("/task_description", ID, Endpoint::Facts(&["task_description"])),
    get("/object_tree", ID, Endpoint::Facts(&["object_tree"])),
];

const SHOP: &[Field] = &[required("env_idx", Form::Integer)];

/// Like ALFWorld's, the original lacks `/close`.
const WEBSHOP: &[Route] = &[
    get("/", &[], Endpoint::Greeting),
    get("/list_envs", &[], Endpoint::List),
    post("/create", &[], Endpoint::Create),
    post("/step", &[required("env_idx", Form::Integer), required("action", Form::Text)], Endpoint::Step),
    get("/available_actions", SHOP, Endpoint::Facts(&["has_search_bar", "clickables"])),
    get("/instruction_text", SHOP, Endpoint::Fact("instruction_text", "instruction_text")),
    get("/observation", SHOP, Endpoint::Observation),
    get("/state", SHOP, Endpoint::Facts(&["url", "html", "instruction_text"])),
    post("/reset", &[required("env_idx", Form::Integer), optional("session_id", Form::Integer)], Endpoint::Reset),
    post("/close", SHOP, Endpoint::Close),
];

/// For environments that AgentGym does not have.
const OTHER: &[Route] = &[
    get("/", &[], Endpoint::Greeting),
    get("/description", &[], Endpoint::Description),
    get("/messages", ID, Endpoint::Messages),
    post("/create", &[], Endpoint::Create),
    post("/step", STEP, Endpoint::Step),
    post("/reset", LENIENT_RESET, Endpoint::Reset),
    get("/observation", ID, Endpoint::Observation),
    get("/detail", ID, Endpoint::Detail),
    post("/close", ID, Endpoint::Close),
];

/// The endpoints of a kind of server; without a kind those for any environment.
pub fn routes(kind: Option<Kind>) -> &'static [Route] {
    match kind {
        Some(Kind::WebShop) => WEBSHOP,
        Some(Kind::AlfWorld) => ALFWORLD,
        Some(Kind::BabyAi) => BABYAI,
        Some(Kind::SciWorld) => SCIWORLD,
        Some(Kind::TextCraft) => TEXTCRAFT,
        None => OTHER,
    }
}
