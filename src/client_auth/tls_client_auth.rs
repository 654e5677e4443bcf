use std::borrow::Cow;

use super::{AuthContext, ClientAuth};
use crate::{error::TokenError, keystore::RotatingIdentity, protocol::TokenRequest};

/// `tls_client_auth`: the TLS client certificate is the credential, issued by an authority that
/// the server trusts (RFC 8705 section 2.1).
#[derive(Clone, Debug)]
pub struct TlsClientAuth {
    identity: Option<RotatingIdentity>,
}

/// `self_signed_tls_client_auth`: the TLS client certificate is the credential, and the server
/// knows this very certificate (RFC 8705 section 2.2).
///
/// What goes over the wire is the same as with [`TlsClientAuth`]. A certificate that is renewed has
/// to be registered with the server before it is put into the files; until it is, the old one
/// stays in use.
#[derive(Clone, Debug)]
pub struct SelfSignedTlsClientAuth(TlsClientAuth);

impl TlsClientAuth {
    /// Shows the certificate of this identity, which may change
    /// ([`RotatingIdentity`]) or not ([`ClientIdentity`](crate::keystore::ClientIdentity)).
    pub fn new(identity: impl Into<RotatingIdentity>) -> Self {
        Self {
            identity: Some(identity.into()),
        }
    }

    /// Leaves the certificate to whoever makes the connection: a sidecar, or the TLS settings of
    /// the [`HttpClient`](crate::transport::HttpClient) given.
    pub fn external() -> Self {
        Self { identity: None }
    }
}

impl SelfSignedTlsClientAuth {
    /// Shows the certificate of this identity, as [`TlsClientAuth::new`] does.
    pub fn new(identity: impl Into<RotatingIdentity>) -> Self {
        Self(TlsClientAuth::new(identity))
    }

    /// Leaves the certificate to whoever makes the connection, as [`TlsClientAuth::external`] does.
    pub fn external() -> Self {
        Self(TlsClientAuth::external())
    }
}

impl ClientAuth for TlsClientAuth {
    fn method(&self) -> &'static str {
        "tls_client_auth"
    }

    async fn authenticate(
        &self,
        context: &AuthContext<'_>,
        request: &mut TokenRequest,
    ) -> Result<(), TokenError> {
        // Section 2: without it the server may not know whose certificate to expect.
        request.set("client_id", context.client_id());
        Ok(())
    }

    fn identity(&self) -> Option<&RotatingIdentity> {
        self.identity.as_ref()
    }

    fn is_mutual_tls(&self) -> bool {
        true
    }

    fn hint(&self, _: &AuthContext<'_>) -> Option<Cow<'static, str>> {
        let hint = "the certificate may not have reached the server, or isn't the one registered: check \
             that this address asks for client certificates (`mtls_endpoint_aliases` in the \
             server's metadata), and compare subject and client_id with the client's registration";
        Some(hint.into())
    }
}

impl ClientAuth for SelfSignedTlsClientAuth {
    fn method(&self) -> &'static str {
        "self_signed_tls_client_auth"
    }

    async fn authenticate(
        &self,
        context: &AuthContext<'_>,
        request: &mut TokenRequest,
    ) -> Result<(), TokenError> {
        self.0.authenticate(context, request).await
    }

    fn identity(&self) -> Option<&RotatingIdentity> {
        self.0.identity()
    }

    fn is_mutual_tls(&self) -> bool {
        true
    }

    fn hint(&self, _: &AuthContext<'_>) -> Option<Cow<'static, str>> {
        let hint = "the certificate may not have reached the server, or isn't registered there: check \
             that this address asks for client certificates and takes ones that no authority has \
             issued (`mtls_endpoint_aliases` in the server's metadata), and register the \
             certificate itself (`jwks` with `x5c`) for this client_id";
        Some(hint.into())
    }
}
