//! Request bodies that reqwest can't clone.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::{Body as HttpBody, Frame};
use reqwest::Body;
use tokio::sync::mpsc;
use tower_oauth::BoxError;

/// The test's end of a body of no known length. The body ends with it.
pub(super) struct Feed(mpsc::UnboundedSender<Frame<Bytes>>);

struct Stream(mpsc::UnboundedReceiver<Frame<Bytes>>);

pub(super) fn stream() -> (Feed, Body) {
    let (feed, stream) = mpsc::unbounded_channel();
    (Feed(feed), Body::wrap(Stream(stream)))
}

/// The whole of this, in frames of some KiB, and trailers.
pub(super) fn streamed(content: &Bytes) -> Body {
    let (feed, body) = stream();
    feed.data(content);
    feed.trailers();
    body
}

pub(super) fn trailers() -> HeaderMap {
    HeaderMap::from_iter([("x-sum".parse().unwrap(), HeaderValue::from_static("42"))])
}

impl Feed {
    pub(super) fn data(&self, data: &Bytes) {
        let mut rest = data.clone();
        while !rest.is_empty() {
            let next = rest.split_to(rest.len().min(7 * 1024));
            self.send(Frame::data(next));
        }
    }

    pub(super) fn trailers(&self) {
        self.send(Frame::trailers(trailers()));
    }

    fn send(&self, frame: Frame<Bytes>) {
        // Whoever reads may have had enough.
        let _ = self.0.send(frame);
    }
}

impl HttpBody for Stream {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.0.poll_recv(cx).map(|frame| frame.map(Ok))
    }
}
