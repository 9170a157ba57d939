//! The connections: every request is written down, meets its fault, and only then its handler.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::header::{AUTHORIZATION, LOCATION};
use axum::http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;

use super::body::{CountedBody, next_piece};
use super::context::Shared;
use super::faults::{Fault, refusal, spoil};

pub struct Front {
    context: Shared,
    handlers: TowerToHyperService<Router>,
}

/// The connection is to be closed without an answer; hyper does so when a service fails.
#[derive(Debug)]
struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("cut on purpose")
    }
}

impl std::error::Error for Cut {}

impl Front {
    pub fn new(context: Shared, handlers: Router) -> Arc<Front> {
        Arc::new(Front { context, handlers: TowerToHyperService::new(handlers) })
    }

    pub async fn serve(self: Arc<Front>, listener: TcpListener) {
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            // Answers come in small pieces; without this every one of them may wait for the last one's receipt.
            let _ = stream.set_nodelay(true);
            let front = self.clone();
            tokio::spawn(async move {
                let service = service_fn(|request| front.answer(request));
                // A connection that breaks is either a fault or the client's own doing.
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Body>, Cut> {
        let traffic = &self.context.traffic;
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let (number, fault) = traffic.arrived(request.method().as_str(), &path, self.user_of(&request));
        let request = request.map(|body| Body::new(CountedBody::new(body, traffic.clone(), number)));

        let mut response = match fault {
            None => self.carry_out(&path, request).await,
            Some(fault) => self.meet(fault, &path, request).await?,
        };
        let id = HeaderValue::from_str(&format!("Root=1-{number:08x}")).map_err(|_| Cut)?;
        response.headers_mut().insert("x-request-id", id);
        traffic.answered(number, response.status().as_u16());
        Ok(response)
    }

    /// The user whose token a request carries, be it a token of the Hub or of the Xet storage.
    fn user_of(&self, request: &Request<Incoming>) -> Option<String> {
        let bearer = request.headers().get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
        let user = self.context.store().accounts.user_of(bearer).map(str::to_owned);
        user.or_else(|| self.context.cas.as_ref()?.user_of(bearer))
    }

    async fn carry_out(&self, path: &str, request: Request<Body>) -> Response<Body> {
        let moved = self.context.store().moved(path);
        match moved.and_then(|location| HeaderValue::from_str(&location).ok()) {
            Some(location) => {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
                response.headers_mut().insert(LOCATION, location);
                response
            }
            None => self.handlers.call(request).await.unwrap_or_else(|never| match never {}),
        }
    }

    async fn meet(&self, fault: Fault, path: &str, mut request: Request<Body>) -> Result<Response<Body>, Cut> {
        match fault {
            Fault::Cut => Err(Cut),
            Fault::CutUpload { after } => {
                read_at_least(request.body_mut(), after).await;
                Err(Cut)
            }
            Fault::Stall => {
                self.context.traffic.mended().await;
                Err(Cut)
            }
            Fault::Status { code, headers, body } => {
                // Read whole, so that the client is not still writing when the answer comes.
                read_at_least(request.body_mut(), u64::MAX).await;
                Ok(refusal(code, &headers, body))
            }
            Fault::AfterwardsCut => {
                self.carry_out(path, request).await;
                Err(Cut)
            }
            Fault::CutBody { .. } | Fault::StallBody { .. } | Fault::WrongBody => {
                Ok(spoil(self.carry_out(path, request).await, &fault, self.context.traffic.clone()))
            }
        }
    }
}

async fn read_at_least(body: &mut Body, bytes: u64) {
    let mut read = 0;
    while read < bytes {
        let Some(Ok(piece)) = next_piece(body).await else { return };
        read += piece.len() as u64;
    }
}
