//! What a repository holds: its page, its files, its commits and references.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::HeaderValue;
use serde_json::{Value, json};

use super::accounts::Caller;
use super::context::{Context, Shared};
use super::error::{ApiError, ApiResult, json_ok};
use super::objects::blob_id;
use super::repository::{Commit, Entry, Repository, pointer};
use super::routes::{JsonBody, Query, Target};

pub async fn info(State(context): State<Shared>, caller: Caller, target: Target, query: Query) -> ApiResult {
    let store = context.store();
    let repository = store.visible(&caller, target.kind, &target.id)?;
    let commit = repository.resolve(&target.revision)?;
    let siblings: Vec<Value> =
        commit.tree.iter().map(|(path, entry)| sibling(path, entry, query.is_set("blobs"))).collect();
    json_ok(json!({
        "_id": blob_id(repository.id.as_bytes())[..24],
        "id": repository.id,
        "modelId": repository.id,
        "author": repository.id.split('/').next(),
        "sha": commit.sha,
        "lastModified": commit.date,
        "createdAt": repository.created,
        "private": repository.private,
        "gated": if repository.gated { json!("auto") } else { json!(false) },
        "disabled": false,
        "downloads": 0,
        "likes": 0,
        "tags": [],
        "siblings": siblings,
    }))
}

fn sibling(path: &str, entry: &Entry, with_blob: bool) -> Value {
    let mut sibling = json!({ "rfilename": path });
    if with_blob {
        sibling["size"] = entry.size.into();
        sibling["blobId"] = entry.oid.as_str().into();
        if entry.is_lfs {
            let pointer_size = pointer(&entry.sha256, entry.size).len();
            sibling["lfs"] = json!({"sha256": entry.sha256, "size": entry.size, "pointerSize": pointer_size});
        }
    }
    sibling
}

pub async fn tree(State(context): State<Shared>, caller: Caller, target: Target, query: Query) -> ApiResult {
    let store = context.store();
    let repository = store.readable(&caller, target.kind, &target.id, &context.endpoint)?;
    let commit = repository.resolve(&target.revision)?;
    let lister = Lister { context: &context, repository, commit, expand: query.is_set("expand") };
    let entries = lister.below(&target.path, query.is_set("recursive"))?;

    let asked = query.get("limit").and_then(|limit| limit.parse().ok());
    let page = asked.unwrap_or(context.options.page_size).min(context.options.page_size);
    let from: usize = query.get("cursor").and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
    let listed: Vec<&Value> = entries.iter().skip(from).take(page).collect();
    let mut response = json_ok(json!(listed))?;
    if from + page < entries.len() {
        let link = next_page(&context, &target, &query, from + page);
        response.headers_mut().insert("link", HeaderValue::from_str(&link).map_err(std::io::Error::other)?);
    }
    Ok(response)
}

fn next_page(context: &Context, target: &Target, query: &Query, cursor: usize) -> String {
    let address = format!("{}/api/{}/{}/tree", context.endpoint, target.kind.plural(), target.id);
    let path = [&target.revision, &target.path].map(|part| percent_encoded(part));
    let kept = ["recursive", "expand", "limit"].into_iter().filter_map(|name| Some((name, query.get(name)?)));
    let kept: String = kept.map(|(name, value)| format!("{name}={value}&")).collect();
    format!("<{address}/{}?{kept}cursor={cursor}>; rel=\"next\"", path.join("/").trim_end_matches('/'))
}

/// A revision's slashes are a part of its name.
fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

pub async fn paths_info(
    State(context): State<Shared>,
    caller: Caller,
    target: Target,
    JsonBody(body): JsonBody,
) -> ApiResult {
    let store = context.store();
    let repository = store.readable(&caller, target.kind, &target.id, &context.endpoint)?;
    let commit = repository.resolve(&target.revision)?;
    let lister = Lister { context: &context, repository, commit, expand: body["expand"] == true };
    let paths = body["paths"].as_array().ok_or_else(|| ApiError::bad_request("\"paths\" is required"))?;
    let found: Vec<Value> = paths.iter().filter_map(Value::as_str).filter_map(|path| lister.one(path)).collect();
    json_ok(json!(found))
}

/// Writes a commit's entries as the tree listing has them.
struct Lister<'a> {
    context: &'a Context,
    repository: &'a Repository,
    commit: &'a Commit,
    expand: bool,
}

