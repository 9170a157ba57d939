//! Which address leads to which handler, and what handlers take from a request.

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{any, delete, get, post, put};
use serde_json::{Value, json};

use super::accounts::Caller;
use super::body::collect;
use super::context::Shared;
use super::error::{ApiError, ApiResult, json_ok};
use super::repository::Kind;
use super::{commits, content, lfs, listing, preupload, repositories, xet_tokens};

pub fn router(context: Shared) -> Router {
    let repository = Router::new()
        .route("/", get(listing::info))
        .route("/revision/{revision}", get(listing::info))
        .route("/tree/{revision}", get(listing::tree))
        .route("/tree/{revision}/{*path}", get(listing::tree))
        .route("/paths-info/{revision}", post(listing::paths_info))
        .route("/commits/{revision}", get(listing::commits))
        .route("/refs", get(listing::refs))
        .route("/discussions", get(listing::discussions))
        .route("/preupload/{revision}", post(preupload::preupload))
        .route("/commit/{revision}", post(commits::commit))
        .route("/xet-read-token/{revision}", get(xet_tokens::read_token))
        .route("/xet-write-token/{revision}", get(xet_tokens::write_token));
    let files = Router::new()
        .route("/resolve/{revision}/{*path}", get(content::resolve))
        .route("/info/lfs/objects/batch", post(lfs::batch))
        .route("/info/lfs/objects/verify", post(lfs::verify));
    Router::new()
        .route("/api/whoami-v2", get(whoami))
        .route("/api/repos/create", post(repositories::create))
        .route("/api/repos/delete", delete(repositories::delete))
        .route("/api/repos/move", post(repositories::rename))
        .route("/api/validate-yaml", post(validate_yaml))
        .route("/api/agent-harnesses", get(agent_harnesses))
        .route("/api/telemetry/{*path}", any(telemetry))
        .route("/v1/telemetry", post(telemetry))
        .route("/api/complete_multipart", post(lfs::complete_multipart))
        .nest("/api/models/{owner}/{name}", repository.clone())
        .nest("/api/datasets/{owner}/{name}", repository)
        .nest("/datasets/{owner}/{name}", files.clone())
        .nest("/{owner}/{name}", files)
        .route("/cdn/{oid}", get(content::download))
        .route("/lfs/{oid}", put(lfs::upload))
        .route("/lfs/{oid}/{part}", put(lfs::upload_part))
        .route("/cas/{*path}", any(pass_on))
        .fallback(unknown)
        .with_state(context)
}

/// The repository that an address names, with the revision and the path where it has them.
pub struct Target {
    pub kind: Kind,
    pub id: String,
    pub revision: String,
    pub path: String,
}

impl FromRequestParts<Shared> for Target {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, context: &Shared) -> Result<Self, ApiError> {
        let address = parts.extensions.get::<axum::extract::OriginalUri>().map_or(&parts.uri, |original| &original.0);
        let is_dataset = address.path().starts_with("/api/datasets/") || address.path().starts_with("/datasets/");
        let kind = if is_dataset { Kind::Dataset } else { Kind::Model };
        let values = RawPathParams::from_request_parts(parts, context).await.map_err(|_| ApiError::not_found())?;
        let value = |name| values.iter().find(|(key, _)| *key == name).map(|(_, value)| value);
        let (owner, name) = value("owner").zip(value("name")).ok_or_else(ApiError::not_found)?;
        Ok(Target {
            kind,
            id: format!("{owner}/{}", name.strip_suffix(".git").unwrap_or(name)),
            revision: value("revision").unwrap_or("main").to_owned(),
            path: value("path").unwrap_or_default().trim_end_matches('/').to_owned(),
        })
    }
}

impl FromRequestParts<Shared> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, context: &Shared) -> Result<Self, ApiError> {
        context.store().accounts.caller(bearer(&parts.headers))
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

/// What follows the `?`.
pub struct Query(Vec<(String, String)>);

impl Query {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn is_set(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| !matches!(value, "" | "0" | "false" | "False"))
    }
}

impl FromRequestParts<Shared> for Query {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, ApiError> {
        let query = parts.uri.query().unwrap_or_default();
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        Ok(Query(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()))
    }
}

/// An address of content that this server made itself.
pub struct Signed;

impl FromRequestParts<Shared> for Signed {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, context: &Shared) -> Result<Self, ApiError> {
        let query = Query::from_request_parts(parts, context).await?;
        match query.get("signature") {
            Some(signature) if signature == context.secret => Ok(Signed),
            _ => Err(ApiError::forbidden("the address is not signed")),
        }
    }
}

pub struct JsonBody(pub Value);

impl FromRequest<Shared> for JsonBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &Shared) -> Result<Self, ApiError> {
        let body = collect(request.into_body(), None).await?;
        serde_json::from_slice(&body).map(JsonBody).map_err(|error| ApiError::bad_request(error.to_string()))
    }
}

/// A string that a JSON body has to have.
pub fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str, ApiError> {
    value[key].as_str().ok_or_else(|| ApiError::bad_request(format!("\"{key}\" is required")))
}

async fn whoami(caller: Caller) -> ApiResult {
    json_ok(caller.whoami()?)
}

async fn validate_yaml() -> ApiResult {
    json_ok(json!({"errors": [], "warnings": []}))
}

async fn agent_harnesses() -> ApiResult {
    json_ok(json!({"standardEnvVars": [], "harnesses": {}}))
}

async fn telemetry() -> StatusCode {
    StatusCode::OK
}

async fn pass_on(State(context): State<Shared>, request: Request<Body>) -> ApiResult {
    let cas = context.cas.as_ref().ok_or_else(ApiError::not_found)?;
    cas.pass_on(request, &context.storage).await
}

async fn unknown() -> ApiError {
    ApiError::not_found()
}
