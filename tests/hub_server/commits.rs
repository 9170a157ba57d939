//! Commits over HTTP: lines of JSON that are all carried out, or none.

use std::collections::BTreeMap;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::accounts::Caller;
use super::attributes::{attribute_line, is_large};
use super::body::collect;
use super::context::{Context, Shared};
use super::error::{ApiError, ApiResult, json_ok};
use super::preupload::regular_text;
use super::repository::{Entry, Message, PullRequest, Repository, large_entry, now, regular_entry};
use super::routes::{Query, Target, text};

/// What a commit is to do.
#[derive(Default)]
pub struct Draft {
    pub title: String,
    pub description: String,
    /// The commit that the branch has to be at, when the client says so.
    pub parent: Option<String>,
    pub changes: Vec<Change>,
}

pub enum Change {
    Put(String, Entry),
    DeleteFile(String),
    DeleteFolder(String),
}

pub struct Done {
    pub commit: String,
    pub pull_request: Option<u64>,
}

pub async fn commit(
    State(context): State<Shared>,
    caller: Caller,
    target: Target,
    query: Query,
    request: Request,
) -> ApiResult {
    let as_pull_request = query.is_set("create_pr");
    let body = collect(request.into_body(), context.options.body_limit).await?;
    context.store().writable(&caller, target.kind, &target.id, as_pull_request)?;
    let draft = read_draft(&context, &body).await?;

    let mut store = context.store();
    let repository = store.writable(&caller, target.kind, &target.id, as_pull_request)?;
    let author = caller.name().unwrap_or_default();
    let done = carry_out(&context, repository, &target.revision, draft, author, as_pull_request)?;
    let page = format!("{}/{}{}", context.endpoint, target.kind.prefix(), repository.id);
    json_ok(json!({
        "success": true,
        "commitOid": done.commit,
        "commitUrl": format!("{page}/commit/{}", done.commit),
        "hookOutput": "",
        "pullRequestUrl": done.pull_request.map(|number| format!("{page}/discussions/{number}")),
    }))
}

async fn read_draft(context: &Context, body: &[u8]) -> Result<Draft, ApiError> {
    let mut draft = Draft::default();
    for line in body.split(|&byte| byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
        let line: Value = serde_json::from_slice(line).map_err(|error| ApiError::bad_request(error.to_string()))?;
        let value = &line["value"];
        match text(&line, "key")? {
            "header" => {
                text(value, "summary")?.clone_into(&mut draft.title);
                value["description"].as_str().unwrap_or_default().clone_into(&mut draft.description);
                draft.parent = value["parentCommit"].as_str().map(str::to_owned);
            }
            "file" => {
                let entry = regular_entry(&context.objects, &content_of(value)?)?;
                draft.changes.push(Change::Put(path_of(value)?, entry));
            }
            "lfsFile" => draft.changes.push(Change::Put(path_of(value)?, stored_entry(context, value).await?)),
            "deletedFile" => draft.changes.push(Change::DeleteFile(path_of(value)?)),
            "deletedFolder" => draft.changes.push(Change::DeleteFolder(path_of(value)?)),
            key => return Err(ApiError::bad_request(format!("unknown key \"{key}\" in a commit"))),
        }
    }
    match draft.title.is_empty() {
        true => Err(ApiError::bad_request("the commit has no header with a summary")),
        false => Ok(draft),
    }
}

fn path_of(value: &Value) -> Result<String, ApiError> {
    let path = text(value, "path")?.trim_end_matches('/');
    match path.split('/').any(|part| matches!(part, "" | "." | ".." | ".git")) {
        true => Err(ApiError::bad_request(format!("Invalid path \"{path}\""))),
        false => Ok(path.to_owned()),
    }
}

fn content_of(value: &Value) -> Result<Vec<u8>, ApiError> {
    let content = text(value, "content")?;
    match value["encoding"].as_str() {
        Some("base64") => STANDARD.decode(content).map_err(|error| ApiError::bad_request(error.to_string())),
        _ => Ok(content.as_bytes().to_vec()),
    }
}

