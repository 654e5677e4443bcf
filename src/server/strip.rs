use std::task::{Context, Poll};

use http::{
    HeaderName, Request,
    header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION},
};
use tower::{Layer, Service};

use super::{Stripped, fields::Fields};

/// Removes the caller's credentials from requests that a server sends on.
///
/// These fields don't go up, neither in the head nor in the trailers, however often they are there:
/// `Authorization`, `Proxy-Authorization`, `DPoP` (RFC 9449), `X-Forwarded-Client-Cert`,
/// `Client-Cert` and `Client-Cert-Chain` (RFC 9440 section 4). The last three are what a proxy in
/// front says of the caller's certificate; passed on, they would let the caller speak for this
/// server. Spellings with `_` for `-` count too: some servers take the one for the other.
///
/// It stands **above** [`OAuthLayer`](crate::service::OAuthLayer). So it also works where no token
/// goes out: for a foreign origin, and when none can be had. Below, it would remove the token that
/// has just been put there. As the caller's `Authorization` is gone by then,
/// [`replace_authorization`](crate::service::OAuthLayer::replace_authorization) isn't needed.
///
/// What only names the caller and proves nothing stays, such as `Forwarded` and `X-Forwarded-For`.
/// What the URI and the body hold isn't looked at, such as the parameter `access_token` (RFC 6750
/// section 2.3). Fields between one hop and the next go by
/// [`remove_hop_by_hop`](super::remove_hop_by_hop).
///
/// The service inside gets the body as [`Stripped`].
#[derive(Clone, Debug)]
pub struct StripInboundCredentialsLayer {
    fields: Fields,
}

/// The service of [`StripInboundCredentialsLayer`].
#[derive(Clone, Debug)]
pub struct StripInboundCredentials<S> {
    inner: S,
    fields: Fields,
}

impl StripInboundCredentialsLayer {
    /// Removes the fields named above.
    pub fn new() -> Self {
        Self {
            fields: Fields::new([
                AUTHORIZATION,
                PROXY_AUTHORIZATION,
                HeaderName::from_static("dpop"),
                HeaderName::from_static("x-forwarded-client-cert"),
                HeaderName::from_static("client-cert"),
                HeaderName::from_static("client-cert-chain"),
            ]),
        }
    }

    /// Removes `Cookie` too. Default: cookies pass, as they may be the upstream's own.
    #[must_use]
    pub fn cookies(self) -> Self {
        self.field(COOKIE)
    }

    /// Removes this field too, such as `x-api-key` or what an identity-aware proxy in front adds.
    #[must_use]
    pub fn field(mut self, name: HeaderName) -> Self {
        self.fields = self.fields.and(name);
        self
    }
}

impl Default for StripInboundCredentialsLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for StripInboundCredentialsLayer {
    type Service = StripInboundCredentials<S>;

    fn layer(&self, inner: S) -> Self::Service {
        StripInboundCredentials {
            inner,
            fields: self.fields.clone(),
        }
    }
}

// ===== impl StripInboundCredentials =====

impl<S> StripInboundCredentials<S> {
    /// The service inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, B> Service<Request<B>> for StripInboundCredentials<S>
where
    S: Service<Request<Stripped<B>>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        self.fields.strip(request.headers_mut());
        let fields = self.fields.clone();
        self.inner
            .call(request.map(|body| Stripped::new(body, fields)))
    }
}
