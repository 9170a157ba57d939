//! HTTP at the door: takes requests in on a thread of its own and hands them, one by one, to whoever answers.
//!
//! The answering side stays on the thread that opened the door, because environments written in Lua cannot leave theirs.

use std::net::TcpListener;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::header::{ALLOW, CONTENT_TYPE, HeaderMap};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::engine::{Error, Result};

/// No action is longer.
const MAX_BODY: usize = 16 << 20;

/// Requests that wait while one is answered.
const WAITING: usize = 1024;

/// What connections get to finish when the door closes.
const GRACE: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Default)]
pub struct Request {
    pub method: String,
    pub path: String,
    /// What stands behind the `?`, still encoded.
    pub query: String,
    pub content_type: Option<String>,
    pub body: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    pub status: u16,
    pub content: Content,
    /// The one method that would have been right.
    pub allow: Option<&'static str>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    Json(Value),
    Text(&'static str),
}

impl Reply {
    pub fn json(status: u16, value: Value) -> Self {
        Reply { status, content: Content::Json(value), allow: None }
    }

    /// As FastAPI writes errors: `{"detail": …}`.
    pub fn detail(status: u16, detail: impl Into<Value>) -> Self {
        Reply::json(status, json!({ "detail": detail.into() }))
    }

    pub fn internal_error() -> Self {
        Reply { status: 500, content: Content::Text("Internal Server Error"), allow: None }
    }
}

/// A request and where its answer goes.
struct Visit {
    request: Request,
    reply: oneshot::Sender<Reply>,
}

/// The open door; dropped, it closes.
pub struct Door {
    visits: Receiver<Visit>,
    close: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Door {
    pub fn open(listener: TcpListener) -> Result<Self> {
        let broken = |error: std::io::Error| Error::message(format!("the HTTP server cannot start: {error}"));
        listener.set_nonblocking(true).map_err(broken)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(broken)?;
        let (sender, visits) = sync_channel(WAITING);
        let (close, closed) = oneshot::channel();
        let serve = move || {
            if let Err(error) = runtime.block_on(attend(listener, sender, closed)) {
                tracing::error!("the HTTP server stopped: {error}");
            }
        };
        let thread = std::thread::Builder::new().name("http".to_string()).spawn(serve).map_err(broken)?;
        Ok(Door { visits, close: Some(close), thread: Some(thread) })
    }

    /// Answers one request if one comes within `patience`. An error when none can come any more.
    pub fn answer(&self, patience: Duration, mut answer: impl FnMut(&Request) -> Reply) -> Result<()> {
        match self.visits.recv_timeout(patience) {
            // A client that has gone misses its answer.
            Ok(visit) => drop(visit.reply.send(answer(&visit.request))),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(Error::message("the HTTP server has stopped")),
        }
        Ok(())
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // Requests that still wait are dropped with their reply's sender, which answers them with 503.
        drop(std::mem::replace(&mut self.visits, sync_channel(0).1));
        if let Some(close) = self.close.take() {
            let _ = close.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn attend(listener: TcpListener, visits: SyncSender<Visit>, closed: oneshot::Receiver<()>) -> Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener).map_err(|error| Error::message(error.to_string()))?;
    let (begin_grace, grace) = oneshot::channel();
    let closing = async move {
        let _ = closed.await;
        let _ = begin_grace.send(());
    };
    let app = Router::new().fallback(admit).with_state(visits);
    tokio::select! {
        ended = axum::serve(listener, app).with_graceful_shutdown(closing).into_future() => {
            ended.map_err(|error| Error::message(error.to_string()))
        }
        _ = async { let _ = grace.await; tokio::time::sleep(GRACE).await } => Ok(()),
    }
}

async fn admit(
    State(visits): State<SyncSender<Visit>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_string);
    let request = Request {
        method: method.to_string(),
        path: uri.path().to_string(),
        query: uri.query().unwrap_or_default().to_string(),
        content_type,
        body: body.to_vec(),
    };
    let (reply, answer) = oneshot::channel();
    if visits.try_send(Visit { request, reply }).is_err() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    match answer.await {
        Ok(reply) => written(reply),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

fn written(reply: Reply) -> Response {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = match reply.content {
        Content::Json(value) => (status, [(CONTENT_TYPE, "application/json")], value.to_string()).into_response(),
        Content::Text(text) => (status, [(CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response(),
    };
    if let Some(method) = reply.allow {
        response.headers_mut().insert(ALLOW, axum::http::HeaderValue::from_static(method));
    }
    response
}
