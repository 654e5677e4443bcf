use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{
    ClientCredentials, Parameters,
    keys::{Clients, Keys, MapClient, Origin},
    server::{Named, Server, Settings},
};
#[cfg(feature = "hyper")]
use crate::tls::{Proxy, TlsConfig, TrustAnchors};
use crate::{
    client_auth::{ClientAuth, DynClientAuth},
    clock::Clock,
    error::TokenError,
    grant::BuildError,
    keystore::{ClientIdentity, RotatingIdentity},
    protocol::InvalidScope,
    secret::SecretString,
    transport::{HttpClient, TransportLimits},
};

/// Builds [`ClientCredentials`].
#[must_use]
pub struct ClientCredentialsBuilder {
    server: Named,
    issuer: Option<String>,
    allow_plain_http: bool,
    client_id: String,
    auth: Option<Arc<dyn DynClientAuth>>,
    parameters: Parameters,
    invalid_scope: Option<InvalidScope>,
    extra_headers: Vec<(String, SecretString)>,
    http_clients: Option<Origin>,
    map_http_client: Option<Arc<MapClient>>,
    #[cfg(feature = "hyper")]
    trust: Option<TrustAnchors>,
    #[cfg(feature = "hyper")]
    proxy: Option<Proxy>,
    identity: Option<RotatingIdentity>,
    mtls_token_endpoint: Option<String>,
    revocation_endpoint: Option<String>,
    require_bound_tokens: bool,
    limits: TransportLimits,
    clock: Clock,
}

impl ClientCredentialsBuilder {
    pub(super) fn new(server: Named) -> Self {
        Self {
            server,
            issuer: None,
            allow_plain_http: false,
            client_id: String::new(),
            auth: None,
            parameters: Parameters::default(),
            invalid_scope: None,
            extra_headers: Vec::new(),
            http_clients: None,
            map_http_client: None,
            #[cfg(feature = "hyper")]
            trust: None,
            #[cfg(feature = "hyper")]
            proxy: None,
            identity: None,
            mtls_token_endpoint: None,
            revocation_endpoint: None,
            require_bound_tokens: false,
            limits: TransportLimits::new(),
            clock: Clock::system(),
        }
    }

    /// The server's issuer identifier, exactly as it writes it: whom assertions are for. Default:
    /// unknown, unless it all began [`from_issuer`](ClientCredentials::from_issuer).
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// Accepts a server without TLS if it is on this machine: for tests and sidecars.
    /// Default: https only.
    pub fn allow_plain_http(mut self) -> Self {
        self.allow_plain_http = true;
        self
    }

