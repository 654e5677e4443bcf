use std::{borrow::Cow, fmt, future::Future, pin::Pin, time::SystemTime};

use super::skew::{Answered, Corrected, Skew};
use crate::{
    error::TokenError,
    events::{Event, Observer},
    keystore::{ClientIdentity, RotatingIdentity},
    protocol::{Endpoint, TokenRequest},
};

/// A method of client authentication (RFC 6749 section 2.3).
///
/// # Example
///
/// A token that something else signs, such as the platform that the program runs on:
///
/// ```
/// use tower_oauth::{TokenError, client_auth::{AuthContext, ClientAuth}, protocol::TokenRequest};
///
/// struct PlatformToken;
///
/// impl ClientAuth for PlatformToken {
///     fn method(&self) -> &'static str {
///         "private_key_jwt"
///     }
///
///     async fn authenticate(
///         &self,
///         context: &AuthContext<'_>,
///         request: &mut TokenRequest,
///     ) -> Result<(), TokenError> {
/// #       async fn read_token() -> Result<String, TokenError> { Ok(String::new()) }
///         request.set("client_id", context.client_id());
///         request.set(
///             "client_assertion_type",
///             "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
///         );
///         request.set_secret("client_assertion", &read_token().await?);
///         Ok(())
///     }
/// }
/// ```
pub trait ClientAuth: Send + Sync + 'static {
    /// The name of the method in the registry of OAuth parameters, such as `private_key_jwt`.
    fn method(&self) -> &'static str;

    /// Adds the credential to a request.
    ///
    /// Called anew for each request, because an assertion must not be sent twice. The request has
    /// no `client_id` yet.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the fetch takes longer than its deadline.
    fn authenticate(
        &self,
        context: &AuthContext<'_>,
        request: &mut TokenRequest,
    ) -> impl Future<Output = Result<(), TokenError>> + Send;

    /// Finds what is wrong with the settings, when a token source is built. Default: nothing.
    fn validate(&self) -> Result<(), TokenError> {
        Ok(())
    }

    /// The identity that the method works with, so that a source can let it change
    /// ([`AuthContext::identity`]). Default: none.
    fn identity(&self) -> Option<&RotatingIdentity> {
        None
    }

    /// Whether the certificate shown in the TLS handshake is the credential. Default: no.
    fn is_mutual_tls(&self) -> bool {
        false
    }

    /// Whether it works only with the server's issuer identifier ([`AuthContext::issuer`]), so that a
    /// token source without one can't be built. Default: no.
    fn needs_issuer(&self) -> bool {
        false
    }

    /// The `alg` that it would sign with, as this [identity](Self::identity) if it has one: to be
    /// compared with the server's metadata (`token_endpoint_auth_signing_alg_values_supported`).
    /// Default: it signs nothing.
    fn signing_algorithm(&self, identity: Option<&ClientIdentity>) -> Option<&'static str> {
        let _ = identity;
        None
    }

    /// What to look at when the server didn't accept the credential of the request that was made
    /// in this context. Default: nothing that isn't true of every method.
    fn hint(&self, context: &AuthContext<'_>) -> Option<Cow<'static, str>> {
        let _ = context;
        None
    }

    /// Whether there is something else to say by now to a server that answered `invalid_client`
    /// (RFC 6749 section 5.2): another secret, another assertion. If so, one more request is made
    /// within the same fetch, and no third. Default: no.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the fetch takes longer than its deadline.
    fn reconsider(&self, refused: &Refused<'_>) -> impl Future<Output = bool> + Send {
        let _ = refused;
        std::future::ready(false)
    }
}

/// What a method of client authentication may know about the request.
#[derive(Debug)]
pub struct AuthContext<'a> {
    pub(crate) client_id: &'a str,
    pub(crate) issuer: Option<&'a str>,
    pub(crate) token_endpoint: &'a Endpoint,
    /// What it would be for a client that shows no certificate.
    pub(crate) conventional_endpoint: &'a Endpoint,
    pub(crate) now: SystemTime,
    pub(crate) skew: &'a Skew,
    pub(crate) identity: Option<&'a ClientIdentity>,
}

impl AuthContext<'_> {
    /// Who the client is.
    pub fn client_id(&self) -> &str {
        self.client_id
    }

    /// The server's issuer identifier, if the token source knows it.
    pub fn issuer(&self) -> Option<&str> {
        self.issuer
    }

    /// Where the request goes to.
    pub fn token_endpoint(&self) -> &Endpoint {
        self.token_endpoint
    }

    /// The identity to work with this time, if the [method](ClientAuth::identity) has one. It may
    /// be one that isn't in use yet.
    pub fn identity(&self) -> Option<&ClientIdentity> {
        self.identity
    }

    /// The time by the wall clock.
    pub fn now(&self) -> SystemTime {
        self.now
    }

    /// The time by the server's clock, as far as that is known to differ: for what is signed now.
    pub fn server_time(&self) -> SystemTime {
        self.skew.corrected(self.now)
    }
}

