use std::fmt;

use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{Middleware, Next, Result};
use tower::{Layer, ServiceExt};

use super::exchange::{Rest, response};
#[cfg(feature = "hyper")]
use crate::{
    error::BoxError,
    keystore::{ClientIdentity, RotatingIdentity},
    service::OAuth,
    tls::RotatingClient,
};
use crate::{
    error::{ErrorKind, TokenError},
    refresh::TokenHandle,
    service::{Error, OAuthLayer, Repeat},
};

/// An [`OAuthLayer`] as a middleware: a token on every request, and one retry after it was refused.
///
/// It *is* the layer, with all its settings, around the rest of the chain; what is said there holds
/// here. A middleware that stands after this one sees both sends of a retried request.
///
/// # Bodies
///
/// A body in memory is sent again whatever its length. A stream is kept while it is sent, up to
/// [`replay_limit`](OAuthLayer::replay_limit); a longer one is sent once. A request that says
/// otherwise has a [`Repeat`] in the extensions of the chain:
/// `api.post(url).with_extension(Repeat::Never)`.
///
/// # Redirects
///
/// The client follows them by itself, below, and takes the token off where the origin changes. The
/// answer of another origin than the token was sent to is never taken for a rejection of it. Only the
/// last address is known here: a redirect elsewhere *and back* ends without the token where it should
/// have one, and its 401 is taken for a rejection. The call then goes the same way once more, with
/// its body if that goes along with redirects. For a server that sends calls anywhere, build the
/// client with [`Policy::none`](reqwest::redirect::Policy::none).
///
/// # Timeouts
///
/// Those of the client and of a request hold for each send; the wait for a token is in neither of
/// them. For the whole of it, put a timeout around the call.
///
/// # Errors
///
/// What the chain below brings comes back as it is. Everything else is an
/// [`Error`](crate::Error) inside of [`reqwest_middleware::Error::Middleware`], by downcast:
///
/// ```
/// use tower_oauth::Error;
///
/// fn retry_at(error: &reqwest_middleware::Error) -> Option<std::time::SystemTime> {
///     let reqwest_middleware::Error::Middleware(error) = error else {
///         return None;
///     };
///     match error.downcast_ref::<Error>()? {
///         Error::Token(error) => error.retry_at(),
///         _ => None,
///     }
/// }
/// ```
///
/// # Cancel safety
///
/// Dropping the call ends this request only: a fetch it waited for goes on.
pub struct OAuthMiddleware {
    handle: TokenHandle,
    inner: Inner,
}

enum Inner {
    /// Sends through the rest of the chain.
    Chain(OAuthLayer),
    /// Is the end of the chain.
    #[cfg(feature = "hyper")]
    End(OAuth<RotatingClient<super::exchange::End>>),
}

impl OAuthMiddleware {
    /// This layer as a middleware, anywhere in a chain.
    ///
    /// # Errors
    ///
    /// Kind [`Configuration`](ErrorKind::Configuration): the tokens come with the identity of a
    /// TLS client, and may be bound to its certificate. What sends the request can't be told which
    /// one to show: that takes [`rotating`](Self::rotating). A source that doesn't tell before its
    /// first fetch makes this an error of the call, before anything is sent.
    pub fn new(layer: OAuthLayer) -> std::result::Result<Self, TokenError> {
        if layer.handle().has_identity() {
            return Err(bound_tokens());
        }
        Ok(Self {
            handle: layer.handle().clone(),
            inner: Inner::Chain(layer),
        })
    }