    /// Who the client is. To be set.
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.client_id = client_id.into();
        self
    }

    /// How the client proves it. To be set.
    pub fn auth(mut self, auth: impl ClientAuth) -> Self {
        self.auth = Some(Arc::new(auth));
        self
    }

    /// Asks for these scopes, with spaces between them, and those of earlier calls (RFC 6749
    /// section 3.3). Default: none, and the server falls back to its own default.
    pub fn scope(mut self, scope: impl AsRef<str>) -> Self {
        match scope.as_ref().parse() {
            Ok(scope) => self.parameters.scope = self.parameters.scope.union(scope),
            Err(invalid) => self.invalid_scope = Some(invalid),
        }
        self
    }

    /// Asks for a token for this resource; may be called several times (RFC 8707 section 2).
    /// Default: none.
    pub fn resource(mut self, resource: impl Into<String>) -> Self {
        self.parameters.resources.push(resource.into());
        self
    }

    /// Asks for a token for this audience, which some servers want in place of a resource; may be
    /// called several times. Default: none.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.parameters.audiences.push(audience.into());
        self
    }

    /// Sends another parameter, which this server wants. It may be a secret: it is never
    /// formatted, and cut out of what the server says. Default: none.
    pub fn extra_parameter(
        mut self,
        name: impl Into<String>,
        value: impl Into<SecretString>,
    ) -> Self {
        self.parameters.extra.push((name.into(), value.into()));
        self
    }

    /// Sends another header field with each token request, which this server or something on the way
    /// wants; may be called several times. Its value may be a secret: it is never formatted, and cut
    /// out of what the server says. Default: none.
    pub fn extra_header(mut self, name: impl Into<String>, value: impl Into<SecretString>) -> Self {
        self.extra_headers.push((name.into(), value.into()));
        self
    }

    /// Trusts these authorities and no others to vouch for the authorization server. Default: what
    /// the operating system trusts with the feature `platform-roots`, else to be set.
    #[cfg(feature = "hyper")]
    #[cfg_attr(docsrs, doc(cfg(feature = "hyper")))]
    pub fn trust(mut self, trust: TrustAnchors) -> Self {
        self.trust = Some(trust);
        self
    }

    /// Sends requests through this proxy. Default: directly, whatever the environment says.
    #[cfg(feature = "hyper")]
    #[cfg_attr(docsrs, doc(cfg(feature = "hyper")))]
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// Shows the certificate of this identity to the authorization server, whatever the method of
    /// client authentication, so that tokens can be bound to it (RFC 8705 section 3). It may
    /// change while calls go on ([`RotatingIdentity`]). Default: that of the method, if mutual TLS
    /// is the method.
    pub fn identity(mut self, identity: impl Into<RotatingIdentity>) -> Self {
        self.identity = Some(identity.into());
        self
    }

    /// The address of the token endpoint for clients that show a certificate: the `token_endpoint`
    /// of `mtls_endpoint_aliases` in the server's metadata (RFC 8705 section 5). It is used when
    /// one is shown; the issuer, and so the audience of an assertion, stay as they are. Default:
    /// there is only one address.
    pub fn mtls_token_endpoint(mut self, url: impl Into<String>) -> Self {
        self.mtls_token_endpoint = Some(url.into());
        self
    }

    /// Where tokens are revoked (RFC 7009), for
    /// [`TokenHandleBuilder::revoke_on_shutdown`]: the address for clients that show a certificate, if
    /// one is shown and it has one of its own. Default: unknown; with
    /// [`from_issuer`](ClientCredentials::from_issuer), what the server's metadata says.
    ///
    /// [`TokenHandleBuilder::revoke_on_shutdown`]: https://docs.rs/tower-oauth/latest/tower_oauth/refresh/struct.TokenHandleBuilder.html#method.revoke_on_shutdown
    pub fn revocation_endpoint(mut self, url: impl Into<String>) -> Self {
        self.revocation_endpoint = Some(url.into());
        self
    }

    /// Takes no token that says itself that it isn't bound to the certificate shown (`cnf` in a
    /// JWT, RFC 8705 section 3.1). Tokens that can't be read are taken. Default: one that is bound
    /// to another certificate is an event
    /// ([`Event::TokenMisbound`](crate::events::Event::TokenMisbound)), one that isn't bound is
    /// nothing special.
    pub fn require_bound_tokens(mut self) -> Self {
        self.require_bound_tokens = true;
        self
    }

    /// Sends requests through this client, with its TLS settings. Default: hyper (feature `hyper`).
    pub fn http_client(mut self, client: HttpClient) -> Self {
        self.http_clients = Some(Origin::Given(client));
        self
    }

    /// Sends requests through clients that a function makes, one for each certificate that is
    /// shown, so that it may change while calls go on ([`RotatingIdentity`]). `None`: none is
    /// shown. Each must have connections and TLS settings of its own. Default: hyper (feature
    /// `hyper`).
    pub fn http_client_for(
        mut self,
        make: impl Fn(Option<&ClientIdentity>) -> Result<HttpClient, TokenError> + Send + Sync + 'static,
    ) -> Self {
        self.http_clients = Some(Origin::Made(Arc::new(make)));
        self
    }

    /// Puts something around each client that requests are sent through, whatever it is: to look at
    /// them or to delay them. An [`HttpClient`] is a
    /// [`TokenTransport`](crate::transport::TokenTransport) itself, for one's own to call. Default:
    /// nothing.
    pub fn map_http_client(
        mut self,
        map: impl Fn(HttpClient) -> HttpClient + Send + Sync + 'static,
    ) -> Self {
        self.map_http_client = Some(Arc::new(map));
        self
    }

    /// What a token request may cost. Default: [`TransportLimits::new`].
    pub fn limits(mut self, limits: TransportLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Where the time is read. Default: [`Clock::system`].
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
    }

    /// Checks all settings. Needs neither network nor runtime.
    ///
    /// # Errors
    ///
    /// A [`BuildError`] names the setting and the cure.
    pub fn build(mut self) -> Result<ClientCredentials, BuildError> {
        if self.client_id.is_empty() {
            return Err(BuildError::MissingClientId);
        }
        let auth = self.auth.take().ok_or(BuildError::MissingClientAuth)?;
        auth.validate()
            .map_err(|source| BuildError::ClientAuth { source })?;
        if let Some(source) = self.invalid_scope {
            return Err(BuildError::Scope { source });
        }
        self.parameters.check()?;
        let extra_headers = headers(&self.extra_headers)?;

        let shown = self.shown(&*auth)?;
        let presents = shown.is_some()
            || matches!(&self.http_clients, Some(Origin::Given(it)) if it.identity().is_some());
        let server = Settings {
            named: self.server.clone(),
            issuer: self.issuer.take(),
            mtls_token_endpoint: self.mtls_token_endpoint.take(),
            revocation_endpoint: self.revocation_endpoint.take(),
            allow_plain_http: self.allow_plain_http,
        };
        let server = server.server(presents || auth.is_mutual_tls())?;
        if auth.needs_issuer() && server.issuer().is_none() {
            return Err(BuildError::MissingIssuer);
        }
        if shown.is_some() && server.is_plain_http() {
            return Err(BuildError::IdentityWithoutTls);
        }
        if self.require_bound_tokens && !presents {
            return Err(BuildError::BoundTokensWithoutIdentity);
        }
        let clients = Clients {
            origin: self.clients(&server, shown.as_ref())?,
            map: self.map_http_client,
        };
        let keys = Keys::new(shown, auth.identity().cloned(), clients)
            .map_err(|source| BuildError::Tls { source })?;
        Ok(ClientCredentials {
            server,
            client_id: self.client_id,
            auth,
            parameters: self.parameters,
            extra_headers,
            keys,
            require_bound_tokens: self.require_bound_tokens,
            limits: self.limits,
            clock: self.clock,
            skew: Arc::default(),
            observer: OnceLock::new(),
        })
    }

    /// Whose certificate is shown.
    fn shown(&mut self, auth: &dyn DynClientAuth) -> Result<Option<RotatingIdentity>, BuildError> {
        let of_auth = auth.identity().filter(|_| auth.is_mutual_tls());
        match (self.identity.take(), of_auth) {
            (Some(own), Some(of_auth)) if !own.is(of_auth) => Err(BuildError::TwoIdentities),
            (own, of_auth) => Ok(own.or_else(|| of_auth.cloned())),
        }
    }

    /// The clients that show the certificate asked for.
    fn clients(
        &mut self,
        server: &Server,
        shown: Option<&RotatingIdentity>,
    ) -> Result<Origin, BuildError> {
        let Some(clients) = self.http_clients.take() else {
            return self.own_clients(server);
        };
        #[cfg(feature = "hyper")]
        if self.trust.is_some() {
            return Err(BuildError::TlsOfHttpClient { setting: "trust" });
        }
        #[cfg(feature = "hyper")]
        if self.proxy.is_some() {
            return Err(BuildError::TlsOfHttpClient { setting: "proxy" });
        }
        if let Origin::Given(client) = &clients {
            // It can't be another one for another certificate.
            let presents = client.identity().map(ClientIdentity::number);
            if shown.is_some_and(|it| !it.is_fixed() || Some(it.current().number()) != presents) {
                return Err(BuildError::TlsOfHttpClient {
                    setting: "identity",
                });
            }
        }
        Ok(clients)
    }

    #[cfg(feature = "hyper")]
    fn own_clients(&mut self, server: &Server) -> Result<Origin, BuildError> {
        let proxy = self.proxy.take();
        if server.is_plain_http() {
            let target = server.uri();
            if proxy.is_some_and(|it| target.is_some_and(|uri| it.server_for(&uri).is_some())) {
                return Err(BuildError::ProxyWithoutTls);
            }
            return Ok(Origin::Given(HttpClient::plain_http()));
        }
        let trust = self.trust.take();
        #[cfg(feature = "platform-roots")]
        let trust = trust.or_else(|| Some(TrustAnchors::platform()));
        let tls = TlsConfig::new(trust.ok_or(BuildError::MissingTrust)?);
        Ok(Origin::Own(match proxy {
            Some(proxy) => tls.proxy(proxy),
            None => tls,
        }))
    }

    #[cfg(not(feature = "hyper"))]
    fn own_clients(&mut self, _: &Server) -> Result<Origin, BuildError> {
        Err(BuildError::MissingHttpClient)
    }
}

/// Header fields that the request, the client authentication or the connection sets.
const RESERVED: &[HeaderName] = &[
    header::ACCEPT,
    header::AUTHORIZATION,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::HOST,
    header::TRANSFER_ENCODING,
];

/// Whether this is the name of a header field that nothing else sets.
#[cfg(feature = "profile")]
pub(crate) fn is_extra_header(name: &str) -> bool {
    HeaderName::try_from(name).is_ok_and(|name| !RESERVED.contains(&name))
}

fn headers(extra: &[(String, SecretString)]) -> Result<HeaderMap, BuildError> {
    let mut headers = HeaderMap::new();
    for (name, value) in extra {
        let wrong = || BuildError::ExtraHeader { name: name.clone() };
        let name = HeaderName::try_from(name).map_err(|_| wrong())?;
        let mut value = HeaderValue::try_from(value.expose()).map_err(|_| wrong())?;
        if RESERVED.contains(&name) {
            return Err(wrong());
        }
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(headers)
}

impl fmt::Debug for ClientCredentialsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCredentialsBuilder")
            .field("client_id", &self.client_id)
            .field("scope", &self.parameters.scope.to_string())
            .finish_non_exhaustive()
    }
}
