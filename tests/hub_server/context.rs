//! What every request handler works with.

use std::sync::{Arc, Mutex, MutexGuard};

use super::Options;
use super::cas::Cas;
use super::objects::Objects;
use super::store::Store;
use super::traffic::Traffic;

pub type Shared = Arc<Context>;

pub struct Context {
    pub options: Options,
    /// Where the Hub answers, `http://127.0.0.1:…`.
    pub endpoint: String,
    /// Where content is fetched and put. Another origin, as with the real Hub: clients take a redirect within the Hub's
    /// own origin for a renamed repository, and send their tokens along.
    pub storage: String,
    /// What signs addresses of content.
    pub secret: String,
    pub objects: Objects,
    /// The Xet storage, when there is one.
    pub cas: Option<Cas>,
    pub traffic: Arc<Traffic>,
    pub(super) store: Mutex<Store>,
}

impl Context {
    pub fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().expect("no handler panics with the store in hand")
    }

    /// The address from which a large object's content comes, for whoever holds it.
    pub fn content_url(&self, sha256: &str) -> String {
        format!("{}/cdn/{sha256}?signature={}", self.storage, self.secret)
    }

    pub fn upload_url(&self, sha256: &str) -> String {
        format!("{}/lfs/{sha256}?signature={}", self.storage, self.secret)
    }

    pub fn part_upload_url(&self, sha256: &str, part: u64) -> String {
        format!("{}/lfs/{sha256}/{part}?signature={}", self.storage, self.secret)
    }

    pub fn completion_url(&self) -> String {
        format!("{}/api/complete_multipart?signature={}", self.endpoint, self.secret)
    }

    pub fn cas_url(&self) -> String {
        format!("{}/cas", self.storage)
    }

    /// The Xet hash of a large object, where the storage has one and the options let clients know.
    pub fn xet_hash(&self, sha256: &str) -> Option<String> {
        let cas = self.cas.as_ref().filter(|_| self.options.xet_hashes)?;
        cas.known(sha256).map(|hash| hash.hex())
    }
}
