//! The Hugging Face Hub: the files of models and data sets into the local cache that Python's `huggingface_hub` shares.

mod cache;
pub mod card;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use hf_hub::{HFClient, HFClientSync, HFError};

use super::{Error, Result, cancel, proxy};
pub use cache::{folder as cache_folder, home};

/// What a model is made of; a repository's other files stay where they are.
const MODEL_FILES: &[&str] = &["*.json", "*.safetensors", "*.jinja"];

/// What rows of a data set are stored in.
const DATA_FILES: &[&str] =
    &["*.parquet", "*.jsonl", "*.jsonl.gz", "*.jsonl.zst", "*.ndjson", "*.json", "*.json.gz", "*.json.zst"];

/// The branch that is meant where no revision is named.
const BRANCH: &str = "main";

/// For a connection, and for each part of an answer.
const CONNECTING: Duration = Duration::from_secs(10);
const READING: Duration = Duration::from_secs(60);

/// What a repository holds.
#[derive(Debug, Clone, Copy)]
enum Holds {
    Model,
    DataSet,
}

impl Holds {
    fn plural(self) -> &'static str {
        match self {
            Holds::Model => "models",
            Holds::DataSet => "datasets",
        }
    }

    /// The Hub had nothing of that name either.
    fn not_found(self, id: &str, problem: &str) -> Error {
        let (here, there, wanted) = match self {
            Holds::Model => ("folder", "model", "a folder with config.json"),
            Holds::DataSet => ("file", "data set", "a file or a folder of rows"),
        };
        Error::hinted(
            format!("{id}: no such {here}, and the Hub did not give a {there} of that name: {problem}"),
            format!("give {wanted}, or check the id, the network and HF_TOKEN"),
        )
    }

    /// The cache has it not, or not whole, and nothing else may be asked.
    fn not_cached(self, id: &str, variable: &str, problem: &str) -> Error {
        let here = if matches!(self, Holds::Model) { "folder" } else { "file" };
        Error::hinted(
            format!("{id}: no such {here}, and the Hub is not asked ({variable}): {problem}"),
            format!("download it once without {variable}, or copy the cache of a machine that has it"),
        )
    }
}

/// The folder of a model named by a path or by a Hub id (`Qwen/Qwen3-4B`), downloaded first where the cache lacks it.
///
/// The token, cache and endpoint are those of `HF_TOKEN`, `HF_HOME`, `HF_HUB_CACHE` and `HF_ENDPOINT`. Where the Hub cannot
/// be reached, or `HF_HUB_OFFLINE` forbids to ask it, a model that is whole in the cache is taken from there.
pub fn folder(path_or_id: &str) -> Result<PathBuf> {
    if Path::new(path_or_id).exists() || !is_id(path_or_id) {
        return Ok(PathBuf::from(path_or_id));
    }
    get(Holds::Model, path_or_id, BRANCH)
}

/// The folder of the model of the Hub that an adapter names as its base; nothing where the name is no id.
pub fn base(id: &str, revision: Option<&str>) -> Result<Option<PathBuf>> {
    if is_id(id) { get(Holds::Model, id, revision.unwrap_or(BRANCH)).map(Some) } else { Ok(None) }
}

/// The folder of a data set named by its Hub id, downloaded first where the cache lacks it.
pub fn data_set(id: &str) -> Result<PathBuf> {
    get(Holds::DataSet, id, BRANCH)
}

/// The folder of a model that the cache holds whole. The network is not asked.
pub fn cached(id: &str) -> Option<PathBuf> {
    cache::snapshot(Holds::Model, id, BRANCH).ok()
}

/// The variable that forbids to ask the Hub, if one does.
pub fn offline() -> Option<&'static str> {
    let set = |name: &&str| std::env::var(name).is_ok_and(|value| !value.is_empty());
    let says = |name: &&str| std::env::var(name).is_ok_and(|value| is_true(&value));
    // As in huggingface_hub, the second counts where the first says nothing.
    ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"].into_iter().find(set).filter(says)
}

