//! Whether a file can be meant: contradictions, and values that no setting takes.

use std::{collections::BTreeMap, path::Path, time::Duration};

use super::{
    fault::Faults,
    file::{
        ApiTable, AssertionTable, Foreign, KeystoreTable, LifetimeTable, LimitsTable, Method,
        ProfileTable, TruststoreTable,
    },
    quantity::Span,
    secret::SecretPlace,
    settings::{Api, Assertion, AssertionHeader, Auth, Choice, Keystore, Settings, Trust, resolve},
};
use crate::{
    client_auth::FileAssertion,
    grant::is_reserved_parameter,
    keystore::{KeyStore, Password},
    protocol::Endpoint,
    service::{AllowedOrigins, ForeignOrigin},
    token::LifetimeConfig,
    transport::TransportLimits,
};

/// Checks all that can be checked without another file.
pub(super) fn check(file: ProfileTable, base: &Path, faults: &mut Faults<'_>) -> Option<Settings> {
    Check { base, faults }.profile(file)
}

struct Check<'a, 'b> {
    base: &'a Path,
    faults: &'a mut Faults<'b>,
}

impl Check<'_, '_> {
    fn fault(&mut self, key: &str, message: impl Into<String>) {
        self.faults.at(key, message);
    }

    fn profile(&mut self, file: ProfileTable) -> Option<Settings> {
        let token_endpoint = self.token_endpoint(&file);
        let mtls_token_endpoint = file.mtls_token_endpoint.as_deref();
        let alias = mtls_token_endpoint
            .and_then(|url| self.endpoint("mtls_token_endpoint", url, file.allow_plain_http));
        let client_id = file.client_id.clone().filter(|id| !id.is_empty());
        if client_id.is_none() {
            self.fault("client_id", "no client_id: set it");
        }
        let keystore = file.keystore.as_ref().and_then(|it| self.keystore(it));
        let auth = self.auth(&file);
        let is_mutual_tls = matches!(auth, Some(Auth::Tls | Auth::SelfSignedTls));
        let shows = is_mutual_tls || file.tls_client_certificate_bound_access_tokens;
        self.certificate(&file, auth.as_ref(), shows);

        let scope = file.scope.as_deref().unwrap_or_default().parse();
        let scope = scope.map_err(|invalid| self.fault("scope", format!("{invalid}")));
        let extra = self.extra(&file.extra_parameters, &file.extra_parameter_files);

        let used = alias.as_ref().filter(|_| shows).or(token_endpoint.as_ref());
        let plain_http = used.map(Endpoint::is_plain_http);
        let truststore = file.authorization_server.truststore.as_ref();
        let key = "authorization_server.truststore";
        let trust = self.trust(key, truststore);
        if plain_http == Some(true) {
            if truststore.is_some() {
                self.fault(key, "it has no effect: the token endpoint is plain http");
            }
            if shows {
                let message = "a certificate can't be shown: the token endpoint is plain http";
                self.fault("token_endpoint", message);
            }
        } else if plain_http == Some(false)
            && truststore.is_none()
            && !cfg!(feature = "platform-roots")
        {
            self.fault(
                key,
                "nobody is trusted to be the authorization server: set `path` to the authority \
                 that issued its certificate, or build with the feature `platform-roots`",
            );
        }
        let api = self.api(&file.api);
        let lifetime = self.lifetime(&file.lifetime);
        let (limits, fetch_deadline) = self.limits(&file.limits);
        Some(Settings {
            issuer: file.issuer,
            token_endpoint: token_endpoint?,
            mtls_token_endpoint: file.mtls_token_endpoint,
            allow_plain_http: file.allow_plain_http,
            client_id: client_id?,
            auth: auth?,
            keystore,
            bound_tokens: file.tls_client_certificate_bound_access_tokens,
            require_bound_tokens: file.require_bound_tokens,
            scope: scope.ok()?,
            resources: file.resource,
            audiences: file.audience,
            extra,
            trust,
            api,
            lifetime,
            limits,
            fetch_deadline,
        })
    }

    fn token_endpoint(&mut self, file: &ProfileTable) -> Option<Endpoint> {
        let Some(url) = &file.token_endpoint else {
            self.fault("token_endpoint", "no token_endpoint: set it");
            return None;
        };
        self.endpoint("token_endpoint", url, file.allow_plain_http)
    }

