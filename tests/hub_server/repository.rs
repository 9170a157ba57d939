//! Repositories: their commits, branches, tags and pull requests.

use std::collections::{BTreeMap, HashMap};
use std::time::{SystemTime, UNIX_EPOCH};

use sha1::{Digest, Sha1};

use super::attributes::default_attributes;
use super::error::ApiError;
use super::objects::{Objects, hex, sha256};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Model,
    Dataset,
}

impl Kind {
    pub fn from_name(name: &str) -> Option<Kind> {
        match name {
            "model" | "models" => Some(Kind::Model),
            "dataset" | "datasets" => Some(Kind::Dataset),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Kind::Model => "model",
            Kind::Dataset => "dataset",
        }
    }

    /// The segment in `/api/models/…`.
    pub fn plural(self) -> &'static str {
        match self {
            Kind::Model => "models",
            Kind::Dataset => "datasets",
        }
    }

    /// What stands before the id in the address of a page or a file.
    pub fn prefix(self) -> &'static str {
        match self {
            Kind::Model => "",
            Kind::Dataset => "datasets/",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub size: u64,
    pub sha256: String,
    /// Git's id of the blob: of the content, or of the pointer when the content is a large object.
    pub oid: String,
    pub is_lfs: bool,
    /// The commit that last changed the file.
    pub last_commit: String,
}

#[derive(Debug, Clone)]
pub struct Commit {
    pub sha: String,
    pub parents: Vec<String>,
    pub title: String,
    pub description: String,
    pub author: String,
    pub date: String,
    pub(super) tree: BTreeMap<String, Entry>,
}

#[derive(Debug, Clone)]
pub struct PullRequest {
    pub number: u64,
    pub title: String,
    pub author: String,
    pub created: String,
}

impl PullRequest {
    /// Where its commits are.
    pub fn reference(&self) -> String {
        format!("refs/pr/{}", self.number)
    }
}

pub struct Repository {
    pub kind: Kind,
    pub id: String,
    pub private: bool,
    pub gated: bool,
    /// Users who were let into a gated repository.
    pub granted: Vec<String>,
    pub created: String,
    pub pull_requests: Vec<PullRequest>,
    pub refs: BTreeMap<String, String>,
    commits: HashMap<String, Commit>,
}

/// What a new commit says of itself.
pub struct Message {
    pub title: String,
    pub description: String,
    pub author: String,
}

pub const MAIN: &str = "refs/heads/main";

impl Repository {
    pub fn create(kind: Kind, id: &str, private: bool, author: &str, objects: &Objects) -> std::io::Result<Repository> {
        let mut repository = Repository {
            kind,
            id: id.to_owned(),
            private,
            gated: false,
            granted: Vec::new(),
            created: now(),
            pull_requests: Vec::new(),
            refs: BTreeMap::new(),
            commits: HashMap::new(),
        };
        let attributes = default_attributes(kind == Kind::Dataset);
        let entry = regular_entry(objects, attributes.as_bytes())?;
        let tree = BTreeMap::from([(".gitattributes".to_owned(), entry)]);
        let message =
            Message { title: "initial commit".to_owned(), description: String::new(), author: author.to_owned() };
        let first = repository.add_commit(None, tree, message);
        repository.refs.insert(MAIN.to_owned(), first);
        Ok(repository)
    }

    /// The commit that a branch, a tag, a reference or a commit id names.
    pub fn resolve(&self, revision: &str) -> Result<&Commit, ApiError> {
        let names = [format!("refs/heads/{revision}"), format!("refs/tags/{revision}"), revision.to_owned()];
        let named = names.iter().find_map(|name| self.refs.get(name)).map_or(revision, String::as_str);
        self.commits.get(named).ok_or_else(|| ApiError::revision_not_found(revision))
    }

    /// The reference that a commit to `revision` moves.
    pub fn reference(&self, revision: &str) -> Result<String, ApiError> {
        [format!("refs/heads/{revision}"), revision.to_owned()]
            .into_iter()
            .find(|name| self.refs.contains_key(name))
            .ok_or_else(|| ApiError::revision_not_found(revision))
    }

    pub fn head(&self) -> &Commit {
        &self.commits[&self.refs[MAIN]]
    }

    /// The commits that lead to one, newest first.
    pub fn history<'a>(&'a self, from: &'a Commit) -> impl Iterator<Item = &'a Commit> {
        std::iter::successors(Some(from), |commit| commit.parents.first().map(|parent| &self.commits[parent]))
    }

    pub fn commit(&self, sha: &str) -> Option<&Commit> {
        self.commits.get(sha)
    }

    /// Adds a commit; entries that differ from the parent's are marked as changed in it. References stay where they are.
    pub fn add_commit(&mut self, parent: Option<&str>, mut tree: BTreeMap<String, Entry>, message: Message) -> String {
        let date = now();
        let sha = self.commit_id(parent, &tree, &message, &date);
        let before = parent.map(|parent| &self.commits[parent].tree);
        for (path, entry) in &mut tree {
            match before.and_then(|before| before.get(path)) {
                Some(old) if old.oid == entry.oid => entry.last_commit.clone_from(&old.last_commit),
                _ => entry.last_commit.clone_from(&sha),
            }
        }
        let parents = parent.map(str::to_owned).into_iter().collect();
        let Message { title, description, author } = message;
        let commit = Commit { sha: sha.clone(), parents, title, description, author, date, tree };
        self.commits.insert(sha.clone(), commit);
        sha
    }

    fn commit_id(&self, parent: Option<&str>, tree: &BTreeMap<String, Entry>, message: &Message, date: &str) -> String {
        let mut hasher = Sha1::new();
        // The count keeps two commits apart that are alike and made in the same millisecond.
        let head = format!("{} {} {parent:?} {date}\n{}\n", self.id, self.commits.len(), message.title);
        hasher.update(head);
        for (path, entry) in tree {
            hasher.update(format!("{} {path}\n", entry.oid));
        }
        hex(hasher.finalize())
    }
}

/// Stores a regular file's content and returns its entry.
pub fn regular_entry(objects: &Objects, content: &[u8]) -> std::io::Result<Entry> {
    let oid = objects.put_regular(content)?;
    let (size, sha256) = (content.len() as u64, sha256(content));
    Ok(Entry { size, sha256, oid, is_lfs: false, last_commit: String::new() })
}

/// The entry of a large object; git holds only a pointer to it.
pub fn large_entry(sha256: &str, size: u64) -> Entry {
    let oid = super::objects::blob_id(pointer(sha256, size).as_bytes());
    Entry { size, sha256: sha256.to_owned(), oid, is_lfs: true, last_commit: String::new() }
}

pub fn pointer(sha256: &str, size: u64) -> String {
    format!("version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n")
}

/// The time now, as the Hub writes it: `2026-01-31T12:00:00.000Z`.
pub fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (seconds, millis) = (since.as_secs(), since.subsec_millis());
    let (year, month, day) = civil_date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// The date that lies so many days after 1 January 1970, counted in years that begin in March.
fn civil_date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::civil_date;

    #[test]
    fn days_become_dates() {
        assert_eq!(civil_date(0), (1970, 1, 1));
        assert_eq!(civil_date(19_782), (2024, 2, 29));
        assert_eq!(civil_date(20_453), (2025, 12, 31));
    }
}
