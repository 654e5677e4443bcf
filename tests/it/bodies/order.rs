//! Bodies that are known by their number, so that what a resource has read can be held against
//! them.

use std::{
    collections::HashSet,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, Version, header::TRAILER};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use tokio::sync::watch;
use tower::Service;
use tower_oauth::{BoxError, testing::ReceivedBody};

pub(crate) type Boxed = UnsyncBoxBody<Bytes, BoxError>;

/// What a layer keeps of a body by default.
pub(crate) const LIMIT: usize = 64 * 1024;

const SIZES: [usize; 12] = [
    0,
    1,
    100,
    511,
    513,
    10 * 1024,
    60 * 1024,
    LIMIT - 100,
    LIMIT,
    LIMIT + 1,
    100 * 1024,
    300 * 1024,
];

/// Where a source stops that waits for its refusal.
const HELD_AT: usize = 10 * 1024;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// All of it at once.
    Full,
    /// A stream whose length is told.
    Sized,
    /// A stream of unknown length, with trailers.
    Trailed,
}

/// One call's body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    pub(crate) number: usize,
    pub(crate) size: usize,
    pub(crate) kind: Kind,
    /// The source stops after 10 KiB until its call was refused.
    pub(crate) held: bool,
}

impl Order {
    /// Every size comes in every kind.
    pub(crate) fn new(number: usize) -> Self {
        let kinds = [Kind::Full, Kind::Sized, Kind::Trailed];
        Self {
            number,
            size: SIZES[number / kinds.len() % SIZES.len()],
            kind: kinds[number % kinds.len()],
            held: false,
        }
    }

    /// One as long, and 10 KiB more, whose source stops. It has to have more to give: a connection
    /// on which all is sent goes back to the pool, and a server of HTTP/1.1 that has answered
    /// without reading may close it under the next call.
    pub(crate) fn held(self) -> Self {
        Self {
            size: HELD_AT + 5000 + self.size,
            kind: match self.kind {
                Kind::Full => Kind::Sized,
                kind => kind,
            },
            held: true,
            ..self
        }
    }

    /// Whether all of it fits into what is kept of a stream.
    pub(crate) fn is_kept(&self) -> bool {
        let trailers = self.trailers().map_or(0, |_| 5 + 2);
        self.size + trailers <= LIMIT
    }

    pub(crate) fn content(&self) -> Bytes {
        let octets = (0..self.size).map(|at| (at * 31 + at / 256 + self.number) as u8);
        octets.collect()
    }

    pub(crate) fn trailers(&self) -> Option<HeaderMap> {
        let trailers = || HeaderMap::from_iter([("x-sum".parse().unwrap(), "42".parse().unwrap())]);
        (self.kind == Kind::Trailed).then(trailers)
    }

    pub(crate) fn path(&self) -> String {
        format!("/orders/{}", self.number)
    }

    pub(crate) fn request<B>(&self, uri: Uri, version: Version, body: B) -> Request<B> {
        let mut request = Request::post(uri).version(version).body(body).unwrap();
        if self.kind == Kind::Trailed {
            // Over HTTP/1.1 only trailers that are announced are sent.
            let headers = request.headers_mut();
            headers.insert(TRAILER, HeaderValue::from_static("x-sum"));
        }
        request
    }

    pub(crate) fn full(&self) -> Full<Bytes> {
        Full::new(self.content())
    }

    pub(crate) fn stream(&self, refused: &Refused) -> Boxed {
        let held = self.held.then(|| {
            let (refused, number) = (refused.clone(), self.number);
            Box::pin(async move { refused.wait(number).await }) as Pin<Box<_>>
        });
        let body = Source {
            content: self.content(),
            read: 0,
            sized: self.kind == Kind::Sized,
            trailers: self.trailers(),
            held,
        };
        body.boxed_unsync()
    }

    /// Whether a resource has read exactly this.
    pub(crate) fn is(&self, body: &ReceivedBody) -> bool {
        body.is(&self.content()) && body.trailers() == self.trailers().as_ref()
    }
}

/// An order as a stream.
struct Source {
    content: Bytes,
    read: usize,
    sized: bool,
    trailers: Option<HeaderMap>,
    held: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Body for Source {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.read >= HELD_AT
            && let Some(held) = &mut self.held
        {
            ready!(held.as_mut().poll(cx));
            self.held = None;
        }
        if self.content.is_empty() {
            let trailers = self.trailers.take().map(Frame::trailers);
            return Poll::Ready(trailers.map(Ok));
        }
        // Frames of all lengths.
        let length = (self.read * 7 + 300) % 5000 + 1;
        let length = length.min(self.content.len());
        self.read += length;
        Poll::Ready(Some(Ok(Frame::data(self.content.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_empty() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.sized {
            true => SizeHint::with_exact(self.content.len() as u64),
            false => SizeHint::default(),
        }
    }
}

// ===== impl Refused =====

/// The numbers of the orders that were refused so far, as their client sees it.
#[derive(Clone, Default)]
pub(crate) struct Refused(Arc<watch::Sender<HashSet<usize>>>);

impl Refused {
    async fn wait(&self, number: usize) {
        let mut numbers = self.0.subscribe();
        // It fails only when the sender is gone, and `self` holds it.
        let _ = numbers.wait_for(|numbers| numbers.contains(&number)).await;
    }

    /// A client whose refusals are noted.
    pub(crate) fn noted<S>(&self, client: S) -> Noted<S> {
        Noted {
            client,
            refused: self.clone(),
        }
    }
}

#[derive(Clone)]
pub(crate) struct Noted<S> {
    client: S,
    refused: Refused,
}

impl<S, B, R> Service<Request<B>> for Noted<S>
where
    S: Service<Request<B>, Response = Response<R>, Future: Send + 'static>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.client.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let number = number(request.uri());
        let refused = self.refused.clone();
        let call = self.client.call(request);
        Box::pin(async move {
            let response = call.await?;
            if response.status() == StatusCode::UNAUTHORIZED {
                refused.0.send_modify(|numbers| {
                    numbers.extend(number);
                });
            }
            Ok(response)
        })
    }
}

/// The number of the order that goes to this address.
pub(crate) fn number(uri: &Uri) -> Option<usize> {
    uri.path().strip_prefix("/orders/")?.parse().ok()
}
