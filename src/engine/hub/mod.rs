//! The Hugging Face Hub, both ways: files of models and data sets into the local cache that Python's `huggingface_hub` shares,
//! and a model's folder into a repository.

mod account;
mod cache;
pub mod card;
mod client;
mod download;
mod hash;
mod problem;
mod repository;
mod settings;
mod token;
mod upload;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::proxy::without_credentials;
use super::{Error, Result};
pub use account::Account;
use client::Client;
pub use client::Info;
use download::Wanted;
use problem::Problem;
pub use repository::{Kind, Repository, is_id, problem_of_id};
pub use settings::{Settings, cache_folder, offline};
pub use token::Token;
pub use upload::{Sent, Upload, Uploaded, Way, inspect, upload, vllm_rank};

/// What a model is made of; a repository's other files stay where they are.
const MODEL_FILES: &[&str] = &["*.json", "*.safetensors", "*.jinja", "merges.txt"];

/// What rows of a data set are stored in.
const DATA_FILES: &[&str] =
    &["*.parquet", "*.jsonl", "*.jsonl.gz", "*.jsonl.zst", "*.ndjson", "*.json", "*.json.gz", "*.json.zst"];

/// The branch that is meant where no revision is named.
pub const BRANCH: &str = "main";

/// The folder of a model named by a path or by a Hub id (`Qwen/Qwen3-4B`), downloaded first where the cache lacks it.
///
/// Where the Hub cannot be reached, or `HF_HUB_OFFLINE` forbids to ask it, a model that is whole in the cache is taken
/// from there.
pub fn folder(path_or_id: &str, revision: Option<&str>) -> Result<PathBuf> {
    let is_folder = Path::new(path_or_id).exists();
    if let (Some(revision), true) = (revision, is_folder || !is_id(path_or_id)) {
        let expected = "nothing beside a folder: revisions are of models on the Hub";
        return Err(Error::option("revision", expected, format!("\"{revision}\"")));
    }
    if is_folder || !is_id(path_or_id) {
        return Ok(PathBuf::from(path_or_id));
    }
    get(Repository::model(path_or_id), revision.unwrap_or(BRANCH))
}

/// The folder of the model of the Hub that an adapter names as its base; nothing where the name is no id.
pub fn base(id: &str, revision: Option<&str>) -> Result<Option<PathBuf>> {
    if is_id(id) { get(Repository::model(id), revision.unwrap_or(BRANCH)).map(Some) } else { Ok(None) }
}

/// The folder of a data set named by its Hub id, downloaded first where the cache lacks it.
pub fn data_set(id: &str) -> Result<PathBuf> {
    get(Repository::data_set(id), BRANCH)
}

/// The folder of a model that the cache holds whole. The network is not asked.
pub fn cached(id: &str, revision: Option<&str>) -> Option<PathBuf> {
    cache::snapshot(&cache_folder()?, &Repository::model(id), revision.unwrap_or(BRANCH)).ok()
}

/// The folder of a repository's files that match one of the patterns, downloaded first where the cache lacks them; without
/// patterns what models, or rows, are made of.
pub fn download(
    settings: &Settings,
    repository: &Repository,
    revision: &str,
    patterns: Option<&[String]>,
) -> Result<PathBuf> {
    let wanted = Wanted {
        repository: repository.clone(),
        revision: revision.to_string(),
        patterns: patterns.map_or_else(|| patterns_of(repository.kind), <[String]>::to_vec),
    };
    let in_cache = || match patterns {
        Some(patterns) => cache::holds(&settings.cache, repository, revision, patterns),
        None => cache::snapshot(&settings.cache, repository, revision),
    };
    let cached = in_cache();
    if let Some(variable) = offline() {
        return cached.map_err(|lacking| not_cached(repository, variable, &lacking));
    }
    // With a copy in the cache there is no need for patience.
    let attempts = if cached.is_ok() { 1 } else { settings.attempts };
    let problem = match fetch(Settings { attempts, ..settings.clone() }, wanted)? {
        Ok(folder) => return Ok(folder),
        Err(problem) => problem,
    };
    // Some of it may have come before the connection broke.
    match in_cache() {
        Ok(folder) if problem.is_passing() => {
            tell_once(format!("{repository}: {problem}; the copy in the cache is taken: {}", folder.display()));
            Ok(folder)
        }
        Err(lacking) if matches!(problem, Problem::Network(_)) => Err(unreached(repository, &problem, &lacking)),
        _ => Err(problem.sentence(repository, revision, settings)),
    }
}