    fn endpoint(&mut self, key: &str, url: &str, plain_http: bool) -> Option<Endpoint> {
        let endpoint = if plain_http {
            Endpoint::allow_plain_http(url)
        } else {
            Endpoint::new(url)
        };
        endpoint
            .map_err(|invalid| self.fault(key, invalid.to_string()))
            .ok()
    }

    // ----- who the client is -----

    fn auth(&mut self, file: &ProfileTable) -> Option<Auth> {
        let Some(method) = file.token_endpoint_auth_method else {
            self.fault(
                "token_endpoint_auth_method",
                "no method of client authentication: set it, for instance to \"private_key_jwt\"",
            );
            return None;
        };
        if method != Method::ClientSecretBasic {
            for (key, set) in [
                ("client_secret_file", file.client_secret_file.is_some()),
                ("client_secret_env", file.client_secret_env.is_some()),
                (
                    "client_secret_form_encoding",
                    file.client_secret_form_encoding.is_some(),
                ),
            ] {
                if set {
                    let message = "this method needs no client secret: remove it, or set \
                                   `token_endpoint_auth_method` to \"client_secret_basic\"";
                    self.fault(key, message);
                }
            }
        }
        let by_assertion = matches!(method, Method::PrivateKeyJwt | Method::SpiffeJwt);
        if file.assertion.is_some() && !by_assertion {
            let message = "this method has no assertion: remove it, or set \
                           `token_endpoint_auth_method` to \"private_key_jwt\"";
            self.fault("assertion", message);
        }
        match method {
            Method::TlsClientAuth => Some(Auth::Tls),
            Method::SelfSignedTlsClientAuth => Some(Auth::SelfSignedTls),
            Method::PrivateKeyJwt | Method::SpiffeJwt => {
                let spiffe = method == Method::SpiffeJwt;
                self.assertion(file, file.assertion.as_ref(), spiffe)
            }
            Method::ClientSecretBasic => {
                let place = self.secret(
                    "client_secret",
                    file.client_secret_file.as_deref(),
                    file.client_secret_env.as_deref(),
                );
                if file.client_secret_file.is_none() && file.client_secret_env.is_none() {
                    let message = "client_secret_basic needs a client secret: name its file here, \
                                   or its environment variable by `client_secret_env`";
                    self.fault("client_secret_file", message);
                }
                Some(Auth::Secret {
                    place: place?,
                    form_encoding: file.client_secret_form_encoding.unwrap_or(true),
                })
            }
        }
    }

    fn assertion(
        &mut self,
        file: &ProfileTable,
        table: Option<&AssertionTable>,
        spiffe: bool,
    ) -> Option<Auth> {
        let usual = AssertionTable::default();
        let table = table.unwrap_or(&usual);
        if let Some(path) = &table.file {
            for (key, set) in [
                ("key_file", table.key_file.is_some()),
                ("aud", table.aud.is_some()),
                ("alg", table.alg.is_some()),
                ("kid", table.kid.is_some()),
                ("without_kid", table.without_kid),
                ("typ", table.typ.is_some()),
                ("without_typ", table.without_typ),
                ("x5t_s256", table.x5t_s256),
                ("x5c", table.x5c),
                ("lifetime", table.lifetime.is_some()),
            ] {
                if set {
                    let message = "it has no effect on an assertion that the platform writes to a \
                                   file: remove it, or `assertion.file`";
                    self.fault(&format!("assertion.{key}"), message);
                }
            }
            let mut auth = FileAssertion::new(resolve(self.base, path));
            if spiffe {
                auth = auth.spiffe();
            }
            if table.without_client_id {
                auth = auth.without_client_id();
            }
            return Some(Auth::File(auth));
        }
        if spiffe {
            self.fault(
                "assertion.file",
                "spiffe_jwt needs the file that the platform writes the JWT-SVID to: name it",
            );
            return None;
        }
        if table.without_client_id {
            let message = "it has no effect without `assertion.file`";
            self.fault("assertion.without_client_id", message);
        }
        for key in ["x5t_s256", "x5c"] {
            let set = if key == "x5c" {
                table.x5c
            } else {
                table.x5t_s256
            };
            if set && table.key_file.is_some() {
                let message = "a bare key has no certificate: put both into `keystore`";
                self.fault(&format!("assertion.{key}"), message);
            }
        }
        let key_id = self.choice("kid", table.kid.as_ref(), table.without_kid);
        let typ = self.choice("typ", table.typ.as_ref(), table.without_typ);
        let lifetime = table.lifetime.map(|Span(lifetime)| lifetime);
        if lifetime.is_some_and(|it| it.is_zero() || it.subsec_nanos() > 0) {
            let message = "an assertion lives for whole seconds, one at least";
            self.fault("assertion.lifetime", message);
        }
        let audience = table.aud.as_ref().or(file.issuer.as_ref());
        let Some(audience) = audience.filter(|audience| !audience.is_empty()) else {
            let message = "an assertion needs the issuer identifier of the server: set it, or \
                           `assertion.aud` where the server wants another audience";
            self.fault("issuer", message);
            return None;
        };
        Some(Auth::Assertion(Assertion {
            key_file: table.key_file.as_deref().map(|it| resolve(self.base, it)),
            audience: audience.clone(),
            header: AssertionHeader {
                algorithm: table.alg.map(Into::into),
                key_id,
                x5t_s256: table.x5t_s256,
                x5c: table.x5c,
            },
            typ,
            lifetime,
        }))
    }

