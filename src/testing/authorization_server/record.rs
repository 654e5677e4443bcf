use std::{collections::BTreeSet, fmt};

use http::{HeaderMap, Method, Uri, request};

use super::client::AuthMethod;
use crate::testing::net::Peer;

/// What an authorization server counted since it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthorizationServerCounters {
    /// Requests that reached the token endpoint, whatever became of them.
    pub token_requests: u64,
    /// Tokens issued.
    pub issued: u64,
    /// Requests refused.
    pub rejected: u64,
    /// Requests answered by [`answer_next`](super::FakeAuthorizationServer::answer_next).
    pub scripted: u64,
    /// Token requests that tried `client_secret_basic`.
    pub client_secret_basic: u64,
    /// Token requests that tried `client_secret_post`.
    pub client_secret_post: u64,
    /// Token requests that tried `client_secret_jwt`.
    pub client_secret_jwt: u64,
    /// Token requests that tried `private_key_jwt`.
    pub private_key_jwt: u64,
    /// Token requests that tried `tls_client_auth`.
    pub tls_client_auth: u64,
    /// Token requests that proved nothing.
    pub none: u64,
    /// Requests for metadata, whatever became of them.
    pub metadata_requests: u64,
    /// TLS connections.
    pub connections: u64,
    /// Connections that are open right now.
    pub open_connections: u64,
}

impl AuthorizationServerCounters {
    pub(super) fn count_method(&mut self, method: AuthMethod) {
        match method {
            AuthMethod::ClientSecretBasic => self.client_secret_basic += 1,
            AuthMethod::ClientSecretPost => self.client_secret_post += 1,
            AuthMethod::ClientSecretJwt => self.client_secret_jwt += 1,
            AuthMethod::None => self.none += 1,
            AuthMethod::PrivateKeyJwt => self.private_key_jwt += 1,
            AuthMethod::TlsClientAuth => self.tls_client_auth += 1,
        }
    }
}

/// A token request as it was on the wire, recorded before it is judged.
///
/// `Debug` shows the names of header fields and parameters, not their values.
#[derive(Clone)]
pub struct TokenRequest {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    parameters: Vec<(String, String)>,
    certificate_thumbprint: Option<String>,
    connection: u64,
}

impl TokenRequest {
    pub(super) fn new(head: &request::Parts, body: &[u8], peer: &Peer) -> Self {
        Self {
            method: head.method.clone(),
            uri: head.uri.clone(),
            headers: head.headers.clone(),
            parameters: form_urlencoded::parse(body).into_owned().collect(),
            certificate_thumbprint: peer.thumbprint.clone(),
            connection: peer.connection,
        }
    }

    /// The request method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The request target.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The header fields.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The form, decoded, in the order sent.
    pub fn parameters(&self) -> &[(String, String)] {
        &self.parameters
    }

    /// The first parameter of this name.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let mut parameters = self.parameters.iter();
        let (_, value) = parameters.find(|(sent, _)| sent == name)?;
        Some(value)
    }

    /// The `x5t#S256` of the certificate that the client presented in the handshake.
    pub fn certificate_thumbprint(&self) -> Option<&str> {
        self.certificate_thumbprint.as_deref()
    }

    /// The number of the connection that it came on, from 1.
    pub fn connection(&self) -> u64 {
        self.connection
    }

    /// The parameter's value; one without a value counts as left out (RFC 6749 section 3.2).
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.parameter(name).filter(|value| !value.is_empty())
    }

    /// Whether a parameter that may come once only came twice. RFC 8707 and RFC 8693 let
    /// `resource` and `audience` repeat.
    pub(super) fn has_duplicates(&self) -> bool {
        let mut seen = BTreeSet::new();
        let mut names = self.parameters.iter().map(|(name, _)| name.as_str());
        names.any(|name| !matches!(name, "resource" | "audience") && !seen.insert(name))
    }
}

impl fmt::Debug for TokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.keys().collect();
        let parameters: Vec<_> = self.parameters.iter().map(|(name, _)| name).collect();
        f.debug_struct("TokenRequest")
            .field("method", &self.method)
            .field("headers", &headers)
            .field("parameters", &parameters)
            .field("certificate_thumbprint", &self.certificate_thumbprint)
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}
