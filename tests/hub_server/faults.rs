//! What can go wrong on the way, on purpose.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::json;

use super::body::{channel, next_piece};
use super::traffic::Traffic;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The connection is closed without an answer, and nothing is done.
    Cut,
    /// The connection is closed after so many bytes of the answer's body; the headers promise the whole.
    CutBody { after: u64 },
    /// The connection is closed after so many bytes of the request's body, and nothing is done.
    CutUpload { after: u64 },
    /// The request is carried out, and then the connection is closed without the answer.
    AfterwardsCut,
    /// This answer instead of the right one, and nothing is done.
    Status { code: u16, headers: Vec<(String, String)>, body: String },
    /// No answer until the faults are mended; then the connection is closed.
    Stall,
    /// No more than so many bytes of the answer's body until the faults are mended; then the connection is closed.
    StallBody { after: u64 },
    /// As many bytes as the right answer has, every one of them wrong.
    WrongBody,
}

impl Fault {
    pub fn too_many_requests(retry_after_seconds: u64) -> Fault {
        let wait = ("retry-after".to_owned(), retry_after_seconds.to_string());
        Fault::refusal(429, "We had to rate limit your IP. To continue using our service, log in.", vec![wait])
    }

    pub fn internal_error() -> Fault {
        Fault::refusal(500, "Internal Error - We're working hard to fix this as soon as possible!", Vec::new())
    }

    pub fn unavailable() -> Fault {
        Fault::refusal(503, "Service Unavailable", Vec::new())
    }

    pub fn forbidden() -> Fault {
        Fault::refusal(403, "Forbidden: you must use a write token to upload to a repository.", Vec::new())
    }

    pub fn expired_token() -> Fault {
        Fault::refusal(401, "User Access Token \"token\" is expired", Vec::new())
    }

    fn refusal(code: u16, message: &str, mut headers: Vec<(String, String)>) -> Fault {
        headers.push(("content-type".to_owned(), "application/json; charset=utf-8".to_owned()));
        headers.push(("x-error-message".to_owned(), message.to_owned()));
        Fault::Status { code, headers, body: json!({ "error": message }).to_string() }
    }
}

/// The answer that a [`Fault::Status`] stands for.
pub fn refusal(code: u16, headers: &[(String, String)], body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or_else(|_| panic!("{code} is no HTTP status"));
    for (name, value) in headers {
        let name: HeaderName = name.parse().unwrap_or_else(|_| panic!("{name:?} is no header name"));
        let value: HeaderValue = value.parse().unwrap_or_else(|_| panic!("{value:?} is no header value"));
        response.headers_mut().insert(name, value);
    }
    response
}

/// The response with its body spoilt as the fault says; any other fault leaves it as it is.
pub fn spoil(response: Response<Body>, fault: &Fault, traffic: Arc<Traffic>) -> Response<Body> {
    match *fault {
        Fault::CutBody { after } => stop_body(response, after, async {}),
        Fault::StallBody { after } => stop_body(response, after, async move { traffic.mended().await }),
        Fault::WrongBody => flip_body(response),
        _ => response,
    }
}

/// Sends the first bytes of a body, waits, and breaks the connection off.
fn stop_body(response: Response<Body>, after: u64, wait: impl Future<Output = ()> + Send + 'static) -> Response<Body> {
    let (sender, response, mut body) = replace_body(response);
    tokio::spawn(async move {
        let mut left = after;
        while left > 0 {
            let Some(Ok(piece)) = next_piece(&mut body).await else { return };
            let sent = piece.slice(..piece.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
            left -= sent.len() as u64;
            if sender.send(Ok(sent)).await.is_err() {
                return;
            }
        }
        // hyper forgets what it has buffered when a body fails, so it gets the time to send that first.
        tokio::time::sleep(Duration::from_millis(50)).await;
        wait.await;
        let _ = sender.send(Err(io::ErrorKind::ConnectionReset.into())).await;
    });
    response
}

fn flip_body(response: Response<Body>) -> Response<Body> {
    let (sender, response, mut body) = replace_body(response);
    tokio::spawn(async move {
        while let Some(piece) = next_piece(&mut body).await {
            let flipped = piece.map(|piece| piece.iter().map(|byte| !byte).collect::<Bytes>());
            if sender.send(flipped.map_err(io::Error::other)).await.is_err() {
                return;
            }
        }
    });
    response
}

/// Puts a channel in the place of the body, under the same `Content-Length`.
fn replace_body(response: Response<Body>) -> (tokio::sync::mpsc::Sender<io::Result<Bytes>>, Response<Body>, Body) {
    let (mut parts, body) = response.into_parts();
    if let Some(length) = body.size_hint().exact() {
        parts.headers.entry(CONTENT_LENGTH).or_insert(length.into());
    }
    let (sender, replaced) = channel();
    (sender, Response::from_parts(parts, replaced), body)
}
