//! The Hugging Face Hub: the files of models and data sets into the local cache that Python's `huggingface_hub` shares.

use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;

use hf_hub::HFClientSync;

use super::{Error, Result, cancel};

/// What a model is made of; a repository's other files stay where they are.
const MODEL_FILES: &[&str] = &["*.json", "*.safetensors", "*.jinja"];

/// What rows of a data set are stored in.
const DATA_FILES: &[&str] = &["*.parquet", "*.jsonl", "*.json"];

/// What a repository holds.
#[derive(Debug, Clone, Copy)]
enum Holds {
    Model,
    DataSet,
}

impl Holds {
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
}

/// The folder of a model named by a path or by a Hub id (`Qwen/Qwen3-4B`), downloaded first where the cache lacks it.
///
/// The token, cache and endpoint are those of `HF_TOKEN`, `HF_HOME`, `HF_HUB_CACHE` and `HF_ENDPOINT`; with
/// `HF_HUB_OFFLINE=1` only the cache is read.
pub fn folder(path_or_id: &str) -> Result<PathBuf> {
    if Path::new(path_or_id).exists() || !is_id(path_or_id) {
        return Ok(PathBuf::from(path_or_id));
    }
    tracing::info!("{path_or_id} is no folder here; asking the Hub");
    download(Holds::Model, path_or_id)
}

/// The folder of a data set named by its Hub id, downloaded first where the cache lacks it.
pub fn data_set(id: &str) -> Result<PathBuf> {
    tracing::info!("{id} is no file here; asking the Hub");
    download(Holds::DataSet, id)
}

/// The folder of a model that the cache holds already. The network is not asked.
pub fn cached(id: &str) -> Option<PathBuf> {
    snapshot(Holds::Model, id, true).ok()
}

/// Downloads on a thread of its own, because hf-hub hears nothing of Ctrl-C. What it has written by then stays in the
/// cache, and the thread ends with the process.
fn download(holds: Holds, id: &str) -> Result<PathBuf> {
    let offline = std::env::var("HF_HUB_OFFLINE").is_ok_and(|value| value == "1" || value == "true");
    let (done, result) = channel();
    let wanted = id.to_string();
    let work = move || done.send(snapshot(holds, &wanted, offline).map_err(|error| error.to_string()));
    std::thread::Builder::new().name("download".to_string()).spawn(work).map_err(|error| Error::file(id, error))?;
    let result = cancel::receive(&result)?.unwrap_or_else(|| Err("the download broke off".to_string()));
    result.map_err(|problem| holds.not_found(id, &problem))
}

fn snapshot(holds: Holds, id: &str, cache_alone: bool) -> hf_hub::HFResult<PathBuf> {
    let (owner, name) = id.split_once('/').unwrap_or(("", id));
    let patterns = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
    let client = HFClientSync::new()?;
    match holds {
        Holds::Model => client
            .model(owner, name)
            .snapshot_download()
            .allow_patterns(patterns(MODEL_FILES))
            .local_files_only(cache_alone)
            .send(),
        Holds::DataSet => client
            .dataset(owner, name)
            .snapshot_download()
            .allow_patterns(patterns(DATA_FILES))
            .local_files_only(cache_alone)
            .send(),
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
    fn an_id_is_an_owner_and_a_name() {
        assert!(is_id("Qwen/Qwen3-4B"));
        for path in ["models", "./models", "../a/b", "a/b/c", "/models/a", "a/", "models/sft final"] {
            assert!(!is_id(path), "{path}");
        }
    }
}
