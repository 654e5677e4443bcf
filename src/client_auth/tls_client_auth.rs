use super::{AuthContext, ClientAuth};
use crate::{error::TokenError, keystore::ClientIdentity, protocol::TokenRequest};

/// `tls_client_auth` and `self_signed_tls_client_auth`: the TLS client certificate is the
/// credential (RFC 8705 section 2).
///
/// The two differ only in how the server checks the certificate.
#[derive(Clone, Debug)]
pub struct TlsClientAuth {
    identity: Option<ClientIdentity>,
}

impl TlsClientAuth {
    /// Shows this certificate.
    pub fn new(identity: ClientIdentity) -> Self {
        Self {
            identity: Some(identity),
        }
    }

    /// Leaves the certificate to whoever makes the connection: a sidecar, or the TLS settings of
    /// the [`HttpClient`](crate::transport::HttpClient) given.
    pub fn external() -> Self {
        Self { identity: None }
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

    fn identity(&self) -> Option<&ClientIdentity> {
        self.identity.as_ref()
    }

    fn hint(&self) -> Option<&'static str> {
        Some(
            "the certificate may not have reached the server, or isn't the one registered: check \
             that this address asks for client certificates (`mtls_endpoint_aliases` in the \
             server's metadata), and compare subject and client_id with the client's registration",
        )
    }
}