/// As `huggingface_hub` reads variables of yes and no.
fn is_true(value: &str) -> bool {
    ["1", "ON", "YES", "TRUE"].contains(&value.to_ascii_uppercase().as_str())
}

fn get(holds: Holds, id: &str, revision: &str) -> Result<PathBuf> {
    let cached = cache::snapshot(holds, id, revision);
    if let Some(variable) = offline() {
        return cached.map_err(|problem| holds.not_cached(id, variable, &problem));
    }
    tracing::info!("{id} is no {} here; asking the Hub", if matches!(holds, Holds::Model) { "folder" } else { "file" });
    let problem = match download(holds, id, revision, cached.is_ok())? {
        Ok(folder) => return Ok(folder),
        Err(problem) => problem,
    };
    // Some of it may have come before the connection broke.
    match cache::snapshot(holds, id, revision) {
        Ok(folder) => {
            tell_once(format!("{id}: {problem}; the copy in the cache is taken: {}", folder.display()));
            Ok(folder)
        }
        Err(lacking) => Err(holds.not_found(id, &format!("{problem}; {lacking}"))),
    }
}

fn tell_once(text: String) {
    static TOLD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    if TOLD.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).insert(text.clone()) {
        tracing::warn!("{text}");
    }
}

/// Downloads on a thread of its own, because hf-hub hears nothing of Ctrl-C. What it has written by then stays in the
/// cache, and the thread ends with the process. The inner result is the Hub's. `is_cached`: it may be given up soon.
fn download(holds: Holds, id: &str, revision: &str, is_cached: bool) -> Result<Result<PathBuf, String>> {
    let (done, result) = channel();
    let (wanted, revision) = (id.to_string(), revision.to_string());
    let work = move || done.send(ask(holds, &wanted, revision, is_cached).map_err(|error| reason(&error)));
    std::thread::Builder::new().name("download".to_string()).spawn(work).map_err(|error| Error::file(id, error))?;
    Ok(cancel::receive(&result)?.unwrap_or_else(|| Err("the download broke off".to_string())))
}

fn ask(holds: Holds, id: &str, revision: String, is_cached: bool) -> hf_hub::HFResult<PathBuf> {
    let (owner, name) = id.split_once('/').unwrap_or(("", id));
    let patterns = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
    let client = reqwest::Client::builder()
        .user_agent(concat!("affine/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECTING)
        .read_timeout(READING);
    let mut hub = HFClient::builder().client(client.build()?);
    if let Some(folder) = cache::folder() {
        hub = hub.cache_dir(folder);
    }
    if is_cached {
        hub = hub.retry_max_attempts(1);
    }
    let client = HFClientSync::from_inner(hub.build()?)?;
    match holds {
        Holds::Model => client
            .model(owner, name)
            .snapshot_download()
            .revision(revision)
            .allow_patterns(patterns(MODEL_FILES))
            .send(),
        Holds::DataSet => client
            .dataset(owner, name)
            .snapshot_download()
            .revision(revision)
            .allow_patterns(patterns(DATA_FILES))
            .send(),
    }
}

fn reason(error: &HFError) -> String {
    match error {
        HFError::Request { source, url } => proxy::unreachable(url.as_deref().unwrap_or_default(), source),
        other => other.to_string(),
    }
}

/// `owner/name` of the characters that the Hub allows, and no path.
pub fn is_id(text: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    text.split_once('/').is_some_and(|(owner, name)| part(owner) && part(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yes_is_spelled_as_huggingface_hub_takes_it() {
        for (value, wanted) in [
            ("1", true),
            ("on", true),
            ("Yes", true),
            ("TRUE", true),
            ("0", false),
            ("off", false),
            ("2", false),
            ("", false),
        ] {
            assert_eq!(is_true(value), wanted, "{value}");
        }
    }

    #[test]
    fn an_id_is_an_owner_and_a_name() {
        assert!(is_id("Qwen/Qwen3-4B"));
        for path in ["models", "./models", "../a/b", "a/b/c", "/models/a", "a/", "models/sft final"] {
            assert!(!is_id(path), "{path}");
        }
    }
}
