use http_body::Body;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::{Client, connect::HttpConnector};

use super::TrustAnchors;
use crate::{
    error::{BoxError, TokenError},
    keystore::ClientIdentity,
};

/// How to talk TLS: whom to trust, and as whom to appear.
#[derive(Clone, Debug)]
pub struct TlsConfig {
    trust: TrustAnchors,
    identity: Option<ClientIdentity>,
}

impl TlsConfig {
    /// Trusts these authorities and no others, and shows no certificate.
    pub fn new(trust: TrustAnchors) -> Self {
        Self {
            trust,
            identity: None,
        }
    }

    /// Shows this client's certificate to servers that ask for one (mutual TLS).
    #[must_use]
    pub fn identity(mut self, identity: &ClientIdentity) -> Self {
        self.identity = Some(identity.clone());
        self
    }

    /// The rustls form: TLS 1.2 and 1.3, ALPN left empty (hyper-rustls sets it).
    pub(crate) fn client_config(&self) -> Result<rustls::ClientConfig, TokenError> {
        let _ = (&self.trust, &self.identity);
        unimplemented!("to come")
    }
}

/// A pooling HTTPS client with these TLS settings, to put below an
/// [`OAuthLayer`](crate::service::OAuthLayer).
pub fn hyper_client<B>(
    tls: &TlsConfig,
) -> Result<Client<HttpsConnector<HttpConnector>, B>, TokenError>
where
    B: Body + Send + 'static + Unpin,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let _ = tls.client_config()?;
    unimplemented!("to come")
}
