//! Creating, deleting and renaming repositories.

use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::accounts::Caller;
use super::context::Shared;
use super::error::{ApiError, ApiResult, json_ok, json_response};
use super::repository::{Kind, Repository};
use super::routes::{JsonBody, text};

pub async fn create(State(context): State<Shared>, caller: Caller, JsonBody(body): JsonBody) -> ApiResult {
    let (kind, id) = named(&caller, &body)?;
    check_name(&id)?;
    let url = format!("{}/{}{id}", context.endpoint, kind.prefix());
    let mut store = context.store();
    if !caller.can_write(&id) {
        let namespace = id.split('/').next().unwrap_or_default();
        let kind = kind.name();
        let message = format!("You don't have the rights to create a {kind} under the namespace \"{namespace}\"");
        return Err(ApiError::forbidden(message));
    }
    if store.contains(kind, &id) {
        let message = format!("You already created this {} repo", kind.name());
        return Ok(json_response(StatusCode::CONFLICT, &json!({"error": message, "url": url, "name": id, "id": id})));
    }
    let private = body["private"].as_bool().unwrap_or(false) || body["visibility"] == "private";
    let author = caller.name().unwrap_or_default();
    store.insert(Repository::create(kind, &id, private, author, &context.objects)?);
    json_ok(json!({"url": url, "name": id, "id": id, "private": private}))
}

pub async fn delete(State(context): State<Shared>, caller: Caller, JsonBody(body): JsonBody) -> ApiResult {
    let (kind, id) = named(&caller, &body)?;
    let mut store = context.store();
    store.writable(&caller, kind, &id, false)?;
    store.remove(kind, &id);
    json_ok(json!({}))
}

pub async fn rename(State(context): State<Shared>, caller: Caller, JsonBody(body): JsonBody) -> ApiResult {
    let kind = kind_of(&body)?;
    let (from, to) = (text(&body, "fromRepo")?, text(&body, "toRepo")?);
    check_name(to)?;
    let mut store = context.store();
    store.writable(&caller, kind, from, false)?;
    if !caller.can_write(to) {
        return Err(ApiError::forbidden(format!("You don't have the rights to move a repo to \"{to}\"")));
    }
    if store.contains(kind, to) {
        return Err(ApiError::new(StatusCode::CONFLICT, format!("The repo {to} already exists")));
    }
    store.rename(kind, from, to);
    json_ok(json!({"url": format!("{}/{}{to}", context.endpoint, kind.prefix())}))
}

/// The kind and id that a body names; without an organisation the repository is the caller's own.
fn named(caller: &Caller, body: &Value) -> Result<(Kind, String), ApiError> {
    let name = text(body, "name")?;
    let own = caller.name().ok_or_else(ApiError::login_needed)?;
    let namespace = body["organization"].as_str().unwrap_or(own);
    let id = if name.contains('/') { name.to_owned() } else { format!("{namespace}/{name}") };
    Ok((kind_of(body)?, id))
}

fn kind_of(body: &Value) -> Result<Kind, ApiError> {
    let name = body["type"].as_str().unwrap_or("model");
    Kind::from_name(name).ok_or_else(|| ApiError::bad_request(format!("\"{name}\" repositories are not kept here")))
}

fn check_name(id: &str) -> Result<(), ApiError> {
    let name = id.split_once('/').map_or("", |(_, name)| name);
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    let well_formed = !name.is_empty()
        && name.len() <= 96
        && name.chars().all(allowed)
        && !name.starts_with(['-', '.'])
        && !name.ends_with(['-', '.'])
        && !name.contains("--")
        && !name.contains("..")
        && !name.ends_with(".git");
    match well_formed {
        true => Ok(()),
        false => Err(ApiError::bad_request(format!(
            "\"{id}\" is not a name: use letters, digits, '-', '_' and '.', at most 96, without '--' and '..', neither \
             beginning nor ending with '-' or '.', nor ending with \".git\""
        ))),
    }
}
