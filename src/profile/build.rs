//! A profile becomes calls of the builders that code calls.

use std::{fs, path::Path, sync::PoisonError};

use http_body::Body;

use super::{
    api_client::ApiClient,
    fault::{ProfileError, Stage},
    load::Profile,
    secret::SecretPlace,
    settings::{
        Assertion, AssertionHeader, AssertionTerms, Auth, BySecret, Choice, ProxySettings, Server,
        Trust,
    },
};
use crate::{
    client_auth::{
        ClientSecret, ClientSecretBasic, ClientSecretJwt, ClientSecretPost, NoClientAuth,
        PrivateKeyJwt, SelfSignedTlsClientAuth, TlsClientAuth,
    },
    error::BoxError,
    grant::{BuildError, ClientCredentials, ClientCredentialsBuilder},
    jose::{LocalSigner, SigningKeyError},
    keystore::{ClientIdentity, RotatingIdentity},
    refresh::{TokenHandle, TokenHandleBuilder},
    secret::SecretString,
    service::OAuthLayer,
    tls::{InvalidProxy, Proxy, RotatingClient, TlsConfig, TrustAnchors, hyper_client},
};

impl Profile {
    /// The layer that puts tokens on requests, with a token of its own
    /// ([`OAuthLayer::handle`]).
    ///
    /// Blocks while it reads keystore, truststore and secrets, which a password can make last for
    /// a second.
    ///
    /// # Errors
    ///
    /// As [`source`](Self::source), or [`Stage::Client`]: there is no `api.allowed_origins`.
    pub fn layer(&self) -> Result<OAuthLayer, ProfileError> {
        self.layer_of(self.handle()?)
    }

    /// The same layer around another handle: one with an observer, or one that several layers
    /// share.
    ///
    /// # Errors
    ///
    /// [`Stage::Client`]: there is no `api.allowed_origins`.
    pub fn layer_of(&self, token: impl Into<TokenHandle>) -> Result<OAuthLayer, ProfileError> {
        let api = &self.0.settings.api;
        let origins = api.origins.clone().ok_or_else(|| {
            self.wrong(
                Stage::Client,
                "api.allowed_origins",
                "no origin is allowed to get the token: name at least one, such as \
                 \"https://api.example\"",
            )
        })?;
        let mut layer = OAuthLayer::new(token, origins);
        if api.replace_authorization {
            layer = layer.replace_authorization();
        }
        if let Some(octets) = api.replay_limit {
            layer = layer.replay_limit(octets);
        }
        if api.rejection_as_error {
            layer = layer.rejection_as_error();
        }
        Ok(layer)
    }

    /// A handle of a token. Each call makes another token; clones of a handle share one.
    ///
    /// Blocks as [`layer`](Self::layer) does.
    ///
    /// # Errors
    ///
    /// As [`source`](Self::source).
    pub fn handle(&self) -> Result<TokenHandle, ProfileError> {
        self.handle_builder().map(TokenHandleBuilder::build)
    }

    /// The builder of [`handle`](Self::handle), for what no file can say: an observer, a clock.
    ///
    /// Blocks as [`layer`](Self::layer) does.
    ///
    /// # Errors
    ///
    /// As [`source`](Self::source).
    pub fn handle_builder(&self) -> Result<TokenHandleBuilder, ProfileError> {
        self.handle_with(|source| source)
    }

    /// The same, with more to be said to the builder of its source: what is put around an HTTP
    /// client, a clock.
    ///
    /// Blocks as [`layer`](Self::layer) does.
    ///
    /// # Errors
    ///
    /// As [`source`](Self::source).
    pub fn handle_with(
        &self,
        more: impl FnOnce(ClientCredentialsBuilder) -> ClientCredentialsBuilder,
    ) -> Result<TokenHandleBuilder, ProfileError> {
        let settings = &self.0.settings;
        let source = self.build(more(self.source_builder()?))?;
        let builder = TokenHandle::builder(source).lifetime(settings.lifetime.clone());
        let builder = if settings.revoke_on_shutdown {
            builder.revoke_on_shutdown()
        } else {
            builder
        };
        Ok(match settings.fetch_deadline {
            Some(deadline) => builder.fetch_deadline(deadline),
            None => builder,
        })
    }

    /// What fetches tokens.
    ///
    /// Blocks as [`layer`](Self::layer) does.
    ///
    /// # Errors
    ///
    /// [`Stage::Keystore`], [`Stage::Trust`], [`Stage::Secret`] or [`Stage::Client`].
    pub fn source(&self) -> Result<ClientCredentials, ProfileError> {
        self.build(self.source_builder()?)
    }

