//! The server as the author of a test has it in hand.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tempfile::TempDir;

use super::Options;
use super::accounts::{Role, namespace_of};
use super::attributes::goes_to_large_storage;
use super::commits::{Change, Draft, carry_out};
use super::faults::Fault;
use super::preupload::regular_text;
use super::repository::{Commit, Entry, Kind, MAIN, PullRequest, Repository, large_entry, regular_entry};
use super::server::Server;
use super::store::Store;
use super::traffic::Request;

/// A running server. It ends when this is dropped.
pub struct Hub {
    // Dropped in this order: the server first, then what it serves from.
    server: Server,
    _folder: TempDir,
}

/// A file of a repository, as long as the server runs.
#[derive(Debug, Clone)]
pub struct File {
    pub size: u64,
    pub sha256: String,
    /// Git's id of the blob; for a large file that of its pointer.
    pub git_oid: String,
    pub is_lfs: bool,
    path: PathBuf,
}

impl File {
    pub fn bytes(&self) -> Vec<u8> {
        std::fs::read(&self.path).unwrap_or_else(|error| panic!("{}: {error}", self.path.display()))
    }
}

/// Nothing here fails for a reason that a test could handle: an id or a token that is not there is a mistake in it.
impl Hub {
    pub fn start(options: Options) -> Hub {
        let folder = TempDir::new().expect("a folder for temporary files");
        let server = Server::start(options, folder.path()).unwrap_or_else(|error| panic!("the server: {error}"));
        Hub { server, _folder: folder }
    }

    pub fn endpoint(&self) -> &str {
        &self.server.context.endpoint
    }

    pub fn user(&self, name: &str, token: &str, role: Role) {
        self.store(|store| store.accounts.add_token(name, token, role));
    }

    /// An organisation whose members may write in it.
    pub fn organization(&self, name: &str, members: &[&str]) {
        self.store(|store| store.accounts.add_organization(name, members));
    }

    pub fn expire(&self, token: &str) {
        self.store(|store| store.accounts.expire(token));
    }

    pub fn create(&self, id: &str, kind: Kind, private: bool) {
        let repository = Repository::create(kind, id, private, namespace_of(id), &self.server.context.objects);
        self.store(|store| store.insert(repository.expect("a file on disk")));
    }

    /// Commits files to the main branch, in the owner's name. Large ones are stored as by plain Git LFS, not by Xet.
    pub fn commit(&self, id: &str, files: &[(&str, &[u8])]) -> String {
        let context = &self.server.context;
        self.change(id, |repository| {
            let attributes = regular_text(context, repository.head(), ".gitattributes").expect("a file on disk");
            let changes = files.iter().map(|&(path, content)| {
                let entry = self.stored(&attributes, path, content).expect("a file on disk");
                Change::Put(path.to_owned(), entry)
            });
            let title = format!("Upload {} files", files.len());
            let draft = Draft { title, changes: changes.collect(), ..Draft::default() };
            let done = carry_out(context, repository, MAIN, draft, namespace_of(id), false);
            done.expect("files can always be added").commit
        })
    }

    fn stored(&self, attributes: &str, path: &str, content: &[u8]) -> std::io::Result<Entry> {
        let objects = &self.server.context.objects;
        let size = content.len() as u64;
        match goes_to_large_storage(attributes, path, size, content) {
            true => Ok(large_entry(&objects.put_large(content)?, size)),
            false => regular_entry(objects, content),
        }
    }

    /// Lets nobody but the owner have the files until they are [granted](Hub::grant) access; the page stays visible.
    pub fn gate(&self, id: &str) {
        self.change(id, |repository| repository.gated = true);
    }

    pub fn grant(&self, id: &str, user: &str) {
        self.change(id, |repository| repository.granted.push(user.to_owned()));
    }

    /// Renames a repository; requests for the old name are redirected.
    pub fn rename(&self, old: &str, new: &str) {
        self.store(|store| {
            let kind = store.any(old).kind;
            store.rename(kind, old, new);
        });
    }

    /// A new branch where the main one is.
    pub fn branch(&self, id: &str, name: &str) {
        self.point(id, format!("refs/heads/{name}"));
    }

    /// A new tag where the main branch is.
    pub fn tag(&self, id: &str, name: &str) {
        self.point(id, format!("refs/tags/{name}"));
    }

    fn point(&self, id: &str, reference: String) {
        self.change(id, |repository| {
            let head = repository.head().sha.clone();
            repository.refs.insert(reference, head);
        });
    }

    pub fn exists(&self, id: &str, kind: Kind) -> bool {
        self.store(|store| store.contains(kind, id))
    }

    pub fn files(&self, id: &str, revision: &str) -> BTreeMap<String, File> {
        self.change(id, |repository| {
            let commit = repository.resolve(revision).unwrap_or_else(|_| panic!("{id} has no revision {revision}"));
            let objects = &self.server.context.objects;
            let file = |entry: &Entry| File {
                size: entry.size,
                sha256: entry.sha256.clone(),
                git_oid: entry.oid.clone(),
                is_lfs: entry.is_lfs,
                path: if entry.is_lfs { objects.large(&entry.sha256) } else { objects.regular(&entry.oid) },
            };
            commit.tree.iter().map(|(path, entry)| (path.clone(), file(entry))).collect()
        })
    }

    /// The newest commit of the main branch.
    pub fn head(&self, id: &str) -> String {
        self.change(id, |repository| repository.head().sha.clone())
    }

    /// The main branch's commits, newest first.
    pub fn commits(&self, id: &str) -> Vec<Commit> {
        self.change(id, |repository| repository.history(repository.head()).cloned().collect())
    }

    pub fn pull_requests(&self, id: &str) -> Vec<PullRequest> {
        self.change(id, |repository| repository.pull_requests.clone())
    }

    pub fn is_private(&self, id: &str) -> bool {
        self.change(id, |repository| repository.private)
    }

    /// Every request since the last [`Hub::clear_requests`], in the order in which they came.
    pub fn requests(&self) -> Vec<Request> {
        self.server.context.traffic.requests()
    }

    /// Forgets the requests and the bytes received.
    pub fn clear_requests(&self) {
        self.server.context.traffic.clear();
    }

    /// The bytes that came for each large object, by its SHA-256, and for each xorb, by its hash.
    pub fn bytes_received(&self) -> BTreeMap<String, u64> {
        self.server.context.traffic.content()
    }

    /// Lets the `at`-th request from now on meet a fault; 1 is the next one.
    pub fn fail(&self, fault: Fault, at: u64) {
        self.server.context.traffic.plan(fault, at);
    }

    /// Lets every request meet a fault whose method and path (with the query) match.
    pub fn fail_always(&self, fault: Fault, matching: impl Fn(&str, &str) -> bool + Send + 'static) {
        self.server.context.traffic.plan_matching(fault, Box::new(matching), false);
    }

    /// Takes all faults away; what stalls is closed.
    pub fn mend(&self) {
        self.server.context.traffic.mend();
    }

    fn store<T>(&self, work: impl FnOnce(&mut Store) -> T) -> T {
        work(&mut self.server.context.store())
    }

    fn change<T>(&self, id: &str, work: impl FnOnce(&mut Repository) -> T) -> T {
        self.store(|store| work(store.any(id)))
    }
}
