//! Bodies: read piece by piece, counted, and sent from a channel that a task fills.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Waker, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::StatusCode;
use hyper::body::{Frame, Incoming};
use tokio::sync::mpsc;

use super::error::ApiError;
use super::traffic::Traffic;

type Piece = Result<Bytes, io::Error>;

/// The next piece of a body, `None` at its end.
pub async fn next_piece(body: &mut Body) -> Option<Result<Bytes, axum::Error>> {
    loop {
        let frame = std::future::poll_fn(|waker| Pin::new(&mut *body).poll_frame(waker)).await?;
        match frame.map(Frame::into_data) {
            Ok(Ok(data)) => return Some(Ok(data)),
            Ok(Err(_trailers)) => {}
            Err(error) => return Some(Err(error)),
        }
    }
}

/// A whole body, unless it is larger than the limit.
pub async fn collect(mut body: Body, limit: Option<u64>) -> Result<Vec<u8>, ApiError> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(0);
    let mut whole = Vec::with_capacity(announced);
    while let Some(piece) = next_piece(&mut body).await {
        let piece = piece.map_err(|error| ApiError::bad_request(error.to_string()))?;
        whole.extend_from_slice(&piece);
        if limit.is_some_and(|limit| whole.len() as u64 > limit) {
            return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "request entity too large"));
        }
    }
    Ok(whole)
}

/// A body that sends what comes through the returned channel. An error breaks the connection off.
pub fn channel() -> (mpsc::Sender<Piece>, Body) {
    let (sender, receiver) = mpsc::channel(4);
    (sender, Body::new(ChannelBody(receiver)))
}

struct ChannelBody(mpsc::Receiver<Piece>);

impl HttpBody for ChannelBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, waker: &mut Waker<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.0.poll_recv(waker).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

/// A request's body on its way to the handler. What arrives is written into the log.
pub struct CountedBody {
    inner: Incoming,
    traffic: Arc<Traffic>,
    request: u64,
}

impl CountedBody {
    pub fn new(inner: Incoming, traffic: Arc<Traffic>, request: u64) -> Self {
        CountedBody { inner, traffic, request }
    }
}

impl HttpBody for CountedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, waker: &mut Waker<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(waker));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.traffic.received(self.request, data.len() as u64);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.inner.size_hint()
    }
}