    fn choice(&mut self, key: &str, this: Option<&String>, nothing: bool) -> Choice {
        match (this, nothing) {
            (Some(_), true) => {
                let message = format!("it contradicts `assertion.{key}`: remove one of the two");
                self.fault(&format!("assertion.without_{key}"), message);
                Choice::Nothing
            }
            (Some(this), false) => Choice::This(this.clone()),
            (None, true) => Choice::Nothing,
            (None, false) => Choice::Usual,
        }
    }

    /// Whether the keystore is there for what needs it, and needed if it is there.
    fn certificate(&mut self, file: &ProfileTable, auth: Option<&Auth>, shows: bool) {
        let needs = match auth {
            None => return,
            Some(Auth::Tls | Auth::SelfSignedTls) => true,
            Some(Auth::Assertion(assertion)) => assertion.key_file.is_none(),
            Some(Auth::File(_) | Auth::Secret { .. }) => false,
        };
        let bound = file.tls_client_certificate_bound_access_tokens;
        match (needs, &file.keystore) {
            (true, None) => self.fault(
                "keystore",
                "this method needs the client's key and certificate: set `keystore.path`, or \
                 `keystore.certificate_file` and `keystore.key_file`",
            ),
            (false, None) if bound => self.fault(
                "tls_client_certificate_bound_access_tokens",
                "tokens can't be bound to a certificate that isn't there: set `keystore`",
            ),
            (false, Some(_)) if !bound => self.fault(
                "keystore",
                "it is never used: set `tls_client_certificate_bound_access_tokens` to bind \
                 tokens to its certificate, or remove it",
            ),
            _ => {}
        }
        if shows {
            return;
        }
        let message = "it has no effect, because no certificate is shown: set \
                       `tls_client_certificate_bound_access_tokens`, or remove it";
        if file.require_bound_tokens {
            self.fault("require_bound_tokens", message);
        }
        if file.mtls_token_endpoint.is_some() {
            self.fault("mtls_token_endpoint", message);
        }
    }

    fn keystore(&mut self, table: &KeystoreTable) -> Option<Keystore> {
        let at = |path: &Option<String>| path.as_deref().map(|path| resolve(self.base, path));
        let (path, certificates, key) = (
            at(&table.path),
            at(&table.certificate_file),
            at(&table.key_file),
        );
        let (store, files) = match (path, certificates, key) {
            (Some(path), None, None) => (Some(KeyStore::file(&path)), vec![path]),
            (None, Some(certificates), Some(key)) => {
                let store = KeyStore::pem_files(&certificates, &key);
                (Some(store), vec![certificates, key])
            }
            (Some(_), ..) => {
                let message = "a keystore is one file or a pair of PEM files: remove `path`, or \
                               `certificate_file` and `key_file`";
                self.fault("keystore.path", message);
                (None, Vec::new())
            }
            (None, Some(_), None) => {
                self.fault(
                    "keystore.key_file",
                    "no key: name the PEM file that holds it",
                );
                (None, Vec::new())
            }
            (None, None, Some(_)) => {
                let message = "no certificate: name the PEM file that holds it";
                self.fault("keystore.certificate_file", message);
                (None, Vec::new())
            }
            (None, None, None) => {
                let message = "no file: set `path`, or `certificate_file` and `key_file`";
                self.fault("keystore", message);
                (None, Vec::new())
            }
        };
        if table.alias.is_some() && table.certificate_file.is_some() {
            let message = "PEM files have no aliases: remove it";
            self.fault("keystore.alias", message);
        }
        let password = self.password(
            "keystore.password",
            table.password_file.as_deref(),
            table.password_env.as_deref(),
        );
        let key_password = self.password(
            "keystore.key_password",
            table.key_password_file.as_deref(),
            table.key_password_env.as_deref(),
        );
        let poll_interval = table.poll_interval.map(|Span(interval)| interval);
        if poll_interval.is_some_and(|it| it < Duration::from_secs(1)) {
            self.fault("keystore.poll_interval", "it is a second at least");
        }
        let notices = table.expiry_notices.as_ref();
        let mut store = store?;
        if let Some(alias) = &table.alias {
            store = store.alias(alias);
        }
        if let Some(password) = password {
            store = store.password(password);
        }
        if let Some(password) = key_password {
            store = store.key_password(password);
        }
        if table.allow_unverified {
            store = store.allow_unverified();
        }
        Some(Keystore {
            store,
            files,
            poll_interval,
            expiry_notices: notices.map(|them| them.iter().map(|Span(it)| *it).collect()),
        })
    }