    fn build(&self, builder: ClientCredentialsBuilder) -> Result<ClientCredentials, ProfileError> {
        builder.build().map_err(|error| {
            let key = match &error {
                BuildError::ClientAuth { .. } if self.says_algorithm() => "assertion.alg",
                BuildError::ClientAuth { .. } => "token_endpoint_auth_method",
                BuildError::Tls { .. } => "keystore",
                _ => "",
            };
            self.0.origin.error(Stage::Client, key, error)
        })
    }

    /// The builder of [`source`](Self::source), for what no file can say: a clock, an HTTP client.
    ///
    /// Blocks as [`layer`](Self::layer) does.
    ///
    /// # Errors
    ///
    /// [`Stage::Keystore`], [`Stage::Trust`] or [`Stage::Secret`].
    pub fn source_builder(&self) -> Result<ClientCredentialsBuilder, ProfileError> {
        let settings = &self.0.settings;
        let identity = self.identity()?;
        let builder = match &settings.server {
            Server::Issuer(discovery) => ClientCredentials::from_issuer(discovery.clone()),
            Server::Endpoint(endpoint) => {
                let builder = ClientCredentials::builder(endpoint.url());
                match &settings.issuer {
                    Some(issuer) => builder.issuer(issuer),
                    None => builder,
                }
            }
        };
        let mut builder = builder
            .client_id(&settings.client_id)
            .scope(settings.scope.to_string())
            .limits(settings.limits.clone());
        if settings.allow_plain_http {
            builder = builder.allow_plain_http();
        }
        if let Some(url) = &settings.mtls_token_endpoint {
            builder = builder.mtls_token_endpoint(url);
        }
        if let Some(url) = &settings.revocation_endpoint {
            builder = builder.revocation_endpoint(url);
        }
        if let Some(trust) = self.trust()? {
            builder = builder.trust(trust);
        }
        if let Some(proxy) = self.proxy()? {
            builder = builder.proxy(proxy);
        }
        for resource in &settings.resources {
            builder = builder.resource(resource);
        }
        for audience in &settings.audiences {
            builder = builder.audience(audience);
        }
        for (name, place) in &settings.extra_parameters {
            let value = self.secret(place, &format!("extra_parameter_files.{name}"))?;
            builder = builder.extra_parameter(name, value);
        }
        for (name, place) in &settings.extra_headers {
            let value = self.secret(place, &format!("extra_header_files.{name}"))?;
            builder = builder.extra_header(name, value);
        }
        if settings.require_bound_tokens {
            builder = builder.require_bound_tokens();
        }
        if let Some(identity) = identity.as_ref().filter(|_| settings.bound_tokens) {
            builder = builder.identity(identity);
        }
        self.authenticate(builder, identity)
    }

    fn authenticate(
        &self,
        builder: ClientCredentialsBuilder,
        identity: Option<RotatingIdentity>,
    ) -> Result<ClientCredentialsBuilder, ProfileError> {
        let there = || identity.expect("a file without it was refused");
        Ok(match &self.0.settings.auth {
            Auth::Tls => builder.auth(TlsClientAuth::new(there())),
            Auth::SelfSignedTls => builder.auth(SelfSignedTlsClientAuth::new(there())),
            Auth::File(auth) => builder.auth(auth.clone()),
            Auth::Assertion(assertion) => builder.auth(match &assertion.key_file {
                None => assertion.of(there()),
                Some(path) => assertion.signed_by(self.signer(path, &assertion.header)?),
            }),
            Auth::Secret(place, by) => {
                // It may change; that it is there at all is seen now.
                let secret = self.secret(place, &place.key("client_secret"))?;
                let secret = match place {
                    SecretPlace::File(path) => ClientSecret::file(path),
                    SecretPlace::Given(_) | SecretPlace::Variable(_) => secret.into(),
                };
                match by {
                    BySecret::Post => builder.auth(ClientSecretPost::new(secret)),
                    BySecret::Jwt(terms) => builder.auth(terms.of_secret(secret)),
                    BySecret::Basic { form_encoding } => {
                        let auth = ClientSecretBasic::new(secret);
                        builder.auth(if *form_encoding {
                            auth
                        } else {
                            auth.without_form_encoding()
                        })
                    }
                }
            }
            Auth::None => builder.auth(NoClientAuth::new()),
        })
    }

    // ----- the stages -----

