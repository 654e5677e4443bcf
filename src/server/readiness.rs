use std::{
    convert::Infallible,
    future::{Ready, ready},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE},
};
use http_body_util::Full;
use tower::Service;

use crate::refresh::{Status, TokenHandle};

/// Tells a probe whether calls can be made: a service to be routed at, say, `/ready`.
///
/// 200 means that a call made now is not known to fail for want of a token, 503 that it is:
///
/// | `token` in the answer | status | |
/// | --- | --- | --- |
/// | `usable` | 200 | there is a token, be it that its renewal has failed |
/// | `unfetched` | 200 | there is none, and nothing is known to be in the way: the next call gets one |
/// | `unavailable` | 503 | there is none, and the last attempt to get one failed |
/// | `closed` | 503 | the handle is closed |
///
/// A server that nobody calls has no token, and nobody would call it if that made it unready. To
/// begin with a token, wait for [`TokenHandle::ready`] before listening. An `unavailable` token is
/// fetched again in the background, without a call. A probe changes nothing.
///
/// The answer is `{"ready":true,"token":"usable"}`; why there is no token is in
/// [`TokenHandle::status`], and not told here. `HEAD` gets the same without the body, any method but
/// `GET` and `HEAD` a 405.
///
/// When every replica is unready, an authorization server that is down takes the whole service
/// with it. That is right for a gateway. A service with other things to do had better not use this
/// as its readiness probe, but watch it.
#[derive(Clone, Debug)]
pub struct Readiness {
    handle: TokenHandle,
}

impl Readiness {
    /// The readiness of this token.
    pub fn new(handle: TokenHandle) -> Self {
        Self { handle }
    }
}

impl<B> Service<Request<B>> for Readiness {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let mut response = match *request.method() {
            Method::GET | Method::HEAD => answer(&self.handle.status()),
            _ => refuse(),
        };
        if request.method() == Method::HEAD {
            *response.body_mut() = Full::default();
        }
        ready(Ok(response))
    }
}

fn answer(status: &Status) -> Response<Full<Bytes>> {
    let (code, text) = if status.closed {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            r#"{"ready":false,"token":"closed"}"#,
        )
    } else if status.usable {
        (StatusCode::OK, r#"{"ready":true,"token":"usable"}"#)
    } else if status.last_error.is_some() {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            r#"{"ready":false,"token":"unavailable"}"#,
        )
    } else {
        (StatusCode::OK, r#"{"ready":true,"token":"unfetched"}"#)
    };
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // For the answer to `HEAD`, which has no body to tell it.
    headers.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn refuse() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    let allowed = HeaderValue::from_static("GET, HEAD");
    response.headers_mut().insert(ALLOW, allowed);
    response
}
