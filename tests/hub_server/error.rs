//! Refusals in the Hub's own words: a status, its `X-Error-Code` where it has one, and a message.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::repository::Kind;

#[derive(Debug, Clone)]
pub struct ApiError {
    status: StatusCode,
    code: Option<&'static str>,
    message: String,
    headers: Vec<(&'static str, String)>,
}

pub type ApiResult = Result<Response, ApiError>;

impl ApiError {
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        ApiError { status, code: None, message: message.into(), headers: Vec::new() }
    }

    fn coded(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        ApiError { code: Some(code), ..ApiError::new(status, message) }
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        ApiError::new(StatusCode::BAD_REQUEST, message)
    }

    pub fn forbidden(message: impl Into<String>) -> Self {
        ApiError::new(StatusCode::FORBIDDEN, message)
    }

    pub fn not_found() -> Self {
        ApiError::new(StatusCode::NOT_FOUND, "Sorry, we can't find the page you are looking for.")
    }

    /// A token that the Hub does not know.
    pub fn invalid_credentials() -> Self {
        ApiError::new(StatusCode::UNAUTHORIZED, "Invalid credentials in Authorization header")
    }

    pub fn expired_token(name: &str) -> Self {
        ApiError::new(StatusCode::UNAUTHORIZED, format!("User Access Token \"{name}\" is expired"))
    }

    /// No token where one is needed.
    pub fn login_needed() -> Self {
        ApiError::new(StatusCode::UNAUTHORIZED, "Invalid username or password.")
    }

    /// The Hub does not tell a stranger whether a repository is private or missing, and sends one who is not logged in
    /// to do that first.
    pub fn repository_not_found(logged_in: bool) -> Self {
        match logged_in {
            true => ApiError::coded(StatusCode::NOT_FOUND, "RepoNotFound", "Repository not found"),
            false => ApiError::coded(StatusCode::UNAUTHORIZED, "RepoNotFound", "Invalid username or password."),
        }
    }

    pub fn revision_not_found(revision: &str) -> Self {
        ApiError::coded(StatusCode::NOT_FOUND, "RevisionNotFound", format!("Invalid rev id: {revision}"))
    }

    /// Clients remember that the commit has no such file, so the answer names the commit.
    pub fn entry_not_found(message: impl Into<String>, commit: &str) -> Self {
        ApiError::coded(StatusCode::NOT_FOUND, "EntryNotFound", message).with_header("x-repo-commit", commit)
    }

    pub fn gated(kind: Kind, id: &str, page: &str, logged_in: bool) -> Self {
        let (status, rest) = match logged_in {
            true => (
                StatusCode::FORBIDDEN,
                format!("and you are not in the authorized list. Visit {page} to ask for access."),
            ),
            false => (
                StatusCode::UNAUTHORIZED,
                "You must have access to it and be authenticated to access it. Please log in.".to_owned(),
            ),
        };
        ApiError::coded(status, "GatedRepo", format!("Access to {} {id} is restricted {rest}", kind.name()))
    }

    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl From<std::io::Error> for ApiError {
    fn from(error: std::io::Error) -> Self {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = json_response(self.status, &json!({ "error": self.message }));
        let code = self.code.map(|code| ("x-error-code", code.to_owned()));
        let message = ("x-error-message", self.message);
        for (name, value) in self.headers.into_iter().chain(code).chain([message]) {
            // A message may quote what no header can hold, such as a path beyond ASCII.
            if let Ok(value) = value.parse() {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

pub fn json_response(status: StatusCode, body: &Value) -> Response {
    (status, [("content-type", "application/json; charset=utf-8")], body.to_string()).into_response()
}

pub fn json_ok(body: Value) -> ApiResult {
    Ok(json_response(StatusCode::OK, &body))
}