    fn password(&mut self, key: &str, file: Option<&str>, env: Option<&str>) -> Option<Password> {
        match self.secret(key, file, env)? {
            SecretPlace::File(path) => Some(Password::file(path)),
            SecretPlace::Variable(name) => Some(Password::env(name)),
            SecretPlace::Given(_) => None,
        }
    }

    fn secret(&mut self, key: &str, file: Option<&str>, env: Option<&str>) -> Option<SecretPlace> {
        match (file, env) {
            (Some(_), Some(_)) => {
                let message = format!("it contradicts `{key}_file`: remove one of the two");
                self.fault(&format!("{key}_env"), message);
                None
            }
            (Some(file), None) => Some(SecretPlace::File(resolve(self.base, file))),
            // The names that no environment can have: asking for them panics on some systems.
            (None, Some(env)) if env.is_empty() || env.contains(['=', '\0']) => {
                let message = "it isn't the name of an environment variable";
                self.fault(&format!("{key}_env"), message);
                None
            }
            (None, Some(env)) => Some(SecretPlace::Variable(env.to_owned())),
            (None, None) => None,
        }
    }

    // ----- what it asks for -----

    fn extra(
        &mut self,
        given: &BTreeMap<String, String>,
        files: &BTreeMap<String, String>,
    ) -> Vec<(String, SecretPlace)> {
        let given_places = given
            .iter()
            .map(|(name, value)| (name, SecretPlace::Given(value.as_str().into())));
        let file_places = files
            .iter()
            .map(|(name, path)| (name, SecretPlace::File(resolve(self.base, path))));
        let all: Vec<_> = given_places.chain(file_places).collect();
        for (at, (name, _)) in all.iter().enumerate() {
            let table = if at < given.len() {
                "extra_parameters"
            } else {
                "extra_parameter_files"
            };
            let key = format!("{table}.{name}");
            if name.is_empty() {
                self.fault(table, "a parameter has a name");
            } else if is_reserved_parameter(name) {
                let message = "it can't be an extra parameter: it has a setting of its own";
                self.fault(&key, message);
            } else if at >= given.len() && given.contains_key(*name) {
                let message = format!("it contradicts `extra_parameters.{name}`: remove one");
                self.fault(&key, message);
            }
        }
        all.into_iter()
            .map(|(name, place)| (name.clone(), place))
            .collect()
    }

    // ----- whom it talks to -----

    fn trust(&mut self, key: &str, table: Option<&TruststoreTable>) -> Option<Trust> {
        let table = table?;
        let password = self.password(
            &format!("{key}.password"),
            table.password_file.as_deref(),
            table.password_env.as_deref(),
        );
        if table.platform && !cfg!(feature = "platform-roots") {
            let message = "this program was built without the feature `platform-roots`: name the \
                           authorities by `path`";
            self.fault(&format!("{key}.platform"), message);
        }
        match (&table.path, table.platform) {
            (Some(_), true) => {
                let message = "the authorities are those of a file or those of the operating \
                               system: remove `path` or `platform`";
                self.fault(&format!("{key}.platform"), message);
                None
            }
            (None, false) => {
                self.fault(key, "no authorities: set `path`, or `platform = true`");
                None
            }
            (None, true) => {
                for (name, set) in [
                    ("password_file", table.password_file.is_some()),
                    ("password_env", table.password_env.is_some()),
                    ("allow_unverified", table.allow_unverified),
                ] {
                    if set {
                        let message = "it has no effect without `path`: remove it";
                        self.fault(&format!("{key}.{name}"), message);
                    }
                }
                Some(Trust::Platform)
            }
            (Some(path), false) => {
                let path = resolve(self.base, path);
                let mut store = KeyStore::file(&path);
                if let Some(password) = password {
                    store = store.password(password);
                }
                if table.allow_unverified {
                    store = store.allow_unverified();
                }
                Some(Trust::Store { store, path })
            }
        }
    }

