use std::{convert::Infallible, fmt, pin::Pin, task};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use pin_project_lite::pin_project;

use super::gate::Gate;

pub(super) type AnswerBody = UnsyncBoxBody<Bytes, Infallible>;

/// A scripted answer.
#[derive(Clone)]
pub struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    /// An answer with this status, without headers and body.
    pub fn new(status: StatusCode) -> Self {
        Self {
            status,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    /// An answer with this status and JSON text.
    pub fn json(status: StatusCode, json: impl Into<Bytes>) -> Self {
        Self::new(status)
            .header(header::CONTENT_TYPE.as_str(), "application/json")
            .body(json)
    }

    /// Adds a header field, after any of the same name. The value may hold any octets that HTTP
    /// allows.
    ///
    /// # Panics
    ///
    /// When the name or the value isn't one that HTTP allows.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("the name of a header field");
        let value = HeaderValue::from_bytes(value.as_ref()).expect("the value of a header field");
        self.headers.append(name, value);
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    pub(super) fn into_response(self) -> Response<AnswerBody> {
        let body = Full::new(self.body.clone()).boxed_unsync();
        self.with_body(body)
    }

    /// The response with only half of its body, until the gate opens.
    pub(super) fn into_held_response(self, gate: Gate) -> Response<AnswerBody> {
        if self.body.is_empty() {
            return self.into_response();
        }
        let mut rest = self.body.clone();
        let half = rest.split_to(rest.len() / 2);
        let body = HeldBody {
            half: Some(half),
            wait: Box::pin(async move { gate.pass().await }),
            rest: Some(rest),
        };
        self.with_body(body.boxed_unsync())
    }

    fn with_body(self, body: AnswerBody) -> Response<AnswerBody> {
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers and body may hold tokens.
        f.debug_struct("Answer")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

// ===== impl HeldBody =====

pin_project! {
    struct HeldBody {
        half: Option<Bytes>,
        wait: Pin<Box<dyn Future<Output = ()> + Send>>,
        rest: Option<Bytes>,
    }
}

impl Body for HeldBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
    ) -> task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.project();
        if let Some(half) = this.half.take() {
            return task::Poll::Ready(Some(Ok(Frame::data(half))));
        }
        if this.rest.is_some() {
            task::ready!(this.wait.as_mut().poll(cx));
        }
        task::Poll::Ready(this.rest.take().map(|rest| Ok(Frame::data(rest))))
    }

    fn size_hint(&self) -> SizeHint {
        let length = |part: &Option<Bytes>| part.as_ref().map_or(0, |part| part.len() as u64);
        SizeHint::with_exact(length(&self.half) + length(&self.rest))
    }
}