    /// This layer as the last middleware of a chain, for tokens that are bound to a certificate
    /// (RFC 8705 section 3): each request goes over the client of its token's identity, which
    /// `make` builds, as a [`RotatingClient`] does.
    ///
    /// It ends the chain: middlewares after it are not run, and the client that the chain was built
    /// around sends nothing. Each client that is made must have a TLS configuration of its own, as
    /// [`tls_backend`](super::tls_backend) makes them. Tokens that were fetched over mutual TLS, but
    /// are bound to nothing, can go over one and the same client: have `make` clone it.
    ///
    /// ```no_run
    /// use tower_oauth::{
    ///     BoxError, OAuthLayer,
    ///     adapter::reqwest::{OAuthMiddleware, tls_backend},
    ///     keystore::{ClientIdentity, RotatingIdentity},
    ///     tls::{TlsConfig, TrustAnchors},
    /// };
    ///
    /// # fn example(layer: OAuthLayer) -> Result<(), BoxError> {
    /// let identity = RotatingIdentity::from_pem_files("client.crt", "client.key")?;
    /// let trust = TrustAnchors::from_pem_file("ca.crt")?;
    /// let make = move |identity: &ClientIdentity| -> Result<_, BoxError> {
    ///     let tls = TlsConfig::new(trust.clone()).identity(identity);
    ///     let client = reqwest::Client::builder().tls_backend_preconfigured(tls_backend(&tls)?);
    ///     Ok(client.build()?)
    /// };
    /// let api = reqwest_middleware::ClientBuilder::new(make(&identity.current())?)
    ///     .with(OAuthMiddleware::rotating(layer, &identity, make)?)
    ///     .build();
    /// # let _ = api; Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Kind [`Configuration`](ErrorKind::Configuration): `make` fails for the current identity.
    /// For a later one that is an error of the call.
    #[cfg(feature = "hyper")]
    #[cfg_attr(docsrs, doc(cfg(feature = "hyper")))]
    pub fn rotating<E: Into<BoxError>>(
        layer: OAuthLayer,
        identity: impl Into<RotatingIdentity>,
        make: impl Fn(&ClientIdentity) -> std::result::Result<reqwest::Client, E>
        + Send
        + Sync
        + 'static,
    ) -> std::result::Result<Self, TokenError> {
        let identity = identity.into();
        make(&identity.current()).map_err(|error| {
            TokenError::new(
                ErrorKind::Configuration,
                "no client can be made for the current identity",
            )
            .with_source(error)
        })?;
        let clients = RotatingClient::new(identity, move |identity: &ClientIdentity| {
            make(identity).map(super::exchange::End)
        });
        Ok(Self {
            handle: layer.handle().clone(),
            inner: Inner::End(layer.layer(clients)),
        })
    }

    /// The handle of this middleware's token.
    pub fn handle(&self) -> &TokenHandle {
        &self.handle
    }
}

#[async_trait::async_trait]
impl Middleware for OAuthMiddleware {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        let mut request = http::Request::try_from(request)?;
        if let Some(repeat) = extensions.get::<Repeat>() {
            request.extensions_mut().insert(*repeat);
        }
        let answer = match &self.inner {
            Inner::Chain(layer) => {
                let rest = Rest::new(next, extensions);
                layer.layer(rest).oneshot(request).await
            }
            #[cfg(feature = "hyper")]
            Inner::End(api) => api.clone().oneshot(request).await,
        };
        answer.map(response).map_err(failure)
    }
}

impl fmt::Debug for OAuthMiddleware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuthMiddleware")
            .field("handle", &self.handle)
            .finish_non_exhaustive()
    }
}

/// Whatever came from below goes up as it came.
fn failure(error: Error) -> reqwest_middleware::Error {
    let error = match error {
        Error::Inner(error) => match error.downcast() {
            Ok(error) => return *error,
            Err(error) => Error::Inner(error),
        },
        error => error,
    };
    reqwest_middleware::Error::middleware(error)
}

/// The tokens come with an identity, and the chain below can't be told to show it.
pub(super) fn bound_tokens() -> TokenError {
    TokenError::new(
        ErrorKind::Configuration,
        "a token that may be bound to a client certificate goes out only where that one is shown, \
         and the rest of the chain can't be told which it is",
    )
    .with_hint(
        "put `OAuthMiddleware::rotating` last in the chain, which makes a client for each \
         certificate",
    )
}
