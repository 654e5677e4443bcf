mod attempt;
mod binding;
mod builder;
mod keys;
mod server;

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use http::HeaderMap;

pub use self::builder::ClientCredentialsBuilder;
#[cfg(feature = "profile")]
pub(crate) use self::builder::is_extra_header;
use self::{
    binding::Binding,
    keys::{Keys, Set},
    server::{Named, Server},
};
use crate::{
    client_auth::{AuthContext, DynClientAuth, Skew},
    clock::Clock,
    discovery::{Asking, Discovery, Endpoints},
    error::TokenError,
    events::Observer,
    grant::{BuildError, Fetched, TokenSource},
    keystore::Change,
    protocol::{Endpoint, Scope},
    secret::SecretString,
    token::{AccessToken, Cause},
    transport::TransportLimits,
};

/// The client credentials grant: a program gets a token in its own name (RFC 6749 section 4.4).
///
/// Each fetch puts the request together anew, with a fresh credential, and sends it once; a second
/// time only if the server doesn't know the client (`invalid_client`) and the method has something
/// else to say by then: a secret that has changed, or the time of a clock that is off
/// ([`ClientAuth::reconsider`](crate::client_auth::ClientAuth::reconsider)). A refresh token in the
/// answer is ignored (section 4.4.3).
///
/// Keys and certificates are those of the moment: with a
/// [`RotatingIdentity`](crate::keystore::RotatingIdentity), a renewed one is tried by a fetch of
/// its own ([`Cause::Rotation`]) over connections of its own, and used from then on if that brought
/// a token. A clone makes up its own mind.
///
/// # Example
///
/// ```no_run
/// # #[cfg(all(feature = "hyper", feature = "jwt"))] {
/// use tower_oauth::{
///     client_auth::PrivateKeyJwt, grant::ClientCredentials, keystore::RotatingIdentity,
///     tls::TrustAnchors,
/// };
///
/// let identity = RotatingIdentity::from_pem_files("client.crt", "client.key")?;
/// let source = ClientCredentials::builder("https://as.example/oauth2/token")
///     .client_id("orders-service")
///     .auth(PrivateKeyJwt::from_identity(identity).issuer("https://as.example"))
///     .scope("orders.read")
///     .trust(TrustAnchors::from_pem_file("as-ca.crt")?)
///     .build()?;
/// # let _ = source;
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ClientCredentials {
    server: Server,
    client_id: String,
    auth: Arc<dyn DynClientAuth>,
    parameters: Parameters,
    extra_headers: HeaderMap,
    keys: Keys,
    require_bound_tokens: bool,
    limits: TransportLimits,
    clock: Clock,
    /// Clones share what was found out.
    skew: Arc<Skew>,
    observer: OnceLock<Arc<dyn Observer>>,
}

/// What a token is asked for.
#[derive(Clone, Default)]
struct Parameters {
    scope: Scope,
    resources: Vec<String>,
    audiences: Vec<String>,
    extra: Vec<(String, SecretString)>,
}

impl ClientCredentials {
    /// Begins with the address of the token endpoint.
    pub fn builder(token_endpoint: impl Into<String>) -> ClientCredentialsBuilder {
        ClientCredentialsBuilder::new(Named::Endpoint(token_endpoint.into()))
    }

    /// Begins with the issuer identifier of the server, which tells the rest in its metadata
    /// (RFC 8414): an address, or a [`Discovery`] with settings. It is fetched with the first token,
    /// kept, and renewed in the background.
    ///
    /// ```no_run
    /// # #[cfg(all(feature = "hyper", feature = "jwt"))] {
    /// # use tower_oauth::{
    /// #     client_auth::PrivateKeyJwt, grant::ClientCredentials, keystore::RotatingIdentity,
    /// #     tls::TrustAnchors,
    /// # };
    /// # let identity = RotatingIdentity::from_pem_files("client.crt", "client.key")?;
    /// let source = ClientCredentials::from_issuer("https://as.example")
    ///     .client_id("orders-service")
    ///     .auth(PrivateKeyJwt::from_identity(identity))
    ///     .trust(TrustAnchors::from_pem_file("as-ca.crt")?)
    ///     .build()?;
    /// # let _ = source;
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_issuer(issuer: impl Into<Discovery>) -> ClientCredentialsBuilder {
        ClientCredentialsBuilder::new(Named::Issuer(issuer.into()))
    }

