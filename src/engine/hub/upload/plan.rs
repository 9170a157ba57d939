//! What an upload would do: which file travels how, which is there already, which goes.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::attributes::Attributes;
use super::check;
use super::folder::{LARGE, LocalFile};
use crate::engine::hub::client::{Client, RemoteFile};
use crate::engine::hub::problem::Problem;
use crate::engine::hub::repository::Repository;
use crate::engine::{Error, Result};

/// How a file gets into the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// In the commit itself.
    Commit,
    /// Through the Hub's store of large files.
    Store,
    /// It is there already.
    Unchanged,
}

/// Where an upload goes.
#[derive(Debug, Clone)]
pub struct Target {
    pub repository: Repository,
    pub branch: String,
    pub create_pr: bool,
}

/// What is at the target now.
#[derive(Debug, Clone, Default)]
pub struct There {
    /// The head of the branch; nothing where there is no repository yet.
    pub commit: Option<String>,
    pub files: BTreeMap<String, RemoteFile>,
}

#[derive(Debug)]
pub struct Plan {
    pub files: Vec<(LocalFile, Way)>,
    /// Files of an earlier model, which would be loaded in place of or beside this one.
    pub removed: Vec<String>,
    /// `.gitattributes` as it has to be, where that is not as it is.
    pub attributes: Option<String>,
}

impl Plan {
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.attributes.is_none() && self.files.iter().all(|(_, way)| *way == Way::Unchanged)
    }

    pub fn going(&self, way: Way) -> impl Iterator<Item = &LocalFile> {
        self.files.iter().filter(move |(_, its)| *its == way).map(|(file, _)| file)
    }
}

/// Compares a folder with what is there, and asks the Hub which files it wants to travel by themselves.
pub async fn plan(client: &Client, target: &Target, there: &There, files: Vec<LocalFile>) -> Result<Plan, Problem> {
    let is_there = |file: &LocalFile| there.files.get(&file.name).is_some_and(|remote| file.is(&remote.content));
    let modes = match &there.commit {
        Some(_) => {
            let changed: Vec<&LocalFile> = files.iter().filter(|file| !is_there(file)).collect();
            modes(client, target, &changed).await?
        }
        None => BTreeMap::new(),
    };
    let mut ways = Vec::new();
    for file in files {
        let way = match modes.get(&file.name) {
            _ if is_there(&file) => Way::Unchanged,
            Some(mode) if mode.should_ignore => {
                let name = &file.name;
                let sentence = format!("{}: its .gitignore leaves {name} out", target.repository);
                return Err(Error::hinted(sentence, "take that line out of the file there").into());
            }
            mode => way(&file, mode.is_some_and(|mode| mode.upload_mode == "lfs")),
        };
        ways.push((file, way));
    }
    let removed = there.files.keys().filter(|name| is_stale(name, &ways)).cloned().collect();
    let attributes = attributes(client, target, there, &ways).await?;
    Ok(Plan { files: ways, removed, attributes })
}

/// Weights never travel in a commit, whatever their size and whatever the Hub says; nothing large does. What has no bytes
/// cannot travel alone.
pub fn way(file: &LocalFile, hub_says_alone: bool) -> Way {
    let alone = hub_says_alone || check::is_weights(&file.name) || file.size >= LARGE;
    if alone && file.size > 0 { Way::Store } else { Way::Commit }
}

/// Whether a file there belongs to a model that this one replaces: another count of shards, an adapter beside a whole model.
fn is_stale(name: &str, files: &[(LocalFile, Way)]) -> bool {
    check::is_of_model(name) && !files.iter().any(|(file, _)| file.name == name)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mode {
    path: String,
    upload_mode: String,
    #[serde(default)]
    should_ignore: bool,
}

#[derive(Deserialize)]
struct Modes {
    files: Vec<Mode>,
}

/// How the Hub wants each file to travel.
async fn modes(client: &Client, target: &Target, files: &[&LocalFile]) -> Result<BTreeMap<String, Mode>, Problem> {
    /// As many as the Hub takes in one question.
    const MOST: usize = 256;
    let mut modes = BTreeMap::new();
    for files in files.chunks(MOST) {
        let asked: Vec<_> = files
            .iter()
            .map(|file| json!({ "path": file.name, "size": file.size, "sample": STANDARD.encode(&file.sample) }))
            .collect();
        let path = target.api(client, "preupload");
        let answer: Modes =
            client.patiently(|| client.json(client.post(&path).json(&json!({ "files": asked })))).await?;
        modes.extend(answer.files.into_iter().map(|mode| (mode.path.clone(), mode)));
    }
    Ok(modes)
}

impl Target {
    /// The path of a question about the branch.
    pub fn api(&self, client: &Client, what: &str) -> String {
        let branch = crate::engine::hub::download::encoded(&self.branch);
        let pr = if self.create_pr { "?create_pr=1" } else { "" };
        client.api(&self.repository, &format!("{what}/{branch}{pr}"))
    }
}

/// `.gitattributes` of the folder, or else of the repository, so that git knows all that travels alone.
async fn attributes(
    client: &Client,
    target: &Target,
    there: &There,
    files: &[(LocalFile, Way)],
) -> Result<Option<String>, Problem> {
    let own = files.iter().find(|(file, _)| file.name == Attributes::NAME);
    let before = match (own, &there.commit) {
        (Some((own, _)), _) => Some(own.read()?),
        (None, Some(commit)) if there.files.contains_key(Attributes::NAME) => {
            let path = format!("{}/resolve/{commit}/{}", target.repository.page(), Attributes::NAME);
            let text = client.patiently(|| async {
                let response = client.send(client.get(&path).timeout(client.settings.answering)).await?;
                response.bytes().await.map_err(|error| Problem::of_request(&error))
            });
            Some(text.await?.to_vec())
        }
        (None, _) => None,
    };
    let mut attributes = match &before {
        Some(text) => Attributes::new(String::from_utf8_lossy(text)),
        None => Attributes::default(),
    };
    for (file, way) in files {
        if *way == Way::Store {
            attributes.track(&file.name);
        }
    }
    let is_default = !attributes.has_more();
    let text = attributes.text();
    // A new repository gets the same lines from the Hub itself.
    let is_new = before.is_none() && there.commit.is_none() && is_default;
    Ok((!is_new && before.as_deref() != Some(text.as_bytes())).then_some(text))
}
