//! Files by address: whole, checked against the length that the server tells, kept where that helps.

use std::path::PathBuf;
use std::time::Duration;

use super::rows::cache;
use crate::engine::{Error, Result, file};

/// For one file, connecting included.
const TIME_LIMIT: Duration = Duration::from_secs(300);

/// The content behind an address.
pub fn get(address: &str) -> Result<Vec<u8>> {
    let failed = |problem: String| {
        Error::hinted(format!("{address}: cannot be downloaded: {problem}"), "check the address and the network, or give a local file")
    };
    let client = reqwest::blocking::Client::builder().timeout(TIME_LIMIT).build();
    let response = client.and_then(|client| client.get(address).send()).map_err(|error| failed(root_cause(&error)))?;
    if !response.status().is_success() {
        return Err(failed(format!("the server answered {}", response.status())));
    }
    let content = response.bytes().map_err(|error| failed(root_cause(&error)))?;
    Ok(content.to_vec())
}

/// The innermost reason is the one that a user can act on.
fn root_cause(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), root_cause)
}

/// A file with the content behind an address, downloaded the first time.
pub fn cached(address: &str) -> Result<PathBuf> {
    let name = address.rsplit('/').next().unwrap_or_default();
    let folder = cache().join(&file::sha256(address.as_bytes())[..16]);
    let path = folder.join(name);
    if !path.is_file() {
        let content = get(address)?;
        file::create_folder(&folder)?;
        file::write_atomic(&path, &content)?;
    }
    Ok(path)
}
