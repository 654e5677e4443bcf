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
    client_auth::{AuthContext, DynClientAuth},
    clock::Clock,
    discovery::{Asking, Discovery, Endpoints},
    error::TokenError,
    events::Observer,
    grant::{BuildError, Fetched, TokenSource},
    keystore::Change,
    protocol::{Received, Scope, TokenRequest},
    secret::SecretString,
    token::{AccessToken, Cause},
    transport::TransportLimits,
};

/// The client credentials grant: a program gets a token in its own name (RFC 6749 section 4.4).
///
/// Each fetch puts the request together anew, with a fresh credential, and sends it once. A refresh
/// token in the answer is ignored (section 4.4.3).
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
                    observer: self.observer.get().cloned().unwrap_or_else(|| Arc::new(())),
                    method: self.auth.method(),
                    algorithm: self.auth.signing_algorithm(set.of_auth.as_ref()),
                };
                discovered.endpoints(&asking).await
            }
        }
    }

    async fn request(&self, context: &AuthContext<'_>) -> Result<TokenRequest, TokenError> {
        let mut request = TokenRequest::new("client_credentials");
        let Parameters {
            scope,
            resources,
            audiences,
            extra,
        } = &self.parameters;
        request.set("scope", &scope.to_string());
        for resource in resources {
            request.append("resource", resource);
        }
        for audience in audiences {
            request.append("audience", audience);
        }
        for (name, value) in extra {
            request.set_secret(name.clone(), value.expose());
        }
        request.add_headers(&self.extra_headers);
        self.auth.authenticate(context, &mut request).await?;
        Ok(request)
    }

    /// When it is the credential that the server doesn't like, the method knows best what to look
    /// at. Some servers have only a status for it, or `invalid_grant` for a missing certificate.
    fn explain(&self, error: TokenError, context: &AuthContext<'_>) -> TokenError {
        let credential = match error.oauth_error() {
            Some(code) => matches!(code, "invalid_client" | "invalid_grant"),
            None => error
                .status()
                .is_some_and(|status| matches!(status.as_u16(), 401 | 403)),
        };
        if !credential || error.is_temporary() {
            return error;
        }
        match (self.auth.hint(context), self.server.hint()) {
            (Some(hint), Some(more)) => error.with_hint(format!("{hint}; {more}")),
            (Some(hint), None) => error.with_hint(hint),
            (None, Some(hint)) => error.with_hint(hint),
            (None, None) => error,
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
        let endpoint = &endpoints.called;
        let context = AuthContext {
            client_id: &self.client_id,
            issuer: self.server.issuer(),
            token_endpoint: endpoint,
            conventional_endpoint: &endpoints.conventional,
            now: self.clock.now().wall_after(Duration::ZERO),
            identity: set.of_auth.as_ref(),
        };
        let request = self.request(&context).await?;
        let sent = request.to_http(endpoint);
        let answer = set.client.send(sent, endpoint, &self.limits).await?;
        let received = Received {
            from: endpoint.origin(),
            status: answer.status(),
            headers: answer.headers(),
            body: answer.body(),
            credentials: &request.credentials(),
            now: self.clock.now().wall_after(Duration::ZERO),
        };
        let answer = received
            .read()
            .map_err(|refusal| self.explain(refusal.into(), &context))
            .inspect_err(|error| {
                // Without a word of OAuth it may be no token endpoint any more.
                if error.oauth_error().is_none() && !error.is_temporary() {
                    self.server.doubt();
                }
            })?;

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
