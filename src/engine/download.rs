//! Files by address, whole, kept where that helps.

use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::time::Duration;

use super::proxy::{root_cause, unreachable};
use super::{Error, Result, cancel, file};

/// For one file, connecting included.
const TIME_LIMIT: Duration = Duration::from_secs(300);

/// The content behind an address. On a thread of its own, so that Ctrl-C is heard.
pub fn get(address: &str) -> Result<Vec<u8>> {
    let (done, result) = channel();
    let wanted = address.to_string();
    let work = move || done.send(ask(&wanted));
    std::thread::Builder::new()
        .name("download".to_string())
        .spawn(work)
        .map_err(|error| Error::file(address, error))?;
    let result = cancel::receive(&result)?.unwrap_or_else(|| Err("the download broke off".to_string()));
    result.map_err(|problem| {
        let hint = "check the address and the network";
        Error::hinted(format!("{address}: cannot be downloaded: {problem}"), hint)
    })
}

/// A body that ends before the length that the server told is an error of reqwest's.
fn ask(address: &str) -> Result<Vec<u8>, String> {
    let client = reqwest::blocking::Client::builder().timeout(TIME_LIMIT).build();
    let client = client.map_err(|error| root_cause(&error))?;
    let response = client.get(address).send().map_err(|error| unreachable(address, &error))?;
    if !response.status().is_success() {
        return Err(format!("the server answered {}", response.status()));
    }
    Ok(response.bytes().map_err(|error| root_cause(&error))?.to_vec())
}

/// A file with the content behind an address, downloaded the first time.
pub fn cached(address: &str) -> Result<PathBuf> {
    let downloads = file::cache_folder("downloads").ok_or_else(|| {
        Error::message(format!("{address}: there is no home folder to keep it in: set XDG_CACHE_HOME"))
    })?;
    let folder = downloads.join(&file::sha256(address.as_bytes())[..16]);
    let path = folder.join(address.rsplit('/').next().unwrap_or_default());
    if !path.is_file() {
        let content = get(address)?;
        file::create_folder(&folder)?;
        file::write_atomic(&path, &content)?;
    }
    Ok(path)
}