    /// The client's key and certificate, if the profile has them. They are loaded once, by the
    /// first who asks, and shared from then on.
    ///
    /// Blocks as [`layer`](Self::layer) does.
    ///
    /// # Errors
    ///
    /// [`Stage::Keystore`].
    pub fn identity(&self) -> Result<Option<RotatingIdentity>, ProfileError> {
        let Some(keystore) = &self.0.settings.keystore else {
            return Ok(None);
        };
        let identity = self.0.identity.lock();
        let mut identity = identity.unwrap_or_else(PoisonError::into_inner);
        if identity.is_none() {
            let mut builder = RotatingIdentity::builder();
            if let Some(interval) = keystore.poll_interval {
                builder = builder.poll_interval(interval);
            }
            if let Some(notices) = &keystore.expiry_notices {
                builder = builder.expiry_notices(notices.iter().copied());
            }
            let loaded = builder.keystore(keystore.store.clone());
            let origin = &self.0.origin;
            *identity = Some(
                loaded.map_err(|error| origin.store_error(Stage::Keystore, "keystore", error))?,
            );
        }
        Ok(identity.clone())
    }

    /// Who vouches for the authorization server. `None`: its address is plain http.
    ///
    /// Blocks while it reads.
    ///
    /// # Errors
    ///
    /// [`Stage::Trust`].
    pub fn trust(&self) -> Result<Option<TrustAnchors>, ProfileError> {
        let settings = &self.0.settings;
        if settings.is_plain_http {
            return Ok(None);
        }
        let key = "authorization_server.truststore";
        self.anchors(key, settings.trust.as_ref()).map(Some)
    }

    /// Who vouches for the API.
    ///
    /// Blocks while it reads.
    ///
    /// # Errors
    ///
    /// [`Stage::Trust`]: also when nobody is named, in a build without the feature
    /// `platform-roots`.
    pub fn api_trust(&self) -> Result<TrustAnchors, ProfileError> {
        self.anchors("api.truststore", self.0.settings.api.trust.as_ref())
    }

    /// The proxy on the way to the authorization server, if there is to be one.
    ///
    /// Blocks while it reads its password.
    ///
    /// # Errors
    ///
    /// [`Stage::Secret`] or [`Stage::Proxy`].
    pub fn proxy(&self) -> Result<Option<Proxy>, ProfileError> {
        let key = "authorization_server.proxy";
        let proxy = self.0.settings.proxy.as_ref();
        proxy.map(|proxy| self.proxy_of(key, proxy)).transpose()
    }

    /// The proxy on the way to the API, if there is to be one.
    ///
    /// Blocks while it reads its password.
    ///
    /// # Errors
    ///
    /// [`Stage::Secret`] or [`Stage::Proxy`].
    pub fn api_proxy(&self) -> Result<Option<Proxy>, ProfileError> {
        let proxy = self.0.settings.api.proxy.as_ref();
        proxy
            .map(|proxy| self.proxy_of("api.proxy", proxy))
            .transpose()
    }