/// What the Hub says to somebody who comes with a token, or without.
pub enum Greeting {
    Known(Account),
    /// It answers, and takes no such token.
    Stranger(Error),
    /// It does not answer.
    Silence(Error),
}

/// Asks the Hub whose token it is.
pub fn greet(settings: Settings) -> Result<Greeting> {
    let asked = settings.clone();
    let found = client::run("", |_| async { Account::ask(&Client::new(settings)?).await })?;
    Ok(match found {
        Ok(account) => Greeting::Known(account),
        Err(problem) if problem.is_passing() => Greeting::Silence(problem.sentence_of_account(&asked)),
        Err(problem) => Greeting::Stranger(problem.sentence_of_account(&asked)),
    })
}

/// Whose token it is.
pub fn whoami(settings: Settings) -> Result<Account> {
    match greet(settings)? {
        Greeting::Known(account) => Ok(account),
        Greeting::Stranger(error) | Greeting::Silence(error) => Err(error),
    }
}

/// What the Hub tells of a repository; nothing where it has none of that name that the account may see.
pub fn info(settings: Settings, repository: &Repository, revision: &str) -> Result<Option<Info>> {
    let (asked, wanted, at) = (settings.clone(), repository.clone(), revision.to_string());
    let found = client::run("", move |_| async move { Client::new(settings)?.about(&wanted, &at).await })?;
    match found {
        Ok(info) => Ok(Some(info)),
        Err(problem) if problem.is_no_repository() => Ok(None),
        Err(problem) => Err(problem.sentence(repository, revision, &asked)),
    }
}

/// Makes a repository of models; one that is there is left as it is. Tells its page.
pub fn create(settings: Settings, repository: &Repository, private: bool) -> Result<String> {
    let (asked, wanted) = (settings.clone(), repository.clone());
    let made = client::run("", move |_| async move { Client::new(settings)?.create(&wanted, private).await })?;
    made.map_err(|problem| problem.sentence(repository, BRANCH, &asked))?;
    Ok(page(&asked, repository))
}

/// The address of a repository's page.
pub fn page(settings: &Settings, repository: &Repository) -> String {
    format!("{}/{}", without_credentials(&settings.endpoint), repository.page())
}

/// What a model, or rows, are made of.
fn get(repository: Repository, revision: &str) -> Result<PathBuf> {
    let settings = Settings::read()?;
    if offline().is_none() {
        tracing::info!("{repository} is no {} here; asking the Hub", here(&repository));
    }
    download(&settings, &repository, revision, None)
}

fn patterns_of(kind: Kind) -> Vec<String> {
    let patterns = match kind {
        Kind::Model => MODEL_FILES,
        Kind::DataSet => DATA_FILES,
    };
    patterns.iter().map(|pattern| pattern.to_string()).collect()
}

fn fetch(settings: Settings, wanted: Wanted) -> Result<Result<PathBuf, Problem>> {
    let label = format!("download {}", wanted.repository);
    client::run(&label, |reporter| async {
        let client = Client::new(settings)?;
        download::download(client, wanted, reporter).await
    })
}

fn here(repository: &Repository) -> &'static str {
    match repository.kind {
        Kind::Model => "folder",
        Kind::DataSet => "file",
    }
}

/// The Hub could not be asked, and the cache has it not. What was named may have been meant as a path.
fn unreached(repository: &Repository, problem: &Problem, lacking: &str) -> Error {
    Error::hinted(
        format!("{repository}: no such {} here, and the Hub was not reached: {problem}; {lacking}", here(repository)),
        "check the name, the network, and HF_ENDPOINT where you set it; what has come so far is kept",
    )
}

/// The cache has it not, or not whole, and nothing else may be asked.
fn not_cached(repository: &Repository, variable: &str, lacking: &str) -> Error {
    Error::hinted(
        format!("{repository}: no such {} here, and the Hub is not asked ({variable}): {lacking}", here(repository)),
        format!("download it once without {variable}, or copy the cache of a machine that has it"),
    )
}

fn tell_once(text: String) {
    static TOLD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    if TOLD.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).insert(text.clone()) {
        tracing::warn!("{text}");
    }
}
