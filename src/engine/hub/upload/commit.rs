//! The commit: all files of an upload at once, or none, and proof of it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::{Value, json};

use super::attributes::Attributes;
use super::plan::{Plan, Target, There, Way};
use crate::engine::Error;
use crate::engine::hub::client::{Client, Content, RemoteFile};
use crate::engine::hub::hash::Hasher;
use crate::engine::hub::problem::Problem;

/// What was committed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Committed {
    #[serde(rename = "commitOid")]
    pub id: String,
    #[serde(rename = "pullRequestUrl")]
    pub pull_request: Option<String>,
}

/// Commits a plan whose large files are in the store. An answer that got lost is found out about: nothing is committed twice.
pub async fn commit(
    client: &Client,
    target: &Target,
    there: &There,
    plan: &Plan,
    message: &str,
) -> Result<Committed, Problem> {
    let body = lines(there, plan, message)?;
    let path = target.api(client, "commit");
    let attempt = || async {
        let post = client.post(&path).header(CONTENT_TYPE, "application/x-ndjson").body(body.clone());
        let lost = match client.json::<Committed>(post.timeout(client.settings.reading)).await {
            Err(problem) if problem.leaves_open() || problem.status() == Some(412) => problem,
            known => return known,
        };
        if target.create_pr {
            return Err(maybe_opened(client, target, &lost).into());
        }
        match found(client, target, there, plan).await {
            Ok(Some(committed)) => Ok(committed),
            Ok(None) | Err(_) => Err(lost),
        }
    };
    let committed = client.patiently(attempt).await?;
    match committed.id.len() {
        40 => Ok(committed),
        _ => Err(Problem::Odd("the Hub names no commit".to_string())),
    }
}

/// The commit at the head of the branch, where it is the one that was asked for.
async fn found(client: &Client, target: &Target, there: &There, plan: &Plan) -> Result<Option<Committed>, Problem> {
    let head = client.info(&target.repository, &target.branch).await?.commit;
    if Some(&head) == there.commit.as_ref() {
        return Ok(None);
    }
    let files = client.files(&target.repository, &head).await?;
    Ok(difference(plan, &files).is_none().then_some(Committed { id: head, pull_request: None }))
}

/// Nobody may open the same pull request twice.
fn maybe_opened(client: &Client, target: &Target, lost: &Problem) -> Error {
    let page = format!("{}/{}/discussions", client.settings.endpoint, target.repository.page());
    let sentence = format!("{}: the answer got lost, and the pull request may be open: {lost}", target.repository);
    Error::hinted(sentence, format!("look at {page} before you run this again"))
}

/// The request's body, a line of JSON for each thing to do.
fn lines(there: &There, plan: &Plan, message: &str) -> Result<String, Problem> {
    let mut header = json!({ "summary": message, "description": "" });
    if let Some(parent) = &there.commit {
        header["parentCommit"] = json!(parent);
    }
    let mut lines = vec![json!({ "key": "header", "value": header })];
    for file in plan.going(Way::Store) {
        file.check_unchanged()?;
        let value = json!({ "path": file.name, "algo": "sha256", "oid": file.sha256()?, "size": file.size });
        lines.push(json!({ "key": "lfsFile", "value": value }));
    }
    for file in plan.going(Way::Commit).filter(|file| file.name != Attributes::NAME || plan.attributes.is_none()) {
        lines.push(regular(&file.name, &file.read()?));
    }
    if let Some(attributes) = &plan.attributes {
        lines.push(regular(Attributes::NAME, attributes.as_bytes()));
    }
    lines.extend(plan.removed.iter().map(|name| json!({ "key": "deletedFile", "value": { "path": name } })));
    Ok(lines.iter().map(|line| format!("{line}\n")).collect())
}

fn regular(name: &str, content: &[u8]) -> Value {
    json!({ "key": "file", "value": { "path": name, "content": STANDARD.encode(content), "encoding": "base64" } })
}

/// How a repository's files differ from what was sent, in words; nothing where they are the same.
pub fn difference(plan: &Plan, remote: &[RemoteFile]) -> Option<String> {
    for (file, way) in &plan.files {
        if file.name == Attributes::NAME && plan.attributes.is_some() {
            continue;
        }
        let Some(found) = remote.iter().find(|remote| remote.path == file.name) else {
            return Some(format!("{} is not there", file.name));
        };
        if found.size != file.size {
            return Some(format!("{} has {} bytes there, and {} here", file.name, found.size, file.size));
        }
        if !file.is(&found.content) {
            return Some(format!("{} has other content there (its hash is {})", file.name, found.content.name()));
        }
        if *way == Way::Store && matches!(found.content, Content::Git(_)) {
            return Some(format!("{} is kept in the commit there, not in the store of large files", file.name));
        }
    }
    if let Some(text) = &plan.attributes {
        let mut hash = Hasher::git(text.len() as u64);
        hash.update(text.as_bytes());
        let wanted = Content::Git(hash.finish());
        // The Hub may add lines of its own.
        if !remote
            .iter()
            .any(|file| file.path == Attributes::NAME && (file.content == wanted || file.size > text.len() as u64))
        {
            return Some(format!("{} is not as it was sent", Attributes::NAME));
        }
    }
    let stays = plan.removed.iter().find(|name| remote.iter().any(|file| file.path == **name));
    stays.map(|name| format!("{name} is still there"))
}
