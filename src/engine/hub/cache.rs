//! The cache of the Hub on this machine, laid out and found as Python's `huggingface_hub` does it, and what is whole in it.

use std::fs;
use std::path::{Path, PathBuf};

use super::Holds;

/// Where downloads are kept.
pub fn folder() -> Option<PathBuf> {
    variable("HF_HUB_CACHE").or_else(|| variable("HUGGINGFACE_HUB_CACHE")).or_else(|| Some(home()?.join("hub")))
}

/// Where the token is kept, too.
pub fn home() -> Option<PathBuf> {
    variable("HF_HOME").or_else(|| {
        let cache = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")))?;
        Some(cache.join("huggingface"))
    })
}

/// A path in the environment, its `~` the home folder: a file of settings is read by no shell.
fn variable(name: &str) -> Option<PathBuf> {
    let value = std::env::var_os(name).filter(|value| !value.is_empty())?;
    let path = PathBuf::from(value);
    match path.strip_prefix("~") {
        Ok(rest) => Some(PathBuf::from(std::env::var_os("HOME")?).join(rest)),
        Err(_) => Some(path),
    }
}

/// The folder of what the cache holds whole; else what it lacks, in words.
pub fn snapshot(holds: Holds, id: &str, revision: &str) -> Result<PathBuf, String> {
    let cache = folder().ok_or("there is no home folder to keep a cache in: set HF_HOME")?;
    let repository = cache.join(format!("{}--{}", holds.plural(), id.replace('/', "--")));
    if !repository.is_dir() {
        return Err(format!("the cache {} holds nothing of it", cache.display()));
    }
    let commit = commit(&repository, revision).ok_or_else(|| {
        format!("the cache {} does not know its revision {revision}{}", repository.display(), others(&repository))
    })?;
    let snapshot = repository.join("snapshots").join(&commit);
    if !snapshot.is_dir() {
        return Err(format!("the cache does not hold its commit {commit}{}", others(&repository)));
    }
    let missing = match holds {
        Holds::Model => missing_of_model(&snapshot),
        Holds::DataSet => broken_links(&snapshot),
    };
    match missing.as_slice() {
        [] => Ok(snapshot),
        missing => Err(format!("{} lacks {} (an unfinished download?)", snapshot.display(), missing.join(", "))),
    }
}

/// The commit that a revision names: itself, or what its ref says.
fn commit(repository: &Path, revision: &str) -> Option<String> {
    if revision.len() == 40 && revision.chars().all(|c| c.is_ascii_hexdigit()) {
        return Some(revision.to_string());
    }
    let text = fs::read_to_string(repository.join("refs").join(revision)).ok()?;
    Some(text.trim().to_string()).filter(|commit| !commit.is_empty())
}

/// What else of a repository is there, to be loaded by its path.
fn others(repository: &Path) -> String {
    let found = names(&repository.join("snapshots"));
    match found.is_empty() {
        true => String::new(),
        false => format!("; its folder snapshots holds {}", found.join(", ")),
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Files that a model, or an adapter, needs and that are not there. Which others its repository has only the Hub knows.
fn missing_of_model(snapshot: &Path) -> Vec<String> {
    let there = |name: &str| snapshot.join(name).exists();
    let mut needed: Vec<String> = Vec::new();
    if there("adapter_config.json") && !there("config.json") {
        needed.push("adapter_model.safetensors".to_string());
    } else {
        needed.push("config.json".to_string());
        match shards(snapshot) {
            Some(shards) if !there("model.safetensors") => needed.extend(shards),
            _ => needed.push("model.safetensors".to_string()),
        }
        if there("tokenizer_config.json") {
            needed.push("tokenizer.json".to_string());
        }
    }
    needed.retain(|name| !there(name));
    needed.extend(broken_links(snapshot));
    needed.sort();
    needed.dedup();
    needed
}

/// The files that an index of shards names.
fn shards(snapshot: &Path) -> Option<Vec<String>> {
    let text = fs::read(snapshot.join("model.safetensors.index.json")).ok()?;
    let index: serde_json::Value = serde_json::from_slice(&text).ok()?;
    let names = index.get("weight_map")?.as_object()?.values();
    Some(names.filter_map(|name| name.as_str().map(str::to_string)).collect())
}

/// Files whose content is gone, or was never there.
fn broken_links(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut broken = Vec::new();
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if !path.exists() {
            broken.push(name);
        } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            broken.extend(broken_links(&path).into_iter().map(|below| format!("{name}/{below}")));
        }
    }
    broken.sort();
    broken
}
