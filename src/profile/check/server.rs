//! Which authorization server it is, and how it is reached.

use super::Check;
use crate::{
    discovery::Discovery,
    keystore::KeyStore,
    profile::{
        file::{ProfileTable, ProxyTable, ServerTable, TruststoreTable},
        quantity::Span,
        settings::{ProxySettings, Server, Trust},
    },
    protocol::{Endpoint, Issuer},
    tls::Proxy,
};

/// The authorization server, and whether it does without TLS.
pub(super) struct Checked {
    pub(super) server: Server,
    is_plain_http: bool,
    /// The same of the address for clients that show a certificate.
    alias_is_plain_http: Option<bool>,
}

impl Checked {
    /// Whether a client that shows a certificate, or none, talks to it without TLS.
    pub(super) fn is_plain_http(&self, shows: bool) -> bool {
        let alias = self.alias_is_plain_http.filter(|_| shows);
        alias.unwrap_or(self.is_plain_http)
    }
}

impl Check<'_, '_> {
    pub(super) fn server(&mut self, file: &ProfileTable) -> Option<Checked> {
        let plain_http = file.allow_plain_http;
        let issuer = file.issuer.as_deref().map(|issuer| {
            let issuer = Issuer::parse(issuer, plain_http);
            issuer.map_err(|invalid| self.fault("issuer", invalid.to_string()))
        });
        let mut endpoint = |key: &str, url: &Option<String>| {
            url.as_deref().map(|url| {
                let endpoint = if plain_http {
                    Endpoint::allow_plain_http(url)
                } else {
                    Endpoint::new(url)
                };
                endpoint.map_err(|invalid| self.fault(key, invalid.to_string()))
            })
        };
        let token_endpoint = endpoint("token_endpoint", &file.token_endpoint);
        let alias = endpoint("mtls_token_endpoint", &file.mtls_token_endpoint);
        let revocation = endpoint("revocation_endpoint", &file.revocation_endpoint);
        if file.discovery.is_some() && token_endpoint.is_some() {
            let message = "it has no effect beside `token_endpoint`: remove one of the two";
            self.fault("discovery", message);
        }
        if token_endpoint.is_none() {
            let message = "the metadata of `issuer` says it: remove it, or set `token_endpoint`";
            let keys = [
                ("mtls_token_endpoint", alias.is_some()),
                ("revocation_endpoint", revocation.is_some()),
            ];
            self.in_vain("", &keys, message);
        } else if file.revoke_on_shutdown && revocation.is_none() {
            let message = "nobody says where: set `revocation_endpoint`, or remove it";
            self.fault("revoke_on_shutdown", message);
        }
        let (server, is_plain_http) = match (issuer, token_endpoint) {
            (None, None) => {
                let message = "no server: set `issuer` if it publishes metadata (RFC 8414), else \
                               `token_endpoint`";
                self.fault("issuer", message);
                return None;
            }
            (Some(issuer), None) => {
                let issuer = issuer.ok()?;
                let discovery = self.discovery(issuer.as_str(), file);
                (Server::Issuer(discovery), issuer.is_plain_http())
            }
            (_, Some(endpoint)) => {
                let endpoint = endpoint.ok()?;
                let is_plain_http = endpoint.is_plain_http();
                (Server::Endpoint(endpoint), is_plain_http)
            }
        };
        let alias = alias.transpose().ok()?;
        Some(Checked {
            server,
            is_plain_http,
            alias_is_plain_http: alias.as_ref().map(Endpoint::is_plain_http),
        })
    }

    fn discovery(&mut self, issuer: &str, file: &ProfileTable) -> Discovery {
        let mut discovery = Discovery::new(issuer);
        let Some(table) = &file.discovery else {
            return discovery;
        };
        if let Some(places) = &table.well_known {
            if places.is_empty() {
                self.fault("discovery.well_known", "it names no place to look at");
            }
            discovery = discovery.well_known(places.iter().map(|&place| place.into()));
        }
        if table.next_on_client_errors {
            discovery = discovery.next_on_client_errors();
        }
        for host in &table.endpoint_hosts {
            discovery = discovery.endpoint_host(host);
        }
        match table.renew_after {
            Some(Span(age)) => discovery.renew_after(age),
            None => discovery,
        }
    }

    /// Whom to trust to be the authorization server, and the proxy on the way to it.
    pub(super) fn reach(
        &mut self,
        table: &ServerTable,
        is_plain_http: Option<bool>,
        shows: bool,
    ) -> (Option<Trust>, Option<ProxySettings>) {
        let key = "authorization_server.truststore";
        let trust = self.trust(key, table.truststore.as_ref());
        let proxy = self.proxy("authorization_server.proxy", table.proxy.as_ref());
        if is_plain_http == Some(true) {
            let keys = [
                ("truststore", table.truststore.is_some()),
                ("proxy", table.proxy.is_some()),
            ];
            let message = "it has no effect: the server is plain http";
            self.in_vain("authorization_server", &keys, message);
            if shows {
                let message = "a certificate can't be shown: the server is plain http";
                self.fault("allow_plain_http", message);
            }
        } else if is_plain_http == Some(false)
            && table.truststore.is_none()
            && !cfg!(feature = "platform-roots")
        {
            self.fault(
                key,
                "nobody is trusted to be the authorization server: set `path` to the authority \
                 that issued its certificate, or build with the feature `platform-roots`",
            );
        }
        (trust, proxy)
    }

    pub(super) fn trust(&mut self, key: &str, table: Option<&TruststoreTable>) -> Option<Trust> {
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
                let keys = [
                    ("password_file", table.password_file.is_some()),
                    ("password_env", table.password_env.is_some()),
                    ("allow_unverified", table.allow_unverified),
                ];
                self.in_vain(key, &keys, "it has no effect without `path`: remove it");
                Some(Trust::Platform)
            }
            (Some(path), false) => {
                let path = self.path(path);
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

    pub(super) fn proxy(&mut self, key: &str, table: Option<&ProxyTable>) -> Option<ProxySettings> {
        let table = table?;
        match (&table.url, table.from_environment) {
            (Some(_), true) => {
                let message = "the proxy is this one or that of the environment: remove `url` or \
                               `from_environment`";
                self.fault(&format!("{key}.from_environment"), message);
            }
            (None, false) => {
                self.fault(key, "no proxy: set `url`, or `from_environment = true`");
            }
            (None, true) => {}
            (Some(url), false) if url.contains('@') => {
                let message = "a secret can't stand in a profile: set `username`, and \
                               `password_file` or `password_env`";
                self.fault(&format!("{key}.url"), message);
            }
            (Some(url), false) => {
                if let Err(invalid) = Proxy::http(url) {
                    self.fault(&format!("{key}.url"), invalid.to_string());
                }
            }
        }
        let password = self.secret(
            &format!("{key}.password"),
            table.password_file.as_deref(),
            table.password_env.as_deref(),
        );
        let user = match (&table.username, password) {
            (Some(_), _) if table.from_environment => {
                let message = "it has no effect beside `from_environment`: remove one of the two";
                self.fault(&format!("{key}.username"), message);
                None
            }
            (Some(user), Some(password)) => Some((user.clone(), password)),
            (Some(_), None) => {
                let message = "its password is missing: set `password_file` or `password_env`";
                self.fault(&format!("{key}.username"), message);
                None
            }
            (None, Some(_)) => {
                self.fault(key, "a password without its user: set `username`");
                None
            }
            (None, None) => None,
        };
        Some(ProxySettings {
            url: table.url.clone(),
            user,
            no_proxy: table.no_proxy.clone(),
        })
    }
}
