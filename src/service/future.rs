use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower::{Service, retry};

use super::{
    Error, Rejected, RetryOnUnauthorized,
    attempt::{Attempt, Attempts},
};
use crate::{body::RetryBody, error::BoxError};

pin_project! {
    /// The response future of [`OAuth`](super::OAuth).
    pub struct ResponseFuture<S, B, R>
    where
        S: Service<Request<B>, Response = Response<R>>,
        S: Clone,
        S::Error: Into<BoxError>,
        B: RetryBody,
    {
        #[pin]
        retry: retry::future::ResponseFuture<RetryOnUnauthorized, Attempts<S>, Attempt<B, R>>,
        rejection_as_error: bool,
    }
}

impl<S, B, R> ResponseFuture<S, B, R>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    S::Error: Into<BoxError>,
    B: RetryBody,
{
    pub(super) fn new(
        retry: retry::future::ResponseFuture<RetryOnUnauthorized, Attempts<S>, Attempt<B, R>>,
        rejection_as_error: bool,
    ) -> Self {
        Self {
            retry,
            rejection_as_error,
        }
    }
}

impl<S, B, R> Future for ResponseFuture<S, B, R>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    S::Error: Into<BoxError>,
    B: RetryBody,
{
    type Output = Result<Response<R>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.retry.poll(cx))?;
        if *this.rejection_as_error
            && let Some(rejected) = response.extensions_mut().remove::<Rejected>()
        {
            return Poll::Ready(Err(Error::Rejected(Box::new(rejected))));
        }
        Poll::Ready(Ok(response))
    }
}

impl<S, B, R> fmt::Debug for ResponseFuture<S, B, R>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    S::Error: Into<BoxError>,
    B: RetryBody,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
