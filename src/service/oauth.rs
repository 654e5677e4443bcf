use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower::{Service, retry::Retry};

use super::{
    Error, ResponseFuture, RetryOnUnauthorized,
    attach::{Attach, Settings},
    attempt::{Attempt, Attempts},
    layer::Limits,
};
use crate::{body::RetryBody, error::BoxError, refresh::TokenHandle};

/// The service of [`OAuthLayer`](super::OAuthLayer).
///
/// # Errors
///
/// See [`Error`]. A response that refuses the token is no error by default.
///
/// # Cancel safety
///
/// Dropping the response future ends this request only: a fetch it waited for goes on.
#[derive(Clone, Debug)]
pub struct OAuth<S> {
    retry: Retry<RetryOnUnauthorized, Attempts<S>>,
    limits: Limits,
}

impl<S> OAuth<S> {
    pub(super) fn new(inner: S, settings: Settings, limits: Limits) -> Self {
        let policy = RetryOnUnauthorized::new(settings.handle.clone());
        let attempts = Attempts::new(Attach::new(inner, Arc::new(settings)));
        Self {
            retry: Retry::new(policy, attempts),
            limits,
        }
    }

    /// The service inside.
    pub fn get_ref(&self) -> &S {
        self.retry.get_ref().attach().get_ref()
    }

    /// The handle of this service's token.
    pub fn handle(&self) -> &TokenHandle {
        &self.retry.get_ref().attach().settings().handle
    }
}

impl<S, B, R> Service<Request<B>> for OAuth<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    S::Error: Into<BoxError>,
    B: RetryBody,
{
    type Response = Response<R>;
    type Error = Error;
    type Future = ResponseFuture<S, B, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Service::<Attempt<B, R>>::poll_ready(&mut self.retry, cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let attempt = Attempt::first(request, &self.limits.allowance);
        ResponseFuture::new(self.retry.call(attempt), self.limits.rejection_as_error)
    }
}
