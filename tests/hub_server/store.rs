//! All repositories and accounts, and who may see, read and change which of them.

use std::collections::BTreeMap;

use super::accounts::{Accounts, Caller, namespace_of};
use super::error::ApiError;
use super::repository::{Kind, Repository};

#[derive(Default)]
pub struct Store {
    pub accounts: Accounts,
    repositories: BTreeMap<(Kind, String), Repository>,
    /// Old names and the new ones they lead to.
    renamed: Vec<(Kind, String, String)>,
}

impl Store {
    pub fn insert(&mut self, repository: Repository) {
        // A name that is taken again no longer leads elsewhere.
        self.renamed.retain(|(kind, old, _)| (*kind, old) != (repository.kind, &repository.id));
        self.repositories.insert((repository.kind, repository.id.clone()), repository);
    }

    pub fn contains(&self, kind: Kind, id: &str) -> bool {
        self.repositories.contains_key(&(kind, id.to_owned()))
    }

    pub fn remove(&mut self, kind: Kind, id: &str) {
        self.repositories.remove(&(kind, id.to_owned()));
    }

    pub fn rename(&mut self, kind: Kind, old: &str, new: &str) {
        if let Some(mut repository) = self.repositories.remove(&(kind, old.to_owned())) {
            new.clone_into(&mut repository.id);
            self.insert(repository);
            self.renamed.push((kind, old.to_owned(), new.to_owned()));
        }
    }

    /// Where a request for a repository's old name has to go.
    pub fn moved(&self, path_and_query: &str) -> Option<String> {
        self.renamed.iter().find_map(|(kind, old, new)| {
            [format!("/api/{}/", kind.plural()), format!("/{}", kind.prefix())].into_iter().find_map(|prefix| {
                let rest = path_and_query.strip_prefix(&prefix)?.strip_prefix(old)?;
                let ends = rest.is_empty() || rest.starts_with(['/', '?']) || rest.starts_with(".git/");
                ends.then(|| format!("{prefix}{new}{rest}"))
            })
        })
    }

    /// The repository of that id for the author of a test, who sees everything; a model before a data set.
    pub fn any(&mut self, id: &str) -> &mut Repository {
        let kind = if self.contains(Kind::Model, id) { Kind::Model } else { Kind::Dataset };
        self.repositories.get_mut(&(kind, id.to_owned())).unwrap_or_else(|| panic!("no such repository: {id}"))
    }

    /// A repository whose page the caller may see.
    pub fn visible(&self, caller: &Caller, kind: Kind, id: &str) -> Result<&Repository, ApiError> {
        self.repositories
            .get(&(kind, id.to_owned()))
            .filter(|repository| !repository.private || caller.is_member(namespace_of(id)))
            .ok_or_else(|| ApiError::repository_not_found(caller.is_logged_in()))
    }

    /// A repository whose files the caller may read.
    pub fn readable(&self, caller: &Caller, kind: Kind, id: &str, endpoint: &str) -> Result<&Repository, ApiError> {
        let repository = self.visible(caller, kind, id)?;
        let granted = caller.name().is_some_and(|name| repository.granted.iter().any(|granted| granted == name));
        if repository.gated && !granted && !caller.is_member(namespace_of(id)) {
            let page = format!("{endpoint}/{}{id}", kind.prefix());
            return Err(ApiError::gated(kind, id, &page, caller.is_logged_in()));
        }
        Ok(repository)
    }

    /// A repository that the caller may change, or open a pull request in when that is what they ask for.
    pub fn writable(
        &mut self,
        caller: &Caller,
        kind: Kind,
        id: &str,
        as_pull_request: bool,
    ) -> Result<&mut Repository, ApiError> {
        self.visible(caller, kind, id)?;
        if !caller.is_logged_in() {
            return Err(ApiError::login_needed());
        }
        if !caller.has_write_token() {
            return Err(ApiError::forbidden("Forbidden: you must use a write token to upload to a repository."));
        }
        if !as_pull_request && !caller.can_write(id) {
            let message = "Forbidden: pass `create_pr=1` as a query parameter to create a Pull Request";
            return Err(ApiError::forbidden(message));
        }
        let repository = self.repositories.get_mut(&(kind, id.to_owned()));
        repository.ok_or_else(|| ApiError::repository_not_found(true))
    }
}
