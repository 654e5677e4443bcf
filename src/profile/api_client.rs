use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::Request;
use pin_project_lite::pin_project;
use tower::Service;

use crate::{
    error::BoxError,
    tls::{HyperClient, RotatingClient, RotatingFuture},
};

/// The client that [`Profile::api_client`](super::Profile::api_client) makes: hyper, which shows
/// the profile's certificate if there is one to be shown.
pub struct ApiClient<B>(Client<B>);

#[allow(
    clippy::large_enum_variant,
    reason = "a box would be cloned for each request"
)]
enum Client<B> {
    Bare(HyperClient<B>),
    Rotating(RotatingClient<HyperClient<B>>),
}

impl<B> ApiClient<B> {
    pub(super) fn bare(client: HyperClient<B>) -> Self {
        Self(Client::Bare(client))
    }

    pub(super) fn rotating(client: RotatingClient<HyperClient<B>>) -> Self {
        Self(Client::Rotating(client))
    }
}

// Derived, it would demand bodies that can be cloned, which those of most clients can't.
impl<B> Clone for ApiClient<B> {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Client::Bare(client) => Client::Bare(client.clone()),
            Client::Rotating(client) => Client::Rotating(client.clone()),
        })
    }
}

impl<B> fmt::Debug for ApiClient<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shows_certificate = matches!(self.0, Client::Rotating(_));
        f.debug_struct("ApiClient")
            .field("shows_certificate", &shows_certificate)
            .finish_non_exhaustive()
    }
}

impl<B> Service<Request<B>> for ApiClient<B>
where
    HyperClient<B>: Service<Request<B>> + Clone,
    <HyperClient<B> as Service<Request<B>>>::Error: Into<BoxError>,
{
    type Response = <HyperClient<B> as Service<Request<B>>>::Response;
    type Error = BoxError;
    type Future = ApiFuture<B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match &mut self.0 {
            Client::Bare(client) => client.poll_ready(cx).map_err(Into::into),
            Client::Rotating(client) => client.poll_ready(cx),
        }
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let state = match &mut self.0 {
            Client::Bare(client) => State::Bare {
                sending: client.call(request),
            },
            Client::Rotating(client) => State::Rotating {
                sending: client.call(request),
            },
        };
        ApiFuture { state }
    }
}

pin_project! {
    /// The future of an [`ApiClient`].
    pub struct ApiFuture<B>
    where
        HyperClient<B>: Service<Request<B>>,
    {
        #[pin]
        state: State<B>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<B>
    where
        HyperClient<B>: Service<Request<B>>,
    {
        Bare {
            #[pin]
            sending: <HyperClient<B> as Service<Request<B>>>::Future,
        },
        Rotating {
            #[pin]
            sending: RotatingFuture<HyperClient<B>, B>,
        },
    }
}

impl<B> Future for ApiFuture<B>
where
    HyperClient<B>: Service<Request<B>>,
    <HyperClient<B> as Service<Request<B>>>::Error: Into<BoxError>,
{
    type Output = Result<<HyperClient<B> as Service<Request<B>>>::Response, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Bare { sending } => sending.poll(cx).map_err(Into::into),
            StateProjection::Rotating { sending } => sending.poll(cx),
        }
    }
}

impl<B> fmt::Debug for ApiFuture<B>
where
    HyperClient<B>: Service<Request<B>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiFuture").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A body that streams: there is one of it.
    struct Stream;

    #[test]
    fn a_client_of_bodies_that_cannot_be_cloned_can_be_cloned() {
        fn clone<T: Clone>() {}
        clone::<ApiClient<Stream>>();
    }
}