/// The entry of a large object, whose content has to have come before.
async fn stored_entry(context: &Context, value: &Value) -> Result<Entry, ApiError> {
    let (path, oid) = (text(value, "path")?, text(value, "oid")?);
    if context.objects.size_of_large(oid).is_none()
        && let Some(cas) = &context.cas
        && let Some(hash) = cas.find(oid).await.map_err(std::io::Error::other)?
    {
        let built = cas.reconstruct(hash, oid, &context.objects).await;
        built.map_err(|error| ApiError::bad_request(format!("{path} in the Xet storage: {error}")))?;
    }
    let size = context.objects.size_of_large(oid).ok_or_else(|| {
        ApiError::bad_request(format!(
            "Your push was rejected because an LFS pointer pointed to a file that does not exist. Offending file: - {path}"
        ))
    })?;
    // A copy of an object that the Hub has comes without a size.
    match value["size"].as_u64().filter(|&stated| stated != size) {
        Some(stated) => Err(ApiError::bad_request(format!("{path} is stated to have {stated} bytes and has {size}"))),
        None => Ok(large_entry(oid, size)),
    }
}

/// Makes the commit, on the branch or as a new pull request from it.
pub fn carry_out(
    context: &Context,
    repository: &mut Repository,
    revision: &str,
    draft: Draft,
    author: &str,
    as_pull_request: bool,
) -> Result<Done, ApiError> {
    let base = match &draft.parent {
        Some(parent) if as_pull_request => repository.resolve(parent)?,
        _ => repository.resolve(revision)?,
    };
    if draft.parent.as_ref().is_some_and(|parent| *parent != base.sha) {
        let message = "A commit has happened since. Please refresh and try again.";
        return Err(ApiError::new(StatusCode::PRECONDITION_FAILED, message));
    }
    let parent = base.sha.clone();
    let mut tree = base.tree.clone();
    let attributes = regular_text(context, base, ".gitattributes")?;
    for change in draft.changes {
        change.apply(&mut tree, &parent)?;
    }
    track_large_files(context, &mut tree, attributes)?;

    let Draft { title, description, .. } = draft;
    let pull_request = as_pull_request.then(|| {
        let number = repository.pull_requests.len() as u64 + 1;
        PullRequest { number, title: title.clone(), author: author.to_owned(), created: now() }
    });
    let reference = match &pull_request {
        Some(pull_request) => pull_request.reference(),
        None => repository.reference(revision)?,
    };
    let message = Message { title, description, author: author.to_owned() };
    let commit = repository.add_commit(Some(&parent), tree, message);
    repository.refs.insert(reference, commit.clone());
    let number = pull_request.as_ref().map(|pull_request| pull_request.number);
    repository.pull_requests.extend(pull_request);
    Ok(Done { commit, pull_request: number })
}

impl Change {
    fn apply(self, tree: &mut BTreeMap<String, Entry>, parent: &str) -> Result<(), ApiError> {
        let missing =
            |path: &str| ApiError::entry_not_found(format!("A file with this name doesn't exist: {path}"), parent);
        match self {
            Change::Put(path, entry) => {
                tree.insert(path, entry);
            }
            Change::DeleteFile(path) => {
                tree.remove(&path).ok_or_else(|| missing(&path))?;
            }
            Change::DeleteFolder(path) => {
                let (before, below) = (tree.len(), format!("{path}/"));
                tree.retain(|inside, _| !inside.starts_with(&below));
                if tree.len() == before {
                    return Err(missing(&path));
                }
            }
        }
        Ok(())
    }
}

/// Adds large files that no pattern names to `.gitattributes`, as the Hub does by itself.
fn track_large_files(context: &Context, tree: &mut BTreeMap<String, Entry>, before: String) -> Result<(), ApiError> {
    let mut attributes = match tree.get(".gitattributes") {
        Some(entry) if !entry.is_lfs => std::fs::read_to_string(context.objects.regular(&entry.oid))?,
        _ => before,
    };
    let untracked: Vec<&String> = tree
        .iter()
        .filter(|(path, entry)| entry.is_lfs && !is_large(&attributes, path))
        .map(|(path, _)| path)
        .collect();
    if untracked.is_empty() {
        return Ok(());
    }
    if !attributes.is_empty() && !attributes.ends_with('\n') {
        attributes.push('\n');
    }
    let more: String = untracked.into_iter().map(|path| attribute_line(&path.replace(' ', "[[:space:]]"))).collect();
    attributes.push_str(&more);
    tree.insert(".gitattributes".to_owned(), regular_entry(&context.objects, attributes.as_bytes())?);
    Ok(())
}
