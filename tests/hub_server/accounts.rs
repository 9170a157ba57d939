//! Users, organisations, their tokens, and what a caller may do.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Value, json};

use super::error::ApiError;

/// What a token allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    Write,
    Read,
    /// Writes only in these namespaces and repositories; reads what the user may read.
    FineGrained(Vec<String>),
}

struct Token {
    user: String,
    role: Role,
    expired: bool,
}

#[derive(Default)]
pub struct Accounts {
    tokens: HashMap<String, Token>,
    organizations: HashMap<String, BTreeSet<String>>,
}

/// Who sent a request. Without a token: nobody, who reads what is public.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    login: Option<Login>,
}

#[derive(Debug, Clone)]
struct Login {
    user: String,
    role: Role,
    organizations: Vec<String>,
}

impl Accounts {
    pub fn add_token(&mut self, user: &str, token: &str, role: Role) {
        self.tokens.insert(token.to_owned(), Token { user: user.to_owned(), role, expired: false });
    }

    pub fn add_organization(&mut self, name: &str, members: &[&str]) {
        self.organizations.insert(name.to_owned(), members.iter().map(|&member| member.to_owned()).collect());
    }

    pub fn expire(&mut self, token: &str) {
        self.tokens.get_mut(token).unwrap_or_else(|| panic!("no such token: {token}")).expired = true;
    }

    pub fn user_of(&self, token: &str) -> Option<&str> {
        self.tokens.get(token).map(|token| token.user.as_str())
    }

    /// The caller whom an `Authorization` header names.
    pub fn caller(&self, bearer: Option<&str>) -> Result<Caller, ApiError> {
        let Some(bearer) = bearer else { return Ok(Caller::default()) };
        let token = self.tokens.get(bearer).ok_or_else(ApiError::invalid_credentials)?;
        if token.expired {
            return Err(ApiError::expired_token(&token.user));
        }
        let mut organizations: Vec<String> = self
            .organizations
            .iter()
            .filter(|(_, members)| members.contains(&token.user))
            .map(|(name, _)| name.clone())
            .collect();
        organizations.sort();
        Ok(Caller { login: Some(Login { user: token.user.clone(), role: token.role.clone(), organizations }) })
    }
}

impl Caller {
    pub fn name(&self) -> Option<&str> {
        self.login.as_ref().map(|login| login.user.as_str())
    }

    pub fn is_logged_in(&self) -> bool {
        self.login.is_some()
    }

    /// Whether the namespace is the caller's own or one of an organisation they belong to.
    pub fn is_member(&self, namespace: &str) -> bool {
        self.login
            .as_ref()
            .is_some_and(|login| login.user == namespace || login.organizations.iter().any(|name| name == namespace))
    }

    pub fn can_write(&self, id: &str) -> bool {
        let namespace = namespace_of(id);
        self.is_member(namespace)
            && self.login.as_ref().is_some_and(|login| match &login.role {
                Role::Write => true,
                Role::Read => false,
                Role::FineGrained(scopes) => scopes.iter().any(|scope| scope == namespace || scope == id),
            })
    }

    /// Whether the token is one that writes at all, as opening a pull request needs.
    pub fn has_write_token(&self) -> bool {
        self.login.as_ref().is_some_and(|login| login.role != Role::Read)
    }

    /// The answer to `GET /api/whoami-v2`.
    pub fn whoami(&self) -> Result<Value, ApiError> {
        let login = self.login.as_ref().ok_or_else(ApiError::login_needed)?;
        let organizations: Vec<Value> = login
            .organizations
            .iter()
            .map(|name| json!({"type": "org", "id": name, "name": name, "fullname": name, "roleInOrg": "write"}))
            .collect();
        Ok(json!({
            "type": "user",
            "id": login.user,
            "name": login.user,
            "fullname": login.user,
            "email": format!("{}@example.com", login.user),
            "emailVerified": true,
            "canPay": false,
            "isPro": false,
            "periodEnd": null,
            "orgs": organizations,
            "auth": {"type": "access_token", "accessToken": access_token(&login.user, &login.role)},
        }))
    }
}

fn access_token(user: &str, role: &Role) -> Value {
    let mut token = json!({"displayName": user, "createdAt": "2026-01-01T00:00:00.000Z"});
    match role {
        Role::Write => token["role"] = "write".into(),
        Role::Read => token["role"] = "read".into(),
        Role::FineGrained(scopes) => {
            token["role"] = "fineGrained".into();
            token["fineGrained"] = json!({
                "canReadGatedRepos": true,
                "global": [],
                "scoped": scopes.iter().map(|scope| scope_of(user, scope)).collect::<Vec<_>>(),
            });
        }
    }
    token
}

fn scope_of(user: &str, scope: &str) -> Value {
    let kind = match scope {
        repository if repository.contains('/') => "model",
        namespace if namespace == user => "user",
        _ => "org",
    };
    json!({
        "entity": {"_id": scope, "type": kind, "name": scope},
        "permissions": ["repo.content.read", "repo.write"],
    })
}

pub fn namespace_of(id: &str) -> &str {
    id.split_once('/').map_or("", |(namespace, _)| namespace)
}
