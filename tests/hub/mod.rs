//! The Hub, both ways, against a server of our own.

/// What is loaded when the Hub cannot be asked, and how the cache is found.
mod cache;
/// The deploy stage and the Hub.
mod deploy;
/// Downloads as a user meets them.
mod download;
/// A server for Python.
mod peer;
/// Uploads as a user meets them.
mod upload;
/// Every request of a download and of an upload meets every fault.
mod walk;

use std::fs;
use std::path::Path;
use std::time::Duration;

use affine::engine::hub::{Settings, Token};

use crate::golden;
use crate::hub_server::{Hub, Options, Role};

/// The account of the tests, and its token.
const OWNER: &str = "acme";
const TOKEN: &str = "hf_AcmeAcmeAcmeAcmeAcmeAcmeAcmeAcme";

/// A server where [`OWNER`] may write.
fn hub(options: Options) -> Hub {
    let hub = Hub::start(options);
    hub.user(OWNER, TOKEN, Role::Write);
    hub
}

/// As the environment would have it, but hurried.
fn settings(hub: &Hub, cache: &Path, attempts: u32) -> Settings {
    Settings {
        endpoint: hub.endpoint().to_string(),
        token: Some(Token::new(TOKEN, "HF_TOKEN").unwrap()),
        cache: cache.to_path_buf(),
        answering: Duration::from_secs(1),
        reading: Duration::from_secs(1),
        attempts,
        pause: Duration::from_millis(10),
    }
}

/// A small model as deploy would leave it, with a card.
fn model_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(golden::path("parity/model-tiny")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    fs::write(folder.path().join("README.md"), "---\nlicense: apache-2.0\n---\n# Tiny\n").unwrap();
    folder
}

/// The files of a folder and of those below it, by their names.
fn contents(folder: &Path) -> std::collections::BTreeMap<String, Vec<u8>> {
    fn collect(root: &Path, folder: &Path, found: &mut std::collections::BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => collect(root, &path, found),
                false => {
                    let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
                    found.insert(name, fs::read(&path).unwrap_or_default());
                }
            }
        }
    }
    let mut found = Default::default();
    collect(folder, folder, &mut found);
    found
}
