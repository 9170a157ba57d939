//! Whose token it is, and what it lets one do.

use serde::{Deserialize, Serialize};

use super::client::Client;
use super::problem::Problem;

/// An account of the Hub, as its token shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Account {
    pub name: String,
    pub organizations: Vec<String>,
    /// The name that the token was given, where the Hub tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    #[serde(skip)]
    access: Access,
}

/// Where a token lets one write.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Access {
    Nowhere,
    Everywhere,
    /// With the repositories of these owners, and these repositories.
    At(Vec<String>),
}

impl Account {
    pub async fn ask(client: &Client) -> Result<Account, Problem> {
        let answer: Answer = client.patiently(|| client.json(client.get("api/whoami-v2"))).await?;
        Ok(answer.account())
    }

    /// Whether a model may be written to `owner/name`, by what the token tells; the Hub has the last word.
    pub fn may_write(&self, repository: &str) -> bool {
        let owner = repository.split('/').next().unwrap_or_default();
        let belongs = owner == self.name || self.organizations.iter().any(|name| name == owner);
        match &self.access {
            Access::Nowhere => false,
            Access::Everywhere => belongs,
            Access::At(places) => places.iter().any(|place| place == owner || place == repository),
        }
    }
}

#[derive(Deserialize)]
struct Answer {
    name: String,
    #[serde(default)]
    orgs: Vec<Named>,
    auth: Option<Auth>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Auth {
    access_token: Option<AccessToken>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AccessToken {
    display_name: Option<String>,
    role: String,
    #[serde(default)]
    fine_grained: FineGrained,
}

#[derive(Default, Deserialize)]
struct FineGrained {
    #[serde(default)]
    scoped: Vec<Scope>,
}

#[derive(Deserialize)]
struct Scope {
    entity: Named,
    #[serde(default)]
    permissions: Vec<String>,
}

impl Answer {
    fn account(self) -> Account {
        let token = self.auth.and_then(|auth| auth.access_token);
        let access = match token.as_ref().map(|token| token.role.as_str()) {
            // Without a word about the token it is an older kind, which may do what its account may.
            None | Some("write" | "admin") => Access::Everywhere,
            Some("fineGrained") => {
                let scopes = token.iter().flat_map(|token| &token.fine_grained.scoped);
                let writing = scopes.filter(|scope| scope.permissions.iter().any(|may| may == "repo.write"));
                Access::At(writing.map(|scope| scope.entity.name.clone()).collect())
            }
            Some(_) => Access::Nowhere,
        };
        let organizations = self.orgs.into_iter().map(|organization| organization.name).collect();
        Account { name: self.name, organizations, token: token.and_then(|token| token.display_name), access }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_token_s_role_says_where_one_may_write() {
        let account = |token: serde_json::Value| {
            let answer = json!({ "name": "me", "orgs": [{ "name": "acme" }], "auth": { "accessToken": token } });
            serde_json::from_value::<Answer>(answer).unwrap().account()
        };
        let may = |account: &Account| ["me/a", "acme/a", "other/a"].map(|repository| account.may_write(repository));
        assert_eq!(may(&account(json!({ "role": "write", "displayName": "x" }))), [true, true, false]);
        assert_eq!(may(&account(json!({ "role": "read" }))), [false, false, false]);
        let scoped = json!([
            { "entity": { "type": "org", "name": "acme" }, "permissions": ["repo.content.read", "repo.write"] },
            { "entity": { "type": "user", "name": "me" }, "permissions": ["repo.content.read"] },
        ]);
        let fine = account(json!({ "role": "fineGrained", "fineGrained": { "scoped": scoped } }));
        assert_eq!(may(&fine), [false, true, false]);
    }
}
