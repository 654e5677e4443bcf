//! Spans around what takes its time: a fetch as a whole, and in it the exchange with the
//! authorization server.
//!
//! They carry the attributes that OpenTelemetry's conventions for HTTP clients and for errors
//! require. Without the feature `tracing` there are none.

use std::future::Future;

#[cfg(feature = "tracing")]
use http::uri::Authority;
use http::{Method, StatusCode, Uri};

use crate::{error::TokenError, token::Cause};

/// A span, if anybody may listen.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    #[cfg(feature = "tracing")]
    inner: tracing::Span,
}

#[cfg(feature = "tracing")]
impl Span {
    /// Around a fetch. It has no parent: the call that happens to start it is one of many.
    pub(crate) fn fetch(cause: Cause) -> Self {
        let inner = tracing::info_span!(
            target: "tower_oauth",
            parent: None,
            "token fetch",
            cause = cause.name(),
            "error.type" = tracing::field::Empty,
            otel.status_code = tracing::field::Empty,
        );
        Self { inner }
    }

    /// Around an exchange with the authorization server.
    pub(crate) fn exchange(method: &Method, to: &Uri) -> Self {
        let inner = tracing::info_span!(
            target: "tower_oauth",
            "authorization server request",
            otel.name = method.as_str(),
            otel.kind = "client",
            "http.request.method" = method.as_str(),
            "server.address" = to.host().map(|host| host.trim_matches(['[', ']'])),
            "server.port" = to.port_u16().unwrap_or(match to.scheme_str() {
                Some("http") => 80,
                _ => 443,
            }),
            "url.full" = full(to),
            "http.response.status_code" = tracing::field::Empty,
            "error.type" = tracing::field::Empty,
            otel.status_code = tracing::field::Empty,
        );
        Self { inner }
    }

    /// Is entered whenever the future is polled.
    pub(crate) fn around<F: Future>(&self, future: F) -> impl Future<Output = F::Output> {
        let span = self.inner.clone();
        async move {
            let mut future = std::pin::pin!(future);
            std::future::poll_fn(|cx| span.in_scope(|| future.as_mut().poll(cx))).await
        }
    }

    /// What happens here happens in it.
    pub(crate) fn enter<T>(&self, work: impl FnOnce() -> T) -> T {
        self.inner.in_scope(work)
    }

    /// There was an answer.
    pub(crate) fn answered(&self, status: StatusCode) {
        self.inner
            .record("http.response.status_code", status.as_u16());
        if status.is_client_error() || status.is_server_error() {
            self.error(status.as_str());
        }
    }

    /// There was none.
    pub(crate) fn failed(&self, error: &TokenError) {
        self.error(error.kind().name());
    }

    fn error(&self, kind: &str) {
        self.inner.record("error.type", kind);
        self.inner.record("otel.status_code", "ERROR");
    }
}

/// A URL without its query, which may hold anything. There is no user information in it: an
/// endpoint has none.
#[cfg(feature = "tracing")]
fn full(to: &Uri) -> String {
    let (scheme, authority) = (to.scheme_str(), to.authority().map(Authority::as_str));
    let (scheme, authority) = (scheme.unwrap_or_default(), authority.unwrap_or_default());
    format!("{scheme}://{authority}{}", to.path())
}

#[cfg(not(feature = "tracing"))]
#[allow(clippy::unused_self, reason = "the same as with the feature")]
impl Span {
    pub(crate) fn fetch(_: Cause) -> Self {
        Self {}
    }

    pub(crate) fn exchange(_: &Method, _: &Uri) -> Self {
        Self {}
    }

    pub(crate) fn around<F: Future>(&self, future: F) -> impl Future<Output = F::Output> {
        future
    }

    pub(crate) fn enter<T>(&self, work: impl FnOnce() -> T) -> T {
        work()
    }

    pub(crate) fn answered(&self, _: StatusCode) {}

    pub(crate) fn failed(&self, _: &TokenError) {}
}
