use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Response;
use pin_project_lite::pin_project;
use tower::Service;

use super::{UpstreamBody, answers::Answers};
use crate::error::BoxError;

/// The service of [`UpstreamErrorsLayer`](super::UpstreamErrorsLayer).
#[derive(Clone, Debug)]
pub struct UpstreamErrors<S> {
    inner: S,
    answers: Answers,
}

impl<S> UpstreamErrors<S> {
    pub(super) fn new(inner: S, answers: Answers) -> Self {
        Self { inner, answers }
    }

    /// The service inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, Request, B> Service<Request> for UpstreamErrors<S>
where
    S: Service<Request, Response = Response<B>>,
    S::Error: Into<BoxError>,
{
    type Response = Response<UpstreamBody<B>>;
    type Error = BoxError;
    type Future = UpstreamErrorsFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        UpstreamErrorsFuture {
            future: self.inner.call(request),
            answers: self.answers.clone(),
        }
    }
}

// ===== impl UpstreamErrorsFuture =====

pin_project! {
    /// The response future of [`UpstreamErrors`].
    pub struct UpstreamErrorsFuture<F> {
        #[pin]
        future: F,
        answers: Answers,
    }
}

impl<F, B, E> Future for UpstreamErrorsFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    E: Into<BoxError>,
{
    type Output = Result<Response<UpstreamBody<B>>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        Poll::Ready(match ready!(this.future.poll(cx)) {
            Ok(response) => Ok(this.answers.on_response(response)),
            Err(error) => this.answers.on_error(error.into()),
        })
    }
}

impl<F> fmt::Debug for UpstreamErrorsFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamErrorsFuture")
            .finish_non_exhaustive()
    }
}
