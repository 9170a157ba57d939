//! How a client is to send each file, before it sends any.

use axum::extract::State;
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::accounts::Caller;
use super::attributes::{goes_to_large_storage, is_ignored};
use super::context::{Context, Shared};
use super::error::{ApiError, ApiResult, json_ok};
use super::repository::Commit;
use super::routes::{JsonBody, Query, Target, text};

pub async fn preupload(
    State(context): State<Shared>,
    caller: Caller,
    target: Target,
    query: Query,
    JsonBody(body): JsonBody,
) -> ApiResult {
    let mut store = context.store();
    let repository = store.writable(&caller, target.kind, &target.id, query.is_set("create_pr"))?;
    let commit = repository.resolve(&target.revision)?;
    let attributes = regular_text(&context, commit, ".gitattributes")?;
    let ignore = match body["gitIgnore"].as_str() {
        Some(sent) => sent.to_owned(),
        None => regular_text(&context, commit, ".gitignore")?,
    };
    let files = body["files"].as_array().ok_or_else(|| ApiError::bad_request("\"files\" is required"))?;
    let answers: Result<Vec<Value>, ApiError> = files
        .iter()
        .map(|file| {
            let path = text(file, "path")?;
            let size = file["size"].as_u64().ok_or_else(|| ApiError::bad_request("\"files[].size\" is required"))?;
            let sample = STANDARD.decode(file["sample"].as_str().unwrap_or_default()).unwrap_or_default();
            check_size(&context, path, size)?;
            let large = goes_to_large_storage(&attributes, path, size, &sample);
            let oid = commit.tree.get(path).map(|entry| if entry.is_lfs { &entry.sha256 } else { &entry.oid });
            Ok(json!({
                "path": path,
                "uploadMode": if large { "lfs" } else { "regular" },
                "shouldIgnore": is_ignored(&ignore, path),
                "oid": oid,
            }))
        })
        .collect();
    json_ok(json!({"commitOid": commit.sha, "files": answers?}))
}

fn check_size(context: &Context, path: &str, size: u64) -> Result<(), ApiError> {
    match context.options.max_file_size.filter(|&limit| size > limit) {
        Some(limit) => Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, too_large(path, size, limit))),
        None => Ok(()),
    }
}

pub fn too_large(what: &str, size: u64, limit: u64) -> String {
    format!("{what} is too large: {size} bytes, over the maximum file size of {limit} bytes")
}

/// The text of a small file in a commit, empty where there is none.
pub fn regular_text(context: &Context, commit: &Commit, path: &str) -> Result<String, ApiError> {
    match commit.tree.get(path).filter(|entry| !entry.is_lfs) {
        Some(entry) => Ok(std::fs::read_to_string(context.objects.regular(&entry.oid))?),
        None => Ok(String::new()),
    }
}
