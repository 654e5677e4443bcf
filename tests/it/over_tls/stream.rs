//! A request body of no known length.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame};
use tokio::sync::mpsc;
use tower_oauth::BoxError;

/// The body: what comes from the test, until the test drops its end.
pub(super) struct Stream(mpsc::UnboundedReceiver<Frame<Bytes>>);

/// The test's end.
pub(super) struct Feed(mpsc::UnboundedSender<Frame<Bytes>>);

pub(super) fn stream() -> (Feed, Stream) {
    let (feed, stream) = mpsc::unbounded_channel();
    (Feed(feed), Stream(stream))
}

impl Feed {
    pub(super) fn data(&self, data: &'static str) {
        self.0.send(Frame::data(Bytes::from(data))).unwrap();
    }

    pub(super) fn trailers(&self, trailers: HeaderMap) {
        self.0.send(Frame::trailers(trailers)).unwrap();
    }
}

impl Body for Stream {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.0.poll_recv(cx).map(|frame| frame.map(Ok))
    }
}
