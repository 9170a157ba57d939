//! HTTP at the door: takes requests in on a thread of its own and hands them, one by one, to whoever answers.
//!
//! The answering side stays on the thread that opened the door, because environments written in Lua cannot leave theirs.

use std::net::TcpListener;
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, HeaderMap, WWW_AUTHENTICATE};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use crate::engine::env::agentgym::ApiKey;
use crate::engine::{Error, Result};

/// No action is longer: a quarter of a million tokens.
const MAX_BODY: usize = 1 << 20;

/// Before another connection is taken where none could be, as when all files are open.
const BREATH: Duration = Duration::from_millis(100);

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
    /// With a key, only who shows it comes in. A request must have arrived within `arrival`.
    pub fn open(listener: TcpListener, key: Option<ApiKey>, arrival: Duration) -> Result<Self> {
        let broken = |error: std::io::Error| Error::message(format!("the HTTP server cannot start: {error}"));
        listener.set_nonblocking(true).map_err(broken)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(broken)?;
        let (sender, visits) = sync_channel(WAITING);
        let (close, closed) = oneshot::channel();
        let hall = Hall { visits: sender, key: key.map(Arc::new), arrival };
        let serve = move || {
            if let Err(error) = runtime.block_on(attend(listener, hall, closed)) {
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

/// What every request passes.
#[derive(Clone)]
struct Hall {
    visits: SyncSender<Visit>,
    key: Option<Arc<ApiKey>>,
    arrival: Duration,
}

/// Takes connections until `closed`. axum's own loop would wait for ever for a request that never ends.
async fn attend(listener: TcpListener, hall: Hall, mut closed: oneshot::Receiver<()>) -> Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener).map_err(|error| Error::message(error.to_string()))?;
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(hall.arrival);
    let service = TowerToHyperService::new(Router::new().fallback(admit).with_state(hall));
    let (closing, _) = watch::channel(());
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            _ = &mut closed => break,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(BREATH).await;
            continue;
        };
        let connection = http.serve_connection(TokioIo::new(stream), service.clone());
        let mut closes = closing.subscribe();
        // A client that breaks off, or is too slow, is its own affair.
        connections.spawn(async move {
            let mut connection = pin!(connection);
            tokio::select! {
                _ = connection.as_mut() => return,
                _ = closes.changed() => connection.as_mut().graceful_shutdown(),
            }
            let _ = connection.await;
        });
    }
    drop(listener);
    let _ = closing.send(());
    let _ = tokio::time::timeout(GRACE, async { while connections.join_next().await.is_some() {} }).await;
    Ok(())
}

async fn admit(State(hall): State<Hall>, method: Method, uri: Uri, headers: HeaderMap, body: Body) -> Response {
    let authorization = headers.get(AUTHORIZATION).map(|value| value.as_bytes());
    if hall.key.is_some_and(|key| !key.opens_to(authorization)) {
        let refusal = written(Reply::detail(401, "this server asks for a key: Authorization: Bearer KEY"));
        return ([(WWW_AUTHENTICATE, "Bearer")], refusal).into_response();
    }
    let body = match tokio::time::timeout(hall.arrival, to_bytes(body, MAX_BODY)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return written(Reply::detail(413, format!("a request may have {MAX_BODY} bytes"))),
        Err(_) => return written(Reply::detail(408, format!("the request did not arrive in {:?}", hall.arrival))),
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
    if hall.visits.try_send(Visit { request, reply }).is_err() {
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
