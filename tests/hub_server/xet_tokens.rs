//! Tokens for the Xet storage.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::State;
use axum::http::HeaderValue;
use serde_json::{Value, json};

use super::accounts::Caller;
use super::cas::{Cas, TOKEN_LIFETIME};
use super::context::{Context, Shared};
use super::error::{ApiError, ApiResult, json_ok};
use super::routes::{Query, Target};

pub async fn read_token(State(context): State<Shared>, caller: Caller, target: Target) -> ApiResult {
    context.store().readable(&caller, target.kind, &target.id, &context.endpoint)?.resolve(&target.revision)?;
    answer(&context, &caller, false)
}

pub async fn write_token(State(context): State<Shared>, caller: Caller, target: Target, query: Query) -> ApiResult {
    // Python asks for the revision `None` when the pull request that it uploads for is still to be opened.
    let as_pull_request = query.is_set("create_pr") || target.revision == "None";
    context.store().writable(&caller, target.kind, &target.id, as_pull_request)?;
    answer(&context, &caller, true)
}

fn answer(context: &Context, caller: &Caller, writes: bool) -> ApiResult {
    let cas = context.cas.as_ref().ok_or_else(ApiError::not_found)?;
    let token = Token::issue(context, cas, caller, writes);
    let mut response = json_ok(json!({"casUrl": token.url, "exp": token.expires, "accessToken": token.value}))?;
    for (name, value) in token.headers() {
        response.headers_mut().insert(name, HeaderValue::from_str(&value).map_err(std::io::Error::other)?);
    }
    Ok(response)
}

pub struct Token {
    url: String,
    value: String,
    expires: u64,
}

impl Token {
    pub fn issue(context: &Context, cas: &Cas, caller: &Caller, writes: bool) -> Token {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Token { url: context.cas_url(), value: cas.issue(caller.name(), writes), expires: now + TOKEN_LIFETIME }
    }

    fn headers(&self) -> [(&'static str, String); 3] {
        [
            ("x-xet-cas-url", self.url.clone()),
            ("x-xet-access-token", self.value.clone()),
            ("x-xet-token-expiration", self.expires.to_string()),
        ]
    }

    /// The token as a Git LFS transfer agent for Xet gets it.
    pub fn lfs_header(&self) -> Value {
        json!({
            "X-Xet-Cas-Url": self.url,
            "X-Xet-Access-Token": self.value,
            "X-Xet-Token-Expiration": self.expires.to_string(),
        })
    }
}