/// A request whose credential the server didn't accept.
pub struct Refused<'a> {
    pub(crate) context: &'a AuthContext<'a>,
    pub(crate) request: &'a TokenRequest,
    /// `None`: the answer has no date.
    pub(crate) answered: Option<Answered>,
    pub(crate) observer: &'a dyn Observer,
}

impl Refused<'_> {
    /// Where the request was made.
    pub fn context(&self) -> &AuthContext<'_> {
        self.context
    }

    /// Whether this very text was told the server as a credential
    /// ([`TokenRequest::set_secret`], [`TokenRequest::hide`]).
    pub fn was_told(&self, credential: &str) -> bool {
        self.request.tells(credential)
    }

    /// Whether what was signed with [`AuthContext::server_time`] may have been refused for its
    /// time: by its `Date`, the answer comes from a clock that is more than five seconds off. From
    /// now on `server_time` is that clock's, by five minutes at most.
    ///
    /// While the new time hasn't brought a token either, later fetches try both in turn, with one
    /// request each.
    pub fn corrects_clock(&self) -> bool {
        let Self { context, .. } = self;
        let corrected = self.answered.and_then(|it| context.skew.refused(it));
        if let Some(Corrected { apart, correction }) = corrected {
            self.observer.event(&Event::ClocksApart {
                server: context.issuer.unwrap_or(context.token_endpoint.origin()),
                seconds: apart,
                corrected_by: correction,
            });
        }
        corrected.is_some()
    }
}

impl fmt::Debug for Refused<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused")
            .field("context", &self.context)
            .field("request", &self.request)
            .finish_non_exhaustive()
    }
}

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The object-safe twin of [`ClientAuth`].
pub(crate) trait DynClientAuth: Send + Sync + 'static {
    fn method(&self) -> &'static str;
    fn authenticate<'a>(
        &'a self,
        context: &'a AuthContext<'_>,
        request: &'a mut TokenRequest,
    ) -> BoxFuture<'a, Result<(), TokenError>>;
    fn validate(&self) -> Result<(), TokenError>;
    fn identity(&self) -> Option<&RotatingIdentity>;
    fn is_mutual_tls(&self) -> bool;
    fn needs_issuer(&self) -> bool;
    fn signing_algorithm(&self, identity: Option<&ClientIdentity>) -> Option<&'static str>;
    fn hint(&self, context: &AuthContext<'_>) -> Option<Cow<'static, str>>;
    fn reconsider<'a>(&'a self, refused: &'a Refused<'_>) -> BoxFuture<'a, bool>;
}

impl<T: ClientAuth> DynClientAuth for T {
    fn method(&self) -> &'static str {
        ClientAuth::method(self)
    }

    fn authenticate<'a>(
        &'a self,
        context: &'a AuthContext<'_>,
        request: &'a mut TokenRequest,
    ) -> BoxFuture<'a, Result<(), TokenError>> {
        Box::pin(ClientAuth::authenticate(self, context, request))
    }

    fn validate(&self) -> Result<(), TokenError> {
        ClientAuth::validate(self)
    }

    fn identity(&self) -> Option<&RotatingIdentity> {
        ClientAuth::identity(self)
    }

    fn is_mutual_tls(&self) -> bool {
        ClientAuth::is_mutual_tls(self)
    }

    fn needs_issuer(&self) -> bool {
        ClientAuth::needs_issuer(self)
    }

    fn signing_algorithm(&self, identity: Option<&ClientIdentity>) -> Option<&'static str> {
        ClientAuth::signing_algorithm(self, identity)
    }

    fn hint(&self, context: &AuthContext<'_>) -> Option<Cow<'static, str>> {
        ClientAuth::hint(self, context)
    }

    fn reconsider<'a>(&'a self, refused: &'a Refused<'_>) -> BoxFuture<'a, bool> {
        Box::pin(ClientAuth::reconsider(self, refused))
    }
}

/// The context of a request to the alias of a server's token endpoint, for tests of methods.
#[cfg(test)]
macro_rules! with_context {
    ($client_id:expr) => {
        $crate::client_auth::AuthContext {
            client_id: $client_id,
            issuer: Some("https://as.example"),
            token_endpoint: &$crate::protocol::Endpoint::new("https://mtls.as.example/token")
                .unwrap(),
            conventional_endpoint: &$crate::protocol::Endpoint::new("https://as.example/token")
                .unwrap(),
            now: std::time::UNIX_EPOCH + std::time::Duration::from_millis(1_700_000_000_999),
            skew: &$crate::client_auth::Skew::default(),
            identity: None,
        }
    };
}

#[cfg(test)]
pub(super) use with_context;