impl Lister<'_> {
    /// What stands in a folder, and with `recursive` in the folders within; sorted by path.
    fn below(&self, folder: &str, recursive: bool) -> Result<Vec<Value>, ApiError> {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let inside: Vec<(&str, &str, &Entry)> = self
            .commit
            .tree
            .iter()
            .filter_map(|(path, entry)| Some((path.as_str(), path.strip_prefix(&prefix)?, entry)))
            .collect();
        if inside.is_empty() && !folder.is_empty() {
            let message = format!("{folder} does not exist on \"{}\"", self.commit.sha);
            return Err(ApiError::entry_not_found(message, &self.commit.sha));
        }
        let mut entries = BTreeMap::new();
        for (path, below, entry) in inside {
            for (slash, _) in below.match_indices('/') {
                let folder = &path[..prefix.len() + slash];
                entries.entry(folder).or_insert_with(|| self.folder(folder, entry));
                if !recursive {
                    break;
                }
            }
            if recursive || !below.contains('/') {
                entries.insert(path, self.file(path, entry));
            }
        }
        Ok(entries.into_values().collect())
    }

    fn one(&self, path: &str) -> Option<Value> {
        let path = path.trim_end_matches('/');
        let tree = &self.commit.tree;
        tree.get(path).map(|entry| self.file(path, entry)).or_else(|| {
            let below = format!("{path}/");
            tree.iter().find(|(inside, _)| inside.starts_with(&below)).map(|(_, entry)| self.folder(path, entry))
        })
    }

    fn file(&self, path: &str, entry: &Entry) -> Value {
        let mut listed = json!({"type": "file", "oid": entry.oid, "size": entry.size, "path": path});
        if entry.is_lfs {
            let pointer_size = pointer(&entry.sha256, entry.size).len();
            listed["lfs"] = json!({"oid": entry.sha256, "size": entry.size, "pointerSize": pointer_size});
            if let Some(hash) = self.context.xet_hash(&entry.sha256) {
                listed["xetHash"] = hash.into();
            }
        }
        self.with_last_commit(listed, entry)
    }

    /// A folder; its id is made of its path, and its last commit is that of one file in it.
    fn folder(&self, path: &str, inside: &Entry) -> Value {
        let oid = blob_id(format!("{} {path}", self.commit.sha).as_bytes());
        self.with_last_commit(json!({"type": "directory", "oid": oid, "size": 0, "path": path}), inside)
    }

    fn with_last_commit(&self, mut listed: Value, entry: &Entry) -> Value {
        if let Some(commit) = self.repository.commit(&entry.last_commit).filter(|_| self.expand) {
            listed["lastCommit"] = json!({"id": commit.sha, "title": commit.title, "date": commit.date});
        }
        listed
    }
}

pub async fn commits(State(context): State<Shared>, caller: Caller, target: Target) -> ApiResult {
    let store = context.store();
    let repository = store.readable(&caller, target.kind, &target.id, &context.endpoint)?;
    let history = repository.history(repository.resolve(&target.revision)?);
    let listed = history.map(|commit| {
        json!({
            "id": commit.sha,
            "title": commit.title,
            "message": commit.description,
            "date": commit.date,
            "authors": [{"user": commit.author}],
            "parents": commit.parents,
        })
    });
    json_ok(listed.collect())
}

pub async fn refs(State(context): State<Shared>, caller: Caller, target: Target, query: Query) -> ApiResult {
    let store = context.store();
    let repository = store.readable(&caller, target.kind, &target.id, &context.endpoint)?;
    let below = |prefix: &str| -> Value {
        let named = repository.refs.iter().filter_map(|(full, sha)| Some((full, full.strip_prefix(prefix)?, sha)));
        named.map(|(full, name, sha)| json!({"name": name, "ref": full, "targetCommit": sha})).collect()
    };
    let mut listed = json!({"branches": below("refs/heads/"), "tags": below("refs/tags/"), "converts": []});
    if query.is_set("include_prs") {
        listed["pullRequests"] = below("refs/pr/");
    }
    json_ok(listed)
}

pub async fn discussions(State(context): State<Shared>, caller: Caller, target: Target) -> ApiResult {
    let store = context.store();
    let repository = store.visible(&caller, target.kind, &target.id)?;
    let listed: Vec<Value> = repository
        .pull_requests
        .iter()
        .map(|request| {
            json!({
                "num": request.number,
                "title": request.title,
                "status": "open",
                "isPullRequest": true,
                "author": {"name": request.author},
                "createdAt": request.created,
                "repo": {"name": repository.id, "type": repository.kind.name()},
            })
        })
        .collect();
    json_ok(json!({"count": listed.len(), "start": 0, "discussions": listed}))
}