    fn api(&mut self, table: &ApiTable) -> Api {
        let trust = self.trust("api.truststore", table.truststore.as_ref());
        Api {
            origins: self.origins(table),
            replace_authorization: table.replace_authorization,
            replay_limit: table.replay_limit.map(|size| size.0),
            rejection_as_error: table.rejection_as_error,
            trust,
        }
    }

    fn origins(&mut self, table: &ApiTable) -> Option<AllowedOrigins> {
        let mut origins = match (&table.allowed_origins, table.any_https) {
            (Some(_), true) => {
                let message = "it contradicts `api.allowed_origins`: remove one of the two";
                self.fault("api.any_https", message);
                return None;
            }
            (None, true) => AllowedOrigins::any_https(),
            (Some(listed), false) => {
                // Each by itself, to name the one that is wrong.
                for (at, origin) in listed.iter().enumerate() {
                    if let Err(error) = AllowedOrigins::new([origin]) {
                        self.fault(&format!("api.allowed_origins[{at}]"), error.to_string());
                    }
                }
                if listed.is_empty() {
                    let message = "no origin is allowed to get the token: name at least one, such \
                                   as \"https://api.example\"";
                    self.fault("api.allowed_origins", message);
                }
                AllowedOrigins::new(listed).ok()?
            }
            (None, false) => {
                for (key, set) in [
                    ("allow_plain_http", table.allow_plain_http),
                    ("foreign_origins", table.foreign_origins.is_some()),
                    (
                        "origin_without_authority",
                        table.origin_without_authority.is_some(),
                    ),
                ] {
                    if set {
                        let message = "it has no effect without `api.allowed_origins`: set them";
                        self.fault(&format!("api.{key}"), message);
                    }
                }
                return None;
            }
        };
        if table.allow_plain_http {
            origins = origins.allow_plain_http();
        }
        if let Some(foreign) = table.foreign_origins {
            origins = origins.foreign(match foreign {
                Foreign::Refuse => ForeignOrigin::Refuse,
                Foreign::SendWithout => ForeignOrigin::SendWithout,
            });
        }
        match &table.origin_without_authority {
            None => Some(origins),
            Some(origin) => origins
                .without_authority(origin)
                .map_err(|error| self.fault("api.origin_without_authority", error.to_string()))
                .ok(),
        }
    }

    // ----- how long, how much -----

    /// A span that must not be nothing.
    fn positive(&mut self, key: &str, span: Option<Span>) -> Option<Duration> {
        let Span(span) = span?;
        if span.is_zero() {
            self.fault(key, "it can't be zero");
        }
        Some(span)
    }

    fn lifetime(&mut self, table: &LifetimeTable) -> LifetimeConfig {
        let mut lifetime = LifetimeConfig::new();
        if let Some(Span(margin)) = table.margin {
            lifetime = lifetime.margin(margin);
        }
        if let Some(assumed) = self.positive("lifetime.assumed", table.assumed) {
            lifetime = lifetime.assumed_lifetime(assumed);
        }
        if let Some(max_age) = self.positive("lifetime.max_token_age", table.max_token_age) {
            lifetime = lifetime.max_token_age(max_age);
        }
        lifetime
    }

    fn limits(&mut self, table: &LimitsTable) -> (TransportLimits, Option<Duration>) {
        let mut limits = TransportLimits::new();
        if let Some(deadline) = self.positive("limits.deadline", table.deadline) {
            limits = limits.deadline(deadline);
        }
        if let Some(size) = table.max_answer {
            if size.0 == 0 {
                self.fault("limits.max_answer", "it can't be zero");
            }
            limits = limits.max_answer(size.0);
        }
        let fetch_deadline = self.positive("limits.fetch_deadline", table.fetch_deadline);
        (limits, fetch_deadline)
    }
}