    /// A pooling HTTPS client for the API, to be called through [`layer`](Self::layer). If the
    /// profile shows a certificate to the authorization server, this shows the same one to the
    /// API, so that bound tokens are good there.
    ///
    /// Blocks as [`layer`](Self::layer) does.
    ///
    /// # Errors
    ///
    /// [`Stage::Keystore`], [`Stage::Trust`] or [`Stage::Client`].
    pub fn api_client<B>(&self) -> Result<ApiClient<B>, ProfileError>
    where
        B: Body + Send + 'static + Unpin,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let shown = self.0.settings.shows_certificate();
        let identity = self.identity()?.filter(|_| shown);
        let tls = TlsConfig::new(self.api_trust()?);
        let tls = match self.api_proxy()? {
            Some(proxy) => tls.proxy(proxy),
            None => tls,
        };
        let client = match identity {
            Some(identity) => RotatingClient::hyper(tls, identity).map(ApiClient::rotating),
            None => hyper_client(&tls).map(ApiClient::bare),
        };
        client.map_err(|error| self.0.origin.error(Stage::Client, "api", error))
    }

    fn proxy_of(&self, key: &str, settings: &ProxySettings) -> Result<Proxy, ProfileError> {
        let wrong = |error: InvalidProxy| self.0.origin.error(Stage::Proxy, key, error);
        let mut proxy = match &settings.url {
            Some(url) => Proxy::http(url),
            None => Proxy::from_env(),
        }
        .map_err(wrong)?;
        if let Some((user, password)) = &settings.user {
            let password = self.secret(password, &password.key(&format!("{key}.password")))?;
            proxy = proxy.basic_auth(user, password).map_err(wrong)?;
        }
        for host in &settings.no_proxy {
            proxy = proxy.no_proxy(host);
        }
        Ok(proxy)
    }

    fn secret(&self, place: &SecretPlace, key: &str) -> Result<SecretString, ProfileError> {
        place
            .read()
            .map_err(|message| self.wrong(Stage::Secret, key, message))
    }

    fn anchors(&self, key: &str, trust: Option<&Trust>) -> Result<TrustAnchors, ProfileError> {
        match trust {
            Some(Trust::Store { store, .. }) => TrustAnchors::load_blocking(store)
                .map_err(|error| self.0.origin.store_error(Stage::Trust, key, error)),
            #[cfg(feature = "platform-roots")]
            Some(Trust::Platform) | None => Ok(TrustAnchors::platform()),
            #[cfg(not(feature = "platform-roots"))]
            Some(Trust::Platform) | None => Err(self.wrong(
                Stage::Trust,
                key,
                "nobody is trusted: set `path` to the authority that issued the server's \
                 certificate, or build with the feature `platform-roots`",
            )),
        }
    }

    fn signer(&self, path: &Path, header: &AssertionHeader) -> Result<LocalSigner, ProfileError> {
        let key = "assertion.key_file";
        let pem = fs::read(path)
            .map(zeroize::Zeroizing::new)
            .map_err(|error| {
                let message = format!("{} can't be read: {error}", path.display());
                self.wrong(Stage::Keystore, key, message)
            })?;
        let signer = LocalSigner::from_pem(&pem)
            .map_err(|error| self.0.origin.error(Stage::Keystore, key, error))?;
        header
            .on(signer, None)
            .map_err(|error| self.0.origin.error(Stage::Client, "assertion.alg", error))
    }

    fn says_algorithm(&self) -> bool {
        let auth = &self.0.settings.auth;
        matches!(auth, Auth::Assertion(assertion) if assertion.header.algorithm.is_some())
    }

    fn wrong(&self, stage: Stage, key: &str, message: impl Into<String>) -> ProfileError {
        self.0.origin.error(stage, key, message.into())
    }
}

// ===== impl Assertion =====

impl Assertion {
    fn of(&self, identity: RotatingIdentity) -> PrivateKeyJwt {
        let header = self.header.clone();
        self.settle(PrivateKeyJwt::from_identity_with(
            identity,
            move |identity| header.on(LocalSigner::from_identity(identity)?, Some(identity)),
        ))
    }

    fn signed_by(&self, signer: LocalSigner) -> PrivateKeyJwt {
        self.settle(PrivateKeyJwt::new(signer))
    }

    fn settle(&self, auth: PrivateKeyJwt) -> PrivateKeyJwt {
        let terms = &self.terms;
        let auth = auth.audience(terms.audience.clone());
        let auth = match &terms.typ {
            Choice::Usual => auth,
            Choice::This(typ) => auth.typ(typ),
            Choice::Nothing => auth.without_typ(),
        };
        match terms.lifetime {
            Some(lifetime) => auth.lifetime(lifetime),
            None => auth,
        }
    }
}

impl AssertionTerms {
    fn of_secret(&self, secret: ClientSecret) -> ClientSecretJwt {
        let auth = ClientSecretJwt::new(secret).audience(self.audience.clone());
        let auth = match &self.typ {
            Choice::Usual => auth,
            Choice::This(typ) => auth.typ(typ),
            Choice::Nothing => auth.without_typ(),
        };
        match self.lifetime {
            Some(lifetime) => auth.lifetime(lifetime),
            None => auth,
        }
    }
}

impl AssertionHeader {
    fn on(
        &self,
        mut signer: LocalSigner,
        identity: Option<&ClientIdentity>,
    ) -> Result<LocalSigner, SigningKeyError> {
        if let Some(algorithm) = self.algorithm {
            signer = signer.algorithm(algorithm)?;
        }
        signer = match &self.key_id {
            Choice::Usual => signer,
            Choice::This(key_id) => signer.key_id(key_id),
            Choice::Nothing => signer.without_key_id(),
        };
        if let Some(identity) = identity.filter(|_| self.x5t_s256) {
            signer = signer.x5t_s256(identity);
        }
        if let Some(identity) = identity.filter(|_| self.x5c) {
            signer = signer.x5c(identity);
        }
        Ok(signer)
    }
}