    /// Where the request goes to.
    async fn endpoints(&self, set: &Set) -> Result<Arc<Endpoints>, TokenError> {
        match &self.server {
            Server::Known { endpoints, .. } => Ok(Arc::clone(endpoints)),
            Server::Discovered(discovered) => {
                let asking = Asking {
                    client: set.client.clone(),
                    limits: self.limits.clone(),
                    clock: self.clock.clone(),
                    observer: self.observer(),
                    method: self.auth.method(),
                    algorithm: self.auth.signing_algorithm(set.of_auth.as_ref()),
                };
                discovered.endpoints(&asking).await
            }
        }
    }

    fn observer(&self) -> Arc<dyn Observer> {
        self.observer.get().cloned().unwrap_or_else(|| Arc::new(()))
    }

    /// What the method may know of a request to `called`.
    fn context<'a>(
        &'a self,
        set: &'a Set,
        endpoints: &'a Endpoints,
        called: &'a Endpoint,
    ) -> AuthContext<'a> {
        AuthContext {
            client_id: &self.client_id,
            issuer: self.server.issuer(),
            token_endpoint: called,
            conventional_endpoint: &endpoints.conventional,
            now: self.clock.now().wall_after(Duration::ZERO),
            skew: &self.skew,
            identity: set.of_auth.as_ref(),
        }
    }
}

impl TokenSource for ClientCredentials {
    async fn fetch(&self, cause: Cause) -> Result<Fetched, TokenError> {
        let set = match cause {
            Cause::Rotation => self.keys.latest()?,
            _ => self.keys.current()?,
        };
        let endpoints = self.endpoints(&set).await?;
        let answer = self.ask(&set, &endpoints).await?;
        let mut fetched = Fetched::new(AccessToken::new(answer.access_token.as_str())?);
        fetched.expires_in = answer.expires_in;
        fetched.refresh_in = answer.refresh_in;
        let requested = &self.parameters.scope;
        fetched.scope = answer
            .scope
            .or_else(|| (!requested.is_empty()).then(|| requested.to_string()));
        fetched.identity = set.client.identity().cloned();
        if let Some(identity) = &fetched.identity {
            let binding = Binding::of(&fetched.token, identity);
            if self.require_bound_tokens {
                binding.check()?;
            }
            fetched.misbound = binding == Binding::Other;
        }
        // From now on there is a token for it: this is the set that works.
        self.keys.adopt(set);
        Ok(fetched)
    }

    async fn changed(&self) -> Change {
        self.keys.changed().await
    }

    /// Once, whatever comes of it (RFC 7009 section 2.1).
    async fn revoke(&self, token: &AccessToken) -> Result<(), TokenError> {
        let set = self.keys.current()?;
        let endpoints = self.endpoints(&set).await?;
        self.give_back(token, &set, &endpoints).await
    }

    fn has_identity(&self) -> bool {
        self.keys.are_shown()
    }

    fn reload(&self) {
        self.keys.reload();
    }

    fn report_to(&self, observer: Arc<dyn Observer>) {
        // A clone of a source that has a handle already goes on telling that one's.
        let _ = self.observer.set(observer);
    }
}

impl fmt::Debug for ClientCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCredentials")
            .field("server", &self.server.origin())
            .field("client_id", &self.client_id)
            .field("auth", &self.auth.method())
            .field("scope", &self.parameters.scope.to_string())
            .finish_non_exhaustive()
    }
}

// ===== impl Parameters =====

impl Parameters {
    /// No parameter may stand in a request twice (RFC 6749 section 3.2).
    fn check(&self) -> Result<(), BuildError> {
        for (at, (name, _)) in self.extra.iter().enumerate() {
            if is_reserved_parameter(name) {
                return Err(BuildError::ReservedParameter { name: name.clone() });
            }
            let earlier = &self.extra[..at];
            if name.is_empty() || earlier.iter().any(|(other, _)| other == name) {
                return Err(BuildError::RepeatedParameter { name: name.clone() });
            }
        }
        Ok(())
    }
}

/// Whether the grant or the client authentication sets this parameter.
pub(crate) fn is_reserved_parameter(name: &str) -> bool {
    RESERVED.contains(&name)
}

/// Parameters that the grant or the client authentication sets.
const RESERVED: &[&str] = &[
    "grant_type",
    "scope",
    "resource",
    "audience",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
];

#[cfg(test)]
mod tests;
